"""Retrain when avoidable misclassifications outweigh what a training costs."""

from __future__ import annotations

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.triggers.cost_based import CostBased
from modyn_bench.triggers.costs import RegretCurve
from modyn_bench.triggers.monitoring import Monitor, check_expected_accuracy
from modyn_bench.types import Arrivals, TriggerRecord


class MisclassificationCost(CostBased):
    r"""Fire when the area under the avoidable misclassifications outweighs the forecast cost of a training.

    .. math:: \frac{1}{\hat c_t} \int_{t_0}^{t} A(u)\, du > \kappa

    with A(u) the errors since the last training at :math:`t_0` that the expected accuracy would have avoided, found at
    the end of every block on the samples whose labels have come in since, and taken to grow evenly in between. Without
    ``regret_per_cost`` a unit of cost is worth a hundredth of an error that lasts as long as the first training's data
    took to arrive.

    Args:
        expected_accuracy: In [0, 1]; ``None``: the accuracy since the last training, up to the block before.
        allow_reduction: Let blocks with fewer errors than expected reduce the sum.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> MisclassificationCost(expected_accuracy=0.9).regret(10)
        0.0

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3 (avoidable
        misclassification latency).

    Deviation:
        The reference system crashes at the first block, where there is no model, and never resets the regret.
    """

    name = "misclassification_cost"
    state_fields = (*CostBased.state_fields, "curve", "monitor", "first_time")

    def __init__(
        self,
        *,
        expected_accuracy: float | None = None,
        allow_reduction: bool = False,
        regret_per_cost: float | None = None,
        decision: DecisionRule | None = None,
        cost_model: str = "samples",
        cost_window: int = 1000,
        interval: int = 1000,
        warmup_intervals: int = 0,
        warmup_trigger: Trigger | None = None,
        first_block: str = "fire",
        calibration: str = "running",
    ) -> None:
        super().__init__(
            regret_per_cost=regret_per_cost,
            decision=decision,
            cost_model=cost_model,
            cost_window=cost_window,
            interval=interval,
            warmup_intervals=warmup_intervals,
            warmup_trigger=warmup_trigger,
            first_block=first_block,
            calibration=calibration,
        )
        check_expected_accuracy(expected_accuracy)
        self.expected_accuracy = expected_accuracy
        self.allow_reduction = allow_reduction
        self.curve = RegretCurve()
        self.monitor = Monitor("accuracy")
        self.first_time: int | None = None  # of the stream

    def consume(self, part: Arrivals) -> None:
        """Note when the stream began."""
        super().consume(part)
        if self.first_time is None:
            self.first_time = int(part.timestamps[0])

    def ready(self, view: View) -> bool:
        """Say whether there is a model."""
        return super().ready(view) and view.model_id is not None

    def regret(self, now: int) -> float:
        """Return the area under the curve, up to the last block."""
        return self.curve.area

    def accumulate(self, view: View) -> None:
        """Evaluate the newest model on the block, and add the errors that could have been avoided."""
        block = self.monitor.judge(view)
        errors = 0.0
        if block is not None:
            errors = self.monitor.avoidable(
                block.num_samples,
                block.num_correct,
                expected_accuracy=self.expected_accuracy,
                allow_reduction=self.allow_reduction,
            )
        self.curve.grow(errors, until=view.time)

    def num_waiting(self, view: View) -> int:
        """Return the samples whose labels came in since the last training."""
        return view.num_labelled - max(self.monitor.trained_until, view.first_key)

    def usual_rate(self, record: TriggerRecord, cost: float) -> float:
        """Return a hundredth of the time in which the training's data arrived."""
        return 0.01 * (record.fired_at - self.first_time) if self.first_time is not None else 0.0

    def reset(self) -> None:
        """Begin at 0."""
        self.curve.reset()

    def on_trigger(self, record: TriggerRecord) -> None:
        """Take note of a training, and begin at 0."""
        super().on_trigger(record)
        self.monitor.on_trigger(record)
        if record.model is not None:
            self.curve.last_time = record.fired_at
