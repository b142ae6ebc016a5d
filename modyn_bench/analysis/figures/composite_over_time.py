"""The composite models' metric over stream time: what a user of the pipeline would have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import VARIANTS, Group, by_window, cells, grouped, over_runs
from modyn_bench.analysis.series import draw_series
from modyn_bench.metrics import axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


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
    column: style.Column = "double",
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
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw.
    """
    rows = cells(evaluations, metric=metric, window_set=window_set)
    groups = grouped(rows, by=by, order=order)
    own = ax is None
    ax = style.new_axes(column, 2.25) if ax is None else ax
    for group in groups:
        for variant in variants:
            table = by_window(group, variant)
            draw_series(
                ax,
                style.dates(table.index.get_level_values("anchor")),
                over_runs(table),
                place=group.place if by is not None else VARIANTS.index(variant),
                label=_series_name(group, variant, variants),
                hollow=variant == "currently_trained",
            )
    if triggers is not None and len(triggers):
        _mark_triggers(ax, triggers)
    style.date_axis(ax)
    ax.set_ylabel(axis_label(str(rows["metric"].iloc[0])))
    ax.grid(axis="y")
    first, last = style.dates([rows["window_start"].min(), rows["window_end"].max()])
    pad = 0.006 * (last - first)
    ax.set_xlim(first - pad, last + pad)
    style.legend_below(ax, grow=own, note=style.BAND if any(len(group.runs) > 1 for group in groups) else "")
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


def _series_name(group: Group, variant: str, variants: Sequence[str]) -> str:
    if group.name and len(variants) == 1:
        return group.label
    named = f"{group.name}, {style.VARIANT_NAMES[variant]}" if group.name else style.VARIANT_NAMES[variant]
    return group._replace(name=named).label
