"""Who is best, and whether that would hold in other periods, for other seeds and on other test samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.analysis.common_ground import common_ground
from modyn_bench.analysis.statistics.front_shares import FrontShares, front_shares
from modyn_bench.analysis.statistics.many import correct
from modyn_bench.analysis.statistics.paired import pair
from modyn_bench.analysis.statistics.periods import over_periods
from modyn_bench.analysis.statistics.results import Difference
from modyn_bench.analysis.statistics.samples import over_samples
from modyn_bench.analysis.statistics.scores import CompositeScores, composite_scores
from modyn_bench.analysis.statistics.seeds import over_seeds
from modyn_bench.config import WindowsConfig
from modyn_bench.errors import RequestError
from modyn_bench.metrics import find_metric

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
"""A corrected p-value up to this one counts as shown."""

MAX_NAMES = 4
"""More pipelines than these are counted and not named."""


@dataclass(frozen=True)
class Verdict:
    """What the comparison of some pipelines comes to.

    Attributes:
        best: The pipeline with the best mean.
        means: Of every pipeline, on common ground.
        variant: ``currently_active`` or ``currently_trained``.
        ground: What the means are over: ``3 seeds, 54 periods of 26w``.
        over_periods: The best one against every other, the nearest first, over other periods; p-values are corrected
            for all pairs of pipelines, since the best one was not known before.
        over_seeds: The best one against the nearest, over retraining.
        over_samples: The same, over other test samples.
        front: How sure it is which pipelines are on the Pareto front of sample passes.
        notes: What was left out so that all are compared on the same, in sentences.
    """

    best: str
    means: Mapping[str, float]
    variant: str
    ground: str
    over_periods: tuple[Difference, ...]
    over_seeds: Difference
    over_samples: Difference
    front: FrontShares
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """Say in one sentence who is best, on what, and what of it is shown, not shown, and cannot be told."""
        shown = [each.b for each in self.over_periods if each.p_value is not None and each.p_value <= ALPHA]
        untold = [each for each in self.over_periods if each.b not in shown and _why_untold(each)]
        beyond = {*shown, *(each.b for each in untold)}
        open_ones = [each.b for each in self.over_periods if each.b not in beyond]
        where = f"in other periods{' under this seed' if self.over_seeds.n == 1 else ''}"
        parts = [f"it is shown to be better than {self._named(shown)}"] if shown else []
        if open_ones:
            parts.append(f"it is not shown to be better than {self._named(open_ones, every='any of the')}")
        if untold:
            whether = f"whether it is better than {self._named([each.b for each in untold], every='any of the')}"
            at = "" if parts else f" {where}"
            parts.append(f"{whether}{at} cannot be told: {_why_untold(untold[0])}")
        at = f"{where} " if shown or open_ones else ""
        return f"{self._lead}; {at}{_joined(parts)}."

    @property
    def _lead(self) -> str:
        level = [name for name, mean in self.means.items() if mean == self.means[self.best] and name != self.best]
        who = f"{_listed([self.best, *level])} share" if level else f"{self.best} has"
        model = f"the {self.variant.replace('_', ' ')} model"
        return f"{who} the best mean of {model}, {self.means[self.best]:.4g} ({self.ground})"

    def _named(self, names: Sequence[str], every: str = "all") -> str:
        """Name some of the others, or count them."""
        if len(names) == len(self.over_periods) > 1:
            return f"{every} {len(names)} others"
        return _listed(names) if len(names) <= MAX_NAMES else f"{len(names)} of {len(self.over_periods)} others"

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All comparisons, those over periods first."""
        return (*self.over_periods, self.over_seeds, self.over_samples)


def judge(
    runs: Mapping[str, Sequence[Path]],
    *,
    windows: str | WindowsConfig,
    metric: str,
    variant: str,
    aggregate: str,
    min_window_samples: int = 1,
) -> Verdict:
    """Compare pipelines under the seeds that all have, on the test samples for which all have a model.

    Args:
        runs: The directories of each pipeline's finished runs, by its name.
        windows: A set of windows; see ``statistics.scores.composite_scores``.
        metric: ``accuracy``, ``top_<k>_accuracy`` or ``loss``.
        variant: ``currently_active`` or ``currently_trained``.
        aggregate: ``mean`` over periods, or ``sample_weighted``.
        min_window_samples: Periods with fewer test samples are left out.

    Raises:
        RequestError: If there are fewer than two pipelines, or they cannot be paired.
        RunError: If a run is damaged.
    """
    if len(runs) < 2:
        raise RequestError("there is one policy alone, and nothing to compare it with")
    ground = common_ground(
        [
            composite_scores(
                own, name=name, windows=windows, metric=metric, variant=variant, min_window_samples=min_window_samples
            )
            for name, own in runs.items()
        ]
    )
    scores = ground.scores
    means = {each.name: pair(each, _nothing_of(each)).by_period(aggregate).mean for each in scores}
    sign = -1.0 if find_metric(metric).higher_is_better else 1.0
    best, *others = sorted(scores, key=lambda each: sign * means[each.name])
    pairs = [pair(best, other) for other in others]
    found = [over_periods(each.by_period(aggregate)) for each in pairs]
    return Verdict(
        best=best.name,
        means=means,
        variant=variant,
        ground=ground.in_words,
        over_periods=tuple(correct(found, among=len(scores) * (len(scores) - 1) // 2)),
        over_seeds=over_seeds(pairs[0], aggregate=aggregate),
        over_samples=over_samples(pairs[0], aggregate=aggregate),
        front=front_shares(scores, aggregate=aggregate),
        notes=ground.notes,
    )


def table(verdict: Verdict) -> pd.DataFrame:
    """Return a row per comparison: metric, a, b, difference, low, high, level, p_value, num_tests, estimand, units, n.

    ``p_value`` is corrected for ``num_tests`` tests, the interval is not; ``interval`` and ``test`` name how they were
    made, and are null where they were not, for the reason in ``refusal``.
    """
    import pandas as pd

    numbers = ("metric", "a", "b", "value", "low", "high", "level", "p_value", "num_tests")
    words = ("estimand", "units", "n", "interval", "test", "refusal")
    rows = pd.DataFrame(
        [{column: getattr(each, column) for column in (*numbers, *words)} for each in verdict.differences]
    )
    rows.loc[rows["low"].isna(), ["interval", "level"]] = None
    rows.loc[rows["p_value"].isna(), "test"] = None
    return rows.rename(columns={"value": "difference"})


def _why_untold(difference: Difference) -> str:
    """Say why a comparison could not have shown a difference; empty if it could."""
    if difference.p_value is None:
        return difference.refusal.partition(": ")[2]  # behind what there is not
    least = difference.least_p * difference.num_tests
    if least <= ALPHA:
        return ""
    return f"of {difference.units}, corrected for {difference.num_tests} tests, no p-value can be below {least:.2g}"


def _listed(names: Sequence[str]) -> str:
    """Join names by commas and a last ``and``.

    Example:
        >>> _listed(["a"]), _listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _joined(parts: Sequence[str]) -> str:
    """Join clauses by commas and a last ``and``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _nothing_of(scores: CompositeScores) -> CompositeScores:
    """Return scores of 0 on the same samples: a difference to them is the value itself."""
    return replace(scores, name="nothing", values=np.where(np.isnan(scores.values), np.nan, 0.0))
