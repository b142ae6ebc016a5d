"""The two-sample Cramér–von Mises test, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.drift.base import Distance, Values, sorted_columns
from modyn_bench.drift.corrections import check_combination, combine_columns

if TYPE_CHECKING:
    import torch


class CramerVonMises(Distance):
    r"""The squared difference of the two empirical distribution functions of each column, and its p-value.

    With the ranks r of the sorted reference and s of the sorted current window among all n + m values, ties sharing
    their mean rank:

    .. math::
        T_j = \frac{n \sum_i (r_i - i)^2 + m \sum_i (s_i - i)^2}{n m (n + m)} - \frac{4 n m - 1}{6 (n + m)}

    Its p-value is that of the limiting distribution, after T is scaled to the limit's mean and variance.

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

    def __init__(self, *, combine: str = "p_value", correction: str = "bonferroni") -> None:
        check_combination(combine, correction)
        self.combine = combine
        self.correction = correction

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Sort the reference."""
        self._reference = sorted_columns(reference)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the statistic, or one minus the corrected p-value."""
        rows = sorted_columns(current)
        n, m = self._reference.shape[1], rows.shape[1]
        statistics = cvm_statistics(self._reference, rows).cpu().numpy()
        return combine_columns(
            statistics, _p_values(statistics, n, m), combine=self.combine, correction=self.correction
        )


def cvm_statistics(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the Cramér–von Mises statistic of sorted columns (d, n) and (d, m), shape (d,)."""
    import torch

    n, m = x.shape[1], y.shape[1]
    deviations = []
    for own, other in ((x, y), (y, x)):
        lower = torch.searchsorted(own, own) + torch.searchsorted(other, own)
        upper = torch.searchsorted(own, own, right=True) + torch.searchsorted(other, own, right=True)
        ranks = (lower + upper + 1) / 2.0
        places = torch.arange(1, own.shape[1] + 1, device=own.device, dtype=own.dtype)
        deviations.append(((ranks.to(own.dtype) - places) ** 2).sum(dim=1))
    total = n * deviations[0] + m * deviations[1]
    return total / (n * m * (n + m)) - (4 * n * m - 1) / (6 * (n + m))


def _p_values(statistics: NDArray[np.float64], n: int, m: int) -> NDArray[np.float64]:
    """Return the p-values of statistics by the limiting distribution, shape (d,)."""
    both = n + m
    mean = (1 + 1 / both) / 6
    variance = (both + 1) * (4 * m * n * both - 3 * (m**2 + n**2) - 2 * m * n) / (45 * both**2 * 4 * m * n)
    scaled = 1 / 6 + (statistics - mean) / np.sqrt(45 * variance)
    return np.clip(1.0 - _limiting_distribution(scaled), 0.0, 1.0)


def _limiting_distribution(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distribution function of the limit of the statistic; its series converges within a few terms."""
    from scipy.special import gammaln, kve

    at = np.maximum(x, 1e-3)  # below it is 0 to all digits
    total = np.zeros_like(at)
    for k in range(20):
        argument = (4 * k + 1) ** 2 / (16 * at)
        weight = np.exp(gammaln(k + 0.5) - gammaln(k + 1.0)) / (np.pi**1.5 * np.sqrt(at)) * np.sqrt(4 * k + 1)
        total += weight * np.exp(-2 * argument) * kve(0.25, argument)
    return np.where(x > 1e-3, total, 0.0)
