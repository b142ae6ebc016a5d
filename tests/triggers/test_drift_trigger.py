"""The drift policy: what it compares, what it draws, what it pays, and that it finds what was planted."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
from driving import StubView, drive, stream
from small import run_small, small_store

from modyn_bench.decisions.hypothesis_test import HypothesisTest
from modyn_bench.decisions.rolling_quantile import RollingQuantile
from modyn_bench.decisions.threshold import Threshold
from modyn_bench.drift.base import Distance, Values
from modyn_bench.drift.kernel_two_sample import KernelTwoSample
from modyn_bench.drift.kolmogorov_smirnov import KolmogorovSmirnov
from modyn_bench.drift.label_shift import LabelShift
from modyn_bench.drift.mean_distance import MeanDistance
from modyn_bench.errors import ContractError, RequestError
from modyn_bench.seeding import priorities
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import View
from modyn_bench.triggers.drift import Drift
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.windows import DetectionWindows
from modyn_bench.types import Arrivals, Decision

Cold = partial(Drift, warmup_intervals=0)


class Shifted(StubView):
    """Features that jump by 10 from key 60 on."""

    def features(self, keys: np.ndarray) -> dict[str, np.ndarray]:
        noise = priorities(keys, 0, "noise") / 2**64
        return {"numeric": (noise + 10.0 * (keys >= 60))[:, None]}

    def embed(self, keys: np.ndarray, *, model: str = "newest") -> np.ndarray:
        self._pass(keys)
        return self.features(keys)["numeric"].astype(np.float32)


class Recorded(Distance):
    """Keeps what it was given; its score is 1."""

    name = "recorded"

    def __init__(self) -> None:
        self.references: list[list[float]] = []
        self.currents: list[list[float]] = []

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        self.references.append(np.asarray(reference)[:, 0].tolist())

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        self.currents.append(np.asarray(current)[:, 0].tolist())
        return 1.0


def walk(
    trigger: Drift, num_samples: int, view_type: type[StubView] = Shifted, *, late: int = 0
) -> list[tuple[int, Decision]]:
    """Decide over a stream as the pipeline would, with triggers taking effect, and return the decisions."""
    samples = stream(range(num_samples))
    view, out = view_type(None, samples), []
    arrivals = samples
    while len(arrivals):
        point = trigger.next_decision(arrivals)
        part, arrivals = arrivals.split(len(arrivals) if point is None else point.position)
        trigger.consume(part)
        if point is None:
            break
        view.num_arrived = int(part.keys[-1]) + 1
        view.num_labelled = max(view.num_arrived - late, 0)
        decision = trigger.decide(view)
        out.append((view.num_arrived, decision))
        if decision.fired:
            from driving import _record

            model = (view.model_id or 0) + 1 if view.model_id is not None else 0
            trigger.on_trigger(_record(model, 0, len(part), view.num_labelled))
            view = view_type(model, samples)
    return out


@pytest.mark.parametrize("representation", ["features", "embedding"])
def test_a_planted_jump_is_found_in_its_block(representation: str) -> None:
    trigger = Cold(
        distance=MeanDistance(),
        decision=Threshold(3.0),
        representation=representation,
        windows=DetectionWindows(10, 10),
        interval=10,
    )
    assert [at for at, decision in walk(trigger, 100) if decision.fired] == [10, 70]


def test_windows_reach_the_distance_and_a_reference_is_fitted_once() -> None:
    distance = Recorded()
    trigger = Cold(
        distance=distance,
        decision=Threshold(5.0),
        windows=DetectionWindows(4, 6),
        interval=5,
        representation="features",
    )
    walk(trigger, 20, Keys)
    assert distance.references == [[1.0, 2.0, 3.0, 4.0]]
    assert distance.currents == [[4.0, 5, 6, 7, 8, 9], [9.0, 10, 11, 12, 13, 14], [14.0, 15, 16, 17, 18, 19]]


class Keys(StubView):
    """Every sample's only pixel is its key."""

    def features(self, keys: np.ndarray) -> dict[str, np.ndarray]:
        self._check(keys, self.num_arrived)
        return {"image": keys[:, None].astype(np.float32)}


def test_the_warmup_windows_are_scored_against_the_latest() -> None:
    distance, rule = Recorded(), RollingQuantile()
    trigger = Cold(
        distance=distance,
        decision=rule,
        windows=DetectionWindows(4, 3),
        interval=3,
        representation="features",
        warmup_intervals=3,
        warmup_trigger=Amount(3),
    )
    walk(trigger, 10, Keys)
    assert distance.references == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert distance.currents == [[6.0, 7.0, 8.0]] * 2
    assert rule.history == [1.0, 1.0]


class KeyLabels(Keys):
    """Every sample's label is its key."""

    def labels(self, keys: np.ndarray) -> np.ndarray:
        self._check(keys, self.num_labelled)
        return keys


class RecordedLabels(Recorded):
    """Compares labels."""

    reads = "labels"

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        self.references.append(np.asarray(reference).tolist())

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        self.currents.append(np.asarray(current).tolist())
        return 1.0


