"""The metrics that are means over samples: their value on every single one.

Shapes: n test samples.
"""

from __future__ import annotations

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.metrics import find_metric
from modyn_bench.metrics.accuracy import TopKAccuracy
from modyn_bench.types import FloatArray, IntArray, Predictions

SAMPLE_METRICS = "accuracy, top_<k>_accuracy or loss"
"""Their names, for messages."""


def has_sample_values(metric: str) -> bool:
    """Say whether a metric is a mean over samples.

    Raises:
        RequestError: If there is no such metric.

    Example:
        >>> [has_sample_values(metric) for metric in ("accuracy", "top_5_accuracy", "f1_macro")]
        [True, True, False]
    """
    return metric in ("accuracy", "loss") or isinstance(find_metric(metric, key="metric"), TopKAccuracy)


def check_sample_values(metric: str) -> None:
    """Check that a metric is a mean over samples.

    Raises:
        RequestError: If it is not, or there is no such metric.
    """
    if not has_sample_values(metric):
        raise RequestError(f"metric={metric!r} has no value on a single sample: choose {SAMPLE_METRICS}")


def sample_values(metric: str, predictions: Predictions, labels: IntArray) -> FloatArray:
    """Return a metric of each sample, shape (n,): 1 where a prediction is right, else 0; or the loss.

    Args:
        metric: One that ``has_sample_values``.
        predictions: Of n samples.
        labels: Their class indices, shape (n,).

    Returns:
        No value is NaN, which can stand for samples without a prediction: a loss that is NaN is infinite.
    """
    kind = find_metric(metric)
    if isinstance(kind, TopKAccuracy):
        return np.asarray(predictions.label_rank < kind.k, dtype=np.float64)
    if metric == "accuracy":
        return np.asarray(predictions.predicted == labels, dtype=np.float64)
    losses = predictions.loss.astype(np.float64)
    losses[np.isnan(losses)] = np.inf
    return losses
