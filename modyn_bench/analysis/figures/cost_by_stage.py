"""What every trigger cost, by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.ticker import MaxNLocator

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import check_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Quantity = Literal["seconds", "forward_passes", "backward_passes"]

QUANTITY_NAMES = {
    "seconds": "Time per trigger (s)",
    "forward_passes": "Forward sample passes per trigger",
    "backward_passes": "Backward sample passes per trigger",
}


@style.styled
def cost_by_stage(
    stages: pd.DataFrame,
    triggers: pd.DataFrame | None = None,
    *,
    quantity: Quantity = "seconds",
    column: style.Column = "double",
    ax: Axes | None = None,
) -> Axes:
    """Draw a run's cost as one stacked bar per trigger; the legend gives each stage's total and its share.

    What came after the last trigger stands in a last bar, ``rest``.

    Args:
        stages: Rows of one run's ``stages.parquet``.
        triggers: Rows of its ``triggers.parquet``, which date the bars; default: they are numbered.
        quantity: ``seconds``, ``forward_passes`` or ``backward_passes``.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.
    """
    check_rows(stages, ["trigger_index", "stage", quantity], name="stages")
    own = ax is None
    ax = style.new_axes(column, 2.2) if ax is None else ax
    order = [*style.STAGE_COLORS, *(stage for stage in stages["stage"].unique() if stage not in style.STAGE_COLORS)]
    table = (
        stages.assign(trigger_index=stages["trigger_index"].astype("float64").fillna(np.inf))
        .pivot_table(index="trigger_index", columns="stage", values=quantity, aggfunc="sum", fill_value=0.0)
        .sort_index()
    )
    total = float(table.to_numpy().sum())
    bottom = np.zeros(len(table))
    dense = len(table) > 80
    for stage in [stage for stage in order if stage in table and table[stage].any()]:
        height = table[stage].to_numpy(dtype=np.float64)
        ax.bar(
            np.arange(len(table)),
            height,
            bottom=bottom,
            width=1.0 if dense else 0.8,
            color=style.STAGE_COLORS.get(stage, "#999999"),
            hatch="" if dense else style.STAGE_HATCHES.get(stage, "xxxx"),
            edgecolor="none" if dense else "white",
            linewidth=0.0,
            label=_legend_text(stage, float(height.sum()), total, quantity),
        )
        bottom += height
    _label(ax, table.index.to_numpy(dtype=np.float64), triggers)
    ax.set_ylabel(QUANTITY_NAMES[quantity])
    ax.grid(axis="y")
    handles, labels = ax.get_legend_handles_labels()
    stacked = dict(zip(labels[::-1], handles[::-1], strict=True))  # top first
    style.legend_below(ax, grow=own, note=f"Total: {_amount(total, quantity)}", handles=stacked)
    return ax


def _amount(value: float, quantity: Quantity) -> str:
    return (
        f"{value:.3g} s" if quantity == "seconds" and value < 1000 else f"{value:,.0f}{' s' * (quantity == 'seconds')}"
    )


def _share(value: float, total: float) -> str:
    return "<1%" if value < 0.005 * total else f"{value / total:.0%}"


def _legend_text(stage: str, value: float, total: float, quantity: Quantity) -> str:
    return f"{stage}: {_amount(value, quantity)} ({_share(value, total)})"


def _label(ax: Axes, index: np.ndarray, triggers: pd.DataFrame | None) -> None:
    """Date the bars, or number them, and name the one after the last trigger."""
    finite = index[np.isfinite(index)].astype(np.int64)
    shown = style.thinned(len(finite), 3 if style.is_narrow(ax) else 7)
    numbers = finite[shown]
    if triggers is None:
        texts = [str(number) for number in numbers]
        ax.set_xlabel("Trigger")
    else:
        fired = triggers.set_index("trigger_index")["fired_at"].reindex(numbers).to_numpy(dtype=np.int64)
        texts = style.date_texts(fired, numbers, narrow=True)
        ax.set_xlabel("Trigger, by the stream time of its decision")
    if len(finite) < len(index):
        if shown and len(index) - 1 - shown[-1] < 0.7 * (len(index) / 8):  # too close to the last date
            shown, texts = shown[:-1], texts[:-1]
        shown, texts = [*shown, len(index) - 1], [*texts, "rest"]
    ax.set_xticks(shown, texts)
    ax.set_xlim(-0.6, max(len(index), 8) - 0.4)  # a few bars stay bars
    ax.yaxis.set_major_locator(MaxNLocator(5))
