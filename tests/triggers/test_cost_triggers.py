"""The cost policies: regret by hand and by brute force, its reset, and forecasts of what a training costs."""

from __future__ import annotations

import numpy as np
import pytest
from driving import drive, stream
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from modyn_bench.decisions.threshold import Threshold
from modyn_bench.errors import RequestError
from modyn_bench.triggers.costs import RegretCurve, TrainingCosts
from modyn_bench.triggers.latency_cost import LatencyCost
from modyn_bench.triggers.misclassification_cost import MisclassificationCost
from modyn_bench.types import ModelRecord, StageCost, TriggerRecord


def training(size: int, *, seconds: float = 0.0, passes: float | None = None) -> TriggerRecord:
    done = float(size) if passes is None else passes
    model = ModelRecord(0, 0, None, 0, 0, 0, size, 1, 1, done, done)
    used = {"select": 0.125, "score": 0.125, "train": seconds, "predict": 100.0}
    stages = tuple(StageCost(stage, spent) for stage, spent in used.items())
    return TriggerRecord(0, 0, 0, 0, size, size, size, 0, size, model, stages)


def test_waiting_time_is_the_sum_over_samples_and_starts_anew_with_a_training() -> None:
    """Ten samples in ten seconds waited 45 sample-seconds, and so did the next ten; 1,900 is what no reset gives."""
    policy = LatencyCost(interval=10)
    policy.consume(stream(range(10)))
    assert policy.regret(9) == sum(9 - t for t in range(10)) == 45
    policy.on_trigger(training(10))
    assert policy.regret(9) == 0
    later = stream(range(20)).split(10)[1]
    policy.consume(later)
    assert policy.regret(19) == 45


def test_it_is_as_patient_as_the_first_training_was() -> None:
    """One sample a second: the ratio grows with the block, so that every block fires only from the second on."""
    driven = drive(lambda: LatencyCost(interval=10), stream(range(100)))
    assert [at for at, _, _ in driven.triggers] == [10, 30, 50, 70, 90]  # equal is not above
    slow = drive(lambda: LatencyCost(interval=10), stream([*range(10), *range(20, 200, 2)]))
    assert [at for at, _, _ in slow.triggers] == list(range(10, 101, 10))


def test_the_exchange_rate_divides() -> None:
    def fired(rate: float) -> int:
        return len(drive(lambda: LatencyCost(interval=5, regret_per_cost=rate), stream(range(200))).triggers)

    assert fired(0.1) > fired(3.0) > fired(30.0) >= 1


@given(
    blocks=st.lists(st.tuples(st.integers(0, 20), st.floats(0, 50)), min_size=1, max_size=12),
)
def test_the_area_under_the_regret_curve_is_the_integral(blocks: list[tuple[int, float]]) -> None:
    curve, time, knots = RegretCurve(), 0, [(0, 0.0)]
    curve.grow(0.0, until=0)
    for length, regret in blocks:
        time += length
        curve.grow(regret, until=time)
        knots.append((time, knots[-1][1] + regret))
    times, values = zip(*knots, strict=True)
    assert curve.area == pytest.approx(np.trapezoid(values, times), rel=1e-9, abs=1e-6)
    curve.reset()
    curve.grow(2.0, until=time + 10)
    assert curve.area == 10.0


def test_costs_of_trainings_are_forecast_like_scikit_learn_does() -> None:
    costs = TrainingCosts()
    sizes = [100, 250, 300, 80]
    for size in sizes:
        costs.on_trigger(training(size))
        made = Ridge(alpha=1.0).fit(np.array(sizes[: len(costs.sizes)])[:, None], costs.costs)
        assert costs.forecast(500) == pytest.approx(made.predict([[500]])[0])
    assert costs.costs == [300.0, 750.0, 900.0, 240.0]  # a backward pass counts twice


def test_seconds_are_those_of_selection_and_training() -> None:
    costs = TrainingCosts(cost_model="seconds", window=2)
    for seconds in (1.0, 2.0, 3.0):
        costs.on_trigger(training(10, seconds=seconds))
    assert costs.costs == [2.25, 3.25]


def test_a_trigger_that_trains_nothing_resets_nothing() -> None:
    policy = LatencyCost(interval=10)
    policy.consume(stream(range(10)))
    policy.on_trigger(TriggerRecord(0, 9, 0, 9, 10, 0, 0, 0, 0, None))
    assert policy.regret(9) == 45
    assert not policy.training_costs.costs


def test_avoidable_errors_accumulate_and_a_rule_may_take_the_place_of_the_rate() -> None:
    many = stream(range(300))
    cheap = drive(lambda: MisclassificationCost(interval=5, regret_per_cost=1e-6, expected_accuracy=1.0), many)
    dear = drive(lambda: MisclassificationCost(interval=5, regret_per_cost=1e6, expected_accuracy=1.0), many)
    rule = drive(lambda: MisclassificationCost(interval=5, decision=Threshold(1e-6), expected_accuracy=1.0), many)
    assert len(cheap.triggers) > 40
    assert [at for at, _, _ in dear.triggers] == [5]
    assert rule.triggers == cheap.triggers
    default = drive(lambda: MisclassificationCost(interval=5), many)
    assert 1 < len(default.triggers) < len(cheap.triggers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regret_per_cost": 0}, r"trigger\.regret_per_cost=0 must be above 0"),
        ({"cost_model": "money"}, r"trigger\.cost_model='money' must be one of samples, seconds"),
        ({"cost_window": 0}, r"trigger\.cost_window=0"),
        ({"calibration": "retrospective"}, r"trigger\.calibration must be running"),
        ({"regret_per_cost": 1.0, "decision": Threshold(1.0)}, "exclude each other"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    for policy in (LatencyCost, MisclassificationCost):
        with pytest.raises(RequestError, match=message):
            policy(**options)


def test_a_training_is_never_forecast_cheaper_than_the_cheapest_was() -> None:
    costs = TrainingCosts()
    for size, passes in ((1000, 1000.0), (500, 1500.0), (250, 1750.0)):
        costs.on_trigger(training(size, passes=passes))
    assert costs.forecast(3000) == 3000.0
    assert costs.forecast(400) > 4000.0
