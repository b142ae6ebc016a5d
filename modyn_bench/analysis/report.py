"""Compare runs: tables over seeds, Pareto figures, composite metrics over time, costs, and a page that shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from modyn_bench.analysis.comparison import KEYS, Cohort, cohorts, compare_runs, over_seeds
from modyn_bench.analysis.draw import save
from modyn_bench.analysis.figures.composite_over_time import composite_over_time
from modyn_bench.analysis.figures.cost_by_policy import cost_by_policy
from modyn_bench.analysis.figures.pareto import pareto
from modyn_bench.analysis.html import Section, render
from modyn_bench.analysis.text import lay_out
from modyn_bench.errors import RequestError
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.runs.listing import Skipped
from modyn_bench.runs.load import Runs, load_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_LINES = 8
"""The most policies that are drawn over time: the best ones."""

_VARIANT, _AGGREGATE = "currently_active", "mean"  # of the figures; the tables have all
_PASSES = "sample passes (forward + 2 × backward) of all but the evaluation"


@dataclass(frozen=True)
class ReportResult:
    """What ``write_report`` wrote, and what it left out.

    Attributes:
        path: The page.
        files: Tables and figures beside it.
        table: One row per policy and comparison: mean and standard deviation over seeds, and n.
        runs: One row per run and comparison.
        skipped: Paths that are no finished run, and why.
        notes: What could not be compared, in words.
    """

    path: Path
    files: tuple[Path, ...]
    table: pd.DataFrame
    runs: pd.DataFrame
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = []
        for (dataset, window_set, metric), rows in self.runs.groupby(KEYS[:3], sort=False):
            lines += [f"{dataset}, {_sentence(rows, str(window_set), str(metric))}", *lay_out(_table(rows)), ""]
        lines += [f"skipped   {entry.path}: {entry.reason}" for entry in self.skipped]
        lines += [f"left out  {note}" for note in self.notes]
        lines += [f"report    {self.path}", *(f"          {file}" for file in self.files if file.suffix != ".pdf")]
        return "\n".join(lines)


def write_report(paths: Sequence[Path], out: Path, *, min_coverage: float = 0.5) -> ReportResult:
    """Compare finished runs, and write tables (CSV), figures (PNG and PDF) and a page (HTML) that shows them.

    Runs are compared per dataset and window set, only on windows for which all of them have a model and a value, and
    averaged over the runs that differ by their seed alone.

    Args:
        paths: Run directories or roots of them. What is no finished run is skipped, by name.
        out: The folder to write to; made if it is not there.
        min_coverage: A run whose composite model covers a smaller share of the windows is set aside, by name.

    Raises:
        RequestError: If a path does not exist, or nothing is left to compare.
    """
    runs = load_runs(list(paths))
    skipped = (*runs.skipped, *runs.unfinished)
    if not len(runs):
        raise RequestError(_nothing("there is no finished run", [f"{entry.path}: {entry.reason}" for entry in skipped]))
    groups, notes = cohorts(runs)
    compared = [compare_runs(runs, cohort, min_coverage=min_coverage) for cohort in groups]
    notes += [note for _, more in compared for note in more]
    evaluated = set(runs.evaluations["run_id"])
    notes += [f"{runs.names[run_id]} ({run_id}) has no model" for run_id in runs.names if run_id not in evaluated]
    kept = [(cohort, table) for cohort, (table, _) in zip(groups, compared, strict=True) if len(table)]
    if not kept:
        raise RequestError(_nothing("the runs have nothing that can be compared", notes))
    (out / "figures").mkdir(parents=True, exist_ok=True)
    every_run = pd.concat([table for _, table in kept], ignore_index=True)
    table = over_seeds(every_run)
    files = [out / "table.csv", out / "runs.csv"]
    table.to_csv(files[0], index=False)
    every_run.to_csv(files[1], index=False)
    sections = [section for cohort, rows in kept for section in _sections(runs, cohort, rows, out / "figures")]
    page = out / "index.html"
    left_out = [*(f"{entry.path}: {entry.reason}" for entry in skipped), *notes]
    page.write_text(render("Comparison of pipelines", sections, notes=left_out), encoding="utf-8")
    files += sorted({path for section in sections for path, _ in section.figures})
    return ReportResult(page, tuple(files), table, every_run, skipped, tuple(notes))


def _nothing(what: str, reasons: Sequence[str]) -> str:
    listed = "".join(f"\n  {reason}" for reason in reasons[:20])
    more = f"\n  and {len(reasons) - 20} more" if len(reasons) > 20 else ""
    return f"{what}: give run directories or roots of them that modyn-bench run has finished{listed}{more}"


def _sections(runs: Runs, cohort: Cohort, rows: pd.DataFrame, folder: Path) -> Iterator[Section]:
    """One section per metric: both composite models' table, and the figures of the currently active one."""
    for metric, of_metric in rows.groupby("metric", sort=False):
        header, *cells = _table(of_metric)
        yield Section(
            title=f"{cohort.dataset}: {axis_label(str(metric))}",
            text=f"{_sentence(of_metric, cohort.window_set, str(metric))} Cost: {_PASSES}.",
            header=header,
            rows=cells,
            figures=[
                (_save(ax, folder, (cohort.dataset, cohort.window_set, str(metric), name)), caption)
                for name, ax, caption in _figures(runs, cohort, of_metric, str(metric))
            ],
        )
    stages = runs.stages[runs.stages["run_id"].isin(list(cohort.policies))]
    ax = cost_by_policy(stages.assign(policy=stages["run_id"].map(cohort.policies)))
    path = _save(ax, folder, (cohort.dataset, cohort.window_set, "cost_by_policy"))
    yield Section(f"{cohort.dataset}: cost", figures=[(path, "Wall-clock time by stage, mean over seeds.")])


