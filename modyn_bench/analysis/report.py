"""Compare runs: tables over seeds, Pareto figures, composite metrics over time, costs, and a page that shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from modyn_bench.analysis.comparison import KEYS, Cohort, cohorts, compare_runs, over_seeds
from modyn_bench.analysis.draw import save
from modyn_bench.analysis.figures.composite_over_time import composite_over_time
from modyn_bench.analysis.figures.cost_by_policy import cost_by_policy
from modyn_bench.analysis.figures.pareto import MOST_NAMED, pareto
from modyn_bench.analysis.html import Section, render
from modyn_bench.analysis.report_files import COMPARISONS, PAGE, RUNS, TABLE, TITLE, earlier_files, keep_listing
from modyn_bench.analysis.report_text import sentence, shown_aggregate, table
from modyn_bench.analysis.text import latex, lay_out
from modyn_bench.analysis.verdicts import Judged, judge_all
from modyn_bench.errors import RequestError
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.runs.evaluations import overrides, own_config
from modyn_bench.runs.identity import evaluation_id
from modyn_bench.runs.listing import Skipped
from modyn_bench.runs.load import Runs, load_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_LINES = 8
"""The most policies that are drawn over time: the best ones."""

_VARIANT = "currently_active"  # of the figures; the tables have both
_PASSES = "sample passes (forward + 2 × backward) of all but the evaluation"


@dataclass(frozen=True)
class ReportResult:
    """What ``write_report`` wrote, and what it left out.

    Attributes:
        path: The page.
        files: Tables and figures beside it.
        table: One row per policy and comparison: mean and standard deviation over seeds, and n.
        runs: One row per run and comparison.
        verdicts: What the comparison of policies comes to, one for each metric and set of windows that have one.
        skipped: Paths that are no finished run, and why.
        notes: What could not be compared, in words.
        others: Evaluations that were not asked for, and how to compare them, in words.
    """

    path: Path
    files: tuple[Path, ...]
    table: pd.DataFrame
    runs: pd.DataFrame
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    others: tuple[str, ...] = ()
    verdicts: tuple[Judged, ...] = ()

    def __str__(self) -> str:
        lines = []
        for (dataset, window_set, metric), rows in self.runs.groupby(KEYS[:3], sort=False):
            lines += [f"{dataset}, {sentence(rows, str(window_set), str(metric))}", *lay_out(table(rows))]
            lines += [judged.verdict.headline for judged in self.verdicts if judged.of(dataset, window_set, metric)]
            lines.append("")
        lines += [f"skipped   {entry.path}: {entry.reason}" for entry in self.skipped]
        lines += [f"left out  {note}" for note in self.notes]
        lines += [f"note      {note}" for note in self.others]
        lines += [f"report    {self.path}", *(f"          {file}" for file in self.files if file.suffix != ".pdf")]
        return "\n".join(lines)


def write_report(
    paths: Sequence[str | Path], out: Path, *, min_coverage: float = 0.5, evaluation: str | None = None
) -> ReportResult:
    """Compare finished runs, and write tables (CSV and LaTeX), figures (PNG and PDF) and a page (HTML) that shows them.

    Runs are compared per dataset and window set, only on windows for which all of them have a model and a value, and
    averaged over the runs that differ by their seed alone.

    Args:
        paths: As ``load_runs`` takes them. What is no finished run is skipped, by name.
        out: The folder to write to; made if it is not there. Of an earlier report there, nothing stays.
        min_coverage: A run whose composite model covers a smaller share of the windows is set aside, by name; 0 to 1.
        evaluation: The id of the evaluation to compare, as ``modyn-bench evaluate`` made it; a run without it is
            skipped, by name, with the command that makes it. Default: the one that each run was made with.

    Raises:
        RequestError: If there is no finished run, none has the evaluation, nothing can be compared, or the folder holds
            files of these names that no report wrote; nothing is written then.
    """
    if not 0 <= min_coverage <= 1:
        raise RequestError(f"min_coverage={min_coverage} must be a share of the windows, from 0 to 1")
    earlier = earlier_files(out)
    runs = load_runs(paths, evaluation=evaluation)
    skipped = (*runs.skipped, *runs.unfinished)
    if not len(runs):
        if evaluation is not None:
            _check_evaluation(load_runs(paths), evaluation)
        raise RequestError(_nothing("there is no finished run", [f"{entry.path}: {entry.reason}" for entry in skipped]))
    groups, notes = cohorts(runs)
    compared = [compare_runs(runs, cohort, min_coverage=min_coverage) for cohort in groups]
    notes += [note for _, more in compared for note in more]
    evaluated = set(runs.evaluations["run_id"])
    notes += [f"{runs.names[run_id]} ({run_id}) has no model" for run_id in runs.names if run_id not in evaluated]
    notes = list(dict.fromkeys(notes))
    kept = [(cohort, rows) for cohort, (rows, _) in zip(groups, compared, strict=True) if len(rows)]
    if not kept:
        raise RequestError(_nothing("the runs have nothing that can be compared", notes))
    verdicts, unjudged = judge_all(runs, kept)
    notes += unjudged
    (out / "figures").mkdir(parents=True, exist_ok=True)
    every_run = pd.concat([rows for _, rows in kept], ignore_index=True)
    summary = over_seeds(every_run)
    files = [out / TABLE, out / RUNS]
    summary.to_csv(files[0], index=False)
    every_run.to_csv(files[1], index=False)
    if verdicts:
        files.append(out / COMPARISONS)
        pd.concat([judged.table for judged in verdicts], ignore_index=True).to_csv(files[-1], index=False)
    files += _latex_tables(kept, out / "tables")
    sections = list(_sections(runs, kept, verdicts, out / "figures"))
    others = _other_evaluations(runs) if evaluation is None else []
    page = out / PAGE
    told = [*(f"{entry.path}: {entry.reason}" for entry in skipped), *notes, *others]
    page.write_text(render(TITLE, sections, notes=told), encoding="utf-8")
    figures = sorted({path for section in sections for path, _ in section.figures})
    keep_listing(out, [page, *files, *figures, *(path.with_suffix(".pdf") for path in figures)], earlier)
    files += figures
    return ReportResult(page, tuple(files), summary, every_run, skipped, tuple(notes), tuple(others), tuple(verdicts))


def _nothing(what: str, reasons: Sequence[str]) -> str:
    listed = "".join(f"\n  {reason}" for reason in reasons[:20])
    more = f"\n  and {len(reasons) - 20} more" if len(reasons) > 20 else ""
    return f"{what}: give run directories or roots of them that modyn-bench run has finished{listed}{more}"


def _check_evaluation(runs: Runs, evaluation: str) -> None:
    """Raise if there are runs, but none has the evaluation."""
    if not len(runs):
        return
    own = {evaluation_id(own_config(manifest)) for manifest in runs.manifests.values()}
    listed = "".join(f"\n  {name}" for name in [*sorted(own - set(runs.evaluations_beside)), *runs.evaluations_beside])
    raise RequestError(
        f"--evaluation={evaluation}: no run has an evaluation of this id; modyn-bench evaluate makes one, and says its "
        f"id, the last part of the folder that it writes. There is:{listed}"
    )


def _other_evaluations(runs: Runs) -> list[str]:
    """Say which evaluations there are beside those that are compared."""
    notes = []
    for name, configs in runs.evaluations_beside.items():
        told = ((run_id, config) for run_id, config in configs.items() if config)
        words = next((overrides(own_config(runs.manifests[run_id]), config) for run_id, config in told), [])
        what = f" ({' '.join(words)})" if words else ""
        notes.append(
            f"{len(configs)} of {len(runs)} runs have another evaluation, {name}{what}: --evaluation {name} compares it"
        )
    return notes


def _sections(
    runs: Runs, kept: Sequence[tuple[Cohort, pd.DataFrame]], verdicts: Sequence[Judged], folder: Path
) -> Iterator[Section]:
    """One section per comparison and metric, and one for the costs of each dataset's runs."""
    for source in dict.fromkeys(cohort.source for cohort, _ in kept):
        own = [(cohort, rows) for cohort, rows in kept if cohort.source == source]
        order = _order([rows for _, rows in own])
        for cohort, rows in own:
            yield from _comparison(runs, cohort, rows, verdicts, order, folder)
        policies = {run_id: policy for cohort, _ in own for run_id, policy in cohort.policies.items()}
        stages = runs.stages[runs.stages["run_id"].isin(list(policies))]
        stages = stages.assign(policy=stages["run_id"].map(policies))
        places = stages["policy"].map(order).fillna(len(order))
        stages = stages.loc[places.sort_values(kind="stable").index]
        path = _save(cost_by_policy(stages), folder, (source, "cost_by_policy"))
        caption = "Wall-clock time by stage, the evaluation's predictions included: mean over runs, and the standard "
        yield Section(f"{source}: cost", figures=[(path, f"{caption}deviation of the total.")])


