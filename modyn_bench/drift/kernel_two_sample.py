"""The kernel two-sample test."""

from __future__ import annotations

import numpy as np

from modyn_bench.drift.base import Distance, Values, generator_or_fixed, matrix
from modyn_bench.drift.kernels import PRECISE, check_kernel, kernel_matrix, median_bandwidth
from modyn_bench.drift.mmd import centered
from modyn_bench.errors import ContractError, RequestError


class KernelTwoSample(Distance):
    r"""One minus the permutation p-value of MMD².

    .. math:: p = \frac{1 + \#\{b : \mathrm{MMD}^2_b \ge \mathrm{MMD}^2\}}{1 + B}

    over B permutations of the pooled rows. All permutations are one matrix product with the pooled kernel matrix.

    Args:
        num_permutations: B, at least 1. The smallest possible p-value is 1 / (1 + B).
        kernel: As of ``mmd``.
        bandwidth: As of ``mmd``.

    Shape:
        Reference (n, d) with n ≥ 2, current window (m, d) with m ≥ 2; a matrix of (n + m)² numbers is made.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> distance = KernelTwoSample(num_permutations=99)
        >>> distance.fit(np.arange(20.0))
        >>> distance.score(np.arange(20.0) + 100) == 1 - 1 / 100
        True

    Reference:
        Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, section 5; Phipson and Smyth, Permutation P-values
        Should Never Be Zero, 2010.
    """

    name = "kernel_two_sample"
    min_samples = 2

    def __init__(self, *, num_permutations: int = 100, kernel: str = "rbf", bandwidth: float | None = None) -> None:
        check_kernel(kernel, bandwidth)
        if num_permutations < 1:
            raise RequestError(f"trigger.distance.num_permutations={num_permutations} must be at least 1")
        self.num_permutations = num_permutations
        self.kernel = kernel
        self.bandwidth = bandwidth

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Take the reference and its bandwidth."""
        self._reference, self._center = centered(matrix(reference, double=self.kernel in PRECISE))
        self._width = median_bandwidth(self._reference) if self.bandwidth is None else self.bandwidth

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return one minus the p-value."""
        import torch

        rows = matrix(current, double=self.kernel in PRECISE) - self._center
        n, m = len(self._reference), len(rows)
        if min(n, m) < 2:
            raise ContractError(f"distance {self.name} needs two samples in each window, but they hold {n} and {m}")
        pooled = kernel_matrix(torch.cat([self._reference, rows]), self.kernel, self._width)
        pooled.fill_diagonal_(0.0)
        draw = generator_or_fixed(generator)
        members = np.zeros((self.num_permutations + 1, n + m), dtype=np.float32)  # 1: in the first sample
        members[0, :n] = 1.0
        for row in members[1:]:
            row[draw.permutation(n + m)[:n]] = 1.0
        first = torch.from_numpy(members).to(pooled.device, pooled.dtype).T
        sums = pooled @ first  # of every row over the first sample
        inside = (sums * first).sum(dim=0, dtype=torch.float64)
        across = (sums * (1.0 - first)).sum(dim=0, dtype=torch.float64)
        outside = pooled.sum(dtype=torch.float64) - inside - 2.0 * across
        values = inside / (n * (n - 1)) + outside / (m * (m - 1)) - 2.0 * across / (n * m)
        tolerance = 1e-6 * float(values[0].abs())  # a permutation that changes nothing counts, whatever its rounding
        num_as_large = int((values[1:] >= values[0] - tolerance).sum())
        return 1.0 - (1 + num_as_large) / (1 + self.num_permutations)
