"""The evaluation matrix: every model on every window, and which models the composites are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch
from matplotlib.patheffects import Stroke

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import cells, is_full, matrix, served
from modyn_bench.analysis.window_axis import WindowAxis, interval_texts
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.types import IntArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

_ARRIVALS = "arrivals since the previous trigger"
_ARRIVALS_COLOR = "#D55E00"
_ACTIVE_COLOR = "#FFFFFF"
_TRAINED_COLOR = "#000000"


@style.styled
def evaluation_heatmap(
    evaluations: pd.DataFrame,
    models: pd.DataFrame,
    *,
    metric: str | None = None,
    window_set: str | None = None,
    limits: tuple[float, float] | None = None,
    column: style.Column = "double",
    ax: Axes | None = None,
) -> Axes:
    """Draw a run's evaluation matrix: models upwards, windows to the right along stream time.

    A frame in each model's row marks the time range of what arrived since the trigger before its own, which is new to
    the model; the selector may have taken older samples, and less of these. A white dot marks the cell of the currently
    active model of a window, a black one that of the currently trained model. Cells that are undefined, or were not
    evaluated, are grey.

    Args:
        evaluations: Rows of one run's ``evaluations.parquet``.
        models: Rows of its ``models.parquet``.
        metric: Default: the first row's.
        window_set: Default: the first row's.
        limits: The values at both ends of the colours, so that several figures can be compared; default: the lowest and
            the highest of this one.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw.
    """
    rows = cells(evaluations, metric=metric, window_set=window_set)
    metric = str(rows["metric"].iloc[0])
    windows, model_ids, values = matrix(rows)
    own = ax is None
    if ax is None:
        ax = style.new_axes(column, float(np.clip(1.2 + 0.1 * len(model_ids), 2.2, 5.5)))
    axis = WindowAxis.of(windows)
    cmap = style.COLORMAP if HIGHER_IS_BETTER[metric] else f"{style.COLORMAP}_r"
    ax.set_facecolor(style.UNDEFINED_COLOR)
    mesh = ax.pcolormesh(
        axis.edges,
        np.arange(len(model_ids) + 1) - 0.5,
        np.ma.masked_invalid(axis.spread(values)),
        cmap=cmap,
        vmin=None if limits is None else limits[0],
        vmax=None if limits is None else limits[1],
        rasterized=True,
    )
    ax.set(xlim=(axis.edges[0], axis.edges[-1]), ylim=(-0.5, len(model_ids) - 0.5))
    records = models.set_index("model_id").reindex(model_ids)
    if axis.is_time:
        _mark_arrivals(ax, records)
    _mark_composites(ax, rows, dict(zip(windows["window_id"], axis.middles, strict=True)), model_ids)
    blank = _blank(rows) if np.isnan(values).any() else None
    _label(ax, records, metric, windows=windows, axis=axis, mesh=mesh, blank=blank, grow=own)
    return ax


def _mark_arrivals(ax: Axes, records: pd.DataFrame) -> None:
    """Frame, in each model's row, the time range of its trigger's arrivals."""
    known = records["data_first_timestamp"].notna().to_numpy()
    first = style.dates(records["data_first_timestamp"].to_numpy(dtype=np.float64, na_value=np.nan))[known]
    last = style.dates(records["data_last_timestamp"].to_numpy(dtype=np.float64, na_value=np.nan))[known]
    row = np.flatnonzero(known)
    half = 0.5 if len(records) > 60 else 0.42
    frames = [
        [(a, y - half), (b, y - half), (b, y + half), (a, y + half)] for a, b, y in zip(first, last, row, strict=True)
    ]
    width = 0.5 if len(records) > 60 else 0.9
    collection = PolyCollection(frames, facecolor="none", edgecolor=_ARRIVALS_COLOR, linewidth=width, zorder=3)
    collection.set_path_effects([Stroke(linewidth=2 * width, foreground="white"), Stroke()])
    collection.set_gid("arrivals")
    ax.add_collection(collection, autolim=False)


def _mark_composites(ax: Axes, rows: pd.DataFrame, places: Mapping[int, float], ids: IntArray) -> None:
    """Put a dot into every cell that a composite model is made of; one cell may have both."""
    width, height = style.figure_of(ax).get_size_inches() * 72
    cell = min(0.8 * width / max(1, len(places)), 0.8 * height / max(1, len(ids)))
    size = float(np.clip(0.42 * cell, 0.7, 3.6))
    for variant, marker, color, scale in (
        ("currently_trained", "o", _TRAINED_COLOR, 1.0),
        ("currently_active", "o", _ACTIVE_COLOR, 0.8),
    ):
        dots = served(rows, variant)
        ax.plot(
            [places[window] for window in dots["window_id"]],
            np.searchsorted(ids, dots["model_id"].to_numpy()),
            linestyle="none",
            marker=marker,
            markersize=size * scale,
            markerfacecolor=color,
            markeredgecolor="black",
            markeredgewidth=0.4 if size > 1.5 else 0.0,
            label=style.VARIANT_NAMES[variant],
            zorder=4,
        )


def _blank(rows: pd.DataFrame) -> str:
    """Say what grey cells are."""
    if is_full(rows):
        return "undefined"
    return "undefined or not evaluated" if rows["value"].isna().any() else "not evaluated"


def _label(
    ax: Axes,
    records: pd.DataFrame,
    metric: str,
    *,
    windows: pd.DataFrame,
    axis: WindowAxis,
    mesh: QuadMesh,
    blank: str | None,
    grow: bool,
) -> None:
    if axis.is_time:
        style.date_axis(ax, label="Stream time" if style.is_narrow(ax) else "Stream time of the evaluation window")
    else:
        shown = style.thinned(len(windows), 5)
        texts = [text.replace(" to ", "\nto ") for text in interval_texts(windows.iloc[shown])]
        ax.set_xticks(shown, texts, fontsize=5)
        ax.set_xlabel("Evaluation window")
    last = records["data_last_timestamp"].fillna(records["available_at"]).to_numpy(dtype=np.int64)
    shown = style.thinned(len(last), 14)
    ax.set_yticks(shown, style.date_texts(last[shown], records.index[shown]))
    ax.set_ylabel("Model, by its last arrival")
    narrow = style.is_narrow(ax)
    bar = style.figure_of(ax).colorbar(mesh, ax=ax, pad=0.01, aspect=30, location="top" if narrow else "right")
    bar.set_label(axis_label(metric))
    bar.outline.set_linewidth(0.6)
    ax.spines[["top", "right"]].set_visible(True)
    handles: list[Artist] = [line for line in reversed(ax.lines) if np.size(line.get_xdata())]
    num_dots = len(handles)
    if axis.is_time:
        handles.append(Patch(facecolor="none", edgecolor=_ARRIVALS_COLOR, linewidth=1.0, label=_ARRIVALS))
    if blank is not None:
        handles.append(Patch(facecolor=style.UNDEFINED_COLOR, label=blank))
    if narrow:
        named = {str(handle.get_label()): handle for handle in handles}
        style.legend_below(ax, grow=grow, handles=named, from_edge=True)
    else:
        ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.3)
    legend = ax.get_legend()
    for handle in legend.legend_handles[:num_dots] if legend is not None else ():
        handle.set(markersize=4, markeredgewidth=0.5)  # type: ignore[union-attr]
