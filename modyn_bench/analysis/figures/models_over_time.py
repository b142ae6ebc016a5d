"""The metric of single models over stream time, beside the composite model that they are parts of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import VARIANTS, cells, check_rows, composite_series, over_runs
from modyn_bench.analysis.series import draw_series
from modyn_bench.errors import RequestError
from modyn_bench.metrics import axis_label

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_MODELS = len(style.COLORS) - 1
"""One colour each, and black for the composite model."""

_COLUMNS = ["model_id", "data_first_timestamp", "data_last_timestamp", "available_at"]
_COMPOSITE_COLOR = "#000000"
_ARRIVALS = "bar: arrivals since the previous trigger"
_BAR = 0.022  # height of a bar, in heights of the axes


@style.styled
def models_over_time(
    evaluations: pd.DataFrame,
    models: pd.DataFrame,
    *,
    model_ids: Sequence[int] | None = None,
    variant: str = "currently_active",
    metric: str | None = None,
    window_set: str | None = None,
    column: style.Column = "double",
    ax: Axes | None = None,
) -> Axes:
    """Draw the metric of some models of one run in every window, by anchor, and that of a composite model in black.

    A bar at the bottom, in the colour of the model, is the time range of what arrived since the trigger before its own,
    which is new to the model. Where a model was not evaluated, or the metric is undefined, its line has a gap.

    Args:
        evaluations: Rows of one run's ``evaluations.parquet``, made with ``evaluation.models=all``.
        models: Rows of its ``models.parquet``.
        model_ids: The models to show, at most seven; default: four, evenly spaced.
        variant: Which composite model, ``currently_active`` or ``currently_trained``.
        metric: Default: the first row's.
        window_set: Default: the first row's.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw, there is no such variant or model, or there are too many models.
    """
    if variant not in VARIANTS:
        raise RequestError(f"variant={variant!r} must be one of {', '.join(VARIANTS)}")
    check_rows(models, _COLUMNS, name="models")
    if models["model_id"].duplicated().any():
        raise RequestError("models holds several runs, or one twice: give the rows of one run_id")
    rows = cells(evaluations, metric=metric, window_set=window_set)
    if "run_id" in rows and rows["run_id"].nunique() > 1:
        raise RequestError(f"evaluations holds {rows['run_id'].nunique()} runs: give the rows of one run_id")
    shown = _chosen(sorted(rows["model_id"].unique().tolist()), model_ids)
    records = models.set_index("model_id").loc[shown]
    last = records["data_last_timestamp"].fillna(records["available_at"]).to_numpy(dtype=np.int64)
    composite = composite_series(rows, variant)
    x = style.dates(composite["anchor"])
    own = ax is None
    ax = style.new_axes(column, 2.25) if ax is None else ax
    for number, (model, text) in enumerate(zip(shown, style.date_texts(last, shown), strict=True)):
        values = rows[rows["model_id"] == model].set_index("window_id")["value"].reindex(composite["window_id"])
        label = f"model {model}, data to {text}"
        draw_series(ax, x, over_runs(values.to_frame()), place=_place(number), label=label)
    _mark_arrivals(ax, records)
    look: dict[str, Any] = {"color": _COMPOSITE_COLOR, "linewidth": 1.8, "marker": ".", "markersize": 3, "zorder": 3}
    ax.plot(x, composite["value"], **look, label=style.VARIANT_NAMES[variant])
    first, end = style.dates([rows["window_start"].min(), rows["window_end"].max()])
    ax.set_xlim(first - 0.006 * (end - first), end + 0.006 * (end - first))
    low, high = ax.get_ylim()
    ax.set_ylim(low - 1.6 * _BAR * len(shown) * (high - low), high)
    style.date_axis(ax)
    ax.set_ylabel(axis_label(str(rows["metric"].iloc[0])))
    ax.grid(axis="y")
    handles: dict[str, Artist] = {str(line.get_label()): line for line in ax.lines}
    handles[_ARRIVALS] = Line2D([], [], color="#999999", linewidth=3, solid_capstyle="butt")
    style.legend_below(ax, grow=own, handles=handles)
    return ax


def _chosen(there: list[int], wanted: Sequence[int] | None) -> list[int]:
    """Return the models to show: those that are wanted, or some evenly spaced ones."""
    if wanted is None:
        return [there[place] for place in np.linspace(0, len(there) - 1, min(4, len(there))).round().astype(int)]
    absent = [model for model in wanted if model not in there]
    if absent:
        raise RequestError(
            f"model_ids={list(wanted)}: there is no model {', '.join(map(str, absent))} in these evaluations; "
            f"there is {there[0]}..{there[-1]}"
        )
    if not 1 <= len(wanted) <= MOST_MODELS:
        raise RequestError(f"model_ids names {len(wanted)} models: name 1 to {MOST_MODELS}, more cannot be told apart")
    return list(dict.fromkeys(wanted))


def _place(number: int) -> int:
    """Return the place of a model among the looks, black left out."""
    black = style.COLORS.index(_COMPOSITE_COLOR)
    return number + (number >= black)


def _mark_arrivals(ax: Axes, records: pd.DataFrame) -> None:
    """Draw the time range of each model's arrivals as a bar, in a row of its own at the bottom of the axes."""
    for number, record in enumerate(records[["data_first_timestamp", "data_last_timestamp"]].itertuples(index=False)):
        if pd.isna(record[0]) or pd.isna(record[1]):
            continue
        first, last = style.dates([record[0], record[1]])
        bottom = _BAR * (0.4 + 1.35 * (len(records) - 1 - number))
        color = style.look(_place(number)).color
        place = ax.get_xaxis_transform()
        bar = Rectangle((first, bottom), last - first, _BAR, color=color, linewidth=0.8, transform=place)
        bar.set_gid("arrivals")
        ax.add_artist(bar)
