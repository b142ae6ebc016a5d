"""What the policies of a dataset cost, by stage: a table, a chart, and files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.figures.cost_by_policy import cost_by_policy
from modyn_bench.analysis.figures.cost_by_stage import Quantity
from modyn_bench.analysis.page import costs
from modyn_bench.analysis.page.section import Chart, Choice, Figure, Section
from modyn_bench.analysis.report.charts import MAX_LINES, save_files, slug
from modyn_bench.analysis.report.tables import filed
from modyn_bench.evaluation.costs import STAGES, summarise_stages

if TYPE_CHECKING:
    import pandas as pd

_QUANTITIES: dict[Quantity, tuple[str, str]] = {
    "seconds": ("Seconds", ",.1f"),
    "forward_passes": ("Forward sample passes", ",.0f"),
    "backward_passes": ("Backward sample passes", ",.0f"),
}
_NOTE = "Seconds of every stage, and totals of seconds and passes: mean ± standard deviation over n runs."
_CAPTION = (
    "What each stage used, the evaluation's predictions (predict) included: mean over runs, and the standard deviation "
    "of the total."
)


def cost_section(source: str, stages: pd.DataFrame, order: Mapping[str, int], out: Path) -> Section:
    """Return a section with the costs of a dataset's policies.

    Args:
        source: What the dataset is called.
        stages: Rows of ``stages.parquet`` of its runs, with ``run_id`` and ``policy``.
        order: The place of each policy; the first are drawn.
        out: The report's folder.
    """
    places = stages["policy"].map(order).fillna(len(order))
    stages = stages.loc[places.sort_values(kind="stable").index]
    summary = cost_table(stages)
    drawn = list(summary["policy"].unique()[:MAX_LINES])
    own = stages[stages["policy"].isin(drawn)]
    num_policies = summary["policy"].nunique()
    rest = f" The best {MAX_LINES} of {num_policies} policies." if num_policies > MAX_LINES else ""
    choices = []
    for quantity, (label, _) in _QUANTITIES.items():
        files = save_files(cost_by_policy(own, quantity=quantity), out / "figures", (source, f"cost_{quantity}"))
        choices.append(Choice(label, _figure(summary, drawn, quantity), files))
    chart = Chart("By stage", _CAPTION + rest, choices, choose="Quantity")
    table = filed(_cells(summary), out / "tables" / slug(source, "cost"), note=_NOTE, frame=summary)
    return Section(f"{source}: cost", tables=[table], charts=[chart])


def cost_table(stages: pd.DataFrame) -> pd.DataFrame:
    """Return what each policy's stages used.

    Args:
        stages: Rows of ``stages.parquet``, with ``run_id`` and ``policy``.

    Returns:
        One row per policy and stage, and one for the ``total``: policy, stage, n (of runs), and mean and std (null for
        one run) of seconds, forward_passes and backward_passes.
    """
    import pandas as pd

    used = list(_QUANTITIES)
    per_run = summarise_stages(stages, by=("policy", "run_id"))
    totals = per_run.groupby(["policy", "run_id"], sort=False)[used].sum().reset_index().assign(stage="total")
    every = pd.concat([per_run[["policy", "run_id", "stage", *used]], totals])
    table = every.pivot_table(index=["policy", "run_id"], columns="stage", values=used, fill_value=0.0, sort=False)
    groups = table.stack(level="stage", future_stack=True).reset_index().groupby(["policy", "stage"], sort=False)
    columns: dict[str, pd.Series] = {"n": groups["run_id"].nunique()}
    for quantity in used:
        columns |= {f"{quantity}_mean": groups[quantity].mean(), f"{quantity}_std": groups[quantity].std(ddof=1)}
    return pd.DataFrame(columns).reset_index()


def _figure(summary: pd.DataFrame, drawn: list[str], quantity: Quantity) -> Figure:
    shown = summary[summary["policy"].isin(drawn)]
    totals = shown[shown["stage"] == "total"].set_index("policy")
    totals = totals.rename(columns={f"{quantity}_mean": "mean", f"{quantity}_std": "std"})[["mean", "std", "n"]]
    of_stages = shown[shown["stage"] != "total"]
    means = of_stages.pivot(index="policy", columns="stage", values=f"{quantity}_mean").reindex(index=totals.index)
    return costs.costs(means, totals, label=_QUANTITIES[quantity][0])


def _cells(summary: pd.DataFrame) -> list[list[str]]:
    """Return header and cells: a row per policy, seconds by stage, and the totals of all quantities."""
    there = list(dict.fromkeys(summary["stage"]))
    stages = sorted((stage for stage in there if stage != "total"), key=_rank)
    header = ["policy", "n", *stages, *(f"total {quantity.replace('_', ' ')}" for quantity in _QUANTITIES)]
    rows = [header]
    for policy, own in summary.groupby("policy", sort=False):
        of = own.set_index("stage")
        cells = [f"{of['seconds_mean'].loc[stage]:,.2f}" for stage in stages]
        for quantity, (_, form) in _QUANTITIES.items():
            mean, deviation = (float(of[f"{quantity}_{which}"].loc["total"]) for which in ("mean", "std"))
            cells.append(f"{mean:{form}}" if math.isnan(deviation) else f"{mean:{form}} ± {deviation:{form}}")
        rows.append([str(policy), str(of["n"].loc["total"]), *cells])
    return rows


def _rank(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)
