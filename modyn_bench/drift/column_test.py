"""From one two-sample test per column to one score."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.drift.base import Distance, Values, sorted_columns
from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import torch

CORRECTIONS = ("bonferroni", "fdr")


class ColumnTest(Distance):
    """A two-sample test of every column, each against the same column of the reference.

    Args:
        combine: ``p_value``: one minus the p-value corrected for the number of columns; ``mean`` or ``max``: of the
            columns' statistics.
        correction: ``bonferroni`` or ``fdr`` (Benjamini–Hochberg).

    Raises:
        RequestError: If an option is none of these.
    """

    def __init__(self, *, combine: str = "p_value", correction: str = "bonferroni") -> None:
        if combine not in ("p_value", "mean", "max"):
            raise RequestError(f"trigger.distance.combine={combine!r} must be p_value, mean or max")
        if correction not in CORRECTIONS:
            raise RequestError(f"trigger.distance.correction={correction!r} must be one of {', '.join(CORRECTIONS)}")
        self.combine = combine
        self.smallest_p_value = 0.0 if combine == "p_value" else None
        self.correction = correction

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Sort the reference."""
        self._reference = sorted_columns(reference)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the columns' statistics combined, or one minus the corrected p-value."""
        rows = sorted_columns(current, len(self._reference))
        statistics = self.statistics(self._reference, rows).cpu().numpy()
        p_values = self.p_values(statistics, self._reference.shape[1], rows.shape[1])
        return combine_columns(statistics, p_values, combine=self.combine, correction=self.correction)

    @abstractmethod
    def statistics(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the statistics of sorted columns (d, n) and (d, m), shape (d,)."""

    @abstractmethod
    def p_values(self, statistics: NDArray[np.float64], n: int, m: int) -> NDArray[np.float64]:
        """Return the p-values of statistics (d,) of n and m samples, shape (d,)."""


def combine_columns(
    statistics: NDArray[np.float64], p_values: NDArray[np.float64], *, combine: str, correction: str
) -> float:
    r"""Return one score for all columns.

    Args:
        statistics: Of the columns, shape (d,).
        p_values: Of the columns, shape (d,).
        combine: ``mean`` or ``max`` of the statistics, or ``p_value``: one minus the corrected p-value.
        correction: ``bonferroni``: :math:`\min(1, d \min_j p_j)`; ``fdr``: :math:`\min_j d\, p_{(j)} / j`, the level at
            which Benjamini and Hochberg would first reject a column.

    Example:
        >>> p = np.array([0.02, 0.03, 0.9, 0.9])
        >>> [round(1 - combine_columns(p, p, combine="p_value", correction=name), 3) for name in CORRECTIONS]
        [0.08, 0.06]
    """
    if combine == "mean":
        return float(statistics.mean())
    if combine == "max":
        return float(statistics.max())
    factors = np.ones(1) if correction == "bonferroni" else np.arange(1, len(p_values) + 1)
    ordered = np.sort(p_values)[: len(factors)]
    return 1.0 - min(1.0, float((len(p_values) * ordered / factors).min()))
