"""The composite models' metric over stream time: what a user of the pipeline would have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import VARIANTS, cells, composite_series
from modyn_bench.metrics import axis_label
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_MARKERS = 60


@style.styled
def composite_over_time(
    evaluations: pd.DataFrame,
    *,
    metric: str | None = None,
    window_set: str | None = None,
    variants: Sequence[str] = VARIANTS,
    by: str | None = None,
    triggers: pd.DataFrame | None = None,
    order: Mapping[str, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the composite models' metric against the anchors of the windows, for one run or several.

    Runs of one group (seeds, say) become one line, their mean in each window, in a band of one standard deviation.
    A line has a gap where a run of the group has no model, or the metric is undefined: a mean over the others would be
    one of other runs from window to window.

    Args:
        evaluations: Rows of ``evaluations.parquet``; of several runs with a column ``run_id``.
        metric: Default: the first row's.
        window_set: Default: the first row's.
        variants: Any of ``currently_active`` and ``currently_trained``.
        by: The column that names a group of runs; default: all rows are one run's.
        triggers: Rows of one run's ``triggers.parquet``, marked at the bottom.
        order: The place of each group among colours, line styles and markers, to look the same as in other figures;
            default: in order of appearance.
        ax: Where to draw; default: a new figure as wide as a paper's text.

    Raises:
        RequestError: If there is nothing to draw.
    """
    rows = cells(evaluations, metric=metric, window_set=window_set)
    groups = [("", rows)] if by is None else list(rows.groupby(by, sort=False))
    own = ax is None
    ax = style.new_axes(style.TEXT_WIDTH, 2.25) if ax is None else ax
    order = {str(name): place for place, (name, _) in enumerate(groups)} if order is None else order
    for name, group in sorted(groups, key=lambda named: order[str(named[0])]):
        for variant in variants:
            table = _by_window(group, variant)
            look = order[str(name)] if by is not None else VARIANTS.index(variant)
            _draw_series(ax, table, look=look, variant=variant, label=_series_name(name, table, variant, variants))
    if triggers is not None and len(triggers):
        _mark_triggers(ax, triggers)
    style.date_axis(ax)
    ax.set_ylabel(axis_label(str(rows["metric"].iloc[0])))
    ax.grid(axis="y")
    first, last = style.dates([rows["window_start"].min(), rows["window_end"].max()])
    pad = 0.006 * (last - first)
    ax.set_xlim(first - pad, last + pad)
    style.legend_below(ax, grow=own)
    return ax


def _mark_triggers(ax: Axes, triggers: pd.DataFrame) -> None:
    """Put a stroke on the horizontal axis where a trigger fired."""
    many = len(triggers) > 100
    ax.plot(
        style.dates(triggers["fired_at"]),
        np.full(len(triggers), 0.015),
        linestyle="none",
        marker="|",
        color="black",
        markersize=4,
        markeredgewidth=0.2 if many else 0.7,
        transform=ax.get_xaxis_transform(),
        label="trigger",
    )


def _by_window(group: pd.DataFrame, variant: str) -> pd.DataFrame:
    """One row per window and one column per run, of the composite's values, by anchor."""
    runs = [("", group)] if "run_id" not in group else list(group.groupby("run_id", sort=False))
    series = [
        composite_series(run, variant).set_index(["anchor", "window_id"])["value"].rename(str(n)) for n, run in runs
    ]
    return pd.concat(series, axis=1).sort_index()


def _series_name(name: object, table: pd.DataFrame, variant: str, variants: Sequence[str]) -> str:
    count = f" (n = {table.shape[1]})" if table.shape[1] > 1 else ""
    if not name:
        return f"{style.VARIANT_NAMES[variant]}{count}"
    return f"{name}{count}" if len(variants) == 1 else f"{name}, {style.VARIANT_NAMES[variant]}{count}"


def _marked(values: FloatArray) -> list[int]:
    """Return where a line has markers: in all windows or, of many, some; and where neighbours make no line of it."""
    alone = np.isnan(np.concatenate([[np.nan], values[:-1]])) & np.isnan(np.concatenate([values[1:], [np.nan]]))
    return sorted({*style.thinned(len(values), _MOST_MARKERS), *np.flatnonzero(alone & ~np.isnan(values)).tolist()})


def _draw_series(ax: Axes, table: pd.DataFrame, *, look: int, variant: str, label: str) -> None:
    x = style.dates(table.index.get_level_values("anchor"))
    table = table.where(table.notna().all(axis=1))
    mean = table.mean(axis=1).to_numpy(dtype=np.float64)
    color = style.COLORS[look % len(style.COLORS)]
    trained = variant == "currently_trained"
    line = style.LINE_STYLES[look % len(style.LINE_STYLES)]
    marker = style.MARKERS[look % len(style.MARKERS)]
    ax.plot(
        x,
        mean,
        color=color,
        linestyle=line,
        marker=marker,
        markersize=3.0,
        markevery=_marked(mean),
        markerfacecolor="white" if trained else color,
        markeredgewidth=0.6,
        linewidth=1.0,
        label=label,
    )
    if table.shape[1] > 1:
        spread = table.std(axis=1, ddof=1).to_numpy(dtype=np.float64)
        ax.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
