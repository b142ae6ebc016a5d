"""The metric by the age of the model: how fast what was learnt goes out of date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import Group, OverRuns, cells, check_rows, grouped, over_runs, served
from modyn_bench.analysis.series import draw_series
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.windows import auto_duration
from modyn_bench.metrics import axis_label
from modyn_bench.timespan import parse_duration
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Which = Literal["currently_active", "currently_trained", "all"]

MOST_BANDS = 3
"""Of so many single runs the deviation over cells is drawn; more bands cover each other."""

_CELLS = ("currently_active", "currently_trained", "all")
_LEAST_AGES = 8


@style.styled
def model_age(
    evaluations: pd.DataFrame,
    models: pd.DataFrame,
    *,
    metric: str | None = None,
    window_set: str | None = None,
    which: Which = "currently_active",
    relative: bool = False,
    every: str = "auto",
    by: str | None = None,
    order: Mapping[str, int] | None = None,
    column: style.Column = "single",
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean metric of models against their age, the time from ``available_at`` to the window's anchor.

    Ages are put into classes. A run's value of a class is the mean over its cells, and a group's line the mean over its
    runs, in a band of one standard deviation over them; where every group is one run, and there are at most
    ``MOST_BANDS``, the band is that over the cells. Windows before a model was available have a negative age.

    Args:
        evaluations: Rows of ``evaluations.parquet``; of several runs with a column ``run_id``.
        models: Rows of their ``models.parquet``.
        metric: Default: the first row's.
        window_set: Default: the first row's.
        which: The cells of a composite model, or ``all``: every model in every window.
        relative: Draw the difference to the currently active model of the same window, so that windows that are hard
            for every model do not pass for an effect of age. With ``all`` only.
        every: Width of a class, such as ``26w``; ``auto``: at least eight classes, none narrower than the windows are
            apart.
        by: The column that names a group of runs; default: all rows are one group's.
        order: The place of each group among colours, line styles and markers; default: in order of appearance.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw, or an option is wrong.
    """
    if which not in _CELLS:
        raise RequestError(f"which={which!r} must be one of {', '.join(_CELLS)}")
    if relative and which != "all":
        raise RequestError(f"relative=True compares all models with the active one: set which='all', not {which!r}")
    rows = aged(cells(evaluations, metric=metric, window_set=window_set), models, which=which, relative=relative)
    if rows.empty:
        raise RequestError(f"there is nothing to draw: no cell of {which} models has a value in these windows")
    step = _class_width(rows, every)
    rows["age_class"] = np.floor(rows["age"] / step).astype(np.int64)
    groups = grouped(rows, by=by, order=order)
    own = ax is None
    ax = style.new_axes(column, 2.2) if ax is None else ax
    unit, unit_name = style.whole_unit(float(rows["age"].max() - min(0, rows["age"].min())))
    single = all(len(group.runs) == 1 for group in groups)
    for group in groups:
        table = _by_age(group)
        values = over_runs(table)
        if single and len(groups) <= MOST_BANDS:
            values = OverRuns(values.mean, _over_cells(group, table))
        middles: FloatArray = (table.index.to_numpy(dtype=np.float64) + 0.5) * step / unit
        draw_series(ax, middles, values, place=group.place, label=group.label or _name(which))
    if rows["age"].min() < 0:
        ax.axvline(0.0, color="black", linewidth=0.6, zorder=0)
    if relative:
        ax.axhline(0.0, color="black", linewidth=0.6, zorder=0)
    ax.set_xlabel(f"Age at the window's anchor ({unit_name})")
    ax.set_ylabel(axis_label(str(rows["metric"].iloc[0])) + ", difference to\nthe currently active model" * relative)
    ax.grid(axis="y")
    style.legend_below(ax, grow=own, note=_note(groups))
    return ax


def aged(cells: pd.DataFrame, models: pd.DataFrame, *, which: Which, relative: bool) -> pd.DataFrame:
    """Return the cells that are asked for and have a value, with the model's age in seconds as column ``age``.

    Args:
        cells: Rows of one metric and one window set.
        models: Rows of ``models.parquet`` of the same runs.
        which: As in ``model_age``.
        relative: Return as ``value`` the difference to the window's currently active model.
    """
    check_rows(models, ["model_id", "available_at"], name="models")
    keys = [key for key in ("run_id", "model_id") if key in cells and key in models]
    known = models[[*keys, "available_at"]]
    if known[keys].duplicated().any():
        raise RequestError("models holds several runs, or one twice: evaluations and models need a column run_id")
    rows = (cells if which == "all" else served(cells, which)).merge(known, on=keys, how="left")
    if rows["available_at"].isna().any():
        raise RequestError("models lacks some of the models in evaluations: take both from the same runs")
    rows["age"] = rows["anchor"] - rows["available_at"].astype(np.int64)
    if relative:
        run = ["run_id"] if "run_id" in rows else []
        active = served(cells, "currently_active")[[*run, "window_id", "value"]].rename(columns={"value": "of_active"})
        rows = rows.merge(active, on=[*run, "window_id"], how="inner")
        rows["value"] = rows["value"] - rows["of_active"]
    return rows.dropna(subset="value").reset_index(drop=True)


def _class_width(rows: pd.DataFrame, every: str) -> int:
    if every != "auto":
        return parse_duration(every, "every")
    anchors = np.unique(rows["anchor"].to_numpy(dtype=np.int64))
    apart = int(np.median(np.diff(anchors))) if len(anchors) > 1 else 1
    first, last = int(rows["age"].min()), int(rows["age"].max())
    return max(parse_duration(auto_duration(first, last, least=_LEAST_AGES)), apart)


def _by_age(group: Group) -> pd.DataFrame:
    """One row per class of ages and one column per run, of the mean over the cells."""
    means = [run.groupby("age_class")["value"].mean().rename(str(n)) for n, run in enumerate(group.runs)]
    return pd.concat(means, axis=1).sort_index()


def _over_cells(group: Group, table: pd.DataFrame) -> FloatArray:
    """Return the deviation over the cells of each class of ages; NaN, and so no band, where there is one cell."""
    deviation = group.runs[0].groupby("age_class")["value"].std(ddof=1).reindex(table.index)
    return np.asarray(deviation, dtype=np.float64)


def _name(which: Which) -> str:
    return "all models" if which == "all" else style.VARIANT_NAMES[which]


def _note(groups: Sequence[Group]) -> str:
    if any(len(group.runs) > 1 for group in groups):
        return style.BAND
    return "Band: ± one standard deviation over models and windows" if len(groups) <= MOST_BANDS else ""
