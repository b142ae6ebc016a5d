"""The two-sample Kolmogorov–Smirnov test, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.drift.base import Distance, Values, num_at_most, sorted_columns
from modyn_bench.drift.corrections import check_combination, combine_columns

if TYPE_CHECKING:
    import torch


class KolmogorovSmirnov(Distance):
    r"""The largest difference of the two empirical distribution functions of each column, and its p-value.

    .. math:: D_j = \sup_x |F_j(x) - G_j(x)|, \qquad p_j = K\!\left(\sqrt{nm / (n + m)}\; D_j\right)

    with K the survival function of Kolmogorov's distribution, which holds for many samples.

    Args:
        combine: ``p_value``: one minus the p-value corrected for the number of columns; ``mean`` or ``max``: of the
            columns' :math:`D_j`.
        correction: ``bonferroni`` or ``fdr`` (Benjamini–Hochberg).

    Shape:
        Reference (n, d), current window (m, d).

    Raises:
        RequestError: If an option is none of these.

    Example:
        >>> distance = KolmogorovSmirnov(combine="max")
        >>> distance.fit(np.array([1.0, 2.0, 3.0, 4.0]))
        >>> distance.score(np.array([3.0, 4.0, 5.0, 6.0]))
        0.5

    Reference:
        Hodges, The Significance Probability of the Smirnov Two-Sample Test, Arkiv för Matematik 3, 1958; Rabanser et
        al., Failing Loudly, NeurIPS 2019, section 3 (one test per dimension).
    """

    name = "kolmogorov_smirnov"

    def __init__(self, *, combine: str = "p_value", correction: str = "bonferroni") -> None:
        check_combination(combine, correction)
        self.combine = combine
        self.smallest_p_value = 0.0 if combine == "p_value" else None
        self.correction = correction

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Sort the reference."""
        self._reference = sorted_columns(reference)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the statistic, or one minus the corrected p-value."""
        from scipy.special import kolmogorov

        rows = sorted_columns(current, len(self._reference))
        statistics = ks_statistics(self._reference, rows).cpu().numpy()
        n, m = self._reference.shape[1], rows.shape[1]
        p_values = np.asarray(kolmogorov(np.sqrt(n * m / (n + m)) * statistics), dtype=np.float64)
        return combine_columns(statistics, p_values, combine=self.combine, correction=self.correction)


def ks_statistics(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the Kolmogorov–Smirnov statistic of sorted columns (d, n) and (d, m), shape (d,)."""
    import torch

    n, m = x.shape[1], y.shape[1]
    points = torch.cat([x, y], dim=1)
    # Whole numbers until the end: a difference of 3/10 and 2/10 is 1/10, and not above it.
    return (num_at_most(x, points) * m - num_at_most(y, points) * n).abs().amax(dim=1).double() / (n * m)
