"""Retrain when data have waited too long to be trained on, given what a training costs."""

from __future__ import annotations

from modyn_bench.triggers.base import View
from modyn_bench.triggers.cost_based import CostBased
from modyn_bench.types import Arrivals, TriggerRecord


class LatencyCost(CostBased):
    r"""Fire when the time that new samples have waited outweighs the forecast cost of a training.

    .. math:: \frac{1}{\hat c_t} \sum_{i \text{ arrived since the last training}} (t - t_i) > \kappa

    in sample-seconds per unit of cost; decided at the end of every block. Without ``regret_per_cost`` it is what the
    first training's data had waited, per unit of its cost: later ones are as patient as the first.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> import numpy as np
        >>> policy = LatencyCost(interval=3)
        >>> policy.consume(Arrivals(np.arange(3), np.array([0, 4, 10]), np.zeros(3, np.int64)))
        >>> policy.regret(10)
        16.0

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3 (data
        incorporation latency).

    Deviation:
        The reference system never resets the regret, and multiplies by ``incorporation_delay_per_training_second``
        where it should divide; ``regret_per_cost`` is that number.
    """

    name = "latency_cost"
    state_fields = (*CostBased.state_fields, "waiting", "sum_of_timestamps")

    waiting = 0  # samples that arrived since the last training
    sum_of_timestamps = 0

    def consume(self, part: Arrivals) -> None:
        """Count the samples and sum up their timestamps."""
        super().consume(part)
        self.waiting += len(part)
        self.sum_of_timestamps += int(part.timestamps.sum())

    def regret(self, now: int) -> float:
        """Return the sample-seconds waited since the last training."""
        return float(self.waiting * now - self.sum_of_timestamps)

    def accumulate(self, view: View) -> None:
        """Do nothing: samples are counted as they arrive."""

    def num_waiting(self, view: View) -> int:
        """Return the samples that arrived since the last training."""
        return self.waiting

    def usual_rate(self, record: TriggerRecord, cost: float) -> float:
        """Return what the training's data had waited, per unit of its cost."""
        return self.regret(record.fired_at) / cost if cost > 0 else 0.0

    def reset(self) -> None:
        """Begin at 0."""
        self.waiting = self.sum_of_timestamps = 0
