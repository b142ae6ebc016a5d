"""Resampling seeds and blocks of time, and the interval that comes of it.

Shapes: S seeds, m blocks, B resamples.
"""

from __future__ import annotations

import numpy as np

from modyn_bench.types import FloatArray

NUM_RESAMPLES = 1_999

_NO_SPREAD = 1e-12  # of the largest mean of a block: what is less comes of rounding


def resample(
    sums: FloatArray, weights: FloatArray, *, generator: np.random.Generator, num_resamples: int = NUM_RESAMPLES
) -> tuple[FloatArray, FloatArray]:
    """Draw seeds, then blocks, both with replacement; the seeds share their blocks, as they share their time.

    Of S seeds S - 1 are drawn, so that the variance of a mean over seeds is not too small by the factor (S - 1) / S,
    which matters where seeds are few. A single seed stays.

    Args:
        sums: Weighted sums of each block, by seed, shape (..., S, m); leading axes share the draws.
        weights: Of the blocks, shape (m,).
        generator: Of the draws.
        num_resamples: B.

    Returns:
        The sums of the drawn blocks, averaged over the drawn seeds, shape (..., B, m), and their weights, shape (B, m).

    Reference:
        Rao and Wu, Resampling Inference with Complex Survey Data, JASA 83, 1988 (n - 1 draws); Owen, The
        Pigeonhole Bootstrap, Annals of Applied Statistics 1, 2007 (two crossed factors).
    """
    num_seeds, num_blocks = sums.shape[-2:]
    draws = max(1, num_seeds - 1)
    counts = generator.multinomial(draws, np.full(num_seeds, 1 / num_seeds), size=num_resamples)
    places = generator.integers(0, num_blocks, (num_resamples, num_blocks))
    averaged = counts / draws @ sums
    drawn: FloatArray = np.take_along_axis(averaged, np.broadcast_to(places, averaged.shape), axis=-1)
    return drawn, weights[places]


def mean_and_error(sums: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Return the weighted mean over blocks and its standard error from the spread of the blocks.

    .. math:: \hat\mu = \frac{\sum_j D_j}{\sum_j w_j}, \quad
        \widehat{\mathrm{se}}^2 = \frac{1}{m (m - 1)} \sum_j \frac{(D_j - w_j \hat\mu)^2}{\bar w^2}

    Args:
        sums: D, shape (..., m).
        weights: w, shape (..., m).

    Returns:
        Both of shape (...).

    Example:
        >>> [float(part) for part in mean_and_error(np.array([1.0, 3.0]), np.array([1.0, 1.0]))]
        [2.0, 1.0]

    Reference:
        Cochran, Sampling Techniques, 1977, chapter 6 (a ratio of sums).
    """
    mean = sums.sum(axis=-1) / weights.sum(axis=-1)
    residuals = (sums - weights * mean[..., None]) / weights.mean(axis=-1)[..., None]
    return mean, np.sqrt((residuals**2).sum(axis=-1) / (sums.shape[-1] * (sums.shape[-1] - 1)))


def bootstrap_interval(
    sums: FloatArray,
    weights: FloatArray,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    inflation: float = 1.0,
    num_resamples: int = NUM_RESAMPLES,
) -> tuple[float, float]:
    r"""Return the symmetric studentised bootstrap interval of a weighted mean.

    .. math:: \hat\mu \pm q \sqrt{\lambda} \, \widehat{\mathrm{se}}, \quad
        q = \text{the level-quantile of } |\hat\mu^* - \hat\mu| / \widehat{\mathrm{se}}^*

    It is infinite where most blocks are equal, so that many resamples have no spread.

    Args:
        sums: Weighted sums of each block, by seed, shape (S, m), m ≥ 2.
        weights: Of the blocks, shape (m,).
        generator: Of the resamples.
        level: Nominal coverage, between 0 and 1.
        inflation: :math:`\lambda`: how much larger the variance of the mean is than the spread of the blocks says.
        num_resamples: B.

    Reference:
        Hall, On Symmetric Bootstrap Confidence Intervals, Journal of the Royal Statistical Society B 50, 1988.
    """
    mean, error = mean_and_error(sums.mean(axis=0), weights)
    means, errors = mean_and_error(*resample(sums, weights, generator=generator, num_resamples=num_resamples))
    distances = np.abs(means - mean)
    if error > _NO_SPREAD * np.abs(sums).max() / weights.mean():
        with np.errstate(divide="ignore", invalid="ignore"):  # one block drawn throughout has no spread
            studentised = np.where(distances == 0, 0.0, distances / errors)
        distances = studentised * np.sqrt(inflation) * error
    half = float(np.quantile(distances, level, method="higher"))
    return float(mean) - half, float(mean) + half
