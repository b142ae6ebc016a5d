"""Where a matrix shows its windows: along stream time where that can hold them apart, else one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.analysis import style
from modyn_bench.timespan import format_time
from modyn_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class WindowAxis:
    """Where the windows' cells lie.

    Attributes:
        edges: Where cells and gaps begin and end, in days since 1970, or in windows; shape (number of columns + 1,).
        columns: The column of each window, shape (W,).
        is_time: Whether the axis is stream time.
    """

    edges: FloatArray
    columns: IntArray
    is_time: bool

    @property
    def middles(self) -> FloatArray:
        """The middle of each window's cell, shape (W,)."""
        middles: FloatArray = (self.edges[self.columns] + self.edges[self.columns + 1]) / 2
        return middles

    @classmethod
    def of(cls, windows: pd.DataFrame) -> WindowAxis:
        """Lay out windows, which are sorted by anchor."""
        starts, ends = (style.dates(windows[name]) for name in ("window_start", "window_end"))
        if np.all(starts[1:] >= ends[:-1]):  # disjoint: as they are, with the gaps between them
            edges = np.unique(np.concatenate([starts, ends]))
            return cls(edges, np.searchsorted(edges, starts), is_time=True)
        middles = (starts + ends) / 2  # not anchors, which may lie at the windows' starts
        if np.all(np.diff(middles) > 0) and np.allclose(ends - starts, ends[0] - starts[0]):  # sliding
            between = (middles[1:] + middles[:-1]) / 2
            edges = np.concatenate([[2 * middles[0] - between[0]], between, [2 * middles[-1] - between[-1]]])
            return cls(edges, np.arange(len(windows)), is_time=True)
        edges = np.arange(len(windows) + 1, dtype=np.float64) - 0.5
        return cls(edges, np.arange(len(windows)), is_time=False)

    def spread(self, values: FloatArray) -> FloatArray:
        """Return a column for every window, and an empty one for every gap, of values of shape (M, W)."""
        spread = np.full((len(values), len(self.edges) - 1), np.nan)
        spread[:, self.columns] = values
        return spread


def interval_texts(windows: pd.DataFrame) -> list[str]:
    """Name windows by their bounds: by dates where these tell them apart, else with the time of day."""
    bounds = list(zip(windows["window_start"], windows["window_end"], strict=True))
    for seconds in (False, True):
        pairs = [[format_time(bound, seconds=seconds) for bound in window] for window in bounds]
        texts = [" to ".join(pair) for pair in pairs]
        if len(set(texts)) == len(set(bounds)) and all(first != last for first, last in pairs):
            break
    return texts
