"""Who is best, and whether that would hold in other periods, for other seeds and on other test samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.analysis.statistics.front_shares import FrontShares, front_shares
from modyn_bench.analysis.statistics.many import correct
from modyn_bench.analysis.statistics.paired import pair
from modyn_bench.analysis.statistics.periods import over_periods
from modyn_bench.analysis.statistics.results import Difference
from modyn_bench.analysis.statistics.samples import over_samples
from modyn_bench.analysis.statistics.scores import CompositeScores, check_same_split, composite_scores
from modyn_bench.analysis.statistics.seeds import over_seeds
from modyn_bench.config import WindowsConfig
from modyn_bench.errors import RequestError
from modyn_bench.metrics import find_metric

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
"""A corrected p-value up to this one counts as shown."""

MAX_NAMES = 4
"""More pipelines that the best one may not be better than are counted and not named."""


@dataclass(frozen=True)
class Verdict:
    """What the comparison of some pipelines comes to.

    Attributes:
        best: The pipeline with the best mean.
        over_periods: The best one against every other, the nearest first, over other periods; p-values are corrected
            for all pairs of pipelines, since the best one was not known before.
        over_seeds: The best one against the nearest, over retraining.
        over_samples: The same, over other test samples.
        front: How sure it is which pipelines are on the Pareto front of sample passes.
    """

    best: str
    over_periods: tuple[Difference, ...]
    over_seeds: Difference
    over_samples: Difference
    front: FrontShares

    @property
    def headline(self) -> str:
        """Say in one sentence what is shown."""
        nearest = self.over_periods[0]
        lead = f"{self.best} has the best mean"
        open_ones = [each.b for each in self.over_periods if each.p_value is not None and each.p_value > ALPHA]
        if nearest.refusal:
            return f"{lead}; whether it would in other periods cannot be told: {nearest.refusal}."
        if not open_ones:
            others = f"all {len(self.over_periods)} others" if len(self.over_periods) > 1 else nearest.b
            return f"{lead}, and is shown to be better than {others} in other periods."
        if len(open_ones) > MAX_NAMES:
            total = len(self.over_periods)
            return (
                f"{lead}, but is shown to be better than {total - len(open_ones)} of {total} others in other periods."
            )
        return f"{lead}, but is not shown to be better than {', '.join(open_ones)} in other periods."

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All comparisons, those over periods first."""
        return (*self.over_periods, self.over_seeds, self.over_samples)


def judge(
    runs: Mapping[str, Sequence[Path]], *, windows: str | WindowsConfig, metric: str, variant: str, aggregate: str
) -> Verdict:
    """Compare pipelines on the test samples for which all of them have a model under every seed.

    Args:
        runs: The directories of each pipeline's finished runs, by its name.
        windows: A set of windows; see ``statistics.scores.composite_scores``.
        metric: ``accuracy``, ``top_<k>_accuracy`` or ``loss``.
        variant: ``currently_active`` or ``currently_trained``.
        aggregate: ``mean`` over periods, or ``sample_weighted``.

    Raises:
        RequestError: If there are fewer than two pipelines, or they cannot be paired.
        RunError: If a run is damaged.
    """
    if len(runs) < 2:
        raise RequestError("there is one policy alone, and nothing to compare it with")
    scores = _on_common_ground(
        [
            composite_scores(own, name=name, windows=windows, metric=metric, variant=variant)
            for name, own in runs.items()
        ]
    )
    means = {each.name: pair(each, _nothing_of(each)).by_period(aggregate).mean for each in scores}
    sign = -1.0 if find_metric(metric).higher_is_better else 1.0
    best, *others = sorted(scores, key=lambda each: sign * means[each.name])
    pairs = [pair(best, other) for other in others]
    found = [over_periods(each.by_period(aggregate)) for each in pairs]
    return Verdict(
        best=best.name,
        over_periods=tuple(correct(found, among=len(scores) * (len(scores) - 1) // 2)),
        over_seeds=over_seeds(pairs[0], aggregate=aggregate),
        over_samples=over_samples(pairs[0], aggregate=aggregate),
        front=front_shares(scores, aggregate=aggregate),
    )


def table(verdict: Verdict) -> pd.DataFrame:
    """Return a row per comparison: metric, a, b, difference, low, high, level, p_value, num_tests, estimand, units, n.

    ``p_value`` is corrected for ``num_tests`` tests; interval, test and refusal say how the numbers were made, and why
    some are null.
    """
    import pandas as pd

    numbers = ("metric", "a", "b", "value", "low", "high", "level", "p_value", "num_tests")
    words = ("estimand", "units", "n", "interval", "test", "refusal")
    rows = [{column: getattr(each, column) for column in (*numbers, *words)} for each in verdict.differences]
    return pd.DataFrame(rows).rename(columns={"value": "difference"})


def _on_common_ground(scores: Sequence[CompositeScores]) -> list[CompositeScores]:
    """Leave out samples on which one of the pipelines has no model under some seed, and seeds that one lacks."""
    for other in scores[1:]:
        check_same_split(scores[0], other, other.name)
    seeds = sorted(set.intersection(*(set(each.seeds) for each in scores)))
    if not seeds:
        raise RequestError("the policies have no seed in common: run all of them with one seed at least")
    rows = [[each.seeds.index(seed) for seed in seeds] for each in scores]
    absent = np.any([np.isnan(each.values[own]).any(axis=0) for each, own in zip(scores, rows, strict=True)], axis=0)
    return [
        replace(
            each,
            seeds=tuple(seeds),
            values=np.where(absent, np.nan, each.values[own]),
            costs=each.costs[own],
        )
        for each, own in zip(scores, rows, strict=True)
    ]


def _nothing_of(scores: CompositeScores) -> CompositeScores:
    """Return scores of 0 on the same samples: a difference to them is the value itself."""
    return replace(scores, name="nothing", values=np.where(np.isnan(scores.values), np.nan, 0.0))
