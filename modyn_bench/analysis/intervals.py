"""Intervals of equal length that cover time stamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.evaluation.windows import MAX_WINDOWS, auto_duration
from modyn_bench.timespan import parse_duration
from modyn_bench.types import IntArray


@dataclass(frozen=True)
class Intervals:
    """Half-open intervals, the first of which begins at the first sample.

    Attributes:
        edges: Where they begin and end, in UTC seconds, shape (I + 1,).
        step: Their length in seconds.
    """

    edges: IntArray
    step: int

    def __len__(self) -> int:
        return len(self.edges) - 1

    @classmethod
    def over(cls, timestamps: Sequence[IntArray], every: str | int) -> Intervals:
        """Cover all time stamps.

        Args:
            timestamps: Several arrays of UTC seconds.
            every: Length of an interval, a duration; ``auto``: the longest of a ladder of which at least 40 cover the
                time stamps.

        Raises:
            RequestError: If there is no time stamp, ``every`` is no duration, or makes too many intervals.

        Example:
            >>> Intervals.over([np.array([5, 29]), np.array([12])], "10s").edges.tolist()
            [5, 15, 25, 35]
        """
        filled = [times for times in timestamps if len(times)]
        if not filled:
            raise RequestError("there are no samples to divide into intervals")
        first, last = (int(bound) for bound in (min(map(np.min, filled)), max(map(np.max, filled))))
        step = parse_duration(auto_duration(first, last) if every == "auto" else every, "every")
        count = (last - first) // step + 1
        if count > MAX_WINDOWS:
            raise RequestError(
                f"every={every!r} makes {count:,} intervals, more than {MAX_WINDOWS:,}: take longer ones"
            )
        return cls(first + step * np.arange(count + 1, dtype=np.int64), step)

    def of(self, timestamps: IntArray) -> IntArray:
        """Return the interval of each time stamp, shape (n,)."""
        places: IntArray = (timestamps - self.edges[0]) // self.step
        return places
