"""Two pipelines on the same test samples: their differences, sample by sample and period by period.

Shapes: S seeds, n samples, T periods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modyn_bench.analysis.statistics.scores import CompositeScores, check_same_split
from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray, IntArray

AGGREGATES = ("mean", "sample_weighted")


@dataclass(frozen=True)
class PeriodSeries:
    r"""Differences of two pipelines in consecutive periods: what is resampled in time.

    The mean difference is :math:`\sum_{s,t} D_{st} / (S \sum_t w_t)`. Periods without a sample are left out; those
    around them count as neighbours.

    Attributes:
        sums: D, differences times weights, shape (S, T).
        weights: w, above 0, shape (T,): 1 for the aggregate ``mean``, numbers of samples for ``sample_weighted``.
        a: The first pipeline.
        b: The second one.
        metric: ``accuracy``, ``top_<k>_accuracy`` or ``loss``.
        every: The periods' length in words.

    Raises:
        RequestError: If shapes do not fit, a value is not finite, or there is no period.
    """

    sums: FloatArray
    weights: FloatArray
    a: str = "a"
    b: str = "b"
    metric: str = "difference"
    every: str = "1 period"

    def __post_init__(self) -> None:
        if self.sums.ndim != 2 or self.sums.shape[1:] != self.weights.shape or not self.sums.size:
            raise RequestError(
                f"a series needs sums of shape (seeds, periods) and weights of shape (periods,), and at least one "
                f"period, but has {self.sums.shape} and {self.weights.shape}"
            )
        if not np.isfinite(self.sums).all() or not (self.weights > 0).all():
            raise RequestError("a series needs finite sums and weights above 0: leave out periods without a value")

    @property
    def mean(self) -> float:
        """The mean difference."""
        return float(self.sums.mean(axis=0).sum() / self.weights.sum())


@dataclass(frozen=True)
class PairedDifferences:
    """Per-sample differences of two pipelines, over the samples on which both have a model under every seed.

    Attributes:
        a: The first pipeline.
        b: The second one.
        metric: ``accuracy``, ``top_<k>_accuracy`` or ``loss``.
        seeds: Those that both have.
        values: a minus b of the same seed, shape (S, n).
        periods: The period that holds each sample, non-decreasing, shape (n,).
        every: The periods' length in words.
    """

    a: str
    b: str
    metric: str
    seeds: tuple[int, ...]
    values: FloatArray
    periods: IntArray
    every: str

    def by_period(self, aggregate: str = "mean") -> PeriodSeries:
        """Sum the differences of each period; see ``sums_by_period``."""
        sums, weights = sums_by_period(self.values, self.periods, aggregate)
        return PeriodSeries(sums, weights, self.a, self.b, self.metric, self.every)


def sample_weights(periods: IntArray, aggregate: str = "mean") -> FloatArray:
    """Return what each sample counts for in a mean over all, shape (n,), with sum n.

    Args:
        periods: The period that holds each sample, non-decreasing, shape (n,).
        aggregate: ``mean`` (every period with a sample counts the same) or ``sample_weighted`` (every sample does), as
            composite models are averaged.

    Raises:
        RequestError: If there is no such aggregate.

    Example:
        >>> sample_weights(np.array([0, 0, 0, 2])).round(3).tolist()
        [0.667, 0.667, 0.667, 2.0]
    """
    if aggregate not in AGGREGATES:
        raise RequestError(f"aggregate={aggregate!r} must be one of {', '.join(AGGREGATES)}")
    if aggregate == "sample_weighted":
        return np.ones(len(periods))
    _, places, counts = np.unique(periods, return_inverse=True, return_counts=True)
    weights: FloatArray = len(periods) / len(counts) / counts[places]
    return weights


def sums_by_period(values: FloatArray, periods: IntArray, aggregate: str = "mean") -> tuple[FloatArray, FloatArray]:
    """Sum the values of each period that holds a sample, and its weight.

    Args:
        values: Shape (S, n).
        periods: The period that holds each sample, non-decreasing, shape (n,).
        aggregate: See ``sample_weights``.

    Returns:
        Sums of shape (S, T) and weights of shape (T,): means and 1 for ``mean``, sums and numbers of samples for
        ``sample_weighted``.

    Raises:
        RequestError: If there is no such aggregate.

    Example:
        >>> sums, weights = sums_by_period(np.array([[1.0, 0.0, 1.0]]), np.array([0, 0, 2]))
        >>> sums.tolist(), weights.tolist()
        ([[0.5, 1.0]], [1.0, 1.0])
    """
    starts = np.flatnonzero(np.diff(periods, prepend=-1))
    of_samples = sample_weights(periods, aggregate) * (len(starts) / len(periods) if aggregate == "mean" else 1.0)
    sums: FloatArray = np.add.reduceat(values * of_samples, starts, axis=1)
    weights: FloatArray = np.ones(len(starts))
    if aggregate == "sample_weighted":
        weights = np.diff(np.append(starts, len(periods))).astype(np.float64)
    return sums, weights


def pair(a: CompositeScores, b: CompositeScores) -> PairedDifferences:
    """Pair two pipelines by sample and by seed.

    Raises:
        RequestError: If their test splits, periods, measures or variants differ, or they have no seed, or no sample
            that both have a model for, in common.
    """
    check_same_split(a, b, b.name)
    seeds = tuple(seed for seed in a.seeds if seed in b.seeds)
    if not seeds:
        raise RequestError(
            f"{a.name} was run with the seeds {a.seeds}, {b.name} with {b.seeds}: run both with one seed at least"
        )
    values = a.values[[a.seeds.index(seed) for seed in seeds]] - b.values[[b.seeds.index(seed) for seed in seeds]]
    scored = ~np.isnan(values).any(axis=0)
    if not scored.any():
        raise RequestError(f"there is no test sample on which both {a.name} and {b.name} have a model under all seeds")
    return PairedDifferences(a.name, b.name, a.metric, seeds, values[:, scored], a.periods[scored], a.every)
