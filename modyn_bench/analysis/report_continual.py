"""What the policies' models learn, keep and forget: a table of the measures of continual learning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.continual.summary import MEASURES, summarise
from modyn_bench.analysis.page.section import Section
from modyn_bench.analysis.report_charts import MAX_LINES, Compared, slug
from modyn_bench.analysis.report_tables import filed
from modyn_bench.metrics import axis_label

if TYPE_CHECKING:
    import pandas as pd

_NONE = "-"  # where a measure is undefined, as transfer is for a single model
_NOTE = (
    "After the last model of each run, mean ± standard deviation over n runs. The period of a model are the windows of "
    "the data that arrived for it. Learning accuracy: every model in its own period. Average accuracy: the last model "
    "in all periods. Backward transfer: what it gains there on the models of these periods; forgetting: what it loses "
    "on the best model before. Forward transfer: what models gain on the first one in the period after their own. "
    "Drift sensitivity: what a year of age costs, the mean over windows. Gains count from worse to better. Here, "
    "accuracy stands for the metric."
)


def continual_section(compared: Compared, out: Path) -> Section | None:
    """Return a section with what the policies' runs come to by every measure.

    Args:
        compared: The runs of a cohort, and the metric.
        out: The report's folder.

    Returns:
        ``None`` where a run evaluated but the cells of composite models, which no measure can be taken from.
    """
    cells = compared.cells
    run_ids = cells["run_id"].unique()
    if not len(run_ids) or any(_evaluated(compared, run_id) != "all" for run_id in run_ids):
        return None
    models = compared.runs.models[compared.runs.models["run_id"].isin(run_ids)]
    summary = summarise(cells, models, **compared.wanted)
    table = _over_seeds(summary.assign(policy=summary["run_id"].map(compared.cohort.policies)))
    table = table.loc[[name for name in compared.ranked if name in table.index]]
    cohort, metric = compared.cohort, compared.metric
    stem = out / "tables" / slug(cohort.dataset, cohort.window_set, metric, "continual")
    title = (
        f"{cohort.dataset}, {cohort.window_set} windows: what models learn and forget, by {axis_label(metric).lower()}"
    )
    note = _NOTE + compared.best(MAX_LINES)
    return Section(title, tables=[filed(_cells(table), stem, note=note, frame=table.reset_index())])


def _evaluated(compared: Compared, run_id: str) -> str:
    """Return which models of a run were evaluated: ``all``, or those of a ``composite``."""
    return str(compared.runs.manifests[run_id]["config"]["evaluation"].get("models", "all"))


def _over_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per policy: n, and mean and std of each measure, null for one run; undefined if one run's is."""
    import pandas as pd

    groups = runs.groupby("policy", sort=False)
    columns: dict[str, pd.Series] = {"n": groups.size()}
    for name in MEASURES:
        defined = groups[name].count() == columns["n"]
        columns |= {
            f"{name}_mean": groups[name].mean().where(defined),
            f"{name}_std": groups[name].std().where(defined),
        }
    return pd.DataFrame(columns)


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """Return header and cells."""
    rows = [["policy", "n", *(name.replace("_", " ") for name in MEASURES)]]
    for policy, row in table.iterrows():
        told = [_told(float(row[f"{name}_mean"]), float(row[f"{name}_std"])) for name in MEASURES]
        rows.append([str(policy), f"{row['n']:.0f}", *told])
    return rows


def _told(mean: float, deviation: float) -> str:
    if math.isnan(mean):
        return _NONE
    return f"{mean:.4f}" if math.isnan(deviation) else f"{mean:.4f} ± {deviation:.4f}"
