"""What a pipeline reaches against what it costs, and which pipelines no other beats at both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from modyn_bench.analysis import style
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NAMED = 12  # more names than this are no legend that anyone reads; then only the front is named


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
        ax: Where to draw; default: a new figure as wide as a paper's column.
    """
    table = aggregate(points, cost=cost, value=value, by=by)
    front = pareto_front(table["cost"], table["value"], higher_is_better=higher_is_better)
    own = ax is None
    ax = style.new_axes(style.COLUMN_WIDTH, 2.4) if ax is None else ax
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
    named = 0
    numbers = table.to_numpy(dtype=np.float64)  # columns: cost, cost_std, value, value_std, n
    for place, (x, x_std, y, y_std, n) in enumerate(numbers):
        if len(table) > _MOST_NAMED and not front[place]:
            ax.plot(x, y, marker=".", color="#BBBBBB", linestyle="none", zorder=1.5)
            continue
        color = style.COLORS[named % len(style.COLORS)]
        ax.errorbar(
            x,
            y,
            xerr=x_std if n > 1 else None,
            yerr=y_std if n > 1 else None,
            color=color,
            marker=style.MARKERS[named % len(style.MARKERS)],
            markerfacecolor=color if front[place] else "white",
            linestyle="none",
            elinewidth=0.8,
            capsize=1.5,
            label=f"{table.index[place]} (n = {n:.0f})",
        )
        named += 1
    ax.set_xlabel(cost_label or cost.replace("_", " "))
    ax.set_ylabel(value_label or value.replace("_", " "))
    whole = bool((points[cost].dropna() % 1 == 0).all())
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
    ax.xaxis.set_major_formatter(FuncFormatter(_short))
    ax.margins(0.08)
    ax.grid()
    style.legend_below(ax, grow=own)
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
    as_good = (costs[None, :] <= costs[:, None]) & (values[None, :] >= values[:, None])
    better = (costs[None, :] < costs[:, None]) | (values[None, :] > values[:, None])
    front: np.ndarray = ~np.any(as_good & better, axis=1)
    return front


def _short(number: float, _position: int | None = None) -> str:
    """A number of samples as text: 1,500 as 1.5k.

    Example:
        >>> _short(1_500), _short(999_900), _short(2_000_000), _short(12)
        ('1.5k', '1M', '2M', '12')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= 0.9995 * size:  # what rounds to it
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
