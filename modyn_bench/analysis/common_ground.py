"""What several pipelines can be judged on: the seeds that all have, and the test samples that all have a model for.

Shapes: S seeds, n samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modyn_bench.analysis.statistics.results import counted
from modyn_bench.analysis.statistics.scores import CompositeScores, check_same_split
from modyn_bench.errors import RequestError


@dataclass(frozen=True)
class CommonGround:
    """Pipelines, scored under the same seeds on the same samples.

    Attributes:
        scores: Of each pipeline; values are NaN where one of them has no model under some seed.
        notes: What was left out, in sentences.
    """

    scores: tuple[CompositeScores, ...]
    notes: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """How many seeds and periods there are: ``3 seeds, 54 periods of 26w``."""
        first = self.scores[0]
        num_periods = _num_periods(first)
        return f"{counted(len(first.seeds), 'seed')}, {counted(num_periods, 'period')} of {first.every}"


def common_ground(scores: Sequence[CompositeScores]) -> CommonGround:
    """Leave out seeds that a pipeline lacks, and samples on which one has no model under some seed.

    A pipeline without any of the seeds that most have is left out itself, by name, so that it costs the others nothing.

    Args:
        scores: Of two pipelines or more.

    Raises:
        RequestError: If they cannot be paired, or no two of them have a seed and a sample in common.
    """
    for other in scores[1:]:
        check_same_split(scores[0], other, other.name)
    counts = Counter(seed for each in scores for seed in each.seeds)
    widest = min(counts, key=lambda seed: (-counts[seed], seed))
    kept = [each for each in scores if widest in each.seeds]
    if len(kept) < 2:
        raise RequestError("the policies have no seed in common: run all of them with one seed at least")
    seeds = sorted(set.intersection(*(set(each.seeds) for each in kept)))
    rows = [each.values[[each.seeds.index(seed) for seed in seeds]] for each in kept]
    absent = np.any([np.isnan(own).any(axis=0) for own in rows], axis=0)
    if absent.all():
        raise RequestError("there is no test sample on which all policies have a model under all seeds")
    made = tuple(
        replace(
            each,
            seeds=tuple(seeds),
            values=np.where(absent, np.nan, own),
            costs=each.costs[[each.seeds.index(seed) for seed in seeds]],
        )
        for each, own in zip(kept, rows, strict=True)
    )
    notes = [*_of_pipelines(scores, kept), *_of_seeds(kept, seeds), *_of_periods(kept, made[0])]
    return CommonGround(made, tuple(notes))


def _of_pipelines(scores: Sequence[CompositeScores], kept: Sequence[CompositeScores]) -> list[str]:
    names = {each.name for each in kept}
    stray = [f"{each.name} (seeds {_listed(each.seeds)})" for each in scores if each.name not in names]
    return [f"Not tested, as they have no seed in common with the others: {', '.join(stray)}."] if stray else []


def _of_seeds(kept: Sequence[CompositeScores], seeds: Sequence[int]) -> list[str]:
    more = [each.name for each in kept if len(each.seeds) > len(seeds)]
    if not more:
        return []
    return [
        f"Tests take the seeds that all have ({_listed(seeds)}); tables count all runs, so that means differ for "
        f"{_named(more)}."
    ]


def _of_periods(kept: Sequence[CompositeScores], common: CompositeScores) -> list[str]:
    """Name the pipelines whose missing models shorten the stretch that is compared."""
    num_common = _num_periods(common)
    own = {each.name: _num_periods(each) for each in kept}
    longest = max(own.values())
    if num_common == longest:
        return []
    short = [f"{name} ({longest - num})" for name, num in own.items() if num < longest]
    lacking = f"; the others lack that of {_named(short)}" if short else ""
    return [f"{num_common} of {counted(longest, 'period')} are compared, those in which all have a model{lacking}."]


def _num_periods(scores: CompositeScores) -> int:
    """Return in how many periods there is a sample with a model under every seed."""
    return len(np.unique(scores.periods[~np.isnan(scores.values).any(axis=0)]))


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _named(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
