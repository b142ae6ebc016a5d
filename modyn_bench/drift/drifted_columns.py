"""The share of columns that have drifted."""

from __future__ import annotations

import math

import numpy as np

from modyn_bench.drift.base import Distance, Values, sorted_columns
from modyn_bench.drift.kolmogorov_smirnov import ks_statistics
from modyn_bench.drift.wasserstein import spreads, wasserstein_distances
from modyn_bench.errors import RequestError


class DriftedColumns(Distance):
    r"""The share of columns whose own distance exceeds a threshold.

    .. math:: \frac1d \#\{j : \delta_j > \theta\}

    with :math:`\delta_j` the column's first Wasserstein distance in standard deviations of the reference, or its
    Kolmogorov–Smirnov statistic.

    Args:
        column_distance: ``wasserstein`` or ``kolmogorov_smirnov``.
        column_threshold: :math:`\theta`, at least 0.

    Shape:
        Reference (n, d), current window (m, d).

    Raises:
        RequestError: If there is no such distance, or the threshold is negative.

    Example:
        >>> distance = DriftedColumns()
        >>> distance.fit(np.array([[0.0, 0.0], [1.0, 1.0]]))
        >>> distance.score(np.array([[0.0, 5.0], [1.0, 6.0]]))
        0.5

    Reference:
        Evidently AI, "ratio" drift of embeddings: one test per component, and the share that drifted.
    """

    name = "drifted_columns"

    def __init__(self, *, column_distance: str = "wasserstein", column_threshold: float = 0.1) -> None:
        if column_distance not in ("wasserstein", "kolmogorov_smirnov"):
            raise RequestError(
                f"trigger.distance.column_distance={column_distance!r} must be wasserstein or kolmogorov_smirnov"
            )
        if not 0 <= column_threshold < math.inf:
            raise RequestError(f"trigger.distance.column_threshold={column_threshold} must be at least 0 and finite")
        self.column_distance = column_distance
        self.column_threshold = column_threshold

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Sort the reference."""
        self._reference = sorted_columns(reference)
        self._spread = spreads(self._reference)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the share of columns."""
        rows = sorted_columns(current, len(self._reference))
        if self.column_distance == "wasserstein":
            distances = wasserstein_distances(self._reference, rows) / self._spread
        else:
            distances = ks_statistics(self._reference, rows)
        return float((distances > self.column_threshold).double().mean())
