"""Which classes the samples belong to, over time: how the distribution of labels drifts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from modyn_bench.analysis import style
from modyn_bench.analysis.intervals import Intervals
from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHER = "other classes"
"""What all the rare ones are called."""


@style.styled
def class_shares(
    timestamps: ArrayLike,
    labels: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    most: int = 7,
    every: str = "auto",
    column: style.Column = "single",
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of each class in each interval, the most frequent class at the bottom and all rare ones as one.

    An interval without samples is a gap.

    Args:
        timestamps: UTC seconds of the samples, in any order, shape (n,).
        labels: Their classes, as numbers or as names, shape (n,).
        classes: The names of the classes 0, 1, …; default: labels as they are.
        most: So many of the most frequent classes are shown, at most eight.
        every: Length of an interval, such as ``26w``; ``auto``: the longest of which at least 40 cover the samples.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is no sample, the arrays differ in length, a label has no name, or an option is wrong.
    """
    if not 1 <= most <= len(style.COLORS):
        raise RequestError(f"most={most} must lie in 1..{len(style.COLORS)}: more classes cannot be told apart")
    times, named = _checked(timestamps, labels, classes)
    intervals = Intervals.over([times], every)
    totals = named.value_counts()
    counts = pd.crosstab(intervals.of(times), named).reindex(range(len(intervals)), fill_value=0)
    with np.errstate(invalid="ignore"):
        shares = counts.to_numpy(dtype=np.float64) / counts.to_numpy().sum(axis=1, keepdims=True)
    table = pd.DataFrame(shares, columns=counts.columns)
    shown = list(totals.index[:most])
    own = ax is None
    ax = style.new_axes(column, 2.2) if ax is None else ax
    x = style.dates(intervals.edges)
    low = np.zeros(len(intervals))
    for place, name in enumerate(shown):
        share = f"{name} ({totals[name] / len(times):.0%})"
        low = _draw(ax, x, low, table[name], color=style.COLORS[place], hatch=style.HATCHES[place], label=share)
    rare = totals.index[most:]
    if len(rare):
        label = f"{len(rare)} {OTHER} ({totals[rare].sum() / len(times):.0%})"
        _draw(ax, x, low, table[rare].sum(axis=1, skipna=False), color=style.UNDEFINED_COLOR, hatch="", label=label)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(0.0, 1.0)
    style.date_axis(ax)
    ax.set_ylabel(f"Share of the samples, per {style.span_text(intervals.step)}")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    style.legend_below(ax, grow=own, note="From the bottom up, with their share of all samples")
    return ax


def _checked(timestamps: ArrayLike, labels: ArrayLike, classes: Sequence[str] | None) -> tuple[IntArray, pd.Series]:
    """Return time stamps and the names of the classes."""
    times, values = np.asarray(timestamps, dtype=np.int64), np.asarray(labels)
    if times.shape != values.shape:
        raise RequestError(
            f"timestamps has {times.size:,} entries and labels {values.size:,}: give one to every sample"
        )
    if not len(times):
        raise RequestError("there is nothing to draw: there are no samples")
    if classes is None:
        return times, pd.Series(values).astype(str)
    if values.min() < 0 or values.max() >= len(classes):
        raise RequestError(
            f"labels has {values.min()}..{values.max()}, but classes names 0..{len(classes) - 1}: name every class"
        )
    return times, pd.Series(np.asarray(classes, dtype=object)[values])


def _draw(
    ax: Axes, x: FloatArray, low: FloatArray, shares: pd.Series, *, color: str, hatch: str, label: str
) -> FloatArray:
    """Draw one class on top of what is there, and return its upper end."""
    high: FloatArray = low + shares.to_numpy(dtype=np.float64)
    ax.fill_between(
        x,
        np.append(low, low[-1]),
        np.append(high, high[-1]),
        step="post",
        facecolor=color,
        hatch=hatch,
        edgecolor="white",
        linewidth=0.3,
        label=label,
    )
    return high
