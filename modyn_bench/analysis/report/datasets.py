"""Policies over several datasets: their average ranks, and which of them differ by more than chance would have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.cohorts import Cohort
from modyn_bench.analysis.comparison import over_seeds
from modyn_bench.analysis.figures.critical_difference import critical_difference
from modyn_bench.analysis.page.section import Section
from modyn_bench.analysis.report.charts import VARIANT, save_files, slug
from modyn_bench.analysis.report.tables import filed
from modyn_bench.analysis.report.text import shown_aggregate
from modyn_bench.analysis.statistics.many import correct, over_datasets
from modyn_bench.analysis.statistics.ranks import Ranking, rank_pipelines
from modyn_bench.analysis.statistics.results import Difference
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label

if TYPE_CHECKING:
    import pandas as pd

_MOST = 4  # of the other policies, that the best one is compared with in sentences
_NOTE = (
    "Mean of the currently active model over windows and seeds, by dataset. Rank: the average over datasets, 1 is best."
)


def across_datasets(kept: Sequence[tuple[Cohort, pd.DataFrame]], out: Path) -> Iterator[Section]:
    """Yield a section for each metric by which at least two policies were compared on at least two datasets.

    A dataset is one unit: seeds and windows are averaged, of the first set of windows that has the metric. Policies
    that some of the datasets lack are left out, by name.

    Args:
        kept: Cohorts, and their rows as ``compare_runs`` returns them.
        out: The report's folder.
    """
    metrics = dict.fromkeys(str(metric) for _, rows in kept for metric in rows["metric"].unique())
    for metric in metrics:
        values = _values(kept, metric)
        common = values.dropna(axis="columns")
        if min(common.shape) >= 2:
            left_out = [str(name) for name in values.columns if name not in common.columns]
            yield _section(metric, common, left_out, out)


def _values(kept: Sequence[tuple[Cohort, pd.DataFrame]], metric: str) -> pd.DataFrame:
    """Return what each policy (column) reaches on each dataset (row), null where it was not compared."""
    import pandas as pd

    found: dict[str, pd.Series] = {}
    for cohort, rows in kept:
        own = rows[(rows["metric"] == metric) & (rows["variant"] == VARIANT)]
        if cohort.source not in found and len(own):
            summary = over_seeds(own[own["aggregate"] == shown_aggregate(own)])
            found[cohort.source] = summary.set_index("policy")["value_mean"]
    return pd.DataFrame(found).T


def _section(metric: str, values: pd.DataFrame, left_out: Sequence[str], out: Path) -> Section:
    higher = HIGHER_IS_BETTER[metric]
    ranking = rank_pipelines(values.to_numpy(), list(values.columns), higher_is_better=higher)
    ordered = values[list(ranking.names)]
    differences = _differences(ordered, metric)
    statements = [f"{each}." for each in (ranking, *differences[:_MOST])]
    if len(differences) > _MOST:
        statements.append(f"{len(differences) - _MOST} more policies have a higher rank; the table has all.")
    if left_out:
        statements.append(f"Not on all of these datasets, and left out: {', '.join(left_out)}.")
    header = ["policy", "rank", *map(str, ordered.index)]
    cells = [
        [str(name), f"{rank:.2f}", *(f"{value:.4f}" for value in ordered[name])]
        for name, rank in zip(ranking.names, ranking.ranks, strict=True)
    ]
    frame = ordered.T.rename_axis("policy").reset_index()
    frame.insert(1, "rank", ranking.ranks)
    return Section(
        f"{len(values)} datasets: {axis_label(metric)}",
        statements=statements,
        tables=[filed([header, *cells], out / "tables" / slug("datasets", metric), note=_NOTE, frame=frame)],
        files=_diagram(ranking, metric, out),
    )


def _differences(values: pd.DataFrame, metric: str) -> list[Difference]:
    """Compare the policy of the best rank with every other, the nearest first; corrected for all pairs."""
    best, *others = (str(name) for name in values.columns)
    found = [
        over_datasets(values[best].tolist(), values[other].tolist(), names=(best, other), metric=metric)
        for other in others
    ]
    return correct(found, among=len(values.columns) * len(others) // 2)


def _diagram(ranking: Ranking, metric: str, out: Path) -> list[Path]:
    """Draw the critical-difference diagram, where there is a test."""
    if ranking.critical_difference is None or ranking.p_value is None:
        return []
    ax = critical_difference(
        ranking.table(), ranking.critical_difference, num_datasets=ranking.num_datasets, p_value=ranking.p_value
    )
    return save_files(ax, out / "figures", ("critical_difference", metric))
