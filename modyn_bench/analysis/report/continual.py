"""What the policies' models learn, keep and forget: a table of the measures of continual learning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.continual.summary import MEASURES, summarise
from modyn_bench.analysis.page.section import Section
from modyn_bench.analysis.report.charts import Compared, slug
from modyn_bench.analysis.report.tables import filed
from modyn_bench.metrics import axis_label

if TYPE_CHECKING:
    import pandas as pd

_NONE = "-"  # where a measure is undefined, as transfer is for a single model
_NOTE = (
    "After the last model of each run, mean ± standard deviation over n runs. A model's period is that of the data "
    "that arrived for it: every policy has periods of its own, so that those that retrain at other times are "
    "measured on other tasks. Learning accuracy: every model in its own period. Average accuracy: the last model in "
    "all periods. Backward transfer: what it gains there on the models of these periods; forgetting: what it loses "
    "on the best model before. Forward transfer: what models gain on the first one in the period after their own. "
    "Drift sensitivity: what a year of age costs, the mean over windows. Gains count from worse to better. Here, "
    "accuracy stands for the metric."
)
_COMPOSITES_ALONE = (
    "{count} of {total} runs evaluated the cells of composite models alone, which no measure can be taken from: "
    "modyn-bench evaluate RUN evaluation.models=all evaluates all, and report --evaluation ID compares that."
)


def continual_section(compared: Compared, out: Path) -> Section | None:
    """Return a section with what the policies' runs come to by every measure.

    Args:
        compared: The runs of a cohort, and the metric.
        out: The report's folder.

    Returns:
        ``None`` where no run is compared by it; why there is no table, where a run evaluated composite models alone.
    """
    cohort, metric, runs = compared.cohort, compared.metric, compared.runs
    title = (
        f"{cohort.dataset}, {cohort.window_set} windows: what models learn and forget, by {axis_label(metric).lower()}"
    )
    run_ids = list(dict.fromkeys(compared.points["run_id"]))
    bare = [run_id for run_id in run_ids if compared.evaluated(run_id) != "all"]
    if bare:
        return Section(title, text=_COMPOSITES_ALONE.format(count=len(bare), total=len(run_ids)))
    if not run_ids:
        return None
    cells, models = (frame[frame["run_id"].isin(run_ids)] for frame in (runs.evaluations, runs.models))
    summary = summarise(cells, models, **compared.wanted)
    summary = summary.assign(policy=summary["run_id"].map(compared.cohort.policies), periods=_periods(summary, models))
    table = _over_seeds(summary).loc[compared.ranked]
    stem = out / "tables" / slug(cohort.dataset, cohort.window_set, metric, "continual")
    title = (
        f"{cohort.dataset}, {cohort.window_set} windows: what models learn and forget, by {axis_label(metric).lower()}"
    )
    note = _NOTE + _on_long_windows(cells[cells["window_set"] == cohort.window_set], models)
    return Section(title, tables=[filed(_cells(table), stem, note=note, frame=table.reset_index())])


def _periods(summary: pd.DataFrame, models: pd.DataFrame) -> pd.Series:
    """Return how many periods each run has."""
    return summary["run_id"].map(models.groupby("run_id")["data_first_timestamp"].count())


def _on_long_windows(cells: pd.DataFrame, models: pd.DataFrame) -> str:
    """Warn where most periods are shorter than the windows they are measured on."""
    window = float((cells["window_end"] - cells["window_start"]).median())
    lengths = (models["data_last_timestamp"] - models["data_first_timestamp"]).dropna()
    if len(lengths) and float(lengths.median()) >= window:
        return ""
    return (
        " Half of the periods are shorter than a window, which belongs to those of several models: shorter windows "
        "tell them apart."
    )


def _over_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per policy: n, and mean and std of each measure, null for one run; undefined if one run's is."""
    import pandas as pd

    groups = runs.groupby("policy", sort=False)
    columns: dict[str, pd.Series] = {"n": groups.size(), "periods": groups["periods"].mean()}
    for name in MEASURES:
        defined = groups[name].count() == columns["n"]
        columns |= {
            f"{name}_mean": groups[name].mean().where(defined),
            f"{name}_std": groups[name].std().where(defined),
        }
    return pd.DataFrame(columns)


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """Return header and cells."""
    rows = [["policy", "n", "periods", *(name.replace("_", " ") for name in MEASURES)]]
    for policy, row in table.iterrows():
        told = [_told(float(row[f"{name}_mean"]), float(row[f"{name}_std"])) for name in MEASURES]
        rows.append([str(policy), f"{row['n']:.0f}", f"{row['periods']:.4g}", *told])
    return rows


def _told(mean: float, deviation: float) -> str:
    if math.isnan(mean):
        return _NONE
    return f"{mean:.4f}" if math.isnan(deviation) else f"{mean:.4f} ± {deviation:.4f}"
