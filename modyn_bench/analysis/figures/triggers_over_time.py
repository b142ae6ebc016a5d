"""When each pipeline trained, and on how many samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import check_rows, grouped
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_COLUMNS = ["fired_at", "num_selected", "model_id"]
_LANE = 0.11  # height of a run's lane, in inches
_FULL = 0.8  # height of the highest bar, in lanes


@style.styled
def triggers_over_time(
    triggers: pd.DataFrame,
    *,
    by: str | None = None,
    order: Mapping[str, int] | None = None,
    column: style.Column = "double",
    ax: Axes | None = None,
) -> Axes:
    """Draw a row of bars per pipeline, one bar per trigger, as high as its trigger training set is large.

    Every run of a pipeline has a lane of its own in the row. A trigger that trained nothing is a cross.

    Args:
        triggers: Rows of ``triggers.parquet``; of several runs with a column ``run_id``.
        by: The column that names a group of runs; default: all rows are one group's.
        order: The place of each group, which is its row and its colour; default: in order of appearance.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw.
    """
    check_rows(triggers, _COLUMNS, name="triggers")
    groups = grouped(triggers, by=by, order=order, name="triggers")
    names = [group.label for group in groups]
    width = style.width_of(column) if ax is None else style.width_around(ax)
    names = style.row_names(names, width) if by is not None else [""] * len(groups)
    heights = np.maximum(style.row_heights(names) / _LANE, [len(group.runs) + 0.35 for group in groups])
    own = ax is None
    ax = style.new_axes(column, 0.7 + _LANE * float(heights.sum())) if ax is None else ax
    largest = float(max(triggers["num_selected"].max(), 1))
    middles = np.cumsum(heights) - heights / 2
    for group, middle in zip(groups, middles, strict=True):
        for number, run in enumerate(group.runs):
            base = middle + number + 0.9 - len(group.runs) / 2
            _draw_lane(ax, run, base=base, largest=largest, color=style.look(group.place).color)
    ax.set_yticks(middles, names)
    ax.set_ylim(heights.sum(), 0.0)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    for group, middle in zip(groups, middles, strict=True):
        count = np.mean([run["model_id"].notna().sum() for run in group.runs])
        ax.annotate(f"{count:.3g}", (1.01, middle), xycoords=("axes fraction", "data"), va="center", fontsize=7)
    ax.annotate("trainings", (1.01, 1.0), xycoords="axes fraction", va="bottom", fontsize=7)
    style.date_axis(ax)
    first_time, last_time = style.dates([triggers["fired_at"].min(), triggers["fired_at"].max()])
    pad = 0.01 * (last_time - first_time) or 0.5
    ax.set_xlim(first_time - pad, last_time + pad)
    bar = Line2D([], [], color="black", linestyle="none", marker="|", markersize=7, markeredgewidth=1.4)
    handles: dict[str, Artist] = {f"as high as the samples trained on, at most {largest:,.0f}": bar}
    if triggers["model_id"].isna().any():
        handles["nothing trained"] = Line2D([], [], color="black", linestyle="none", marker="x", markersize=3)
    style.legend_below(ax, grow=own, handles=handles, from_edge=True)
    return ax


def _draw_lane(ax: Axes, run: pd.DataFrame, *, base: float, largest: float, color: str) -> None:
    """Draw one run's bars upwards from dots on a base line; the vertical axis points down."""
    trained = run["model_id"].notna().to_numpy()
    x = style.dates(run["fired_at"])
    heights: FloatArray = _FULL * run["num_selected"].to_numpy(dtype=np.float64) / largest
    ax.axhline(base, color="#BBBBBB", linewidth=0.4, zorder=0)
    bars = [[(at, base), (at, base - height)] for at, height in zip(x[trained], heights[trained], strict=True)]
    width = 0.6 if len(bars) > 120 else 1.4
    ax.add_collection(LineCollection(bars, colors=color, linewidths=width), autolim=False)
    ax.plot(x[trained], np.full(trained.sum(), base), linestyle="none", marker=".", color=color, markersize=2)
    if not trained.all():
        ax.plot(x[~trained], np.full((~trained).sum(), base), linestyle="none", marker="x", color=color, markersize=3)