def _order(tables: Sequence[pd.DataFrame]) -> dict[str, int]:
    """Number a dataset's policies, so that each looks the same in all figures: best of the first comparison first."""
    first = tables[0]
    higher = HIGHER_IS_BETTER[str(first["metric"].iloc[0])]
    shown = first[(first["metric"] == first["metric"].iloc[0]) & (first["aggregate"] == shown_aggregate(first))]
    active = shown[shown["variant"] == _VARIANT]
    best = active.groupby("policy", sort=False)["value"].mean().sort_values(ascending=not higher, kind="stable")
    names = dict.fromkeys([*best.index, *(name for rows in tables for name in rows["policy"])])
    return {str(name): place for place, name in enumerate(names)}


def _comparison(
    runs: Runs,
    cohort: Cohort,
    rows: pd.DataFrame,
    verdicts: Sequence[Judged],
    order: Mapping[str, int],
    folder: Path,
) -> Iterator[Section]:
    """One section per metric: both composite models' table, and the figures of the currently active one."""
    for metric, of_metric in rows.groupby("metric", sort=False):
        header, *cells = table(of_metric)
        yield Section(
            title=f"{cohort.dataset}, {cohort.window_set} windows: {axis_label(str(metric))}",
            text=f"{sentence(of_metric, cohort.window_set, str(metric))} Cost: {_PASSES}.",
            statements=[
                statement
                for judged in verdicts
                if judged.of(cohort.dataset, cohort.window_set, metric)
                for statement in judged.statements
            ],
            header=header,
            rows=cells,
            figures=[
                (_save(ax, folder, (cohort.dataset, cohort.window_set, str(metric), name)), caption)
                for name, ax, caption in _figures(runs, cohort, of_metric, order)
            ],
        )


