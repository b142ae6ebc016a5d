"""Expected calibration error."""

from __future__ import annotations

import numpy as np

from modyn_bench.metrics.base import Inputs, Metric
from modyn_bench.types import FloatArray


class ExpectedCalibrationError(Metric):
    r"""Expected calibration error: how far confidence is from accuracy, over bins of confidence.

    .. math:: \sum_{b=1}^{B} \frac{n_b}{n} \, \left| \text{accuracy}_b - \text{confidence}_b \right|

    Confidence is the probability of the predicted class. The B bins have equal width: bin b holds confidences in
    :math:`((b - 1) / B, b / B]`, the first one also 0; an empty bin adds nothing. Shape: (W,). Undefined in a window
    without samples, and where a confidence is not a number.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """

    name = "ece"
    label = "Expected calibration error"
    higher_is_better = False

    def __call__(self, inputs: Inputs) -> FloatArray:
        """Compute the metric in every window."""
        predictions = inputs.predictions
        edges = np.linspace(0.0, 1.0, inputs.ece_bins + 1)
        bins = np.searchsorted(edges[1:-1], predictions.confidence.astype(np.float64), side="left")
        gaps = (predictions.predicted == inputs.labels) - predictions.confidence.astype(np.float64)
        sums = inputs.windows.grouped_sum(gaps, bins, inputs.ece_bins)
        total: FloatArray = np.ascontiguousarray(np.abs(sums)).sum(axis=1)  # in one order, however many windows
        return total / inputs.num_samples
