"""Maximum mean discrepancy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.drift.base import Distance, Values, matrix
from modyn_bench.drift.kernels import PRECISE, check_kernel, kernel_sum, kernel_sum_within, median_bandwidth
from modyn_bench.errors import ContractError

if TYPE_CHECKING:
    import torch


class Mmd(Distance):
    r"""The unbiased estimate of the squared maximum mean discrepancy.

    .. math::
        \mathrm{MMD}^2 = \frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}{m (m - 1)}
            - \frac{2 \sum_{i, j} k(x_i, y_j)}{n m}

    with :math:`k(x, y) = \exp(-\|x - y\|^2 / b)` and b the median squared distance between different rows of the
    reference. It may be slightly negative when nothing has changed. The reference's own sum is computed once.

    Args:
        kernel: ``rbf``, ``laplace`` :math:`\exp(-\|x - y\| / \sqrt b)`, ``inverse_multiquadric``
            :math:`(1 + \|x - y\|^2 / b)^{-1/2}`, or ``energy`` :math:`-\|x - y\| / \sqrt b`.
        bandwidth: b; ``None`` for the median heuristic.

    Shape:
        Reference (n, d) with n ≥ 2, current window (m, d) with m ≥ 2.

    Raises:
        RequestError: If there is no such kernel, or the bandwidth is not above 0.

    Example:
        >>> distance = Mmd(bandwidth=1.0)
        >>> distance.fit(np.array([[0.0], [0.0]]))
        >>> distance.score(np.array([[0.0], [0.0]])), round(distance.score(np.array([[1.0], [1.0]])), 4)
        (0.0, 1.2642)

    Reference:
        Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, equation 3 and section 8 (median heuristic).
    """

    name = "mmd"
    min_samples = 2

    def __init__(self, *, kernel: str = "rbf", bandwidth: float | None = None) -> None:
        check_kernel(kernel, bandwidth)
        self.kernel = kernel
        self.bandwidth = bandwidth

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Take the reference, its bandwidth, and its kernel's sum over different rows."""
        self._reference, self._center = centered(reference, double=self.kernel in PRECISE)
        self._width = median_bandwidth(self._reference) if self.bandwidth is None else self.bandwidth
        self._within = self._mean_within(self._reference)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the estimate of MMD²."""
        rows = centered(current, self._center, double=self.kernel in PRECISE)[0]
        across = kernel_sum(self._reference, rows, self.kernel, self._width) / (len(self._reference) * len(rows))
        return self._within + self._mean_within(rows) - 2.0 * across

    def _mean_within(self, rows: torch.Tensor) -> float:
        """Return the mean of the kernel over pairs of different rows."""
        n = len(rows)
        if n < 2:
            raise ContractError(f"distance {self.name} needs two samples in each window, but one holds {n}")
        return kernel_sum_within(rows, self.kernel, self._width) / (n * (n - 1))


def centered(
    values: Values, center: torch.Tensor | None = None, *, double: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows minus a center, by default their mean, and the center; distances stay, and keep digits in float32."""
    rows = matrix(values, double=True, num_columns=None if center is None else center.shape[1])
    center = rows.mean(dim=0, keepdim=True) if center is None else center
    return (rows - center if double else (rows - center).float()), center
