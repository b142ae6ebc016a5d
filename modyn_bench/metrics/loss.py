"""Mean loss."""

from __future__ import annotations

from modyn_bench.metrics.base import Inputs, Metric
from modyn_bench.types import FloatArray


class MeanLoss(Metric):
    r"""Mean of the per-sample loss that the model was trained with, unweighted.

    .. math:: \frac{1}{n} \sum_i \ell_i

    Shape: (W,). Undefined in a window without samples, and where a sample's loss is not a number. An infinite loss
    stays infinite.
    """

    name = "loss"
    label = "Mean loss"
    higher_is_better = False

    def __call__(self, inputs: Inputs) -> FloatArray:
        """Compute the metric in every window."""
        return inputs.windows.sum(inputs.predictions.loss) / inputs.num_samples
