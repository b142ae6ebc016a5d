"""Train on samples drawn by the norm of their gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from modyn_bench.errors import RequestError
from modyn_bench.selectors.downsampling.base import Options, Outputs
from modyn_bench.selectors.downsampling.importance import ImportanceSampled

if TYPE_CHECKING:
    import torch


class GradNorm(ImportanceSampled):
    r"""Draw samples in proportion to the norm of their loss' gradient, without bias.

    .. math::
        s_i = \|\delta_i\|_2 \quad \text{or} \quad s_i = \|\delta_i\|_2 \sqrt{\|h_i\|_2^2 + 1}, \qquad
        \delta_i = \nabla_{z_i} \ell(z_i, y_i)

    The first is the gradient with respect to the outputs z; the second that with respect to weights and bias of a
    linear last layer, :math:`\delta_i h_i^\top` and :math:`\delta_i`, where h is its input. Norms of the whole gradient
    would minimise the variance; these come with the forward pass.

    Args:
        of: ``outputs`` or ``last_layer``: what the gradient is with respect to.

    Shape:
        Gradients (n, C), embeddings (n, e); scores (n,).

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import torch
        >>> gradients, embeddings = torch.tensor([[0.6, -0.8], [0.0, 0.0]]), torch.tensor([[0.0], [1.0]])
        >>> outputs = Outputs(gradients, gradients[:, 0].long(), None, gradients, embeddings, {})
        >>> GradNorm(of="last_layer").score(outputs).tolist()
        [1.0, 0.0]

    Reference:
        Katharopoulos and Fleuret, Not All Samples Are Created Equal: Deep Learning with Importance Sampling, ICML 2018,
        section 3.2; Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025,
        section 3.

    Deviation:
        With losses other than cross-entropy the reference takes the last layer's gradient by autograd; here either
        gradient goes with any loss.
    """

    name = "grad_norm"

    def __init__(
        self,
        *,
        of: str = "outputs",
        uniform_share: float = 0.1,
        draw: str = "inclusion",
        **options: Unpack[Options],
    ) -> None:
        super().__init__(uniform_share=uniform_share, draw=draw, **options)
        if of not in ("outputs", "last_layer"):
            raise RequestError(f"selector.of={of!r} must be outputs or last_layer")
        self.of = of
        self.needs = ("gradient",) if of == "outputs" else ("gradient", "embedding")

    def score(self, outputs: Outputs) -> torch.Tensor:
        """Return the norms."""
        import torch
        from torch.linalg import vector_norm

        assert outputs.gradients is not None
        norms: torch.Tensor = vector_norm(outputs.gradients, dim=1)
        if self.of == "outputs":
            return norms
        assert outputs.embeddings is not None
        return torch.hypot(norms, norms * vector_norm(outputs.embeddings, dim=1))
