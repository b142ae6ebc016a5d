"""Stopped at any decision, in a warm-up or between two decisions, every policy goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from small import result_bytes, run_small, small_store
from stopping import StopsAtDecision

from modyn_bench.data.store import SampleStore
from modyn_bench.decisions.adwin import Adwin
from modyn_bench.decisions.cusum import Cusum
from modyn_bench.decisions.page_hinkley import PageHinkley
from modyn_bench.decisions.rolling_average import RollingAverage
from modyn_bench.decisions.rolling_quantile import RollingQuantile
from modyn_bench.decisions.threshold import Threshold
from modyn_bench.drift.kernel_two_sample import KernelTwoSample
from modyn_bench.drift.label_shift import LabelShift
from modyn_bench.drift.sliced_wasserstein import SlicedWasserstein
from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.presampling.freshness import Freshness
from modyn_bench.selectors.presampling.replay import Replay
from modyn_bench.selectors.presampling.schedule import Schedule
from modyn_bench.selectors.presampling.trigger_balanced import TriggerBalanced
from modyn_bench.selectors.presampling.uniform_no_replacement import UniformNoReplacement
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import Trigger
from modyn_bench.triggers.drift import Drift
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.latency_cost import LatencyCost
from modyn_bench.triggers.misclassification_cost import MisclassificationCost
from modyn_bench.triggers.performance import Performance
from modyn_bench.triggers.time import Time
from modyn_bench.triggers.windows import DetectionWindows

SHORT = DetectionWindows(20, 12)
POLICIES: dict[str, Callable[[], Trigger]] = {
    "drift": lambda: Drift(
        interval=6, windows=SHORT, warmup_intervals=4, warmup_trigger=Time("5s"), decision=RollingQuantile(0.3)
    ),
    "drift_running": lambda: Drift(
        interval=6,
        windows=DetectionWindows("8s", "6s", overlap=False),
        distance=SlicedWasserstein(num_projections=5),
        decision=RollingAverage(0.0),
        warmup_intervals=4,
        warmup_trigger=Amount(9),
        calibration="running",
        sample_size=8,
    ),
    "drift_several": lambda: Drift(
        interval=6,
        windows=SHORT,
        distance=KernelTwoSample(num_permutations=9),
        decision=Threshold(0.85),
        detectors={"labels": {"distance": LabelShift(of="labels"), "decision": Cusum(1.0, min_history=2)}},
    ),
    "drift_labels": lambda: Drift(
        interval=6,
        windows=DetectionWindows("8s", 12, overlap=False),
        distance=LabelShift(of="labels"),
        decision=RollingQuantile(0.5),
        warmup_intervals=4,
        warmup_trigger=Time("5s"),
    ),
    "drift_first": lambda: Ensemble(
        {"d": Drift(interval=6, windows=SHORT, representation="first_embedding", warmup_intervals=2), "a": Amount(25)},
        rule="any",
    ),
    "performance": lambda: Performance(interval=6, decision=PageHinkley(0.1, min_history=2)),
    "performance_ahead": lambda: Performance(
        interval=6, metric="loss", decision=RollingQuantile(0.4), mode="lookahead"
    ),
    "adwin": lambda: Ensemble(
        {"p": Performance(interval=6, metric="loss", decision=Adwin(0.5)), "a": Amount(20)}, rule="any"
    ),
    "latency_cost": lambda: LatencyCost(interval=6),
    "misclassification_cost": lambda: MisclassificationCost(interval=6, regret_per_cost=0.01, expected_accuracy=1.0),
    "ensemble": lambda: Ensemble(
        {
            "d": Drift(interval=5, windows=SHORT),
            "p": Performance(interval=7, threshold=0.9),
            "c": LatencyCost(interval=6),
        },
        at_least=2,
    ),
}


@pytest.fixture(scope="module")
def store() -> SampleStore:
    """100 samples, two a second at seconds 0 to 49."""
    return small_store([i // 2 for i in range(100)])


@pytest.mark.parametrize("delay", ["0s", "3s"])
@pytest.mark.parametrize("name", POLICIES)
def test_stopped_at_any_decision_it_ends_with_the_same_bytes(
    name: str, delay: str, store: SampleStore, tmp_path: Path
) -> None:
    replay = {} if delay == "0s" else {"label_delay": delay}
    expected = run_small(tmp_path / "whole", store, POLICIES[name](), replay=replay)
    decisions = pd.read_parquet(expected / "decisions.parquet")
    num_decisions = int((~decisions.policy.str.contains("/")).sum())
    assert num_decisions >= 14
    assert len(pd.read_parquet(expected / "triggers.parquet")) >= 3
    stop, attempts = 2, 0
    while True:  # further with every attempt, so that every part of the stream is stopped in and resumed
        try:
            run = run_small(
                tmp_path / "parts", store, POLICIES[name](), replay=replay, observers=[StopsAtDecision(stop)]
            )
        except KeyboardInterrupt:
            stop, attempts = stop + 1 if attempts % 3 else stop + 3, attempts + 1
            continue
        break
    assert attempts >= 3
    assert result_bytes(run) == result_bytes(expected)


@pytest.mark.parametrize("name", POLICIES)
def test_how_the_stream_is_cut_changes_no_byte(name: str, store: SampleStore, tmp_path: Path) -> None:
    runs = [
        run_small(tmp_path / str(size), store, POLICIES[name](), replay={"chunk_size": size}) for size in (1, 7, 100)
    ]
    assert result_bytes(runs[0]) == result_bytes(runs[1]) == result_bytes(runs[2])


SELECTORS: dict[str, Callable[[], Selector]] = {
    "passes": lambda: UniformNoReplacement(ratio=0.4, history="all"),
    "freshness": Freshness,
    "schedule": lambda: Schedule(
        {"a": Replay(), "b": TriggerBalanced(), "c": UniformNoReplacement(history=2)}, after={"b": 1, "c": 3}
    ),
}


@pytest.mark.parametrize("name", SELECTORS)
def test_what_a_selector_remembers_survives_any_stop(name: str, store: SampleStore, tmp_path: Path) -> None:
    replay = {"label_delay": "3s"}
    expected = run_small(tmp_path / "whole", store, Amount(15), SELECTORS[name](), replay=replay)
    for stop in range(2, 30):
        try:
            observers = [StopsAtDecision(stop)]
            run = run_small(
                tmp_path / "parts", store, Amount(15), SELECTORS[name](), replay=replay, observers=observers
            )
        except KeyboardInterrupt:
            continue
        break
    assert stop > 3
    assert result_bytes(run) == result_bytes(expected)


def test_a_reference_that_stays_is_embedded_anew_after_every_trigger_as_after_a_resume(tmp_path: Path) -> None:
    """Labels come 70 s late, and there is a gap: triggers in it train nothing, so that model and reference stay."""
    stream = small_store([*range(100), *range(150, 290)])
    options = {"replay": {"label_delay": "70s"}}

    def make() -> Trigger:
        drift = Drift(
            interval=10,
            windows=DetectionWindows(20, 10, reference="fixed"),
            warmup_intervals=0,
            decision=Threshold(1e9),
        )
        return Ensemble({"d": drift, "a": Amount(25)}, rule="any")

    expected = run_small(tmp_path / "whole", stream, make(), **options)
    assert pd.read_parquet(expected / "triggers.parquet").model_id.isna().any()
    for stop in range(4, 30, 4):
        with pytest.raises(KeyboardInterrupt):
            run_small(tmp_path / str(stop), stream, make(), **options, observers=[StopsAtDecision(stop)])
        assert result_bytes(run_small(tmp_path / str(stop), stream, make(), **options)) == result_bytes(expected)
