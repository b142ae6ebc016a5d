"""Retraining: what other seeds would say on the same test samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from modyn_bench.analysis.statistics.paired import PairedDifferences, sample_weights
from modyn_bench.analysis.statistics.results import Difference, Estimand, counted, too_few
from modyn_bench.analysis.statistics.sign_flip import sign_flip_p, smallest_p
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive
from modyn_bench.types import FloatArray

MIN_SEEDS = 6
"""With fewer there is no p-value: of n differences the smallest two-sided one is 2^(1 - n), above 0.05 below 6."""


@dataclass(frozen=True)
class SeedSummary:
    """One pipeline over its seeds.

    Attributes:
        mean: Over seeds.
        std: Standard deviation (n - 1); ``None`` for one seed.
        n: The number of seeds.
        low: Lower end of the t interval of the mean; ``None`` for one seed.
        high: Its upper end.
        level: Its nominal coverage.
    """

    mean: float
    std: float | None
    n: int
    low: float | None
    high: float | None
    level: float

    def __str__(self) -> str:
        """Name mean, spread, interval and estimand in one sentence."""
        if self.std is None:
            return f"{self.mean:.4g} (1 seed: no spread, no interval)"
        return (
            f"{self.mean:.4g} ± {self.std:.2g} [{self.low:.4g}, {self.high:.4g}] "
            f"({self.level:.0%}, t interval over {self.n} seeds; {Estimand.RETRAINING})"
        )


def summarise_seeds(values: Sequence[float] | FloatArray, *, level: float = 0.95) -> SeedSummary:
    """Summarise what runs that differ by their seed reach: mean, standard deviation and t interval.

    Args:
        values: One value for each seed, shape (S,).
        level: Nominal coverage.

    Raises:
        RequestError: If there is no value, or one is not finite.

    Example:
        >>> print(summarise_seeds([0.6, 0.7, 0.8]))
        0.7 ± 0.1 [0.4516, 0.9484] (95%, t interval over 3 seeds; retraining)
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not numbers.size or not np.isfinite(numbers).all():
        raise RequestError(f"seeds need finite values, at least one, but have {numbers.tolist()}")
    mean = float(numbers.mean())
    if len(numbers) == 1:
        return SeedSummary(mean, None, 1, None, None, level)
    std = float(numbers.std(ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, len(numbers) - 1)) * std / np.sqrt(len(numbers))
    return SeedSummary(mean, std, len(numbers), mean - half, mean + half, level)


def over_seeds(paired: PairedDifferences, *, aggregate: str = "mean", level: float = 0.95, seed: int = 0) -> Difference:
    """Compare how two pipelines are trained: a t interval over the differences of equal seeds, and a sign-flip test.

    With fewer than 6 seeds there is no p-value.

    Args:
        paired: The differences.
        aggregate: ``mean`` over periods, or ``sample_weighted``.
        level: Nominal coverage.
        seed: Of the signs that are drawn above 16 seeds.

    Raises:
        RequestError: If there is no such aggregate.
    """
    differences = paired.values @ sample_weights(paired.periods, aggregate) / len(paired.periods)
    n = len(differences)
    summary = summarise_seeds(differences, level=level)
    p_value = None
    refusal = f"no p-value: {too_few('seeds', n, MIN_SEEDS)}" if n < MIN_SEEDS else ""
    if not refusal:
        p_value = sign_flip_p(differences, generator=derive(seed, "statistics", "over_seeds"))
    return Difference(
        metric=paired.metric,
        a=paired.a,
        b=paired.b,
        value=summary.mean,
        estimand=Estimand.RETRAINING,
        units=counted(n, "seed"),
        n=n,
        interval="t interval",
        test="sign-flip test",
        low=summary.low,
        high=summary.high,
        level=level,
        p_value=p_value,
        least_p=smallest_p(n),
        refusal=refusal,
    )