def _latex_tables(kept: Sequence[tuple[Cohort, pd.DataFrame]], folder: Path) -> list[Path]:
    """Write the table of every comparison and metric for LaTeX, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for cohort, rows in kept:
        for metric, of_metric in rows.groupby("metric", sort=False):
            files.append(folder / f"{_slug(cohort.dataset, cohort.window_set, str(metric))}.tex")
            files[-1].write_text(f"{latex(table(of_metric))}\n", encoding="utf-8")
    return files


def _slug(*names: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(names))


def _save(ax: Axes, folder: Path, names: Sequence[str]) -> Path:
    """Write a figure as PDF, for papers, and as PNG, whose path is returned."""
    slug = _slug(*names)
    save(ax, folder / f"{slug}.pdf")
    return save(ax, folder / f"{slug}.png")


def _figures(
    runs: Runs, cohort: Cohort, rows: pd.DataFrame, order: Mapping[str, int]
) -> Iterator[tuple[str, Axes, str]]:
    """The Pareto figures and the composite model over time of one metric, by name, with captions."""
    aggregate, metric = shown_aggregate(rows), str(rows["metric"].iloc[0])
    points = rows[(rows["variant"] == _VARIANT) & (rows["aggregate"] == aggregate)]
    if points.empty:
        return
    higher = HIGHER_IS_BETTER[metric]
    over = f"({aggregate.replace('_', ' ')} over {points['num_windows'].iloc[0]} windows)"
    label = f"{axis_label(metric)}, currently active\n{over}"
    beaten = "hollow" if points["policy"].nunique() <= MOST_NAMED else "a grey dot"
    for cost, cost_label in (("sample_passes", "Sample passes"), ("num_triggers", "Triggers")):
        ax = pareto(
            points,
            cost=cost,
            by="policy",
            cost_label=cost_label,
            value_label=label,
            higher_is_better=higher,
            order=order,
        )
        caption = f"{axis_label(metric)} against {cost_label.lower()}: mean and standard deviation over n runs"
        rule = "where another policy's means are both at least as good, and one of them is better"
        yield f"pareto_{cost}", ax, f"{caption}; {beaten} {rule}."
    best = points.groupby("policy", sort=False)["value"].mean().sort_values(ascending=not higher, kind="stable")
    shown = best.index[:MAX_LINES].tolist()
    cells = runs.evaluations[runs.evaluations["run_id"].isin(points["run_id"])]
    cells = cells.assign(policy=cells["run_id"].map(cohort.policies))
    cells = cells[cells["policy"].isin(shown)]
    ax = composite_over_time(
        cells, metric=metric, window_set=cohort.window_set, variants=[_VARIANT], by="policy", order=order
    )
    caption = f"{axis_label(metric)} of the currently active model over stream time, in all windows"
    seeds = "; mean over n runs, where all of them have a value, and standard deviation"
    rest = "" if len(best) <= MAX_LINES else f" The best {MAX_LINES} of {len(best)} policies."
    yield "composite_over_time", ax, f"{caption}{seeds if points['policy'].duplicated().any() else ''}.{rest}"
