"""Train once, early, and never again."""

from __future__ import annotations

import numpy as np

from modyn_bench.timespan import parse_duration
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.types import Arrivals, Decision, DecisionPoint, Side


class Once(Trigger):
    """Fire once, when a span of time has passed since the first sample.

    The baseline that shows what drift costs: a single early model. The samples after it stay untrained only with
    ``replay.flush=false``; with ``replay.flush=true`` a second model is trained on them at the end of the stream.

    Args:
        after: The span since the first sample, as in ``1y``; the first sample at or beyond it is not trained on.

    Raises:
        RequestError: If ``after`` is no duration.

    Example:
        >>> stream = Arrivals(np.arange(4), np.array([5, 9, 15, 35]), np.zeros(4, np.int64))
        >>> Once(after="10s").next_decision(stream).position
        2
    """

    name = "once"
    state_fields = ("first", "done")

    def __init__(self, after: str | int = "1y") -> None:
        self.after = parse_duration(after, "trigger.after")
        self.first: int | None = None
        self.done = False

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        """Return the point before the first sample at or beyond the span's end, if it is among these arrivals."""
        if self.done:
            return None
        first = int(arrivals.timestamps[0]) if self.first is None else self.first
        position = int(np.searchsorted(arrivals.timestamps, first + self.after, side="left"))
        return DecisionPoint(position, Side.BEFORE) if position < len(arrivals) else None

    def consume(self, part: Arrivals) -> None:
        """Note the time of the first sample."""
        if self.first is None:
            self.first = int(part.timestamps[0])

    def decide(self, view: View) -> Decision:
        """Fire, and never decide again."""
        self.done = True
        return Decision(fired=True)
