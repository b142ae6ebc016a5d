"""Every policy through every check of the contract: cutting, restoring, ties, advancing, purity."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from driving import Blocks, drive, stream
from found import concrete_classes, held_by
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench import triggers
from modyn_bench.decisions.adwin import Adwin
from modyn_bench.decisions.base import DecisionRule
from modyn_bench.decisions.cusum import Cusum
from modyn_bench.decisions.hypothesis_test import HypothesisTest
from modyn_bench.decisions.page_hinkley import PageHinkley
from modyn_bench.decisions.rolling_average import RollingAverage
from modyn_bench.decisions.rolling_quantile import RollingQuantile
from modyn_bench.decisions.threshold import Threshold
from modyn_bench.drift.base import Distance
from modyn_bench.drift.kolmogorov_smirnov import KolmogorovSmirnov
from modyn_bench.drift.label_shift import LabelShift
from modyn_bench.errors import RunError
from modyn_bench.parts import with_parts
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import Trigger
from modyn_bench.triggers.drift import Drift
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.latency_cost import LatencyCost
from modyn_bench.triggers.misclassification_cost import MisclassificationCost
from modyn_bench.triggers.never import Never
from modyn_bench.triggers.once import Once
from modyn_bench.triggers.performance import Performance
from modyn_bench.triggers.time import Time
from modyn_bench.triggers.windows import DetectionWindows
from modyn_bench.types import Arrivals

POLICIES: dict[str, Callable[[], Trigger]] = {
    "never": Never,
    "once": lambda: Once("10s"),
    "amount": lambda: Amount(5),
    "amount_1": lambda: Amount(1),
    "time": lambda: Time("10s"),
    "time_start": lambda: Time("7s", start=-1000, clock="grid_line"),
    "time_month": lambda: Time(calendar="month"),
    "blocks": lambda: Blocks(4),
    "any": lambda: Ensemble({"a": Amount(3), "t": Time("9s"), "b": Blocks(2)}, rule="any"),
    "majority": lambda: Ensemble({"a": Blocks(3), "b": Blocks(4), "c": Blocks(5, 0.3)}),
    "all": lambda: Ensemble({"a": Blocks(3, 0.2), "b": Time("5s", clock="grid_line")}, rule="all"),
    "nested": lambda: Ensemble(
        {
            "inner": Ensemble({"a": Blocks(2), "b": Amount(3), "t": Time("4s")}, at_least=2),
            "deep": Ensemble({"one": Ensemble({"x": Blocks(3), "y": Blocks(3, 0.7)}, rule="any")}),
            "time": Time("11s", clock="grid_line"),
        },
        at_least=2,
    ),
}

SHORT = DetectionWindows(6, 4)
AGES = DetectionWindows("20s", "10s", overlap=False)


def further(distance: Distance, decision: DecisionRule) -> dict[str, dict[str, object]]:
    return {"further": {"distance": distance, "decision": decision}}


POLICIES |= {
    "drift": lambda: Drift(interval=3, windows=SHORT),
    "drift_warmup": lambda: Drift(interval=3, windows=SHORT, warmup_intervals=3, warmup_trigger=Time("9s")),
    "drift_running": lambda: Drift(
        interval=2, windows=AGES, warmup_intervals=4, warmup_trigger=Amount(5), calibration="running", sample_size=3
    ),
    "drift_hold": lambda: Ensemble(
        {"d": Drift(interval=3, first_block="hold", decision=PageHinkley(0.1, min_history=2)), "a": Amount(9)},
        rule="any",
    ),
    "drift_features": lambda: Drift(
        distance=KolmogorovSmirnov(),
        decision=HypothesisTest(0.2),
        representation="features",
        windows=DetectionWindows(5, 5, reference="sliding"),
        interval=4,
        num_components=1,
    ),
    "drift_labels": lambda: Drift(
        distance=LabelShift(of="labels"),
        decision=Threshold(0.1),
        windows=DetectionWindows(7, "5s", overlap=False),
        interval=3,
        warmup_intervals=3,
        warmup_trigger=Amount(4),
    ),
    "drift_several": lambda: Drift(
        interval=4,
        windows=DetectionWindows(8, 4, reference="fixed"),
        detectors=further(LabelShift(of="labels"), Cusum(1.0, min_history=2)),
        decision=Adwin(min_history=2),
        combine="majority",
        warmup_intervals=2,
    ),
    "drift_several_running": lambda: Drift(
        interval=3,
        windows=SHORT,
        detectors=further(LabelShift(), Threshold(0.0)),
        warmup_intervals=4,
        warmup_trigger=Amount(3),
        calibration="running",
    ),
    "performance": lambda: Performance(interval=3, threshold=0.4),
    "performance_warmup": lambda: Performance(
        interval=2, metric="loss", decision=RollingAverage(0.1, window=3), warmup_intervals=3, calibration="running"
    ),
    "performance_avoidable": lambda: Performance(
        interval=3, metric="avoidable_misclassifications", decision=Threshold(2), mode="lookahead"
    ),
    "latency_cost": lambda: LatencyCost(interval=3),
    "latency_cost_rule": lambda: LatencyCost(interval=2, decision=RollingQuantile(0.3), warmup_intervals=2),
    "misclassification_cost": lambda: MisclassificationCost(interval=3, regret_per_cost=0.5, expected_accuracy=0.9),
    "misclassification_cost_warmup": lambda: MisclassificationCost(
        interval=2, warmup_intervals=3, warmup_trigger=Time("6s", clock="grid_line")
    ),
    "ensemble_of_batched": lambda: Ensemble(
        {
            "drift": Drift(interval=3, windows=SHORT, warmup_intervals=2, warmup_trigger=Amount(2)),
            "performance": Performance(interval=2, threshold=0.5),
            "cost": LatencyCost(interval=5),
        },
        at_least=2,
    ),
    "own_rule": lambda: Ensemble({"a": Amount(2), "b": Blocks(3)}, rule=lambda votes: votes["a"] and votes["b"]),
}

streams = st.builds(stream, st.lists(st.integers(0, 60), min_size=1, max_size=40), late=st.integers(0, 9))
month_streams = st.lists(st.integers(0, 86_400 * 200), min_size=1, max_size=30).map(stream)


@pytest.mark.parametrize("name", POLICIES)
class TestContract:
    """What holds for every policy."""

    @given(data=st.data())
    def test_how_the_stream_is_cut_changes_nothing(self, name: str, data: st.DataObject) -> None:
        samples = data.draw(month_streams if name == "time_month" else streams)
        cuts = data.draw(st.sets(st.integers(1, len(samples))))
        whole = drive(POLICIES[name], samples)
        assert drive(POLICIES[name], samples, cuts) == whole
        assert drive(POLICIES[name], samples, range(len(samples))) == whole

    @given(data=st.data())
    def test_restored_at_any_step_it_goes_on_the_same(self, name: str, data: st.DataObject) -> None:
        samples = data.draw(streams)
        cuts = data.draw(st.sets(st.integers(1, len(samples))))
        every = data.draw(st.integers(1, 5))
        assert drive(POLICIES[name], samples, cuts, restart_every=every) == drive(POLICIES[name], samples)

    @given(samples=streams)
    def test_what_has_a_threshold_fires_exactly_above_it(self, name: str, samples: Arrivals) -> None:
        rows = [row for place in drive(POLICIES[name], samples).decisions for row in rows_of(name, place[3:])]
        for who, fired, score, threshold in rows:
            if threshold is not None:
                assert score is not None
                assert fired == (score < threshold if who == "performance" else score > threshold)

    def test_a_foreign_state_is_refused(self, name: str) -> None:
        with pytest.raises(RunError, match="state"):
            POLICIES[name]().load_state_dict({"something_else": 1})

    def test_what_it_holds_of_others_are_its_parts(self, name: str) -> None:
        for place, policy in with_parts("trigger", POLICIES[name]()):
            assert held_by(policy, Trigger) == list(policy.parts.values()), place

    def test_all_samples_at_one_time(self, name: str) -> None:
        samples = stream([7] * 12)
        assert drive(POLICIES[name], samples) == drive(POLICIES[name], samples, range(12))


def rows_of(name: str, flat: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    """The name, firing, score and threshold of a decision and of its members, as ``driving`` notes them."""
    fired, _, score, threshold, _, _, *members = flat
    yield name, fired, score, threshold
    for member, inner in members:
        yield from rows_of(member, inner)


def test_a_policy_uses_the_first_model_where_a_part_of_it_does() -> None:
    for representation in ("first_embedding", "embedding"):
        drift = Drift(representation=representation)
        for inner in (drift, Performance(warmup_intervals=2, warmup_trigger=drift)):
            outer = Ensemble({"a": Amount(5), "b": Ensemble({"inner": inner})})
            assert outer.uses_first_model == (representation == "first_embedding")


@pytest.mark.parametrize(
    ("trigger", "needs"),
    [
        (Drift(), True),
        (Drift(representation="first_embedding"), True),
        (Drift(representation="features"), False),
        (Drift(distance=LabelShift(of="labels")), False),
        (Drift(representation="features", warmup_intervals=2, warmup_trigger=Drift()), False),  # its part does
        (Ensemble({"a": Drift()}), False),
    ],
)
def test_a_policy_needs_embeddings_where_it_asks_for_them_itself(trigger: Trigger, needs: bool) -> None:
    assert trigger.needs_embedding == needs


def test_every_policy_is_held_to_the_contract() -> None:
    held = {type(policy) for make in POLICIES.values() for _, policy in with_parts("trigger", make())}
    public = set(concrete_classes(triggers, Trigger))
    assert public - held == set()
    assert len(public) >= 9
