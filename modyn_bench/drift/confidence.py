"""How much less sure the model is."""

from __future__ import annotations

import numpy as np

from modyn_bench.drift.base import Distance, Reads, Values, matrix


class ConfidenceDrop(Distance):
    r"""By how much the newest model's mean confidence has fallen.

    .. math:: \frac1n \sum_i \max_c p_c(x_i) - \frac1m \sum_j \max_c p_c(y_j)

    with x the reference and y the current window. It needs no label; without a shift of calibration it estimates the
    loss of accuracy.

    Shape:
        Reference (n, C), current window (m, C): class probabilities.

    Example:
        >>> distance = ConfidenceDrop()
        >>> distance.fit(np.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> distance.score(np.array([[0.75, 0.25], [0.5, 0.5]]))
        0.375

    Reference:
        Guillory et al., Predicting with Confidence on Unseen Distributions, ICCV 2021 (difference of confidences).
    """

    name = "confidence_drop"
    reads: Reads = "probabilities"

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Take the reference's mean confidence."""
        self._confidence = _mean_confidence(reference)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the fall."""
        return self._confidence - _mean_confidence(current)


def _mean_confidence(probabilities: Values) -> float:
    return float(matrix(probabilities, double=True).amax(dim=1).mean())
