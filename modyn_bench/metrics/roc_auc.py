"""Area under the ROC curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import RequestError
from modyn_bench.metrics.base import Inputs, Metric
from modyn_bench.types import FloatArray, IntArray, Predictions

_BLOCK = 1 << 22  # sorted values held at once, so that memory does not grow with samples times classes
_INFINITY = 0x7C00  # bits of infinity in float16: whatever is above, the sign aside, is not a number


class RocAuc(Metric):
    r"""Area under the ROC curve: the probability that a sample of a class scores higher than one of another class.

    .. math:: \text{AUC}_c = \frac{\#\{(i, j): s_i > s_j\} + \frac{1}{2} \#\{(i, j): s_i = s_j\}}{P_c \, N_c},
        \quad y_i = c \neq y_j

    With two classes: of the class with index 1. Its score is the predicted class's confidence, negative where that
    class is 0, which orders samples by the probability of class 1, in the resolution of float64. With more: the
    mean of the one-vs-rest areas of the classes among the window's labels, the score being the class's probability,
    which is kept as float16.

    Shape: (W,). Undefined in a window with fewer than two classes among its labels, and where a score is not a number.

    Deviation:
        The reference has it for two classes only, and counts an undefined area as 0.
    """

    name = "roc_auc"
    label = "ROC AUC"

    def needs_probabilities(self, num_classes: int | None) -> bool:
        """Say whether all class probabilities are needed: with more than two classes."""
        return num_classes is None or num_classes > 2

    def __call__(self, inputs: Inputs) -> FloatArray:
        """Compute the metric in every window.

        Raises:
            RequestError: If there are more than two classes and the probabilities were not kept.
        """
        if inputs.num_classes <= 2:
            scores = _signed_confidence(inputs.predictions)
            areas = [_binary(scores[low:high], inputs.labels[low:high] == 1) for low, high in _pairs(inputs)]
        else:
            probabilities = inputs.predictions.probabilities
            if probabilities is None:
                raise RequestError(
                    "roc_auc needs all class probabilities, which were not kept when the models predicted: "
                    "name it in evaluation.metrics of a new run"
                )
            bits = np.asarray(probabilities, dtype=np.float16).view(np.uint16) & np.uint16(0x7FFF)
            areas = [_one_vs_rest(bits[low:high], inputs.labels[low:high]) for low, high in _pairs(inputs)]
        return np.array(areas, dtype=np.float64)


def _pairs(inputs: Inputs) -> list[tuple[int, int]]:
    return list(zip(inputs.windows.low.tolist(), inputs.windows.high.tolist(), strict=True))


def _signed_confidence(predictions: Predictions) -> FloatArray:
    return np.where(predictions.predicted == 1, predictions.confidence, -predictions.confidence)


def _binary(scores: FloatArray, positive: NDArray[np.bool_]) -> float:
    """Return the area for scores (m,) of positives and negatives (m,)."""
    num_positive = int(positive.sum())
    num_negative = len(scores) - num_positive
    if not num_positive or not num_negative or bool(np.isnan(scores).any()):
        return float("nan")
    ordered = np.sort(scores)
    wanted = scores[positive]
    doubled = np.searchsorted(ordered, wanted, side="left") + np.searchsorted(ordered, wanted, side="right") + 1
    return _area(float(doubled.sum()), num_positive, num_negative)


def _one_vs_rest(bits: NDArray[np.uint16], labels: IntArray) -> float:
    """Return the mean area of the classes among the labels (m,).

    Args:
        bits: Non-negative float16 probabilities as their bits, which order alike, shape (m, C).
        labels: Shape (m,).
    """
    classes, ranks = np.unique(labels, return_inverse=True)
    size, num_positive = len(labels), np.bincount(ranks)
    if len(classes) < 2 or bool((bits > _INFINITY).any()):
        return float("nan")
    own = bits[np.arange(size), labels].astype(np.uint32)  # each sample's score for its own class
    doubled = np.zeros(len(classes))
    step = min(max(1, _BLOCK // size), 1 << 16)
    for first in range(0, len(classes), step):
        block = np.ascontiguousarray(bits[:, classes[first : first + step]].T)  # (k, m)
        block.sort(axis=1, kind="stable")  # by radix
        column = np.arange(len(block), dtype=np.uint32)[:, None]
        ordered = (block + (column << np.uint32(16))).ravel()  # one sorted array: by class, then by score
        inside = (ranks >= first) & (ranks < first + step)
        place = ranks[inside] - first
        wanted = own[inside] + (place.astype(np.uint32) << np.uint32(16))
        low = np.searchsorted(ordered, wanted, side="left")
        high = np.searchsorted(ordered, wanted, side="right")
        doubled += np.bincount(ranks[inside], weights=low + high + 1 - 2 * place * size, minlength=len(classes))
    areas = [_area(total, count, size - count) for total, count in zip(doubled, num_positive.tolist(), strict=True)]
    return float(np.mean(areas))


def _area(doubled_ranks: float, num_positive: int, num_negative: int) -> float:
    """Return the area from twice the sum of the positives' mid-ranks, which is a whole number."""
    return (doubled_ranks - num_positive * (num_positive + 1)) / (2.0 * num_positive * num_negative)
