"""What a downsampling policy is told of samples: the model in eval mode, and what follows from its logits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from modyn_bench.inference.forward import Forward, evaluating
from modyn_bench.selectors.downsampling.base import Downsampler, Outputs

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps logits (n, C) and labels (n,) to losses (n,)."""


class Scorer:
    """Asks a model that is being trained what a policy needs to know of samples, and counts what that costs.

    Args:
        policy: Says what it needs.
        module: The model; it stays as it is.
        loss: The training loss.
        num_classes: Number of classes.
        accelerator: Lightning's name of the device that the model is trained on.
        precision: Lightning's name of the precision.

    Attributes:
        num_samples: Samples that were passed forward to be scored.
        seconds: Wall-clock seconds of scoring and choosing.
    """

    def __init__(
        self,
        policy: Downsampler,
        module: nn.Module,
        loss: Loss,
        *,
        num_classes: int,
        accelerator: str,
        precision: str,
    ) -> None:
        self.num_samples = 0
        self.seconds = 0.0
        self._needs = {*policy.needs, *policy.recorder.needs}
        self._module = module
        self._loss = loss
        self._make = partial(Forward, module, num_classes=num_classes, device=accelerator, precision=precision)
        self._forward: Forward | None = None  # made when the model lies where it is trained

    @property
    def buffers(self) -> list[torch.Tensor]:
        """The model's buffers, such as running statistics."""
        return list(self._module.buffers())

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add a block's seconds, once the device has done its work."""
        started = time.perf_counter()
        try:
            yield
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds += time.perf_counter() - started

    def ask(
        self, inputs: Mapping[str, torch.Tensor], labels: torch.Tensor, columns: Mapping[str, torch.Tensor]
    ) -> Outputs:
        """Pass samples forward in eval mode.

        Args:
            inputs: Input columns by name, each of shape (n, ...).
            labels: Class indices, shape (n,).
            columns: What the selection says of each, each of shape (n,).
        """
        forward = self._forward = self._forward or self._make()
        embeddings = None
        with evaluating(self._module):
            if "embedding" in self._needs:
                embeddings, logits = forward.embed(inputs)
            else:
                logits = forward(inputs)
        self.num_samples += len(labels)
        # Copies, because autograd takes nothing that was made in inference mode.
        return self.outputs(
            logits.clone(), labels.to(logits.device), None if embeddings is None else embeddings.clone(), columns
        )

    def outputs(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        embeddings: torch.Tensor | None,
        columns: Mapping[str, torch.Tensor],
    ) -> Outputs:
        """Return what follows from logits (n, C), as far as the policy needs it."""
        logits, needs = logits.detach().float(), self._needs
        losses = gradients = None
        if "gradient" in needs:
            with torch.enable_grad():
                free = logits.clone().requires_grad_()
                summed = self._loss(free, labels)
                (gradients,) = torch.autograd.grad(summed.sum(), free)
            losses = summed.detach()
        elif "loss" in needs or "history" in needs:
            with torch.no_grad():
                losses = self._loss(logits, labels)
        return Outputs(logits, labels, losses, gradients, embeddings, columns)
