"""Other periods: what another stretch of the stream would say."""

from __future__ import annotations

import numpy as np
from scipy import stats

from modyn_bench.analysis.statistics.blocks import Blocks, cut_blocks
from modyn_bench.analysis.statistics.bootstrap import NUM_RESAMPLES, bootstrap_interval, mean_and_error
from modyn_bench.analysis.statistics.paired import PeriodSeries
from modyn_bench.analysis.statistics.results import Difference, Estimand, counted, too_few
from modyn_bench.analysis.statistics.sign_flip import sign_flip_p, smallest_p
from modyn_bench.seeding import derive
from modyn_bench.types import FloatArray

MIN_DIFFERENT = 6
"""Blocks in which the pipelines differ: of fewer no pattern of signs is rare enough for p = 0.05."""


def over_periods(
    series: PeriodSeries, *, level: float = 0.95, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Difference:
    r"""Compare two pipelines over blocks of time: a block bootstrap interval and a sign-flip test.

    The periods are cut by ``cut_blocks``. For the interval, seeds and then blocks are resampled, and the variance is
    inflated by :math:`(1 + \kappa) f`. The test flips the signs of the blocks' sums, seeds averaged, and divides by the
    root of :math:`\lambda = ((1 + \kappa)^2 + v) f`. Here :math:`\kappa` is what the blocks miss, which counts twice in
    the test since it is itself estimated; v is the variance that seeds add to the mean, over that of the blocks:
    flipping blocks alone would take one set of seeds for all; and f is what it costs to know v from few seeds.

    Args:
        series: The differences in consecutive periods.
        level: Nominal coverage of the interval.
        num_resamples: Of the bootstrap.
        seed: Of resamples and signs. That a and b change places changes signs alone.

    Returns:
        Without interval and p-value where fewer than 8 effective blocks fit, or the pipelines differ in fewer than 6.

    Example:
        >>> import numpy as np
        >>> alternating = PeriodSeries(np.tile([0.0, 0.02], 30)[None], np.ones(60), every="26w")
        >>> print(over_periods(alternating))
        difference: a - b = 0.01 [0.01, 0.01] (95%, block bootstrap over 10 blocks of 6 × 26w, 1 seed; other periods),
        p = 0.002 (sign-flip test)
    """
    weights = series.weights
    averaged = series.sums.mean(axis=0)
    blocks = cut_blocks((averaged - weights * series.mean) / weights.mean())
    sums, sizes = blocks.sums(series.sums), blocks.sums(weights)
    num_different = int(np.count_nonzero(sums.mean(axis=0)))
    refusal = blocks.refusal
    if not refusal and num_different < MIN_DIFFERENT:
        refusal = too_few("blocks in which they differ", num_different, MIN_DIFFERENT)
    low = high = p_value = None
    if not refusal:
        of_seeds = _share_of_seeds(sums, sizes)
        few = _cost_of_few(of_seeds, num_seeds=len(sums), num_blocks=len(blocks), bias=blocks.bias, level=level)
        low, high = bootstrap_interval(
            sums,
            sizes,
            generator=derive(seed, "statistics", "bootstrap"),
            level=level,
            inflation=(1 + blocks.bias) * few,
            num_resamples=num_resamples,
        )
        p_value = sign_flip_p(
            sums.mean(axis=0),
            weights=sizes,
            generator=derive(seed, "statistics", "signs"),
            inflation=((1 + blocks.bias) ** 2 + of_seeds) * few,
        )
        if not np.isfinite([low, high]).all():
            low = high = p_value = None
            refusal = "too few blocks that differ from each other"
    return Difference(
        metric=series.metric,
        a=series.a,
        b=series.b,
        value=series.mean,
        estimand=Estimand.OTHER_PERIODS,
        units=_in_words(series, blocks),
        n=series.sums.shape[1] if blocks.refusal else len(blocks),
        interval="block bootstrap",
        test="sign-flip test",
        low=low,
        high=high,
        level=level,
        p_value=p_value,
        least_p=smallest_p(num_different),
        refusal=f"no interval and no p-value: {refusal}" if refusal else "",
    )


def _share_of_seeds(sums: FloatArray, weights: FloatArray) -> float:
    r"""Return v, the variance that seeds add to the mean, over the squared error that the blocks show.

    .. math:: v \, \widehat{\mathrm{se}}^2 = \max\{0, (\mathrm{MS}_{\text{seeds}} - \mathrm{MS}_{\text{rest}}) / (S m)\}

    as in an analysis of variance of seeds by blocks.
    """
    num_seeds, num_blocks = sums.shape
    mean, error = mean_and_error(sums.mean(axis=0), weights)
    if num_seeds == 1 or error == 0:
        return 0.0
    by_seed = sums.sum(axis=1) / weights.sum()
    rest = (sums - sums.mean(axis=0) - weights * (by_seed - mean)[:, None]) / weights.mean()
    spread = float(by_seed.var(ddof=1)) - float((rest**2).sum()) / ((num_seeds - 1) * (num_blocks - 1) * num_blocks)
    share: float = max(0.0, spread / num_seeds) / float(error) ** 2
    return share


def _cost_of_few(of_seeds: float, *, num_seeds: int, num_blocks: int, bias: float, level: float) -> float:
    r"""Return f, by how much the variance is to be multiplied since that of the seeds is known from few of them.

    .. math:: f = \max\{1, (t_\nu / t_{m - 1})^2\}, \quad
        \nu = \frac{((1 + \kappa)^2 + v)^2}{(1 + \kappa)^4 / (m - 1) + v^2 / (S - 1)}

    with t the quantiles that an interval of the level takes.

    Reference:
        Satterthwaite, An Approximate Distribution of Estimates of Variance Components, Biometrics Bulletin 2, 1946.
    """
    if not of_seeds:
        return 1.0
    of_blocks = (1 + bias) ** 2
    freedom = (of_blocks + of_seeds) ** 2 / (of_blocks**2 / (num_blocks - 1) + of_seeds**2 / (num_seeds - 1))
    wide, narrow = stats.t.ppf((1 + level) / 2, [freedom, num_blocks - 1])
    return max(1.0, float(wide / narrow) ** 2)


def _in_words(series: PeriodSeries, blocks: Blocks) -> str:
    num_seeds, num_periods = series.sums.shape
    seeds = counted(num_seeds, "seed")
    if blocks.refusal:
        return f"{counted(num_periods, 'period')} of {series.every}, {seeds}"
    return f"{blocks.in_words(series.every)}, {seeds}"
