r"""How a series of periods is cut into blocks that can pass for independent.

Differences of neighbouring periods are alike: the same models serve them, and the world changes slowly. Averages over
longer blocks are less alike. The variance of the mean that m blocks of L periods show is too small by a share of about

.. math:: \kappa(L) = \max_{g \in \{1, 2, 4\}} \frac{2 r_g}{1 - r_g^2} \cdot \frac{g}{L}

with :math:`r_g` the first autocorrelation of means over g periods. It is the bias of block estimates of a variance
(Künsch, The Jackknife and the Bootstrap for General Stationary Observations, Annals of Statistics 17, 1989) for an
autoregressive process of order 1 (the plug-in of Andrews, Heteroskedasticity and Autocorrelation Consistent Covariance
Matrix Estimation, Econometrica 59, 1991, section 6), at three scales of time, since a slow change beneath much noise
shows little in the first autocorrelation of single periods.

Shapes: T periods, m blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modyn_bench.analysis.statistics.results import counted, too_few
from modyn_bench.types import FloatArray, IntArray

MIN_BLOCKS = 8
"""With fewer blocks there is no interval and no p-value."""

MAX_BLOCKS = 16
"""More blocks would hardly narrow an interval (Ibragimov and Müller, 2010), and each would be shorter."""

MIN_PERIODS = 6
"""A block is at least so many periods long."""

MAX_BIAS = 0.1
"""Blocks are as long as it takes for their estimate of the variance to be too small by no more than this share."""

_SCALES = (1, 2, 4)
_MAX_CORRELATION = 0.99


@dataclass(frozen=True)
class Blocks:
    r"""Consecutive periods, cut into blocks whose lengths differ by one period at most.

    Attributes:
        starts: The first period of each block, shape (m,).
        length: Periods in the shortest block.
        longest: Periods in the longest one.
        bias: :math:`\kappa`: by what share the blocks' estimate of the variance of the mean is too small, at most 1.
        effective: How many blocks of the least admissible length there are.
        refusal: Why the blocks cannot pass for independent; empty where they can.
    """

    starts: IntArray
    length: int
    longest: int
    bias: float
    effective: int
    refusal: str = ""

    def __len__(self) -> int:
        return len(self.starts)

    def in_words(self, every: str) -> str:
        """Write how many blocks there are of how many periods.

        Args:
            every: The periods' length in words.
        """
        lengths = f"{self.length}" if self.length == self.longest else f"{self.length} to {self.longest}"
        return f"{counted(len(self), 'block')} of {lengths} × {every}"

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum over the periods of each block: shape (..., T) becomes (..., m)."""
        summed: FloatArray = np.add.reduceat(values, self.starts, axis=-1)
        return summed


def cut_blocks(series: FloatArray) -> Blocks:
    r"""Choose how many blocks a series is cut into, by its own autocorrelation.

    .. math:: m = \min\{16, T / 6, T \cdot 0.1 / (\kappa(L) L)\}, \text{ but at least } 8

    The least admissible length is that of 6 periods or of the autocorrelation time :math:`(1 + r_1) / (1 - r_1)`,
    whichever is longer. Where fewer than 8 blocks of this length fit, ``refusal`` says so. The number of blocks is kept
    within narrow bounds, and the rest of the bias is told in ``bias``, because a number that followed the estimated
    autocorrelation freely would be high exactly where that is underestimated.

    Args:
        series: One value for each period, in time order, shape (T,), T ≥ 1.

    Example:
        >>> blocks = cut_blocks(np.array([1.0, -1.0] * 30))
        >>> len(blocks), blocks.length, blocks.bias, blocks.effective
        (10, 6, 0.0, 10)
        >>> cut_blocks(np.arange(60.0)).refusal
        'too few effective blocks, 0 of at least 8'

    Reference:
        Ibragimov and Müller, t-Statistic Based Correlation and Heterogeneity Robust Inference, Journal of Business and
        Economic Statistics 28, 2010: inference from as few as 8 or 16 blocks.
    """
    num_periods = len(series)
    correlations = [first_autocorrelation(_means(series, scale)) for scale in _SCALES]
    time = (1 + correlations[0]) / (1 - correlations[0])
    effective = int(num_periods / max(MIN_PERIODS, time))
    bias_of_one = max(2 * scale * r / (1 - r * r) for scale, r in zip(_SCALES, correlations, strict=True))
    wanted = int(num_periods * MAX_BIAS / bias_of_one) if bias_of_one > 0 else MAX_BLOCKS
    num_blocks = max(MIN_BLOCKS, min(MAX_BLOCKS, num_periods // MIN_PERIODS, wanted))
    num_blocks = min(num_blocks, num_periods)
    starts = np.linspace(0, num_periods, num_blocks + 1).astype(np.int64)[:-1]
    lengths = np.diff(np.append(starts, num_periods))
    refused = effective < MIN_BLOCKS
    return Blocks(
        starts=starts,
        length=int(lengths.min()),
        longest=int(lengths.max()),
        bias=min(1.0, bias_of_one * num_blocks / num_periods),
        effective=effective,
        refusal=too_few("effective blocks", effective, MIN_BLOCKS) if refused else "",
    )


def first_autocorrelation(series: FloatArray) -> float:
    r"""Estimate the autocorrelation of neighbours, within [0, 0.99].

    .. math:: r = \hat\rho_1 + (1 + 4 \hat\rho_1) / n

    The second term is the bias that comes of the mean being estimated. 0 where there are fewer than three values, or
    all are equal.

    Args:
        series: Shape (n,).

    Example:
        >>> round(first_autocorrelation(np.array([1.0, 2.0, 3.0, 4.0])), 4)
        0.75

    Reference:
        Marriott and Pope, Bias in the Estimation of Autocorrelations, Biometrika 41, 1954.
    """
    if len(series) < 3:
        return 0.0
    centered = series - series.mean()
    power = float(centered @ centered)
    if power <= 1e-24 * float(series @ series):
        return 0.0
    estimate = float(centered[1:] @ centered[:-1]) / power
    return float(np.clip(estimate + (1 + 4 * estimate) / len(series), 0.0, _MAX_CORRELATION))


def _means(series: FloatArray, scale: int) -> FloatArray:
    """Average consecutive values; what remains at the end is left out."""
    num_groups = len(series) // scale
    means: FloatArray = series[: num_groups * scale].reshape(num_groups, scale).mean(axis=1)
    return means
