"""Retrain when the newest model does worse on what has come in since."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.decisions.rolling_quantile import RollingQuantile
from modyn_bench.decisions.threshold import Threshold
from modyn_bench.errors import RequestError, check_part
from modyn_bench.metrics import HIGHER_IS_BETTER
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.triggers.batched import Batched, Window
from modyn_bench.triggers.forecasts import FORECASTS, forecast_next
from modyn_bench.triggers.monitoring import AVOIDABLE, Monitor, check_expected_accuracy, check_trigger_metric
from modyn_bench.types import Decision, TriggerRecord


class Performance(Batched):
    r"""Fire when the newest model's performance is decided to be low.

    At the end of every block the newest model is evaluated on the samples whose labels have come in since the last
    block, each once, and none that was labelled when the model was trained. The rule gets the metric with the sign that
    makes high bad; tables show the metric itself.

    With ``metric: avoidable_misclassifications`` the score is the number of misclassifications since the last training
    that an expected accuracy a would have avoided,

    .. math:: \sum_b \max(0,\; e_b - (1 - a)\, n_b)

    over blocks b of :math:`n_b` samples with :math:`e_b` errors.

    Args:
        metric: A metric's public name, or ``avoidable_misclassifications``.
        threshold: Fire when the metric falls below this value, or, of one for which lower is better, rises above it, in
            the metric's own units; in place of ``decision``.
        decision: Whether a score fires: the negative of a metric for which higher is better, else the metric; ``None``
            without a ``threshold``: the 0.95 quantile of the last 15 scores.
        expected_accuracy: a in [0, 1]; ``None``: the accuracy since the last training, up to the block before.
        allow_reduction: Let blocks with fewer errors than expected reduce the sum.
        mode: ``hindsight`` decides on the last block, ``lookahead`` on a forecast of the next one (of the sum: with
            what the next block is forecast to add).
        forecast: ``rolling_average`` or ``ridge``, over the blocks since the last training.
        interval: Samples between decisions.
        warmup_intervals: Blocks of warm-up.
        warmup_trigger: The policy in charge of the warm-up.
        first_block: ``fire`` or ``hold`` while there is no model.
        calibration: ``retrospective`` (on those samples of the warm-up that the newest model has not seen) or
            ``running``.

    Raises:
        RequestError: If a value is out of range, or there is no such metric.

    Example:
        >>> Performance(metric="top_2_accuracy", threshold=0.8).rule.threshold()
        -0.8

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference system evaluates accuracy whatever metric is named, estimates no expected accuracy, and its rules
        are not calibrated by the warm-up.
    """

    name = "performance"
    state_fields = (*Batched.state_fields, "rule", "monitor", "avoidable")

    def __init__(
        self,
        *,
        metric: str = "accuracy",
        threshold: float | None = None,
        decision: DecisionRule | None = None,
        expected_accuracy: float | None = None,
        allow_reduction: bool = False,
        mode: str = "hindsight",
        forecast: str = "ridge",
        interval: int = 1000,
        warmup_intervals: int = 4,
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
        check_part("trigger.decision", decision, DecisionRule, "trigger/decision=threshold")
        if metric != AVOIDABLE:
            check_trigger_metric(metric)
        check_expected_accuracy(expected_accuracy)
        if threshold is not None and decision is not None:
            raise RequestError(
                "trigger.threshold and trigger.decision exclude each other: give one; trigger.threshold=null and "
                "~trigger/decision take them away"
            )
        if metric != AVOIDABLE and (expected_accuracy is not None or allow_reduction):
            key = "allow_reduction" if expected_accuracy is None else "expected_accuracy"
            raise RequestError(
                f"trigger.{key} is of no use with trigger.metric={metric}: leave it out, or set "
                f"trigger.metric={AVOIDABLE}"
            )
        if metric == AVOIDABLE and calibration != "running":
            raise RequestError(
                f"trigger.calibration={calibration} cannot be had with trigger.metric={AVOIDABLE}, a sum over what was "
                "judged: use running"
            )
        if mode not in ("hindsight", "lookahead"):
            raise RequestError(f"trigger.mode={mode!r} must be hindsight or lookahead")
        if forecast not in FORECASTS:
            raise RequestError(f"trigger.forecast={forecast!r} must be one of {', '.join(FORECASTS)}")
        self.metric = metric
        self.sign = -1.0 if metric != AVOIDABLE and HIGHER_IS_BETTER[metric] else 1.0
        fixed = None if threshold is None else Threshold(self.sign * threshold)
        self.rule: DecisionRule = fixed or decision or RollingQuantile()
        self.rule.check_scores(f"the metric {metric}", None)
        self.expected_accuracy = expected_accuracy
        self.allow_reduction = allow_reduction
        self.mode = mode
        self.forecast = forecast
        self.monitor = Monitor("accuracy" if metric == AVOIDABLE else metric)
        self.avoidable = 0.0  # misclassifications since the last training

    def check_dataset(self, *, num_classes: int) -> None:
        """Check that the metric can be had with so many classes."""
        super().check_dataset(num_classes=num_classes)
        if self.metric != AVOIDABLE:
            check_trigger_metric(self.metric, num_classes=num_classes)

    def ready(self, view: View) -> bool:
        """Say whether there is a model."""
        return view.model_id is not None

    def evaluate(self, view: View) -> Decision:
        """Evaluate the newest model on the block, and decide."""
        score = self._score(view)
        return Decision(False) if score is None else self._in_units(self.rule.update(self.sign * score))

    def observe(self, view: View) -> Decision:
        """Evaluate the newest model on the block, and calibrate on the outcome."""
        score = self._score(view)
        if score is not None:
            self.rule.calibrate([self.sign * score])
        return Decision(False, score=score)

    def window(self, view: View) -> Window:
        """Return the keys whose labels came in since the last block."""
        first, end = self.monitor.window(view)
        self.monitor.judged_until = end
        return [first, end]

    def calibrate(self, view: View, windows: Sequence[Window]) -> None:
        """Evaluate the newest model on what it has not seen of each window of the warm-up."""
        for first, end in windows:
            block = self.monitor.look(view, first, end)
            if block is not None and self.metric != AVOIDABLE and not np.isnan(block.value):
                self.rule.calibrate([self.sign * block.value])

    def on_trigger(self, record: TriggerRecord) -> None:
        """Begin anew where a model was trained."""
        super().on_trigger(record)
        self.monitor.on_trigger(record)
        if record.model is not None:
            self.avoidable = 0.0
            self.rule.on_model()

    def _score(self, view: View) -> float | None:
        """Return the metric of the block, or the sum, or the forecast of either; ``None`` without a new label."""
        block = self.monitor.judge(view)
        if block is None:
            return None
        if self.metric != AVOIDABLE:
            values = self.monitor.values()
            if self.mode == "lookahead" and values:
                forecast = forecast_next(values, method=self.forecast)
                return forecast if self.metric == "loss" else min(max(forecast, 0.0), 1.0)
            return None if np.isnan(block.value) else block.value
        self.avoidable += self._avoidable(block.num_samples, block.num_correct, before=-1)
        if self.mode == "hindsight":
            return self.avoidable
        accuracy = min(max(forecast_next(self.monitor.values(), method=self.forecast), 0.0), 1.0)
        return self.avoidable + self._avoidable(self.interval, accuracy * self.interval, before=None)

    def _avoidable(self, num_samples: float, num_correct: float, *, before: int | None) -> float:
        return self.monitor.avoidable(
            num_samples,
            num_correct,
            expected_accuracy=self.expected_accuracy,
            allow_reduction=self.allow_reduction,
            before=before,
        )

    def _in_units(self, decision: Decision) -> Decision:
        """Return a decision with score and threshold in the metric's own units."""
        score, threshold = decision.score, decision.threshold
        return Decision(
            decision.fired,
            score=None if score is None else self.sign * score,
            threshold=None if threshold is None else self.sign * threshold,
        )
