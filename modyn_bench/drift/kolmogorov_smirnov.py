"""The two-sample Kolmogorov–Smirnov test, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.drift.base import num_at_most
from modyn_bench.drift.column_test import ColumnTest

if TYPE_CHECKING:
    import torch


class KolmogorovSmirnov(ColumnTest):
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

    def statistics(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the statistics of sorted columns."""
        return ks_statistics(x, y)

    def p_values(self, statistics: NDArray[np.float64], n: int, m: int) -> NDArray[np.float64]:
        """Return the p-values by Kolmogorov's distribution."""
        from scipy.special import kolmogorov

        return np.asarray(kolmogorov(np.sqrt(n * m / (n + m)) * statistics), dtype=np.float64)


def ks_statistics(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the Kolmogorov–Smirnov statistic of sorted columns (d, n) and (d, m), shape (d,)."""
    import torch

    n, m = x.shape[1], y.shape[1]
    points = torch.cat([x, y], dim=1)
    # Whole numbers until the end: a difference of 3/10 and 2/10 is 1/10, and not above it.
    return (num_at_most(x, points) * m - num_at_most(y, points) * n).abs().amax(dim=1).double() / (n * m)
