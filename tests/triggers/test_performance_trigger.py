"""The performance policy: what it judges, and when it fires, on streams whose answer is known by hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from driving import StubView, _record, stream
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score, log_loss

from modyn_bench.decisions.hypothesis_test import HypothesisTest
from modyn_bench.decisions.rolling_average import RollingAverage
from modyn_bench.decisions.rolling_quantile import RollingQuantile
from modyn_bench.decisions.threshold import Threshold
from modyn_bench.errors import RequestError, RunError
from modyn_bench.metrics import compute
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.forecasts import forecast_next, ridge
from modyn_bench.triggers.monitoring import predictions_of
from modyn_bench.triggers.performance import Performance
from modyn_bench.types import Decision

Cold = partial(Performance, warmup_intervals=0)


class Graded(StubView):
    """A model that is wrong on the keys it is told of; labels are 0, 1, 2 in turn."""

    wrong: frozenset[int] = frozenset()

    def predict(self, keys: np.ndarray) -> np.ndarray:
        self._pass(keys)
        said = (self.samples.labels[keys] + np.isin(keys, list(self.wrong))) % 3
        return np.eye(3, dtype=np.float32)[said] * 0.8 + 0.1 - 0.1 * np.eye(3, dtype=np.float32)[said]


def walk(
    trigger: Performance, wrong: list[int], num_samples: int, *, delay: int = 0
) -> tuple[list[tuple[int, Decision]], Graded]:
    """Decide over a stream, labels coming ``delay`` samples late; every firing trains on what is labelled."""
    samples = stream(range(num_samples))
    view, out, num_models = Graded(None, samples), [], 0
    view.wrong = frozenset(wrong)
    arrivals = samples
    while len(arrivals):
        point = trigger.next_decision(arrivals)
        part, arrivals = arrivals.split(len(arrivals) if point is None else point.position)
        trigger.consume(part)
        if point is None:
            break
        view.num_arrived = int(part.keys[-1]) + 1
        view.num_labelled = max(view.num_arrived - delay, 0)
        decision = trigger.decide(view)
        out.append((view.num_arrived, decision))
        if decision.fired:
            trigger.on_trigger(_record(num_models, view.num_arrived, len(part), view.num_labelled))
            view.model_id, num_models = num_models, num_models + 1
    return out, view


def fired(decisions: list[tuple[int, Decision]]) -> list[int]:
    return [at for at, decision in decisions if decision.fired]


def test_a_static_threshold_in_the_metrics_own_units_is_strict() -> None:
    """One error in 15..19, two in 20..24, three in 30..34; 0.6 itself does not fire."""
    decisions, _ = walk(Cold(interval=5, threshold=0.6), [15, 20, 21, 30, 31, 32], 50)
    assert fired(decisions) == [5, 35]
    scores = {at: decision.score for at, decision in decisions}
    assert scores[20] == pytest.approx(0.8)
    assert scores[25] == pytest.approx(0.6)
    assert {decision.threshold for at, decision in decisions if at > 5} == {0.6}


def test_a_metric_for_which_lower_is_better_fires_above() -> None:
    decisions, _ = walk(Cold(interval=5, metric="loss", threshold=1.0), [12, 22, 23, 24], 40)
    assert fired(decisions) == [5, 25]


def test_each_sample_is_judged_once_when_its_label_is_there_and_never_one_that_was_trained_on() -> None:
    """Labels come seven samples late. At 10 a model is trained on 0..2; at 15 it is judged on 3..7, and so on."""
    trigger = Cold(interval=5, threshold=0.3)
    decisions, view = walk(trigger, [3, 4, 5, 6, 7], 30, delay=7)
    assert [at for at, decision in decisions if decision.score is not None] == [15, 20, 25, 30]
    assert fired(decisions) == [10, 15]
    scores = {at: decision.score for at, decision in decisions if decision.score is not None}
    assert scores == {15: 0.0, 20: 1.0, 25: 1.0, 30: 1.0}  # all of 3..7 wrong; then 8..12, 13..17, 18..22
    assert view.forward_passes == 20


def test_a_block_without_a_new_label_is_not_scored() -> None:
    trigger = Cold(interval=2, threshold=0.9)
    decisions, _ = walk(trigger, list(range(100)), 20, delay=100)
    assert [decision.score for _, decision in decisions] == [None] * 10
    assert fired(decisions) == []


def test_dynamic_rules_compare_with_the_blocks_before() -> None:
    wrong = [11, 16, 21, 26, 31, 36, *range(40, 44), *range(45, 50)]
    quantile = Cold(interval=5, decision=RollingQuantile(0.05, window=4, min_history=3))
    average = Cold(interval=5, decision=RollingAverage(0.25, absolute=True, window=4, min_history=3))
    assert fired(walk(quantile, wrong, 50)[0]) == [5, 45, 50]
    assert fired(walk(average, wrong, 50)[0]) == [5, 45, 50]


def test_avoidable_misclassifications_add_up_until_a_training() -> None:
    """0.8 expected: one error of five is none to avoid, three are two."""
    wrong = [7, 10, 11, 12, 16, 20, 21, 22, 23, 31, 32]
    trigger = Cold(interval=5, metric="avoidable_misclassifications", decision=Threshold(4.5), expected_accuracy=0.8)
    decisions, _ = walk(trigger, wrong, 40)
    scores = [decision.score for _, decision in decisions]
    assert scores[1:] == pytest.approx([0.0, 2.0, 2.0, 5.0, 0.0, 1.0, 1.0])
    assert fired(decisions) == [5, 25]


def test_good_blocks_reduce_the_sum_only_where_that_is_allowed() -> None:
    options = {
        "interval": 5,
        "warmup_intervals": 0,
        "metric": "avoidable_misclassifications",
        "decision": Threshold(99),
    }
    scores = {
        allowed: [d.score for _, d in walk(Cold(**options, expected_accuracy=0.6, allow_reduction=allowed), [5], 20)[0]]
        for allowed in (False, True)
    }
    assert scores[False][1:] == pytest.approx([0.0, 0.0, 0.0])
    assert scores[True][1:] == pytest.approx([-1.0, -3.0, -5.0])


def test_the_expected_accuracy_is_estimated_from_the_blocks_since_the_training() -> None:
    trigger = Cold(interval=5, metric="avoidable_misclassifications", decision=Threshold(1.5))
    decisions, _ = walk(trigger, [5, 10, 15, 16, 17, 20], 30)
    # 0.8, 0.8, then 0.4: two more errors than the fifth that was usual; then a new model with nothing to compare with
    assert [decision.score for _, decision in decisions][1:] == pytest.approx([0.0, 0.0, 2.0, 0.0, 0.0])
    assert fired(decisions) == [5, 20]


def test_looking_ahead_fires_on_the_trend() -> None:
    wrong = [10, 15, 16, 20, 21, 22, 25, 26, 27, 28]
    hindsight = Cold(interval=5, threshold=0.15)
    lookahead = Cold(interval=5, threshold=0.15, mode="lookahead")
    assert fired(walk(hindsight, wrong, 30)[0]) == [5]
    assert fired(walk(lookahead, wrong, 30)[0]) == [5, 30]  # 1, .8, .6, .4, .2 point to about 0


def test_running_calibration_takes_the_warmups_blocks() -> None:
    rule = RollingQuantile(window=9)
    options = {"interval": 5, "decision": rule, "warmup_intervals": 4, "warmup_trigger": Amount(8)}
    walk(Cold(**options, calibration="running"), [8, 12], 20)
    # Models after 8 and 16 samples: 8..9 and 10..14 are judged by the first, 16..19 by the second.
    assert rule.history == pytest.approx([-0.5, -0.8, -1.0])


def test_retrospective_calibration_takes_what_the_newest_model_has_not_seen() -> None:
    rule = RollingQuantile(window=9)
    walk(
        Cold(interval=5, decision=rule, warmup_intervals=4, warmup_trigger=Amount(8), calibration="retrospective"),
        [17, 18],
        20,
    )
    assert rule.history == pytest.approx([-0.5])  # of 16..19, which came after the second model


@pytest.mark.parametrize(
    "values", [[0.3], [0.1, 0.4, 0.2], [0.9, 0.8, 0.85, 0.6, 0.5], list(np.linspace(0, 1, 9) ** 2)]
)
def test_forecasts_are_scikit_learns(values: list[float]) -> None:
    assert forecast_next(values, method="rolling_average") == pytest.approx(np.mean(values))
    expected = np.mean(values)
    if len(values) >= 5:
        model = Ridge(alpha=0.5).fit(np.arange(len(values))[:, None], values)
        expected = model.predict([[len(values)]])[0]
    assert forecast_next(values, method="ridge") == pytest.approx(expected)
    xs = [3.0 * i**2 for i in range(len(values))]
    judged = Ridge(alpha=1.0).fit(np.array(xs)[:, None], values).predict([[17.0]])[0]
    assert ridge(xs, values, at=17.0, penalty=1.0) == pytest.approx(judged)


def test_metrics_of_probabilities_are_scikit_learns() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    probabilities = rng.dirichlet(np.ones(4), 200)
    labels = rng.integers(0, 4, 200)
    made = predictions_of(probabilities, labels)

    def value(metric: str) -> float:
        return float(compute(metric, made, labels, np.array([[0, 200]]), num_classes=4)[0])

    assert value("loss") == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
    assert value("f1_macro") == pytest.approx(f1_score(labels, probabilities.argmax(1), average="macro"))
    top_2 = np.mean([label in row.argsort()[-2:] for row, label in zip(probabilities, labels, strict=True)])
    assert value("top_2_accuracy") == pytest.approx(top_2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "acuracy"}, r"trigger\.metric: there is no metric 'acuracy'; did you mean 'accuracy'"),
        (
            {"metric": "avoidable_misclasifications"},
            r"did you mean 'avoidable_misclassifications'.*, avoidable_misclassif",
        ),
        ({"expected_accuracy": 1.5}, r"trigger\.expected_accuracy=1\.5 must lie in \[0, 1\]"),
        (
            {"metric": "avoidable_misclassifications", "calibration": "retrospective"},
            r"trigger\.calibration=retrospective cannot be had with trigger\.metric=avoidable",
        ),
        (
            {"decision": Threshold(-0.5), "threshold": 0.5},
            r"trigger\.threshold and trigger\.decision exclude each other",
        ),
        ({"expected_accuracy": 0.9}, r"trigger\.expected_accuracy is of no use .* set trigger\.metric=avoidable_mis"),
        (
            {"metric": "loss", "allow_reduction": True},
            r"trigger\.allow_reduction is of no use with .*=loss",
        ),
        ({"decision": HypothesisTest()}, "decides on p-values, but the metric accuracy gives none"),
        ({"mode": "ahead"}, r"trigger\.mode='ahead' must be hindsight or lookahead"),
        ({"forecast": "guess"}, r"trigger\.forecast='guess'"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Cold(**options)


def test_a_metric_that_does_not_suit_the_classes_is_refused_before_anything_is_trained() -> None:
    trigger = Cold(metric="f1_binary")
    trigger.check_dataset(num_classes=2)
    with pytest.raises(RequestError, match=r"trigger\.metric: f1_binary needs two classes, but the dataset has 3"):
        trigger.check_dataset(num_classes=3)


@pytest.mark.parametrize(
    ("metric", "fits", "num_classes", "message"),
    [
        ("top_3_accuracy", 4, 3, "top_3_accuracy is always 1, since the dataset has 3 classes; use accuracy"),
        ("roc_auc", 20, 21, "roc_auc is for at most 20 classes here, but the dataset has 21; use f1_macro"),
    ],
)
def test_a_metric_that_says_nothing_or_cannot_be_had_is_refused(
    metric: str, fits: int, num_classes: int, message: str
) -> None:
    trigger = Cold(metric=metric)
    trigger.check_dataset(num_classes=fits)
    with pytest.raises(RequestError, match=f"trigger.metric: {message}"):
        trigger.check_dataset(num_classes=num_classes)


def test_what_does_not_suit_the_dataset_is_told_of_where_it_stands() -> None:
    binary = Cold(metric="f1_binary")
    warmed_up = Performance(warmup_trigger=binary)
    ensemble = Ensemble({"outer": Ensemble({"inner": warmed_up})})
    ensemble.check_dataset(num_classes=2)
    with pytest.raises(
        RequestError, match=r"^trigger\.members\.outer\.members\.inner\.warmup_trigger\.metric: f1_binary needs"
    ):
        ensemble.check_dataset(num_classes=3)


def test_looking_ahead_expects_what_all_blocks_so_far_showed_and_stays_a_share() -> None:
    trigger = Cold(
        interval=10,
        metric="avoidable_misclassifications",
        decision=Threshold(99),
        mode="lookahead",
        forecast="rolling_average",
    )
    decisions, _ = walk(trigger, [10, 20, 21, 22, 23, 24], 30)
    # 0.9 and 0.5 since the training: four avoidable so far; the forecast, 0.7, is what both blocks together showed
    assert [decision.score for _, decision in decisions][1:] == pytest.approx([0.0, 4.0])
    rising = Cold(interval=5, threshold=0.1, mode="lookahead")
    scores = [decision.score for _, decision in walk(rising, [5, 6, 7, 8, 10, 11, 12, 15, 16, 20], 40)[0]][1:]
    assert max(scores) == 1.0


class Diverged(Graded):
    """A model whose outputs are no numbers."""

    def predict(self, keys: np.ndarray) -> np.ndarray:
        return np.full((len(keys), 3), np.nan, dtype=np.float32)


def test_a_model_that_returns_nan_is_named() -> None:
    view = Diverged(4, stream(range(20)), num_arrived=20, num_labelled=20)
    with pytest.raises(RunError, match="model 4 returned NaN for sample 0 of the train split"):
        Cold(interval=5).monitor.judge(view)
