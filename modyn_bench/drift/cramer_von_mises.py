"""The two-sample Cramér–von Mises test, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.drift.base import num_at_most
from modyn_bench.drift.column_test import ColumnTest

if TYPE_CHECKING:
    import torch


class CramerVonMises(ColumnTest):
    r"""The squared difference of the two empirical distribution functions of each column, and its p-value.

    With the empirical distribution functions F of the reference and G of the current window, which count half of what
    equals z, and z all n + m values:

    .. math:: T_j = \frac{n m}{(n + m)^2} \sum_z (F_j(z) - G_j(z))^2 + \frac{1}{4 (n + m)}

    Where no values are equal this is Anderson's statistic to the last digit; where some are, they speak for no drift.

    Its p-value is that of the limiting distribution, after T is scaled to the limit's mean and variance; it is
    conservative where values are equal.

    Args:
        combine: ``p_value``: one minus the p-value corrected for the number of columns; ``mean`` or ``max``: of the
            columns' :math:`T_j`.
        correction: ``bonferroni`` or ``fdr`` (Benjamini–Hochberg).

    Shape:
        Reference (n, d), current window (m, d).

    Raises:
        RequestError: If an option is none of these.

    Example:
        >>> distance = CramerVonMises(combine="mean")
        >>> distance.fit(np.array([1.0, 2.0]))
        >>> distance.score(np.array([3.0, 4.0]))
        0.375

    Reference:
        Anderson, On the Distribution of the Two-Sample Cramér–von Mises Criterion, Annals of Mathematical Statistics
        33, 1962; Anderson and Darling, Asymptotic Theory of Certain Goodness of Fit Criteria, 1952, equation 4.35.
    """

    name = "cramer_von_mises"

    def statistics(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the statistics of sorted columns."""
        import torch

        n, m = x.shape[1], y.shape[1]
        points = torch.cat([x, y], dim=1)
        twice_x = num_at_most(x, points) + torch.searchsorted(x, points)
        twice_y = num_at_most(y, points) + torch.searchsorted(y, points)
        apart = (twice_x * m - twice_y * n).double() / (2 * (n + m))
        return apart.square().sum(dim=1) / (n * m) + 1 / (4 * (n + m))

    def p_values(self, statistics: NDArray[np.float64], n: int, m: int) -> NDArray[np.float64]:
        """Return the p-values by the limiting distribution."""
        both = n + m
        mean = (1 + 1 / both) / 6
        variance = (both + 1) * (4 * m * n * both - 3 * (m**2 + n**2) - 2 * m * n) / (45 * both**2 * 4 * m * n)
        if n == m == 1:  # the statistic is always the same
            return np.ones_like(statistics)
        scaled = 1 / 6 + (statistics - mean) / np.sqrt(45 * variance)
        return np.clip(1.0 - _limiting_distribution(scaled), 0.0, 1.0)


def _limiting_distribution(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distribution function of the limit of the statistic; its series converges within a few terms."""
    from scipy.special import gammaln, kve

    at = np.clip(x, 1e-3, 8.0)  # beyond it is 0 or 1 to all digits, and above the series needs more terms
    total = np.zeros_like(at)
    for k in range(20):
        argument = (4 * k + 1) ** 2 / (16 * at)
        weight = np.exp(gammaln(k + 0.5) - gammaln(k + 1.0)) / (np.pi**1.5 * np.sqrt(at)) * np.sqrt(4 * k + 1)
        total += weight * np.exp(-2 * argument) * kve(0.25, argument)
    return np.where(x < 8.0, np.where(x > 1e-3, total, 0.0), 1.0)
