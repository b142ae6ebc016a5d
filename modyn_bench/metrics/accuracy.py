"""Accuracy and top-k accuracy."""

from __future__ import annotations

from modyn_bench.metrics.base import Inputs, Metric
from modyn_bench.types import FloatArray


class Accuracy(Metric):
    r"""Share of samples whose predicted class is the true one.

    .. math:: \frac{1}{n} \sum_i [\hat y_i = y_i]

    Shape: (W,). Undefined in a window without samples.
    """

    name = "accuracy"
    label = "Accuracy"

    def __call__(self, inputs: Inputs) -> FloatArray:
        """Compute the metric in every window."""
        return inputs.windows.count_true(inputs.predictions.predicted == inputs.labels) / inputs.num_samples


class TopKAccuracy(Metric):
    r"""Share of samples whose true class is among the k most probable ones.

    .. math:: \frac{1}{n} \sum_i [\text{rank}_i < k]

    The rank is the number of classes ranked before the true one; equally probable classes rank by index, the lower
    first. Shape: (W,). Undefined in a window without samples; 1 where k is at least the number of classes.

    Args:
        k: At least 1; top-1 accuracy is accuracy.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self.name = f"top_{k}_accuracy"
        self.label = f"Top-{k} accuracy"

    def __call__(self, inputs: Inputs) -> FloatArray:
        """Compute the metric in every window."""
        return inputs.windows.count_true(inputs.predictions.label_rank < self.k) / inputs.num_samples
