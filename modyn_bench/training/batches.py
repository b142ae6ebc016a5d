"""Batches of a training as Lightning wants them: an iterable of known length, gathered by the loader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modyn_bench.data.loading import SuperBatch, super_batches
from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.types import IntArray

_LABELS = "labels"


class Batch:
    """One batch: views into the loader's buffer, valid until the next one is asked for.

    Attributes:
        inputs: The input columns by name, each of shape (B, ...).
        labels: Class indices, shape (B,), int64.
        weights: Sample weights, shape (B,), float32; ``None`` if all are 1.
        scale: What the sum of weighted losses is multiplied with.
        steps: Whether the optimiser steps after it.
    """

    __slots__ = ("inputs", "labels", "scale", "steps", "weights")

    def __init__(
        self,
        inputs: dict[str, torch.Tensor],
        labels: torch.Tensor,
        weights: torch.Tensor | None,
        *,
        scale: float,
        steps: bool,
    ) -> None:
        self.inputs = inputs
        self.labels = labels
        self.weights = weights
        self.scale = scale
        self.steps = steps

    def __len__(self) -> int:
        return len(self.labels)


class TrainingBatches:
    """The batches of one device: iterating yields the next epoch's.

    One loader runs through all epochs, so its buffers, and its thread where there is one, last for the whole training.

    Args:
        columns: The split's input columns and nothing else, each of shape (N, ...).
        labels: The split's labels, shape (N,).
        keys: The selection, shape (n,).
        weights: Its weights, shape (n,), float32.
        plan: Which positions make which batch.
        preprocessor: Turns stored columns into model inputs.
    """

    def __init__(
        self,
        columns: Mapping[str, NDArray[Any]],
        labels: IntArray,
        keys: IntArray,
        weights: NDArray[np.float32],
        *,
        plan: TrainingPlan,
        preprocessor: Preprocessor,
    ) -> None:
        self._plan = plan
        self._weights = None if (weights == 1).all() else np.ascontiguousarray(weights, dtype=np.float32)
        self._loader = super_batches(
            {**columns, _LABELS: labels},
            keys,
            (plan.order(epoch) for epoch in range(plan.num_epochs)),
            batch_size=plan.config.batch_size,
            preprocessor=preprocessor,
        )
        self._epoch = 0

    def __len__(self) -> int:
        return self._plan.num_batches(min(self._epoch, self._plan.num_epochs - 1))

    def __iter__(self) -> Iterator[Batch]:
        epoch, self._epoch = self._epoch, self._epoch + 1
        group: SuperBatch | None = None
        tensors: dict[str, torch.Tensor] = {}
        weights = labels = None
        base = 0  # where the super-batch starts among the device's samples of the epoch
        for batch in self._plan.batches(epoch):
            if group is None or batch.start >= base + len(group):
                base += 0 if group is None else len(group)
                group = next(self._loader)
                tensors = {name: torch.from_numpy(array) for name, array in group.arrays.items()}
                labels = tensors.pop(_LABELS)
                weights = None if self._weights is None else torch.from_numpy(self._weights[group.positions])
            assert labels is not None
            rows = slice(batch.start - base, batch.start - base + batch.size)
            part = None if weights is None else weights[rows]
            if batch.padded:
                part = torch.zeros(batch.size)
            inputs = {name: tensor[rows] for name, tensor in tensors.items()}
            yield Batch(inputs, labels[rows], part, scale=batch.scale, steps=batch.steps)

    def close(self) -> None:
        """Stop the loader's thread, if it has one."""
        close = getattr(self._loader, "close", None)
        if close is not None:
            close()
