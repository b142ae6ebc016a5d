"""How a metric is distributed over the windows, by pipeline: its values, or its differences to one pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import VARIANTS, cells, composite_series, grouped
from modyn_bench.errors import RequestError
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_MOST_POINTS = 100
_MEDIAN: dict[str, Any] = {"color": "black", "linewidth": 1.2}
_MEAN: dict[str, Any] = {"marker": "D", "markersize": 3, "markerfacecolor": "white", "markeredgecolor": "black"}


@style.styled
def value_by_window(
    evaluations: pd.DataFrame,
    *,
    by: str,
    metric: str | None = None,
    window_set: str | None = None,
    variant: str = "currently_active",
    reference: str | None = None,
    order: Mapping[str, int] | None = None,
    column: style.Column = "single",
    ax: Axes | None = None,
) -> Axes:
    """Draw a box per pipeline: the composite model's metric over the windows, averaged over the pipeline's runs.

    Only windows count in which every run has a value, so that pipelines compare. A box spans the quartiles, its
    whiskers reach to the furthest window within 1.5 times its length, the line is the median, the diamond the mean.

    Args:
        evaluations: Rows of ``evaluations.parquet`` of several runs, with a column ``run_id``.
        by: The column that names the runs that differ by seed only.
        metric: Default: the first row's.
        window_set: Default: the first row's.
        variant: ``currently_active`` or ``currently_trained``.
        reference: A pipeline; the others' differences to it, window by window, are drawn in place of the values, with
            the share of the windows in which each is better.
        order: The place of each pipeline, which is its row and its colour; default: in order of appearance.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw, no such variant or reference, or no window that all runs share.
    """
    if variant not in VARIANTS:
        raise RequestError(f"variant={variant!r} must be one of {', '.join(VARIANTS)}")
    rows = cells(evaluations, metric=metric, window_set=window_set)
    groups = grouped(rows, by=by, order=order)
    metric = str(rows["metric"].iloc[0])
    table = window_means(rows, by=by, variant=variant)
    shown = [group for group in groups if group.name != reference]
    if reference is not None:
        table = _differences(table, reference)
    width = style.width_of(column) if ax is None else style.width_around(ax)
    names = style.row_names([group.label for group in shown], width)
    height = 0.75 + float(np.maximum(0.24, style.row_heights(names)).max()) * len(shown)
    own = ax is None
    ax = style.new_axes(column, height) if ax is None else ax
    for row, group in enumerate(shown):
        _draw_box(ax, table[group.name].to_numpy(dtype=np.float64), row=row, color=style.look(group.place).color)
    ax.set_yticks(range(len(shown)), names)
    ax.set_ylim(len(shown) - 0.45, -0.55)
    ax.grid(axis="x")
    over = f"({style.VARIANT_NAMES[variant]}, {len(table)} window{'s' * (len(table) != 1)})"
    if reference is None:
        ax.set_xlabel(f"{axis_label(metric)}\n{over}")
    else:
        ax.axvline(0.0, color="black", linewidth=0.7, zorder=1)
        ax.set_xlabel("\n".join([*style.wrapped([f"{axis_label(metric)}, difference to {reference}"], 46), over]))
        _tell_better(ax, table[[group.name for group in shown]], higher=HIGHER_IS_BETTER[metric])
    marks: dict[str, Artist] = {"median": Line2D([], [], **_MEDIAN), "mean": Line2D([], [], linestyle="none", **_MEAN)}
    note = "Box: quartiles; whiskers: within 1.5 box lengths"
    style.legend_below(ax, grow=own, handles=marks, note=note, from_edge=True)
    return ax


def window_means(rows: pd.DataFrame, *, by: str, variant: str) -> pd.DataFrame:
    """Return a composite model's value, averaged over the runs of each pipeline, in windows where every run has one.

    Args:
        rows: Of one metric and one window set.
        by: The column that names the pipelines.
        variant: ``currently_active`` or ``currently_trained``.

    Returns:
        One row per window, by anchor, and one column per pipeline.

    Raises:
        RequestError: If no window is left.
    """
    series = {
        (group.name, number): composite_series(run, variant).set_index(["anchor", "window_id"])["value"]
        for group in grouped(rows, by=by, order=None)
        for number, run in enumerate(group.runs)
    }
    table = pd.concat(series, axis=1).astype(np.float64).dropna().sort_index()
    if table.empty:
        raise RequestError(
            f"there is nothing to draw: in no window has every run a {style.VARIANT_NAMES[variant]} model and a value; "
            "leave out runs that begin late"
        )
    return table.T.groupby(level=0, sort=False).mean().T


def _differences(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    if reference not in table:
        raise RequestError(f"reference={reference!r} is none of the pipelines {', '.join(map(str, table))}")
    if table.shape[1] == 1:
        raise RequestError(f"there is nothing to draw: there is no pipeline beside the reference {reference}")
    return table.drop(columns=reference).sub(table[reference], axis=0)


def _draw_box(ax: Axes, values: FloatArray, *, row: int, color: str) -> None:
    """Draw a box, and of few windows each as a point below it; alike windows lie side by side, not at random."""
    if len(values) <= _MOST_POINTS:
        spread = 0.09 * np.array([-1.0, 1.0, 0.0])[np.argsort(np.argsort(values, kind="stable")) % 3]
        ax.plot(values, row + spread, linestyle="none", marker=".", markersize=1.8, color="#999999", zorder=2)
    ax.boxplot(
        values,
        positions=[row],
        orientation="horizontal",
        widths=0.55,
        showfliers=len(values) > _MOST_POINTS,
        showmeans=True,
        manage_ticks=False,
        boxprops={"color": color, "linewidth": 1.0},
        whiskerprops={"color": color, "linewidth": 0.8},
        capprops={"color": color, "linewidth": 0.8},
        medianprops=_MEDIAN,
        meanprops=_MEAN,
        flierprops={"marker": ".", "markersize": 1.8, "markeredgecolor": "#999999"},
        zorder=3,
    )


def _tell_better(ax: Axes, table: pd.DataFrame, *, higher: bool) -> None:
    """Write at the right in which share of the windows each pipeline is better than the reference."""
    for row, name in enumerate(table):
        better = float(((table[name] > 0) if higher else (table[name] < 0)).mean())
        ax.annotate(f"{better:.0%}", (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=7)
    ax.annotate("better in", (1.01, 1.0), xycoords="axes fraction", va="bottom", fontsize=7)
