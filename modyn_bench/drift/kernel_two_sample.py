"""The kernel two-sample test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.drift.base import Distance, Values, generator_or_fixed
from modyn_bench.drift.kernels import PRECISE, check_kernel, kernel_tiles, median_bandwidth
from modyn_bench.drift.mmd import centered
from modyn_bench.errors import ContractError, RequestError

if TYPE_CHECKING:
    import torch


class KernelTwoSample(Distance):
    r"""One minus the permutation p-value of MMD².

    .. math:: p = \frac{1 + \#\{b : \mathrm{MMD}^2_b \ge \mathrm{MMD}^2\}}{1 + B}

    over B permutations of the pooled rows. Each tile of the pooled kernel matrix is made once, and multiplied with all
    permutations; the whole matrix is never made.

    Args:
        num_permutations: B, at least 1. The smallest possible p-value is 1 / (1 + B).
        kernel: As of ``mmd``.
        bandwidth: As of ``mmd``.

    Shape:
        Reference (n, d) with n ≥ 2, current window (m, d) with m ≥ 2.

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
        self.smallest_p_value = 1.0 / (1 + num_permutations)
        self.kernel = kernel
        self.bandwidth = bandwidth

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Take the reference and its bandwidth."""
        self._reference, self._center = centered(reference, double=self.kernel in PRECISE)
        self._width = median_bandwidth(self._reference) if self.bandwidth is None else self.bandwidth

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return one minus the p-value."""
        import torch

        rows = centered(current, self._center, double=self.kernel in PRECISE)[0]
        n, m = len(self._reference), len(rows)
        if min(n, m) < 2:
            raise ContractError(f"distance {self.name} needs two samples in each window, but they hold {n} and {m}")
        pooled = torch.cat([self._reference, rows])
        signs = torch.from_numpy(self._draw_signs(n, m, generator_or_fixed(generator))).to(pooled)
        inside, across, outside = self._sums(pooled, signs)
        means = inside / (n * (n - 1)), outside / (m * (m - 1)), 2.0 * across / (n * m)
        values = means[0] + means[1] - means[2]
        # A permutation that changes nothing counts, whatever its rounding.
        rounding = float(sum(mean[0].abs() for mean in means)) / (n + m)
        tolerance = 1e-6 * rounding + 1e-3 * float(values.std(correction=0))
        num_as_large = int((values[1:] >= values[0] - tolerance).sum())
        return 1.0 - (1 + num_as_large) / (1 + self.num_permutations)

    def _draw_signs(self, n: int, m: int, draw: np.random.Generator) -> NDArray[np.float32]:
        """Return 1 for rows of the first sample and -1 for others, as it is and permuted B times: (n + m, 1 + B)."""
        signs = np.full((n + m, self.num_permutations + 1), -1.0, dtype=np.float32)
        signs[:n, 0] = 1.0
        for index in range(1, self.num_permutations + 1):
            signs[draw.permutation(n + m)[:n], index] = 1.0
        return signs

    def _sums(self, pooled: torch.Tensor, signs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the kernel's sums over pairs of different rows in, across and out of the first sample: (1 + B,).

        With signs t they follow from the sums of t K t, t K 1 and 1 K 1; what is summed in float32 stays small so.
        """
        import torch

        signed = torch.zeros(signs.shape[1], dtype=torch.float64, device=pooled.device)
        of_row = torch.zeros(len(pooled), dtype=torch.float64, device=pooled.device)
        for rows, columns, tile in kernel_tiles(pooled, self.kernel, self._width):
            part = ((tile @ signs[columns]) * signs[rows]).sum(dim=0)
            of_row[rows] += tile.sum(dim=1)
            if rows == columns:
                signed += part
            else:
                signed += 2.0 * part
                of_row[columns] += tile.sum(dim=0)
        total, difference = of_row.sum(), of_row @ signs.double()
        return (total + signed + 2 * difference) / 4, (total - signed) / 4, (total + signed - 2 * difference) / 4
