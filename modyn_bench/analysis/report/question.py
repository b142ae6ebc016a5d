"""What a report asks of a dataset's runs, and what it answers first, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modyn_bench.analysis.cohorts import Cohort
from modyn_bench.analysis.page.section import Section
from modyn_bench.analysis.report.charts import VARIANT, ranked
from modyn_bench.analysis.report.options import Options
from modyn_bench.analysis.report.text import shown_aggregate
from modyn_bench.analysis.report.verdicts import Judged
from modyn_bench.analysis.sample_values import has_sample_values
from modyn_bench.analysis.statistics.paired import AGGREGATES
from modyn_bench.analysis.statistics.results import counted
from modyn_bench.analysis.text import by_number
from modyn_bench.analysis.window_axis import interval_texts
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.runs.load import Runs

if TYPE_CHECKING:
    import pandas as pd


def question(
    runs: Runs, source: str, own: Sequence[tuple[Cohort, pd.DataFrame]], verdicts: Sequence[Judged], options: Options
) -> Section:
    """Return what is compared of a dataset's runs, with the verdicts first.

    Args:
        runs: All runs.
        source: What the dataset is called.
        own: Its cohorts, and their rows as ``compare_runs`` returns them.
        verdicts: Of any dataset.
        options: In which its policies differ.
    """
    answers = [
        f"{axis_label(str(metric))}, {cohort.window_set} windows{_apart(source, cohort)}: "
        + answer(of_metric, [each for each in verdicts if each.of(cohort.dataset, cohort.window_set, metric)])
        for cohort, rows in own
        for metric, of_metric in rows.groupby("metric", sort=False)
    ]
    policies = dict.fromkeys(str(name) for _, rows in own for name in rows["policy"])
    if len(policies) == 1:
        title = f"What does {next(iter(policies))} reach on {source}?"
    else:
        title = f"Which of {len(policies)} policies serves {source} best?"
    windows = ", and on ".join(_windows_in_words(runs, cohort) for cohort, _ in own)
    every = _every_run(own)
    text = f"{_runs_in_words(every)} {'It was' if len(every) == 1 else 'They were'} evaluated on {windows}."
    set_aside = _set_aside(own)
    if set_aside:
        text += f" Without a comparison of its currently active model, for the reason in the notes: {set_aside}."
    if options.keys:
        text += f" The policies differ in {options.in_words()}."
    return Section(title, text=text, lead=answers[0], statements=answers[1:])


def answer(rows: pd.DataFrame, verdicts: Sequence[Judged]) -> str:
    """Return the verdict on one metric or, where there is none, who has the best mean, and why no more is said.

    Args:
        rows: As ``compare_runs`` returns them, of one metric.
        verdicts: At most one, on this metric and these windows.
    """
    if verdicts:
        return verdicts[0].verdict.headline
    metric = str(rows["metric"].iloc[0])
    points = rows[(rows["variant"] == VARIANT) & (rows["aggregate"] == shown_aggregate(rows))]
    if points.empty:
        return "no currently active model can be compared."
    best, *others = ranked(points, higher_is_better=HIGHER_IS_BETTER[metric])
    mean = float(points.loc[points["policy"] == best, "value"].mean())
    if not others:
        return f"{best} has a mean of {mean:.4g}; there is no other policy to compare it with."
    return f"{best} has the best mean, {mean:.4g}; whether it would in other periods is not tested: {_why_not(rows)}."


def _why_not(rows: pd.DataFrame) -> str:
    """Say why there is no verdict on several policies."""
    if not has_sample_values(str(rows["metric"].iloc[0])):
        return "a single sample has no value of this metric"
    aggregate = shown_aggregate(rows)
    return "see the notes" if aggregate in AGGREGATES else f"there is no test of what is {aggregate.replace('_', ' ')}"


def _set_aside(own: Sequence[tuple[Cohort, pd.DataFrame]]) -> str:
    """Name the policies of cohorts that no comparison of currently active models has."""
    known = {policy for cohort, _ in own for policy in cohort.policies.values()}
    compared = {str(name) for _, rows in own for name in rows.loc[rows["variant"] == VARIANT, "policy"]}
    return ", ".join(sorted(known - compared, key=by_number))


def _every_run(own: Sequence[tuple[Cohort, pd.DataFrame]]) -> pd.DataFrame:
    """Return one row per run of all cohorts."""
    import pandas as pd

    return pd.concat([rows for _, rows in own], ignore_index=True).drop_duplicates("run_id")


def _apart(source: str, cohort: Cohort) -> str:
    """Return what tells windows from others of the same name."""
    return cohort.dataset.removeprefix(source)


def _runs_in_words(one: pd.DataFrame) -> str:
    per_policy = one.groupby("policy", sort=False).size()
    low, high = int(per_policy.min()), int(per_policy.max())
    each = f"{low}" if low == high else f"{low} to {high}"
    seeds = sorted(one["seed"].dropna().astype(str).unique(), key=by_number)
    listed = ", ".join(seeds) if len(seeds) <= 6 else f"{seeds[0]} to {seeds[-1]}, {len(seeds)} in all"
    told = f" ({'seed' if len(seeds) == 1 else 'seeds'} {listed})" if seeds else ""
    num_policies = len(per_policy)
    split = f", {each} of each policy" if num_policies > 1 else ""
    return f"{counted(len(one), 'run')}{split}{told}."


def _windows_in_words(runs: Runs, cohort: Cohort) -> str:
    import pandas as pd

    rows = runs.evaluations[runs.evaluations["run_id"] == next(iter(cohort.policies))]
    rows = rows[rows["window_set"] == cohort.window_set]
    span = pd.DataFrame({"window_start": [rows["window_start"].min()], "window_end": [rows["window_end"].max()]})
    return f"{counted(rows['window_id'].nunique(), 'test window')} ({cohort.window_set}), {interval_texts(span)[0]}"
