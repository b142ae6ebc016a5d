"""What pipelines cost, by stage, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.analysis import style
from modyn_bench.analysis.figures.cost_by_stage import Quantity
from modyn_bench.analysis.frames import check_rows
from modyn_bench.evaluation.costs import summarise_stages

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_LABELS = {
    "seconds": "Time (s)",
    "forward_passes": "Forward sample passes",
    "backward_passes": "Backward sample passes",
}


@style.styled
def cost_by_policy(
    stages: pd.DataFrame,
    *,
    by: str = "policy",
    quantity: Quantity = "seconds",
    column: style.Column = "double",
    ax: Axes | None = None,
) -> Axes:
    """Draw one stacked bar per policy: the mean over its runs of what each stage used, and the total's deviation.

    Args:
        stages: Rows of ``stages.parquet`` with a column ``run_id`` and the column ``by``.
        by: The column that names the runs that differ by seed only.
        quantity: ``seconds``, ``forward_passes`` or ``backward_passes``.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.
    """
    check_rows(stages, [by, "run_id", "stage"], name="stages")
    per_run = summarise_stages(stages, by=(by, "run_id"))
    table = per_run.pivot_table(index=[by, "run_id"], columns="stage", values=quantity, fill_value=0.0, sort=False)
    groups = table.groupby(level=by, sort=False)
    means, totals = groups.mean(), table.sum(axis=1).groupby(level=by, sort=False)
    labels = [f"{name} (n = {count})" for name, count in totals.size().items()]
    own = ax is None
    names = style.row_names(labels, style.width_of(column) if ax is None else style.width_around(ax))
    height = max(1.7, 0.6 + float(np.maximum(0.22, style.row_heights(names)).max()) * len(names))
    ax = style.new_axes(column, height) if ax is None else ax
    place = np.arange(len(means))
    left = np.zeros(len(means))
    order = [*style.STAGE_COLORS, *(stage for stage in means if stage not in style.STAGE_COLORS)]
    for stage in [stage for stage in order if stage in means and means[stage].any()]:
        width = means[stage].to_numpy(dtype=np.float64)
        ax.barh(
            place,
            width,
            left=left,
            height=0.7,
            color=style.STAGE_COLORS.get(str(stage), "#999999"),
            hatch=style.STAGE_HATCHES.get(str(stage), "xxxx"),
            edgecolor="white",
            linewidth=0.0,
            label=str(stage),
        )
        left += width
    several = bool((totals.size() > 1).any())
    deviation = totals.std(ddof=1).to_numpy(dtype=np.float64)
    ax.errorbar(left, place, xerr=np.nan_to_num(deviation), linestyle="none", color="black", elinewidth=0.8, capsize=2)
    ax.set_yticks(place, names)
    ax.invert_yaxis()
    ax.set_xlim(left=0.0)
    ax.set_xlabel(_LABELS[quantity])
    ax.grid(axis="x")
    note = "Bars: ± one standard deviation of the total over n runs" if several else ""
    style.legend_below(ax, grow=own, note=note, from_edge=True)
    return ax
