"""Retrain after a number of samples."""

from __future__ import annotations

from modyn_bench.errors import RequestError
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.types import Arrivals, Decision, DecisionPoint


class Amount(Trigger):
    r"""Fire whenever another ``num_samples`` samples have arrived.

    Fires after the samples number :math:`N, 2N, 3N, \dots` of the stream, whoever else triggers in between.

    Args:
        num_samples: N, in samples; at least 1.

    Raises:
        RequestError: If ``num_samples`` is below 1.

    Example:
        >>> import numpy as np
        >>> stream = Arrivals(np.arange(10), np.arange(10), np.zeros(10, np.int64))
        >>> Amount(num_samples=4).next_decision(stream).position
        4

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.
    """

    name = "amount"
    state_fields = ("num_seen",)

    def __init__(self, num_samples: int) -> None:
        if num_samples < 1:
            raise RequestError(f"trigger.num_samples={num_samples} must be at least 1")
        self.num_samples = num_samples
        self.num_seen = 0

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        """Return the point after the sample that completes a block, if it is among these arrivals."""
        missing = self.num_samples - self.num_seen % self.num_samples
        return DecisionPoint(missing) if missing <= len(arrivals) else None

    def consume(self, part: Arrivals) -> None:
        """Count the samples."""
        self.num_seen += len(part)

    def decide(self, view: View) -> Decision:
        """Fire: a block is complete."""
        return Decision(fired=True)
