"""Train on samples drawn by their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Outputs
from modyn_bench.selectors.downsampling.importance import ImportanceSampled

if TYPE_CHECKING:
    import torch


class Loss(ImportanceSampled):
    r"""Draw samples in proportion to their training loss, without bias.

    .. math:: s_i = \ell(f(x_i), y_i)

    A negative loss, which some losses of a user's own may have, counts as 0.

    Shape:
        Losses (n,); scores (n,).

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import torch
        >>> nothing = torch.zeros(2, 3)
        >>> outputs = Outputs(nothing, nothing[:, 0].long(), torch.tensor([0.5, 2.0]), None, None, {})
        >>> Loss().score(outputs).tolist()
        [0.5, 2.0]

    Reference:
        Katharopoulos and Fleuret, Biased Importance Sampling for Deep Neural Network Training, 2017 (the loss as the
        score); Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.
    """

    name = "loss"
    needs = ("loss",)

    def score(self, outputs: Outputs) -> torch.Tensor:
        """Return the losses."""
        assert outputs.losses is not None
        return outputs.losses
