"""The verdicts of a report: each metric on each set of windows, in sentences and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.cohorts import Cohort
from modyn_bench.analysis.report.text import shown_aggregate
from modyn_bench.analysis.sample_values import has_sample_values
from modyn_bench.analysis.statistics.paired import AGGREGATES
from modyn_bench.analysis.verdict import Verdict, judge, table
from modyn_bench.config import WindowsConfig, section
from modyn_bench.errors import RequestError, RunError
from modyn_bench.runs.copies import is_copy

if TYPE_CHECKING:
    import pandas as pd

    from modyn_bench.runs.load import Runs

MAX_STATEMENTS = 8
"""The most policies that the best one is compared with in sentences; the table has all."""

_VARIANT = "currently_active"


@dataclass(frozen=True)
class Judged:
    """The verdict on one metric and set of windows.

    Attributes:
        dataset: What the cohort's dataset is called.
        window_set: The name of the windows.
        metric: The metric.
        verdict: What the comparison comes to.
    """

    dataset: str
    window_set: str
    metric: str
    verdict: Verdict

    def of(self, dataset: object, window_set: object, metric: object) -> bool:
        """Say whether the verdict is about these."""
        return (self.dataset, self.window_set, self.metric) == (dataset, window_set, metric)

    @property
    def statements(self) -> list[str]:
        """The verdict in sentences, the shortest first."""
        shown, rest = self.verdict.over_periods[:MAX_STATEMENTS], self.verdict.over_periods[MAX_STATEMENTS:]
        more = [f"{len(rest)} more policies are farther from {self.verdict.best}."] if rest else []
        told = [*shown, self.verdict.over_seeds, self.verdict.over_samples]
        sentences = [*(f"{each}." for each in told), *more, f"{self.verdict.front}."]
        return [self.verdict.headline, *self.verdict.notes, *sentences]

    @property
    def table(self) -> pd.DataFrame:
        """A row per comparison: dataset, window_set, variant, and the columns of ``verdict.table``."""
        rows = table(self.verdict)
        for place, column in enumerate(("dataset", "window_set")):
            rows.insert(place, column, getattr(self, column))
        rows.insert(2, "variant", _VARIANT)
        return rows


def judge_all(runs: Runs, kept: Sequence[tuple[Cohort, pd.DataFrame]]) -> tuple[list[Judged], list[str]]:
    """Judge the currently active models of every cohort by every metric that single samples have a value of.

    Args:
        runs: All runs.
        kept: Cohorts, and their rows as ``compare_runs`` returns them; runs that were set aside are not in them.

    Returns:
        The verdicts, and where there is none although policies were compared, in words.
    """
    found: list[Judged] = []
    notes: list[str] = []
    paths = runs.configs.set_index("run_id")["path"]
    for cohort, rows in kept:
        for metric in filter(has_sample_values, rows["metric"].unique()):
            of_metric = rows[(rows["metric"] == metric) & (rows["variant"] == _VARIANT)]
            aggregate = shown_aggregate(of_metric) if len(of_metric) else ""
            if of_metric["policy"].nunique() < 2 or aggregate not in AGGREGATES:
                continue
            one = of_metric.drop_duplicates("run_id")
            policies = {
                str(policy): [Path(paths[run_id]) for run_id in own["run_id"]]
                for policy, own in one.groupby("policy", sort=False)
            }
            bare = [path for own in policies.values() for path in own if is_copy(path)]
            if bare:
                notes.append(
                    f"{cohort.dataset}, {cohort.window_set} windows, {metric}: no test was made, for {len(bare)} runs "
                    "have their tables alone, as W&B keeps them; tests need predictions, which stay with the run "
                    "directory"
                )
                continue
            try:
                verdict = _judge(runs, cohort, policies, metric=str(metric), aggregate=aggregate)
            except (RequestError, RunError) as error:
                notes.append(f"{cohort.dataset}, {cohort.window_set} windows, {metric}: no test was made, {error}")
                continue
            found.append(Judged(cohort.dataset, cohort.window_set, str(metric), verdict))
    return found, notes


def _judge(
    runs: Runs, cohort: Cohort, policies: Mapping[str, Sequence[Path]], *, metric: str, aggregate: str
) -> Verdict:
    """Judge a cohort's policies on its windows, as the evaluation that was loaded has them."""
    evaluation = runs.manifests[next(iter(cohort.policies))]["config"]["evaluation"]
    windows = section(WindowsConfig, evaluation["windows"][cohort.window_set])
    verdict = judge(
        policies,
        windows=windows,
        metric=metric,
        variant=_VARIANT,
        aggregate=aggregate,
        min_window_samples=evaluation.get("min_window_samples", 1),
    )
    if windows.kind != "sliding":
        return verdict
    slices = (
        "Windows overlap, so that tests take slices as long as one of them in their place; means are not the table's."
    )
    return replace(verdict, notes=(slices, *verdict.notes))
