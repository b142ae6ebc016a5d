"""From one test per column to one p-value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import RequestError

CORRECTIONS = ("bonferroni", "fdr")


def check_combination(combine: str, correction: str) -> None:
    """Raise ``RequestError`` if there is no such way to combine columns, or no such correction."""
    if combine not in ("p_value", "mean", "max"):
        raise RequestError(f"trigger.distance.combine={combine!r} must be p_value, mean or max")
    if correction not in CORRECTIONS:
        raise RequestError(f"trigger.distance.correction={correction!r} must be one of {', '.join(CORRECTIONS)}")


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
