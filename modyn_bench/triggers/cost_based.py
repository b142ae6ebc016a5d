"""What policies share that weigh what waiting costs against what a training costs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.decisions.threshold import Threshold
from modyn_bench.errors import RequestError, check_part
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.triggers.batched import Batched, Window
from modyn_bench.triggers.costs import TrainingCosts
from modyn_bench.types import Decision, TriggerRecord


class CostBased(Batched):
    r"""Fire when the regret since the last training exceeds what the next training is forecast to cost.

    .. math:: \frac{R_t}{\hat c_t} > \kappa

    with the regret :math:`R_t`, the forecast cost :math:`\hat c_t` and the exchange rate :math:`\kappa`. Regret begins
    at 0 whenever a model is trained.

    Args:
        regret_per_cost: :math:`\kappa`, above 0: the regret that one unit of training cost is worth; ``None``: what
            the first training suggests, in a way that each policy says; until there is one, nothing fires.
        decision: A rule on :math:`R_t / \hat c_t`, in place of ``regret_per_cost``.
        cost_model: ``samples`` (reproducible) or ``seconds``.
        cost_window: Trainings that the forecast is made from.
        interval: Samples between decisions.
        warmup_intervals: Blocks of warm-up.
        warmup_trigger: The policy in charge of the warm-up.
        first_block: ``fire`` or ``hold`` while nothing was trained.
        calibration: Only ``running``: regret cannot be had again in hindsight.

    Raises:
        RequestError: If a value is out of range.
    """

    state_fields = (*Batched.state_fields, "training_costs", "exchange_rate", "rules")

    def __init__(
        self,
        *,
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
            interval=interval,
            warmup_intervals=warmup_intervals,
            warmup_trigger=warmup_trigger,
            first_block=first_block,
            calibration=calibration,
        )
        check_part("trigger.decision", decision, DecisionRule, "trigger/decision=rolling_quantile")
        if calibration != "running":
            raise RequestError("trigger.calibration must be running: regret cannot be had again in hindsight")
        if regret_per_cost is not None and not regret_per_cost > 0:
            raise RequestError(f"trigger.regret_per_cost={regret_per_cost} must be above 0, or null")
        if regret_per_cost is not None and decision is not None:
            raise RequestError("trigger.regret_per_cost and trigger.decision exclude each other: give one")
        self.training_costs = TrainingCosts(cost_model=cost_model, window=cost_window)
        self.exchange_rate = regret_per_cost
        self.rules: dict[str, DecisionRule] = {} if decision is None else {"decision": decision}
        for rule in self.rules.values():
            rule.check_scores("regret", None)

    @abstractmethod
    def regret(self, now: int) -> float:
        """Return the regret since the last training at a time."""

    @abstractmethod
    def accumulate(self, view: View) -> None:
        """Add the block's regret."""

    @abstractmethod
    def reset(self) -> None:
        """Begin at 0, as a model was trained."""

    @abstractmethod
    def num_waiting(self, view: View) -> int:
        """Return the samples that the next training would take in."""

    @abstractmethod
    def usual_rate(self, record: TriggerRecord, cost: float) -> float:
        """Return the regret per cost that a training, before which regret was not reset, suggests; 0 for none."""

    def ready(self, view: View) -> bool:
        """Say whether anything was trained."""
        return bool(self.training_costs.costs)

    def evaluate(self, view: View) -> Decision:
        """Weigh regret against the forecast cost."""
        ratio = self._ratio(view)
        if self.rules:
            return self.rules["decision"].update(ratio)
        if self.exchange_rate is None:
            return Decision(False, score=ratio)
        return Threshold(self.exchange_rate).update(ratio)

    def observe(self, view: View) -> Decision:
        """Weigh regret against the forecast cost, and calibrate on the outcome."""
        ratio = self._ratio(view)
        for rule in self.rules.values():
            rule.calibrate([ratio])
        return Decision(False, score=ratio)

    def window(self, view: View) -> Window:
        """Return nothing: there is no retrospective calibration."""
        return [view.num_arrived, view.num_arrived]

    def calibrate(self, view: View, windows: Sequence[Window]) -> None:
        """Do nothing: there is no retrospective calibration."""

    def on_trigger(self, record: TriggerRecord) -> None:
        """Take note of a training's cost, and begin at 0."""
        super().on_trigger(record)
        if record.model is None:
            return
        if self.exchange_rate is None:
            self.exchange_rate = self.usual_rate(record, self.training_costs.cost_of(record)) or None
        self.training_costs.on_trigger(record)
        self.reset()
        for rule in self.rules.values():
            rule.on_model()

    def _ratio(self, view: View) -> float:
        self.accumulate(view)
        return self.regret(view.time) / self.training_costs.forecast(self.num_waiting(view))