@pytest.mark.parametrize(
    ("windows", "references", "currents"),
    [
        # Labels come seven samples late: at 10, where the first model is trained, 0..2 are labelled.
        (DetectionWindows(2, 4), [[1, 2]], [[4, 5, 6, 7], [9, 10, 11, 12], [14, 15, 16, 17]]),
        (DetectionWindows(9, 9, overlap=False), [[0, 1, 2]], [[*range(3, 8)], [*range(4, 13)], [*range(9, 18)]]),
        (DetectionWindows("3s", "1s"), [[0, 1, 2]], [[6, 7], [11, 12], [16, 17]]),
        (
            DetectionWindows(3, 2, reference="sliding"),
            [[3, 4, 5], [8, 9, 10], [13, 14, 15]],
            [[6, 7], [11, 12], [16, 17]],
        ),
        (DetectionWindows(2, 2, reference="fixed"), [[1, 2]], [[6, 7], [11, 12], [16, 17]]),
    ],
)
def test_labels_are_compared_among_what_is_labelled(
    windows: DetectionWindows, references: list[list[int]], currents: list[list[int]]
) -> None:
    distance = RecordedLabels()
    walk(Cold(distance=distance, decision=Threshold(5.0), windows=windows, interval=5), 25, KeyLabels, late=7)
    assert (distance.references, distance.currents) == (references, currents)


def test_the_warmup_windows_of_labels_hold_what_was_labelled() -> None:
    """Labels come two samples late; the windows of the warm-up are 0..0, 1..3 and 4..6."""
    distance = RecordedLabels()
    trigger = Cold(
        distance=distance,
        decision=RollingQuantile(),
        windows=DetectionWindows(4, 3),
        interval=3,
        warmup_intervals=3,
        warmup_trigger=Amount(3),
    )
    walk(trigger, 10, KeyLabels, late=2)
    assert distance.references == [[0], [1, 2, 3]]
    assert distance.currents == [[4, 5, 6]] * 2


def test_a_fixed_reference_of_labels_waits_for_the_first_trigger_with_a_label() -> None:
    distance = RecordedLabels()
    drift = Cold(
        distance=distance, decision=Threshold(5.0), windows=DetectionWindows(9, 3, reference="fixed"), interval=10
    )
    drive(lambda: Ensemble({"drift": drift, "amount": Amount(10)}, rule="any"), stream(range(40), late=15))
    assert drift.first_trigger == 10
    assert drift.first_labelled == 5


