"""Trying a model on a few samples before a run begins: as it is trained, and as it is asked afterwards."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from modyn_bench.errors import ContractError, RequestError
from modyn_bench.inference.forward import Forward, as_input, autocast_dtype, check_outputs, evaluating, model_dtype
from modyn_bench.training.augmentation.augmenter import Augmenter
from modyn_bench.training.module import check_losses


class Rehearsal:
    """Passes n samples through a model, which may change meanwhile.

    Args:
        module: The model, on its device.
        arrays: Model inputs by name, each of shape (n, ...).
        num_classes: Number of classes, which the model's outputs must have.
        accelerator: Lightning's name of the device.
        precision: Lightning's name of the precision.
    """

    def __init__(
        self,
        module: nn.Module,
        arrays: Mapping[str, NDArray[np.generic]],
        *,
        num_classes: int,
        accelerator: str,
        precision: str,
    ) -> None:
        self._module = module
        self._arrays = arrays
        self._num_samples = len(next(iter(arrays.values())))
        self._num_classes = num_classes
        self._accelerator = accelerator
        self._precision = precision

    def train(self, loss: nn.Module, labels: torch.Tensor, augmenter: Augmenter | None = None) -> None:
        """Try augmentations, a forward pass in training, and the loss.

        Args:
            loss: Maps logits (n, C) and labels (n,) to losses (n,).
            labels: Class indices, shape (n,), on the model's device.
            augmenter: What changes training batches.

        Raises:
            RequestError: If an augmentation or the model fails, or returns what cannot be trained.
        """
        device, mixed = labels.device, autocast_dtype(self._precision)
        inputs: Mapping[str, NDArray[Any] | torch.Tensor] = self._arrays
        if augmenter is not None:
            inputs = augmenter.rehearse({name: torch.from_numpy(array) for name, array in inputs.items()}, device)
        self._module.train(self._num_samples > 1)  # one sample has no variance to normalise by
        with torch.autocast(device.type, mixed, enabled=mixed is not None):
            try:
                outputs = self._module(as_input(inputs, device, model_dtype(self._precision)))
            except Exception as error:
                raise self._failure(error) from error
            logits = check_outputs(outputs, self._num_samples, self._num_classes, self._module)
            check_losses(loss(logits.float(), labels), self._num_samples, self._module)

    def evaluate(self, *, embeddings_for: Sequence[str] = ()) -> None:
        """Try a forward pass in eval mode, and whether there are embeddings where policies need them.

        Args:
            embeddings_for: Who will ask for embeddings, such as ``selector.policies.a=k_center``.

        Raises:
            RequestError: If the model fails, or has no embeddings that are needed.
        """
        forward = Forward(
            self._module, num_classes=self._num_classes, device=self._accelerator, precision=self._precision
        )
        with evaluating(self._module):
            try:
                forward.embed(self._arrays) if embeddings_for else forward(self._arrays)
            except ContractError as error:
                verb = "needs" if len(embeddings_for) == 1 else "need"
                raise RequestError(f"{' and '.join(embeddings_for)} {verb} embeddings: {error}") from error
            except RequestError as error:
                raise RequestError(f"{error}, in eval mode") from error
            except Exception as error:
                raise self._failure(error) from error

    def _failure(self, error: Exception) -> RequestError:
        where = traceback.extract_tb(error.__traceback__)[-1]
        mode = "" if self._module.training else " in eval mode"
        return RequestError(
            f"model {type(self._module).__name__} fails{mode} on a batch of {self._num_samples} samples: "
            f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
        )
