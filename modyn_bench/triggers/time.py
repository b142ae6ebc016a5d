"""Retrain after a span of time."""

from __future__ import annotations

from typing import Literal

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.timespan import Calendar, Grid, parse_duration, parse_time
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.types import Arrivals, Decision, DecisionPoint, Side

Clock = Literal["last_sample", "grid_line"]


class Time(Trigger):
    r"""Fire whenever the stream crosses a line of a fixed grid in time.

    Lines lie at :math:`t_0 + i \cdot \text{every}`, or at the start of every calendar month or year (UTC). The period
    before a line is half-open: a sample exactly on a line belongs to the next period. The policy decides when the first
    sample at or beyond the line is about to arrive, once per period that holds samples. Periods without samples fire
    nothing and are counted; a ``start`` far in the past makes no leading triggers. Other triggers do not move the grid.

    Args:
        every: Length of a period: a whole number with a unit of s, m, h, d, w or y (365 days), or seconds.
        start: One of the grid's lines: an ISO date or UTC seconds; ``None`` is the time of the first sample.
        clock: When the decision is said to fall: ``last_sample``, at the time of the last sample that arrived (the
            paper), or ``grid_line``, at the line that ends the period.
        calendar: ``month`` or ``year`` for calendar periods; then ``every`` and ``start`` are not used.

    Raises:
        RequestError: If an option cannot be read.

    Example:
        >>> stream = Arrivals(np.arange(4), np.array([0, 9, 10, 35]), np.zeros(4, np.int64))
        >>> policy = Time(every="10s")
        >>> policy.next_decision(stream)
        DecisionPoint(position=2, side=<Side.BEFORE: 1>, time=None)

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference emits one trigger per line, so that a gap makes empty triggers.
    """

    name = "time"
    state_fields = ("origin", "period_first", "last_period", "num_empty_periods")

    def __init__(
        self,
        every: str | int = "1y",
        *,
        start: str | int | None = None,
        clock: Clock = "last_sample",
        calendar: Calendar | None = None,
    ) -> None:
        if clock not in ("last_sample", "grid_line"):
            raise RequestError(f"trigger.clock={clock!r} must be last_sample or grid_line")
        if calendar not in (None, "month", "year"):
            raise RequestError(f"trigger.calendar={calendar!r} must be month, year or null")
        self.every = parse_duration(every, "trigger.every")
        self.clock = clock
        self.calendar: Calendar | None = calendar
        self.origin: int | None = None if start is None else parse_time(start, "trigger.start")
        self.period_first: int | None = None  # time of the first sample since the last decision
        self.last_period: int | None = None  # the period that the last decision closed
        self.num_empty_periods = 0  # between the period before and this one

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        """Return the point before the first sample at or beyond the period's end, if it is among these arrivals."""
        first = int(arrivals.timestamps[0]) if self.period_first is None else self.period_first
        grid = self._grid(first)
        end = grid.line(grid.period(first) + 1)
        position = int(np.searchsorted(arrivals.timestamps, end, side="left"))
        if position == len(arrivals):
            return None
        return DecisionPoint(position, Side.BEFORE, time=end if self.clock == "grid_line" else None)

    def consume(self, part: Arrivals) -> None:
        """Note the start of a period, and how many periods without samples it follows on."""
        if self.period_first is not None:
            return
        self.period_first = int(part.timestamps[0])
        grid = self._grid(self.period_first)
        self.origin = grid.origin
        if self.last_period is not None:
            self.num_empty_periods = grid.period(self.period_first) - self.last_period - 1

    def decide(self, view: View) -> Decision:
        """Fire: the period is over, and held at least one sample."""
        assert self.period_first is not None, "a decision falls after at least one sample"
        self.last_period = self._grid(self.period_first).period(self.period_first)
        self.period_first = None
        return Decision(fired=True, num_empty_periods=self.num_empty_periods)

    def _grid(self, first: int) -> Grid:
        return Grid(first if self.origin is None else self.origin, self.every, self.calendar)
