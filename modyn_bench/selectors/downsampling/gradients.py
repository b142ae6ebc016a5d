"""The gradients of samples' losses that policies compare: those of the outputs, or of the last layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.errors import RequestError
from modyn_bench.selectors.downsampling.base import Need, Outputs
from modyn_bench.selectors.downsampling.vectors import Vectors

if TYPE_CHECKING:
    import torch


class Gradients:
    r"""Which gradient of a sample's loss stands for it.

    With :math:`\delta` the gradient with respect to the outputs and h the input of the last layer, that of the last
    layer's weights and biases is :math:`\delta \otimes [h, 1]`. It is described by its two factors, one after the
    other behind the number of outputs, and never made for all samples.

    Args:
        of: ``outputs`` or ``last_layer``.

    Raises:
        RequestError: If there is no such gradient.
    """

    def __init__(self, of: str) -> None:
        if of not in ("outputs", "last_layer"):
            raise RequestError(f"selector.gradient={of!r} must be outputs or last_layer")
        self.of = of

    @property
    def needs(self) -> tuple[Need, ...]:
        """What ``describe`` reads."""
        return ("gradient",) if self.of == "outputs" else ("gradient", "embedding")

    def describe(self, outputs: Outputs) -> torch.Tensor:
        """Return δ, shape (n, C), or C, δ and h, shape (n, 1 + C + e)."""
        import torch

        assert outputs.gradients is not None
        delta = outputs.gradients.float()
        if self.of == "outputs":
            return delta
        assert outputs.embeddings is not None
        count = delta.new_full((len(delta), 1), delta.shape[1])
        return torch.cat([count, delta, outputs.embeddings.float()], dim=1)

    def vectors(self, description: torch.Tensor) -> Vectors:
        """Return the gradients that a description holds."""
        import torch

        if self.of == "outputs":
            return Vectors(description)
        count = int(description[0, 0])
        hidden = description[:, 1 + count :]
        return Vectors(description[:, 1 : 1 + count], torch.cat([hidden, torch.ones_like(description[:, :1])], dim=1))
