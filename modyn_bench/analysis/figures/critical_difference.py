"""Average ranks of policies over datasets, and which of them differ by more than chance would have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import check_rows
from modyn_bench.analysis.statistics.results import format_p
from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_DATASETS = 5
"""Average ranks over fewer datasets tell nothing: no difference of them is critical at any usual level."""

_MOST_SIDE = 0.34  # share of the width on either side of the line of ranks
_ELBOW = 0.05  # share of the width from a name to the line of ranks
_LINE, _GAP, _BAR = 0.115, 0.06, 0.09  # heights of a line of a name, between names, and of a bar, in inches
_ABOVE = 0.62  # height of what stands above the line of ranks, in inches


@style.styled
def critical_difference(
    ranks: pd.DataFrame,
    cd: float,
    *,
    num_datasets: int,
    p_value: float,
    level: float = 0.05,
    column: style.Column = "double",
    ax: Axes | None = None,
) -> Axes:
    """Draw a critical-difference diagram: average ranks on a line, the best at the left.

    A bar joins policies of which no two differ by more than the critical difference. Nemenyi's test follows Friedman's:
    where that does not reject, one bar joins all.

    Args:
        ranks: One row per policy: policy, rank (the average over datasets; 1 is best).
        cd: The critical difference of average ranks, such as Nemenyi's.
        num_datasets: How many datasets the ranks are averaged over.
        p_value: Friedman's, of all policies being alike.
        level: Of both tests.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there are fewer than three policies or five datasets, or the numbers cannot be average ranks.

    Reference:
        Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, section 3.2.2.
    """
    _check(ranks, cd, num_datasets)
    ranks = ranks.sort_values("rank", kind="stable")
    places: FloatArray = ranks["rank"].to_numpy(dtype=np.float64)
    joined = cliques(places, cd) if p_value <= level else [(0, len(places) - 1)]
    owner = style.new_axes(column, 1.0) if ax is None else ax
    names = style.row_names(ranks["policy"], style.width_around(owner), share=_MOST_SIDE - _ELBOW - 0.01)
    side = _side(names, owner)
    first_row = _GAP + _BAR * (len(joined) + 1)
    half = (len(names) + 1) // 2
    rows = [*_rows(names[:half], first_row), *_rows(names[half:][::-1], first_row)[::-1]]
    height = max(y + _LINE * (name.count("\n") + 1) for y, name in zip(rows, names, strict=True))
    if ax is None:
        style.figure_of(owner).set_figheight(_ABOVE + height)
    owner.set_axis_off()
    owner.set(xlim=(0.0, 1.0), ylim=(height, -_ABOVE))
    x = side + (1 - 2 * side) * (places - 1) / (len(places) - 1)
    told = f"critical difference {cd:.2f}, {num_datasets} datasets, Friedman test {format_p(p_value)}"
    _draw_scale(owner, len(places), cd, told, side=side)
    for number, (first, last) in enumerate(joined):
        y = _GAP + _BAR * (number + 0.5)
        owner.plot([x[first] - 0.006, x[last] + 0.006], [y, y], color="black", linewidth=2.4, gid="clique")
    for place, (name, y) in enumerate(zip(names, rows, strict=True)):
        _draw_name(owner, name, float(places[place]), x=float(x[place]), y=y, left=place < half, side=side)
    return owner


def cliques(ranks: FloatArray, cd: float) -> list[tuple[int, int]]:
    """Return the longest stretches of sorted ranks in which no two differ by more than that: first, last.

    Example:
        >>> cliques(np.array([1.0, 1.5, 2.2, 4.0]), 1.0)
        [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.flatnonzero(ranks - ranks[first] <= cd)[-1])
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _check(ranks: pd.DataFrame, cd: float, num_datasets: int) -> None:
    check_rows(ranks, ["policy", "rank"], name="ranks")
    if num_datasets < LEAST_DATASETS:
        raise RequestError(
            f"num_datasets={num_datasets} must be at least {LEAST_DATASETS} for average ranks to tell anything: add "
            "datasets, or compare the policies on each by value_by_window"
        )
    if not 0 < cd < np.inf:
        raise RequestError(f"cd={cd} must be a finite difference of ranks above 0")
    if len(ranks) < 3 or ranks["policy"].duplicated().any():
        raise RequestError("ranks must have three policies or more, each once: average over the datasets first")
    total, expected = float(ranks["rank"].sum()), len(ranks) * (len(ranks) + 1) / 2
    if not abs(total - expected) < 0.01 * len(ranks):
        raise RequestError(
            f"the average ranks of {len(ranks)} policies sum to {expected:g}, but these to {total:g}: rank all "
            "policies on every dataset, ties by their mean rank, and leave none out afterwards"
        )


def _side(names: Sequence[str], ax: Axes) -> float:
    """Return the share of the width that the longest name takes, with what leads to it; never less than the words."""
    width = style.width_around(ax)
    longest = max(len(line) for name in names for line in name.split("\n"))
    share = style.text_width(longest, size=7) / width
    return float(np.clip(share + _ELBOW + 0.01, 0.9 / width, _MOST_SIDE))


def _rows(names: Sequence[str], first: float) -> list[float]:
    """Return where the middle of each name's first line is, from the top, in inches below the line of ranks."""
    lines = np.array([0, *(name.count("\n") + 1 for name in names)])
    starts = first + np.cumsum(_LINE * lines[:-1] + _GAP)
    return [float(start + _LINE / 2) for start in starts]


def _draw_scale(ax: Axes, count: int, cd: float, told: str, *, side: float) -> None:
    """Draw the line of ranks with its ticks, and above it the critical difference."""
    ticks = np.linspace(side, 1 - side, count)
    ax.plot([side, 1 - side], [0.0, 0.0], color="black", linewidth=0.8)
    shown = range(0, count, 1 if count <= 8 else 2)
    for rank, at in enumerate(ticks):
        ax.plot([at, at], [0.0, -0.05], color="black", linewidth=0.6)
        if rank in shown:
            ax.text(at, -0.07, str(rank + 1), ha="center", va="bottom", fontsize=7)
    length = cd * (1 - 2 * side) / (count - 1)
    begin = 0.5 - length / 2
    ax.plot([begin, begin + length], [-0.32, -0.32], color="black", linewidth=1.2, gid="cd")
    for end in (begin, begin + length):
        ax.plot([end, end], [-0.29, -0.35], color="black", linewidth=0.8)
    ax.text(0.5, -0.37, told, ha="center", va="bottom", fontsize=7)
    ax.text(side - 0.02, -0.05, "average rank", ha="right", va="center", fontsize=7)


def _draw_name(ax: Axes, name: str, rank: float, *, x: float, y: float, left: bool, side: float) -> None:
    """Join a rank with its policy's name, which stands at a side, the rank itself over the line to it."""
    edge = side - _ELBOW if left else 1 - side + _ELBOW
    ax.plot([x, x, edge], [0.0, y, y], color="black", linewidth=0.6, solid_joinstyle="miter", gid="rank")
    align, sign = ("right", -1) if left else ("left", 1)
    ax.text(edge + 0.008 * sign, y - _LINE / 2, name, ha=align, va="top", fontsize=7, linespacing=1.15)
    ax.text(edge - 0.004 * sign, y - 0.01, f"{rank:.2f}", ha="left" if left else "right", va="bottom", fontsize=5.5)
