"""How sure it is which pipelines are on the Pareto front of cost and value.

Shapes: P pipelines, S seeds, T periods, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modyn_bench.analysis.statistics.blocks import MIN_BLOCKS, Blocks, cut_blocks
from modyn_bench.analysis.statistics.bootstrap import NUM_RESAMPLES, resample
from modyn_bench.analysis.statistics.front import on_front
from modyn_bench.analysis.statistics.paired import sums_by_period
from modyn_bench.analysis.statistics.results import Estimand, counted
from modyn_bench.analysis.statistics.scores import CompositeScores, check_same_split
from modyn_bench.errors import RequestError
from modyn_bench.metrics import find_metric
from modyn_bench.seeding import derive
from modyn_bench.types import FloatArray


@dataclass(frozen=True)
class FrontShares:
    """How often each pipeline is on the Pareto front of resampled seeds and blocks of time.

    Attributes:
        metric: What the values are of.
        names: The pipelines.
        costs: Their mean costs over seeds, shape (P,).
        values: Their mean values, shape (P,).
        on_front: Whether each is on the front of these means, shape (P,).
        shares: The share of resamples in which each is on the front, shape (P,); ``None`` where blocks are too few.
        units: What was resampled: ``10 blocks of 6 × 26w, 3 seeds``.
        num_resamples: How many there were.
        refusal: Why there are no shares; empty where there are.
    """

    metric: str
    names: tuple[str, ...]
    costs: FloatArray
    values: FloatArray
    on_front: np.ndarray
    shares: FloatArray | None
    units: str
    num_resamples: int
    refusal: str = ""

    def __str__(self) -> str:
        """Name who is on the front, how often, units and estimand in one sentence."""
        if self.shares is None:
            named = [name for name, own in zip(self.names, self.on_front, strict=True) if own]
            return f"on the front of sample passes and {self.metric}: {', '.join(named)} ({self.units}); {self.refusal}"
        told = ", ".join(f"{name} {share:.0%}" for name, share in zip(self.names, self.shares, strict=True))
        return (
            f"on the front of sample passes and {self.metric}: {told} of {self.num_resamples:,} resamples "
            f"(bootstrap over {self.units}; {Estimand.OTHER_PERIODS})"
        )


def front_shares(
    pipelines: Sequence[CompositeScores],
    *,
    aggregate: str = "mean",
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> FrontShares:
    """Resample seeds and blocks of time, the same for all pipelines, and count who is on the front.

    Costs are sample passes; they are resampled with their seeds. Blocks are those that the most dependent pair of
    pipelines needs; what they miss of the variance is not added, so shares are a little nearer to 0 and 1 than they
    should be. A share is no p-value: of two equally good pipelines at equal cost each is on the front half the time.

    Args:
        pipelines: Two or more, on one test split, with seeds in common.
        aggregate: ``mean`` over periods, or ``sample_weighted``.
        num_resamples: B.
        seed: Of the resamples.

    Raises:
        RequestError: If there are fewer than two, they cannot be paired, or have no seed or sample in common.
    """
    scored = _common(pipelines)
    sums, weights, costs = _by_period(pipelines, scored, aggregate)
    means = sums.mean(axis=1)
    sign = 1.0 if find_metric(pipelines[0].metric).higher_is_better else -1.0
    values = means.sum(axis=1) / weights.sum()
    blocks = _blocks(means, weights)
    shares = None
    num_seeds = costs.shape[1]
    if blocks.refusal:
        units = f"{counted(len(weights), 'period')} of {pipelines[0].every}, {counted(num_seeds, 'seed')}"
    else:
        units = f"{blocks.in_words(pipelines[0].every)}, {counted(num_seeds, 'seed')}"
        with_costs = np.concatenate([blocks.sums(sums), np.repeat(costs[..., None], len(blocks), axis=2)])
        draw = derive(seed, "statistics", "front")
        drawn, sizes = resample(with_costs, blocks.sums(weights), generator=draw, num_resamples=num_resamples)
        of_values, of_costs = drawn[: len(values)].sum(axis=2) / sizes.sum(axis=1), drawn[len(values) :, :, 0]
        shares = on_front(of_costs.T, sign * of_values.T).mean(axis=0)
    mean_costs = costs.mean(axis=1)
    return FrontShares(
        metric=pipelines[0].metric,
        names=tuple(each.name for each in pipelines),
        costs=mean_costs,
        values=values,
        on_front=on_front(mean_costs, sign * values),
        shares=shares,
        units=units,
        num_resamples=num_resamples,
        refusal=f"no shares: {blocks.refusal}" if blocks.refusal else "",
    )


def _common(pipelines: Sequence[CompositeScores]) -> np.ndarray:
    """Return which samples all pipelines have a model for, shape (n,)."""
    if len(pipelines) < 2:
        raise RequestError("a front needs two pipelines at least")
    for other in pipelines[1:]:
        check_same_split(pipelines[0], other, other.name)
    if not _seeds(pipelines):
        raise RequestError("the pipelines have no seed in common: run all with one seed at least")
    scored: np.ndarray = ~np.any([np.isnan(each.values).any(axis=0) for each in pipelines], axis=0)
    if not scored.any():
        raise RequestError("there is no test sample on which all pipelines have a model under all seeds")
    return scored


def _seeds(pipelines: Sequence[CompositeScores]) -> list[int]:
    return sorted(set.intersection(*(set(each.seeds) for each in pipelines)))


def _by_period(
    pipelines: Sequence[CompositeScores], scored: np.ndarray, aggregate: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return weighted sums (P, S, T), weights (T,) and costs (P, S) of the common samples and seeds."""
    seeds = _seeds(pipelines)
    rows = [[each.seeds.index(seed) for seed in seeds] for each in pipelines]
    found = [
        sums_by_period(each.values[own][:, scored], each.periods[scored], aggregate)
        for each, own in zip(pipelines, rows, strict=True)
    ]
    costs = np.stack([each.costs[own] for each, own in zip(pipelines, rows, strict=True)])
    return np.stack([sums for sums, _ in found]), found[0][1], costs


def _blocks(means: FloatArray, weights: FloatArray) -> Blocks:
    """Return the blocks of the pair of pipelines whose differences need the longest ones."""
    found = []
    for first in range(len(means)):
        for second in range(first):
            apart = means[first] - means[second]
            found.append(cut_blocks((apart - weights * apart.sum() / weights.sum()) / weights.mean()))
    return min(found, key=lambda blocks: (blocks.effective >= MIN_BLOCKS, len(blocks), blocks.effective))
