"""How many samples there are at each point of the stream, by split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from modyn_bench.analysis import style
from modyn_bench.analysis.amounts import AmountFormatter
from modyn_bench.analysis.intervals import Intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
_HATCHES = ("", "////", "....", "xxxx")


@style.styled
def samples_over_time(
    timestamps: Mapping[str, ArrayLike],
    *,
    every: str = "auto",
    column: style.Column = "single",
    ax: Axes | None = None,
) -> Axes:
    """Draw the number of samples in each interval, the splits on top of each other.

    Args:
        timestamps: UTC seconds of the samples of each split, such as ``train`` and ``test``, in any order.
        every: Length of an interval, such as ``26w``; ``auto``: the longest of which at least 40 cover the samples.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is no sample, or ``every`` is no duration.
    """
    splits = {name: np.asarray(times, dtype=np.int64) for name, times in timestamps.items()}
    intervals = Intervals.over(list(splits.values()), every)
    own = ax is None
    ax = style.new_axes(column, 2.0) if ax is None else ax
    bottom = np.zeros(len(intervals))
    for place, (name, times) in enumerate(splits.items()):
        counts = np.bincount(intervals.of(times), minlength=len(intervals)).astype(np.float64)
        ax.bar(
            style.dates(intervals.edges[:-1]),
            counts,
            width=intervals.step / 86_400,
            bottom=bottom,
            align="edge",
            color=_COLORS[place % len(_COLORS)],
            hatch=_HATCHES[place % len(_HATCHES)],
            edgecolor="white",
            linewidth=0.3 if len(intervals) <= 80 else 0.0,
            label=f"{name} ({len(times):,})",
        )
        bottom += counts
    ax.set_xlim(*style.dates(intervals.edges[[0, -1]]))
    style.date_axis(ax)
    ax.set_ylabel(f"Samples per {style.span_text(intervals.step)}")
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_formatter(AmountFormatter())
    ax.grid(axis="y")
    style.legend_below(ax, grow=own)
    return ax
