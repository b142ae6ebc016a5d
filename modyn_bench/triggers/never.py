"""Never retrain."""

from __future__ import annotations

from modyn_bench.triggers.base import Trigger, View
from modyn_bench.types import Arrivals, Decision, DecisionPoint


class Never(Trigger):
    """Never fire.

    With ``replay.flush=true`` one model is trained at the end of the stream, else none: the null policy, for the cost
    of a pipeline without trainings and for a single model over all data.

    Example:
        >>> import numpy as np
        >>> Never().next_decision(Arrivals(np.arange(3), np.arange(3), np.zeros(3, np.int64))) is None
        True
    """

    name = "never"

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        """Return ``None``: there is nothing to decide."""
        return None

    def consume(self, part: Arrivals) -> None:
        """Take samples, and keep nothing of them."""

    def decide(self, view: View) -> Decision:
        """Hold. The pipeline does not ask, since no decision is announced."""
        return Decision(fired=False)