def test_samples_are_drawn_by_their_keys_uniformly_and_windows_share_them() -> None:
    distance = Recorded()
    trigger = Cold(
        distance=distance,
        decision=Threshold(5.0),
        windows=DetectionWindows(400, 400),
        interval=100,
        representation="features",
        sample_size=40,
    )
    walk(trigger, 1000, Keys)
    currents = [set(current) for current in distance.currents[3:]]
    assert all(len(current) == 40 for current in currents)
    for before, after in pairwise(currents):
        overlap = {key for key in before if key in range(int(min(after)), 1000)}
        assert len(before & after) >= 0.6 * len(overlap)
    everywhere = np.concatenate([np.array(sorted(current)) for current in distance.currents])
    counts = np.bincount(everywhere.astype(int) // 100, minlength=10)
    assert counts[1:9].min() > 0.5 * counts[1:9].mean()


def test_a_window_with_too_few_samples_is_not_scored() -> None:
    trigger = Cold(windows=DetectionWindows(5, 5, overlap=False), interval=1, representation="features")
    decisions = [decision for _, decision in walk(trigger, 4, Keys)]
    assert [decision.score for decision in decisions] == [None, None, None, None]
    assert [decision.fired for decision in decisions] == [True, False, False, False]


class Undefined(Recorded):
    """Its score is no number."""

    name = "undefined"

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        return float("nan")


def test_a_score_that_is_not_finite_is_told_with_its_distance() -> None:
    trigger = Cold(distance=Undefined(), representation="features", windows=DetectionWindows(4, 4), interval=5)
    with pytest.raises(
        ContractError,
        match=r"distance undefined \(Undefined\) of keys 1\.\.4 and 6\.\.9 is nan: rolling_quantile cannot",
    ):
        walk(trigger, 20, Keys)


def test_several_detectors_are_combined_and_logged() -> None:
    def build(**options: object) -> Drift:
        return Cold(
            distance=MeanDistance(),
            decision=Threshold(3.0),
            detectors={"never": {"distance": MeanDistance(), "decision": Threshold(1e9)}},
            representation="features",
            windows=DetectionWindows(20, 10),
            interval=10,
            **options,  # type: ignore[arg-type]
        )

    fired = {
        name: [at for at, decision in walk(build(**options), 100) if decision.fired]
        for name, options in {
            "any": {},
            "majority": {"combine": "majority"},
            "all": {"combine": "all"},
            "one": {"combine": "all", "at_least": 1},
        }.items()
    }
    assert fired == {"any": [10, 70], "majority": [10], "all": [10], "one": [10, 70]}
    last = walk(build(), 70)[-1][1]
    assert (last.score, last.threshold) == (1.0, 0.0)
    assert list(last.members) == ["mean_distance", "never"]
    assert last.members["never"].threshold == 1e9


def test_a_sample_is_embedded_once_per_model_however_windows_overlap(tmp_path: Path) -> None:
    store = small_store([i // 2 for i in range(200)])
    trigger = Cold(windows=DetectionWindows(40, 40), decision=Threshold(1e9), interval=5)
    run = run_small(tmp_path, store, trigger, replay={"flush": False})
    decisions = pd.read_parquet(run / "decisions.parquet")
    assert decisions.fired.tolist() == [True] + [False] * 39
    # The first scored decision embeds the reference and the whole current window, 10 samples; every later one its five.
    assert decisions.forward_passes.tolist() == [0.0, 10.0] + [5.0] * 38
    assert decisions.score.notna().tolist() == [False] + [True] * 39


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"detectors": {"mmd": {"distance": MeanDistance(), "decision": Threshold()}}},
            r"trigger\.detectors\.mmd is called like trigger\.distance",
        ),
        ({"decision": HypothesisTest()}, "hypothesis_test decides on p-values, but distance mmd gives none"),
        (
            {"distance": KolmogorovSmirnov(combine="mean"), "decision": HypothesisTest()},
            "distance kolmogorov_smirnov gives none",
        ),
        (
            {"distance": KernelTwoSample(num_permutations=19), "decision": HypothesisTest(0.05)},
            r"trigger\.decision\.level=0\.05 is never undercut: .* is 0\.05; raise trigger\.distance\.num_permutations",
        ),
        ({"combine": "most"}, r"trigger\.combine='most'"),
        ({"at_least": 2}, r"trigger\.at_least=2 must lie in 1\.\.1"),
        ({"representation": "pixels"}, r"trigger\.representation='pixels'"),
        ({"sample_size": 1}, r"trigger\.sample_size=1"),
        ({"num_components": 0}, r"trigger\.num_components=0"),
        ({"detectors": {"x": {"distance": MeanDistance()}}}, r"trigger\.detectors\.x needs a distance and a decision"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Cold(**options)


def test_ties_and_one_sample_at_a_time_change_nothing() -> None:
    same: Arrivals = stream([5] * 30)
    build = lambda: Cold(interval=4, windows=DetectionWindows("1s", "1s"))  # noqa: E731
    assert drive(build, same) == drive(build, same, range(30))


class FirstOnly(Amount):
    """Fires after the first block, and never again."""

    def decide(self, view: View) -> Decision:
        return Decision(self.num_seen == self.num_samples)


def test_the_first_model_is_kept_for_whom_it_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of a fixed model on windows of the same samples do not change with the newest model."""
    model = {"_target_": "modyn_bench.models.TabularMLP", "hidden": [6]}  # whose embedding training changes
    monkeypatch.setattr(small, "MODEL", model)
    store = small_store([i // 2 for i in range(200)])

    def scores(name: str, representation: str) -> tuple[Path, list[float]]:
        drift = Cold(
            distance=MeanDistance(),
            decision=Threshold(1e9),
            representation=representation,
            windows=DetectionWindows(20, 20, reference="fixed"),
            interval=20,
            first_block="hold",
        )
        trigger = Ensemble({"drift": drift, "amount": {"often": Amount, "once": FirstOnly}[name](40)}, rule="any")
        run = run_small(tmp_path / f"{name}-{representation}", store, trigger, replay={"flush": False})
        decisions = pd.read_parquet(run / "decisions.parquet")
        return run, decisions[decisions.policy == "ensemble/drift"].score.dropna().tolist()

    often, of_many = scores("often", "first_embedding")
    once, of_one = scores("once", "first_embedding")
    assert len(pd.read_parquet(often / "models.parquet")) == 5
    assert len(pd.read_parquet(once / "models.parquet")) == 1
    assert of_many == pytest.approx(of_one)
    assert scores("often", "embedding")[1] != pytest.approx(of_one)
    kept = [part.name for part in sorted((often / "triggers").iterdir()) if (part / "model").is_dir()]
    assert kept == ["00000", "00004"]


def test_passes_are_told_of_each_detector_and_do_not_depend_on_their_order(tmp_path: Path) -> None:
    store = small_store([i // 2 for i in range(120)])
    parts = {
        "vectors": {"distance": MeanDistance(), "decision": Threshold(1e9)},
        "classes": {"distance": LabelShift(), "decision": Threshold(1e9)},
    }
    passes = {}
    for first, second in (("vectors", "classes"), ("classes", "vectors")):
        trigger = Cold(
            **parts[first], detectors={"second": parts[second]}, windows=DetectionWindows(20, 20), interval=20
        )
        run = run_small(tmp_path / first, store, trigger, replay={"flush": False})
        decisions = pd.read_parquet(run / "decisions.parquet").groupby("policy").forward_passes.sum()
        passes[first] = decisions.to_dict()
    assert passes["vectors"] == {"drift": 120.0, "drift/mean_distance": 120.0, "drift/second": 0.0}
    assert passes["classes"] == {"drift": 120.0, "drift/label_shift": 0.0, "drift/second": 120.0}
