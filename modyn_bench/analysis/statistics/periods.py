"""Other periods: what another stretch of the stream would say."""

from __future__ import annotations

from modyn_bench.analysis.statistics.blocks import Blocks, cut_blocks
from modyn_bench.analysis.statistics.bootstrap import NUM_RESAMPLES, bootstrap_interval, mean_and_error
from modyn_bench.analysis.statistics.paired import PeriodSeries
from modyn_bench.analysis.statistics.results import Difference, Estimand, counted
from modyn_bench.analysis.statistics.sign_flip import sign_flip_p
from modyn_bench.seeding import derive
from modyn_bench.types import FloatArray


def over_periods(
    series: PeriodSeries, *, level: float = 0.95, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Difference:
    r"""Compare two pipelines over blocks of time: a block bootstrap interval and a sign-flip test.

    The periods are cut by ``cut_blocks``. For the interval, seeds and then blocks are resampled; the variance is
    inflated by :math:`1 + \kappa`, what the blocks miss. The test flips the signs of the blocks' sums, seeds averaged,
    and is made more cautious by :math:`\lambda = 1 + \kappa + v_S / \widehat{\mathrm{se}}^2`, with :math:`v_S` the
    variance that seeds add to the mean: flipping blocks alone would take one set of seeds for all.

    Args:
        series: The differences in consecutive periods.
        level: Nominal coverage of the interval.
        num_resamples: Of the bootstrap.
        seed: Of resamples and signs. That a and b change places changes signs alone.

    Returns:
        Without interval and p-value where fewer than 8 effective blocks fit.

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
    low = high = p_value = None
    if not blocks.refusal:
        sums, sizes = blocks.sums(series.sums), blocks.sums(weights)
        draw = derive(seed, "statistics", "bootstrap")
        low, high = bootstrap_interval(
            sums, sizes, generator=draw, level=level, inflation=1 + blocks.bias, num_resamples=num_resamples
        )
        inflation = 1 + blocks.bias + _share_of_seeds(sums, sizes)
        flips = derive(seed, "statistics", "signs")
        p_value = sign_flip_p(sums.mean(axis=0), generator=flips, inflation=inflation)
    return Difference(
        metric=series.metric,
        a=series.a,
        b=series.b,
        value=series.mean,
        estimand=Estimand.OTHER_PERIODS,
        units=_in_words(series, blocks),
        n=blocks.effective if blocks.refusal else len(blocks),
        interval="block bootstrap",
        test="sign-flip test",
        low=low,
        high=high,
        level=level,
        p_value=p_value,
        refusal=f"no interval and no p-value: {blocks.refusal}" if blocks.refusal else "",
    )


def _share_of_seeds(sums: FloatArray, weights: FloatArray) -> float:
    r"""Return the variance that seeds add to the mean, over the squared error that the blocks show.

    .. math:: v_S = \max\{0, (\mathrm{MS}_{\text{seeds}} - \mathrm{MS}_{\text{rest}}) / (S m)\}

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


def _in_words(series: PeriodSeries, blocks: Blocks) -> str:
    num_seeds, num_periods = series.sums.shape
    seeds = counted(num_seeds, "seed")
    if blocks.refusal:
        return f"{counted(num_periods, 'period')} of {series.every}, {seeds}"
    return f"{counted(len(blocks), 'block')} of {blocks.length} × {series.every}, {seeds}"
