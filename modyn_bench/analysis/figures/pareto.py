"""What a pipeline reaches against what it costs, and which pipelines no other beats at both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from modyn_bench.analysis import style
from modyn_bench.analysis.amounts import AmountFormatter, short
from modyn_bench.analysis.frames import check_rows, places_of
from modyn_bench.analysis.statistics.front import on_front
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED = 12
"""More names than this are no legend that anyone reads; then only the front is named, and the rest are grey dots."""


@style.styled
def pareto(
    points: pd.DataFrame,
    *,
    cost: str,
    value: str = "value",
    by: str = "configuration",
    cost_label: str | None = None,
    value_label: str | None = None,
    higher_is_better: bool = True,
    order: Mapping[str, int] | None = None,
    column: style.Column = "single",
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean over seeds of value against cost, with one standard deviation both ways, and the Pareto front.

    Policies on the front are filled, those that another beats are hollow.

    Args:
        points: One row per run.
        cost: The column of the horizontal axis; lower is better.
        value: The column of the vertical axis.
        by: The column that names the runs that differ by seed only.
        cost_label: Of the horizontal axis.
        value_label: Of the vertical axis.
        higher_is_better: Whether a higher value is a better one.
        order: The place of each name among colours and markers, to look the same as in other figures; default: in order
            of appearance.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.
    """
    check_rows(points, [cost, value, by], name="points")
    table = aggregate(points, cost=cost, value=value, by=by)
    front = pareto_front(table["cost"], table["value"], higher_is_better=higher_is_better)
    own = ax is None
    ax = style.new_axes(column, 2.4) if ax is None else ax
    path = np.flatnonzero(front)[np.argsort(table["cost"].to_numpy()[front], kind="stable")]
    ax.plot(
        table["cost"].iloc[path],
        table["value"].iloc[path],
        drawstyle="steps-post",
        color="#999999",
        linewidth=0.8,
        zorder=1,
        label="Pareto front",
    )
    order = places_of([str(name) for name in table.index], order)
    numbers = table.to_numpy(dtype=np.float64)  # columns: cost, cost_std, value, value_std, n
    looks = [order[str(name)] for name in table.index]
    for place in np.argsort(looks, kind="stable"):
        x, x_std, y, y_std, n = numbers[place]
        if len(table) > MOST_NAMED and not front[place]:
            ax.plot(x, y, marker=".", color="#BBBBBB", linestyle="none", zorder=1.5)
            continue
        look = style.look(looks[place])
        ax.errorbar(
            x,
            y,
            xerr=x_std if n > 1 else None,
            yerr=y_std if n > 1 else None,
            color=look.color,
            marker=look.marker,
            markerfacecolor=look.color if front[place] else "white",
            linestyle="none",
            elinewidth=0.8,
            capsize=1.5,
            label=f"{table.index[place]} (n = {n:.0f})",
        )
    ax.set_xlabel(cost_label or cost.replace("_", " "))
    ax.set_ylabel(value_label or value.replace("_", " "))
    ax.margins(0.08)
    ax.grid()
    _label_costs(ax, whole=bool((points[cost].dropna() % 1 == 0).all()))
    several = bool((table["n"] > 1).any())
    style.legend_below(ax, grow=own, note="Bars: ± one standard deviation over n runs" if several else "")
    return ax


def aggregate(points: pd.DataFrame, *, cost: str, value: str, by: str) -> pd.DataFrame:
    """Return each group's mean and standard deviation (of a sample, n - 1) of cost and value, and its n."""
    groups = points.dropna(subset=[cost, value]).groupby(by, sort=False)
    return pd.DataFrame(
        {
            "cost": groups[cost].mean(),
            "cost_std": groups[cost].std(ddof=1),
            "value": groups[value].mean(),
            "value_std": groups[value].std(ddof=1),
            "n": groups.size(),
        }
    )


def pareto_front(cost: pd.Series, value: pd.Series, *, higher_is_better: bool = True) -> np.ndarray:
    """Whether no other point is at least as good at both and better at one, shape (n,), bool.

    Example:
        >>> pareto_front(pd.Series([1, 2, 3]), pd.Series([0.5, 0.4, 0.6])).tolist()
        [True, False, True]
    """
    costs: FloatArray = cost.to_numpy(dtype=np.float64)
    values: FloatArray = value.to_numpy(dtype=np.float64) * (1.0 if higher_is_better else -1.0)
    return on_front(costs, values)


def _label_costs(ax: Axes, *, whole: bool) -> None:
    """Put as many ticks on the horizontal axis as there is room for, with as many digits as tell them apart."""
    low, high = ax.get_xlim()
    if whole and high - low < 1:  # one cost: its neighbours are as near as another could be
        low, high = ax.set_xlim((low + high) / 2 - 1.2, (low + high) / 2 + 1.2)
    for most in (6, 5, 4, 3, 2):
        locator = MaxNLocator(most, integer=whole, min_n_ticks=1)
        ticks = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
        if sum(len(text) + 2 for text in short(ticks)) <= 40:  # characters in a column's width
            break
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(AmountFormatter())
