"""What every decision rule owes, and what each says beside a textbook loop, NumPy or river. New ones are found."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from found import concrete_classes
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import ADWIN

import modyn_bench.decisions
from modyn_bench.decisions.adwin import Adwin
from modyn_bench.decisions.base import DecisionRule, HistoryRule
from modyn_bench.decisions.cusum import Cusum
from modyn_bench.decisions.hypothesis_test import HypothesisTest
from modyn_bench.decisions.page_hinkley import PageHinkley
from modyn_bench.decisions.rolling_average import RollingAverage
from modyn_bench.decisions.rolling_quantile import RollingQuantile
from modyn_bench.decisions.threshold import Threshold
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive
from modyn_bench.types import Decision

RULES = concrete_classes(modyn_bench.decisions, DecisionRule)
FIXED = {"threshold", "hypothesis_test"}  # their threshold knows no scores
WITHOUT_THRESHOLD = {"adwin"}
ANY_SIGN = {("threshold", "threshold")}  # options that may be negative
VARIANTS: dict[str, list[dict[str, object]]] = {
    "cusum": [{"min_history": 2, "limit": 1.0}, {"min_history": 3, "slack": 0.0, "reset_on_model": True}],
    "page_hinkley": [{"min_history": 1, "limit": 0.8}, {"delta": 0.0, "reset_on_model": True}],
    "rolling_average": [{"absolute": True, "window": 3}, {"min_history": 4, "reset_on_model": True}],
    "rolling_quantile": [{"quantile": 0.5, "window": 4, "min_history": 2, "reset_on_model": True}],
    "adwin": [{"delta": 0.3, "min_history": 1, "reset_on_model": True}],
    "threshold": [{"threshold": -0.5}],
}
MAKERS: dict[str, Callable[[], DecisionRule]] = {
    "-".join([each.name, *map(str, options.values())]): (lambda each=each, options=options: each(**options))
    for each in RULES
    for options in [{}, *VARIANTS.get(each.name, [])]
}
each_rule = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
each_class = pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.name)
streams = st.lists(
    st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 0.1, 1.0, 1e-300, -2.5, 40.0])), min_size=1, max_size=40
)


def stepping(size: int = 60, step: float = 2.0) -> list[float]:
    """Scores whose mean rises half-way."""
    noise = derive(0, "stepping").normal(0, 0.3, size)
    return [float(value) for value in noise + step * (np.arange(size) >= size // 2)]


def through_json(state: dict) -> dict:
    return json.loads(json.dumps(state, allow_nan=False))


def with_option(option: str) -> list[type[DecisionRule]]:
    return [each for each in RULES if option in inspect.signature(each).parameters]


def test_rules_are_found_and_named():
    names = [each.name for each in RULES]
    assert len(names) >= 7
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.islower() for name in names)
    assert {*FIXED, *WITHOUT_THRESHOLD, *VARIANTS} <= set(names)


@each_rule
@given(scores=streams)
def test_the_threshold_stands_before_the_score_arrives_and_is_compared_strictly(make, scores):
    rule = make()
    for score in scores:
        before = rule.threshold()
        assert rule.threshold() == before  # asking changes nothing
        decision = rule.update(score)
        assert (decision.score, decision.threshold) == (score, before)
        if before is not None:
            assert decision.fired == (score > before)
        assert (before is None) or (rule.name not in WITHOUT_THRESHOLD)


@each_rule
@settings(max_examples=30)
@given(scores=streams)
def test_the_threshold_itself_does_not_fire_and_the_next_number_does(make, scores):
    rule = make()
    rule.calibrate(scores * 10)
    threshold = rule.threshold()
    assert (threshold is None) == (rule.name in WITHOUT_THRESHOLD)
    if threshold is not None:
        state = rule.state_dict()
        assert not rule.update(threshold).fired
        rule.load_state_dict(state)
        assert rule.update(np.nextafter(threshold, math.inf)).fired


@each_rule
@given(scores=streams, cut=st.integers(0, 40))
def test_a_saved_state_goes_on_as_if_nothing_had_happened(make, scores, cut):
    rule, other = make(), make()
    for score in scores[:cut]:
        rule.update(score)
    other.update(7.0)  # forgotten by the state it is given
    other.load_state_dict(through_json(rule.state_dict()))
    assert other.state_dict() == rule.state_dict()
    for index, score in enumerate(scores[cut:]):
        assert other.update(score) == rule.update(score)
        if index == 3:
            rule.on_model()
            other.on_model()
    assert through_json(other.state_dict()) == through_json(rule.state_dict())


@each_rule
@given(scores=streams)
def test_a_saved_state_is_a_copy(make, scores):
    rule = make()
    rule.update(scores[0])
    saved = rule.state_dict()
    frozen = through_json(saved)
    for score in scores:
        rule.update(score)
    assert saved == frozen
    rule.load_state_dict(saved)
    for score in scores:
        rule.update(score)
    assert saved == frozen


@each_rule
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_score_that_is_not_finite_is_refused_and_not_remembered(make, score):
    rule = make()
    rule.update(0.5)
    before = rule.state_dict()
    with pytest.raises(ValueError, match=f"{rule.name} got the score .*not finite"):
        rule.update(score)
    with pytest.raises(ValueError, match=f"{rule.name} got the score .*not finite"):
        rule.calibrate([score])
    assert rule.state_dict() == before


@each_rule
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, int])
def test_scores_of_any_type_are_plain_numbers(make, kind):
    rule, other = make(), make()
    for score in stepping(40, 5.0):
        given_score = kind(3 * score)
        decision = rule.update(given_score)
        assert type(decision.fired) is bool
        assert type(decision.score) is float
        assert decision.threshold is None or type(decision.threshold) is float
        assert decision == other.update(float(given_score))
    assert rule.state_dict() == other.state_dict()
    json.dumps(rule.state_dict())


@each_rule
def test_a_trained_model_is_only_news_if_so_configured(make):
    rule = make()
    for score in stepping(30):
        rule.update(score)
    before = rule.state_dict()
    rule.on_model()
    expected = make().state_dict() if rule.reset_on_model else before
    assert rule.state_dict() == expected


def test_which_rules_can_begin_anew():
    assert {each.name for each in RULES} - {each.name for each in with_option("reset_on_model")} == FIXED


@pytest.mark.parametrize("kind", with_option("min_history"), ids=lambda kind: kind.name)
@pytest.mark.parametrize("min_history", [2, 5, 15])
def test_nothing_fires_before_there_is_enough_history(kind, min_history):
    rule = kind(min_history=min_history)
    for index in range(min_history):
        assert rule.threshold() is None
        assert rule.update(10.0**index) == Decision(False, score=10.0**index)
    assert (rule.threshold() is None) == (kind.name in WITHOUT_THRESHOLD)


@pytest.mark.parametrize("kind", with_option("empty_history"), ids=lambda kind: kind.name)
@pytest.mark.parametrize("empty_history", ["fire", "hold"])
def test_what_an_empty_history_does(kind, empty_history):
    rule = kind(min_history=3, empty_history=empty_history)
    fired = [rule.update(score).fired for score in (5.0, 4.0, 3.0, -9.0)]
    assert fired == [empty_history == "fire"] * 3 + [False]


@each_rule
@given(scores=streams, cut=st.integers(0, 40))
def test_calibration_takes_scores_in_order_however_they_come(make, scores, cut):
    rule, other = make(), make()
    assert rule.calibrate(iter(scores)) is None
    other.calibrate(scores[:cut])
    other.calibrate(np.array(scores[cut:], dtype=np.float64))
    assert rule.state_dict() == other.state_dict()
    if isinstance(rule, HistoryRule):
        assert rule.history == scores[-rule.window :]
    rule.calibrate([])


@each_rule
@given(scores=streams, margin=st.floats(0.001, 2))
def test_a_score_below_all_that_was_calibrated_does_not_fire(make, scores, margin):
    rule = make()
    rule.calibrate(sorted(scores) * 2)
    if rule.name not in FIXED:
        assert not rule.update(min(scores) - margin).fired


@each_rule
@given(scores=streams, margin=st.floats(0.001, 2))
def test_a_score_below_all_before_does_not_fire(make, scores, margin):
    rule = make()
    for score in scores:
        rule.update(score)
    if rule.name not in FIXED:
        assert not rule.update(min(scores) - margin).fired


@each_rule
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -0.7, 1e-12, 123456.7])
def test_scores_that_never_change_never_fire(make, value):
    rule = make()
    if rule.name not in FIXED:
        assert not any(rule.update(value).fired for _ in range(200))


@pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3, 1e-9, 5e8])
@pytest.mark.parametrize("window", [1, 3, 10, 15])
def test_an_average_without_deviation_is_exact_on_what_never_changes(value, window):
    rule = RollingAverage(deviation=0.0, window=window)
    assert not any(rule.update(value).fired for _ in range(40))


@each_rule
def test_a_rise_is_found(make):
    rule = make()
    fired = [rule.update(score).fired for score in stepping(120, 30.0)]
    assert any(fired[60:])


def wrong_values(kind: type[DecisionRule], key: str, default: object) -> list[object]:
    """Values that no option of this kind can mean."""
    if isinstance(default, bool):
        return []
    if isinstance(default, str):
        return ["nonsense", ""]
    if isinstance(default, int):
        return [0, -1]
    return [math.nan, math.inf] if (kind.name, key) in ANY_SIGN else [-1.0, math.nan, math.inf, -math.inf]


@each_class
def test_wrong_options_are_refused_by_their_key(kind):
    for index, (key, parameter) in enumerate(inspect.signature(kind).parameters.items()):
        assert index == 0 or parameter.kind is inspect.Parameter.KEYWORD_ONLY
        for value in wrong_values(kind, key, parameter.default):
            with pytest.raises(RequestError, match=rf"trigger\.decision\.{key}="):
                kind(**{key: value})


@pytest.mark.parametrize("kind", [each for each in RULES if issubclass(each, HistoryRule)], ids=lambda kind: kind.name)
def test_more_history_than_the_window_holds_cannot_be_needed(kind):
    with pytest.raises(RequestError, match=r"trigger\.decision\.min_history=4 must lie in 1\.\.3"):
        kind(window=3, min_history=4)


@given(scores=streams, limit=st.floats(0.1, 5), delta=st.sampled_from([0.0, 0.005, 0.5]), min_history=st.integers(1, 6))
def test_page_hinkley_beside_a_plain_loop(scores, limit, delta, min_history):
    rule = PageHinkley(limit, delta=delta, min_history=min_history)
    before, excess = [], 0.0
    for score in scores:
        mean = float(np.mean(before)) if before else score
        reached = max(0.0, excess + score - mean - delta) if before else 0.0
        decision = rule.update(score)
        if abs(reached - limit) < 1e-9:
            return  # as good as equal: either may be right
        assert decision.fired == (len(before) >= min_history and reached > limit)
        if decision.threshold is not None:
            assert decision.threshold == pytest.approx(mean + delta + limit - excess, abs=1e-9)
        before, excess = ([], 0.0) if decision.fired else ([*before, score], min(reached, limit))


@given(
    scores=st.lists(st.floats(-3, 3), min_size=1, max_size=40),
    limit=st.floats(0.1, 5),
    slack=st.sampled_from([0.0, 0.5, 1.0]),
    min_history=st.integers(2, 6),
)
def test_cusum_beside_a_plain_loop(scores, limit, slack, min_history):
    rule = Cusum(limit, slack=slack, min_history=min_history)
    first, excess = np.array(scores[:min_history]), 0.0
    mean, spread = first.mean(), first.std()
    for index, score in enumerate(scores):
        decision = rule.update(score)
        if index < min_history:
            assert decision.threshold is None
            assert not decision.fired
            continue
        if spread < 1e-3:
            return  # a spread of almost nothing has its own test
        reached = max(0.0, excess + (score - mean) / spread - slack)
        if abs(reached - limit) < 1e-9:
            return
        assert decision.fired == (reached > limit)
        assert decision.threshold == pytest.approx(mean + spread * (slack + limit - excess), rel=1e-9, abs=1e-9)
        excess = 0.0 if decision.fired else reached


def test_cusum_of_scores_that_were_all_the_same_fires_on_any_rise():
    rule = Cusum(min_history=4)
    assert [rule.update(score).fired for score in (0.2, 0.2, 0.2, 0.2, 0.2, 0.2 + 1e-6)] == [False] * 5 + [True]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("delta", [0.002, 0.05, 0.5])
@pytest.mark.parametrize("min_history", [1, 5, 30])
def test_adwin_beside_river(seed, delta, min_history):
    generator = derive(seed, "adwin")
    levels = np.repeat(generator.permutation([0.0, 1.0, 0.5, 3.0, 0.2, 0.0]), 50)
    judge, expected = ADWIN(delta=delta, clock=1, grace_period=min_history), []
    rule, fired = Adwin(delta, min_history=min_history), []
    for score in levels + generator.normal(0, 0.2, len(levels)):
        fired.append(rule.update(score).fired)
        before = judge.estimation
        judge.update(score)
        expected.append(judge.drift_detected and judge.estimation > before)
        if expected[-1]:
            judge = ADWIN(delta=delta, clock=1, grace_period=min_history)
    assert fired == expected


def test_adwin_forgets_what_a_cut_has_made_useless():
    rule = Adwin()
    for score in [*[5.0] * 300, *[0.0] * 100]:
        assert not rule.update(score).fired
    assert len(rule.history) < 150


@given(
    scores=streams,
    window=st.integers(1, 7),
    deviation=st.sampled_from([0.0, 0.05, 1.5]),
    absolute=st.booleans(),
    quantile=st.floats(0.01, 0.99),
)
def test_rolling_rules_beside_numpy(scores, window, deviation, absolute, quantile):
    average = RollingAverage(deviation, absolute=absolute, window=window)
    upper = RollingQuantile(quantile, window=window)
    for index, score in enumerate(scores):
        last = np.array(scores[max(index - window, 0) : index])
        by_average, by_quantile = average.update(score).threshold, upper.update(score).threshold
        if index == 0:
            assert by_average is by_quantile is None
            continue
        above = deviation if absolute else deviation * abs(last.mean())
        assert by_average == pytest.approx(last.mean() + above, rel=1e-9, abs=1e-12)
        assert by_quantile == np.quantile(last, 1 - quantile)


@pytest.mark.parametrize("num_permutations", [19, 99, 199, 999])
@pytest.mark.parametrize("level", [0.01, 0.05, 0.1])
def test_a_p_value_at_the_level_does_not_reject(num_permutations, level):
    """Scores are one minus (1 + b) / (1 + B), and must not be rounded across the level."""
    for num_as_large in range(num_permutations + 1):
        p_value = (1 + num_as_large) / (1 + num_permutations)
        rejects = HypothesisTest(level).update(1.0 - p_value).fired
        assert rejects == ((1 + num_as_large) < round(level * (1 + num_permutations), 6))


def test_a_threshold_is_what_it_was_set_to():
    rule = Threshold(0.3)
    assert [rule.update(score).fired for score in (0.3, 0.30000001, -5.0)] == [False, True, False]
    assert rule.threshold() == 0.3