def _save(ax: Axes, folder: Path, names: Sequence[str]) -> Path:
    """Write a figure as PDF, for papers, and as PNG, whose path is returned."""
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(names))
    save(ax, folder / f"{slug}.pdf")
    return save(ax, folder / f"{slug}.png")


def _sentence(rows: pd.DataFrame, window_set: str, metric: str) -> str:
    """What a table shows."""
    counts = rows.drop_duplicates("variant")
    windows = [
        f"{n} for the {str(v).replace('_', ' ')}" for v, n in zip(counts["variant"], counts["num_windows"], strict=True)
    ]
    return (
        f"{axis_label(metric)}, {_aggregate(rows).replace('_', ' ')} over the {window_set} windows for which all runs "
        f"have a model ({', '.join(windows)}): mean ± standard deviation over n runs."
    )


def _aggregate(rows: pd.DataFrame) -> str:
    """The aggregate that tables and figures show: the mean, or the first there is."""
    aggregates = rows["aggregate"].unique().tolist()
    return _AGGREGATE if _AGGREGATE in aggregates else str(aggregates[0])


def _figures(runs: Runs, cohort: Cohort, rows: pd.DataFrame, metric: str) -> Iterator[tuple[str, Axes, str]]:
    """The Pareto figures and the composite model over time, by name, with captions."""
    aggregate = _aggregate(rows)
    points = rows[(rows["variant"] == _VARIANT) & (rows["aggregate"] == aggregate)]
    if points.empty:
        return
    higher = HIGHER_IS_BETTER[metric]
    over = f"({aggregate.replace('_', ' ')} over {points['num_windows'].iloc[0]} windows)"
    label = f"{axis_label(metric)}, currently active\n{over}"
    for cost, cost_label in (("sample_passes", "Sample passes"), ("num_triggers", "Triggers")):
        ax = pareto(points, cost=cost, by="policy", cost_label=cost_label, value_label=label, higher_is_better=higher)
        caption = f"{axis_label(metric)} against {cost_label.lower()}: mean and standard deviation over seeds"
        yield f"pareto_{cost}", ax, f"{caption}; hollow where another policy is better and cheaper."
    best = points.groupby("policy", sort=False)["value"].mean().sort_values(ascending=not higher, kind="stable")
    shown = best.index[:MAX_LINES].tolist()
    cells = runs.evaluations[runs.evaluations["run_id"].isin(points["run_id"])]
    cells = cells.assign(policy=cells["run_id"].map(cohort.policies))
    cells = cells[cells["policy"].isin(shown)]
    ax = composite_over_time(cells, metric=metric, window_set=cohort.window_set, variants=[_VARIANT], by="policy")
    rest = "" if len(best) <= MAX_LINES else f" The best {MAX_LINES} of {len(best)} policies."
    yield "composite_over_time", ax, f"{axis_label(metric)} of the currently active model over stream time.{rest}"


def _table(rows: pd.DataFrame) -> list[list[str]]:
    """Header and cells: a row per policy, the best first, both composite models' values side by side."""
    higher = HIGHER_IS_BETTER[str(rows["metric"].iloc[0])]
    summary = over_seeds(rows[rows["aggregate"] == _aggregate(rows)])
    summary = summary.sort_values(["variant", "value_mean"], ascending=[True, not higher], kind="stable")
    variants = summary["variant"].unique().tolist()
    header = ["policy", "n", *(str(variant).replace("_", " ") for variant in variants)]
    table = [[*header, "coverage", "triggers", "sample passes", "seconds"]]
    for policy, of_policy in summary.groupby("policy", sort=False):
        values = of_policy.set_index("variant")
        first = of_policy.iloc[0]
        line = [str(policy), str(first["n"])]
        line += [_plus_minus(values.loc[name], "value", ".4f") if name in values.index else "-" for name in variants]
        line += [f"{first['coverage_mean']:.0%}", _plus_minus(first, "num_triggers", ".4g")]
        line += [_plus_minus(first, "sample_passes", ",.0f"), _plus_minus(first, "seconds", ",.1f")]
        table.append(line)
    return table


def _plus_minus(row: pd.Series, measure: str, form: str) -> str:
    mean, deviation = float(row[f"{measure}_mean"]), float(row[f"{measure}_std"])
    return f"{mean:{form}}" if math.isnan(deviation) else f"{mean:{form}} ± {deviation:{form}}"
