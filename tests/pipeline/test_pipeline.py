"""The pipeline on small streams: what is known by hand, and what must not depend on how the stream is cut."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from driving import Blocks
from small import result_bytes, run_small, small_store

from modyn_bench.data.store import SampleStore
from modyn_bench.errors import ContractError
from modyn_bench.selectors.new_data import NewData
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.never import Never
from modyn_bench.triggers.once import Once
from modyn_bench.triggers.time import Time
from modyn_bench.types import Arrivals, Decision, DecisionPoint, TriggerRecord


@pytest.fixture(scope="module")
def store() -> SampleStore:
    """100 samples, two a second at seconds 0 to 49."""
    return small_store([i // 2 for i in range(100)])


def table(run: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(run / f"{name}.parquet")


class ByConfidence(Trigger):
    """Asks the model: fires when its mean confidence on the last block is low; embeds the block too."""

    name = "by_confidence"
    state_fields = ("num_seen", "embedded")

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.num_seen = 0
        self.embedded: list[float] = []

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        missing = self.interval - self.num_seen % self.interval
        return DecisionPoint(missing) if missing <= len(arrivals) else None

    def consume(self, part: Arrivals) -> None:
        self.num_seen += len(part)

    def decide(self, view: View) -> Decision:
        import numpy as np

        keys = np.arange(view.num_arrived - self.interval, view.num_arrived)
        if view.model_id is None:
            return Decision(True, warmup=True)
        self.embedded = [*self.embedded, float(view.embed(keys).sum())][-4:]
        score = 1.0 - float(view.predict(keys).max(1).mean())
        return Decision(score > 0.3, score=score, threshold=0.3)


POLICIES = {
    "amount": lambda: Amount(17),
    "time": lambda: Time("9s"),
    "confidence": lambda: ByConfidence(8),
    "ensemble": lambda: Ensemble({"c": ByConfidence(6), "t": Time("7s"), "a": Amount(11)}, at_least=2),
    "nested": lambda: Ensemble(
        {"in": Ensemble({"c": ByConfidence(9), "a": Amount(7)}, rule="any"), "t": Time("5s", clock="grid_line")},
        rule="all",
    ),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_the_chunk_size_changes_no_byte(policy: str, store: SampleStore, tmp_path: Path) -> None:
    runs = {
        size: run_small(tmp_path / str(size), store, POLICIES[policy](), replay={"chunk_size": size})
        for size in (1, 7, 128, 100)
    }
    expected = result_bytes(runs[100])
    assert len(table(runs[100], "triggers")) >= 2
    for run in runs.values():
        assert result_bytes(run) == expected


@pytest.mark.parametrize("delay", ["3s", "60s"])
def test_with_late_labels_the_chunk_size_changes_no_byte(delay: str, store: SampleStore, tmp_path: Path) -> None:
    selector = lambda: Uniform(ratio=0.5, history=1)  # noqa: E731
    runs = [
        run_small(
            tmp_path / str(size), store, Time("9s"), selector(), replay={"chunk_size": size, "label_delay": delay}
        )
        for size in (1, 7, 100)
    ]
    assert result_bytes(runs[0]) == result_bytes(runs[1]) == result_bytes(runs[2])


def test_triggers_and_models_by_hand(store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, Amount(40))
    triggers, models = table(run, "triggers"), table(run, "models")
    assert triggers.trigger_index.tolist() == [0, 1, 2]
    assert triggers.fired_at.tolist() == [19, 39, 49]
    assert triggers.first_timestamp.tolist() == [0, 20, 40]
    assert triggers.last_timestamp.tolist() == [19, 39, 49]
    assert triggers.num_arrived.tolist() == triggers.num_labelled.tolist() == [40, 40, 20]
    assert triggers.num_selected.tolist() == [40, 40, 20]
    assert triggers.model_id.tolist() == models.model_id.tolist() == [0, 1, 2]
    assert models.parent_model_id.isna().tolist() == [True, False, False]
    assert models.available_at.tolist() == [19, 39, 49]
    assert models.num_optimizer_steps.tolist() == [6, 6, 4]  # 2 epochs of ceil(40 / 16), then of ceil(20 / 16)
    assert models.forward_passes.tolist() == [80, 80, 40]
    decisions = table(run, "decisions")
    assert decisions.num_samples_seen.tolist() == [40, 80]
    assert decisions.trigger_index.tolist() == [0, 1]
    stages = table(run, "stages")
    assert stages[stages.stage == "predict"].forward_passes.tolist() == [50, 50, 50]


def test_without_flush_the_rest_is_left(store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, Amount(40), replay={"flush": False})
    assert table(run, "triggers").num_arrived.tolist() == [40, 40]


def test_never_with_and_without_flush(store: SampleStore, tmp_path: Path) -> None:
    one = run_small(tmp_path / "flush", store, Never())
    none = run_small(tmp_path / "hold", store, Never(), replay={"flush": False})
    assert table(one, "triggers").num_arrived.tolist() == [100]
    assert len(table(none, "triggers")) == len(table(none, "models")) == len(table(none, "evaluations")) == 0
    composite = table(none, "composite")
    assert composite.value.isna().all()
    assert (composite.coverage == 0).all()


def test_max_triggers_stops_the_stream(store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, Amount(10), replay={"max_triggers": 3})
    assert table(run, "triggers").fired_at.tolist() == [4, 9, 14]


def test_once_leaves_a_single_early_model(store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, Once("10s"), replay={"flush": False})
    assert table(run, "models").data_last_timestamp.tolist() == [9]


def test_late_labels_wait_for_the_first_trigger_at_which_they_are_known(store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, Amount(40), replay={"label_delay": "15s"})
    triggers = table(run, "triggers")
    assert triggers.num_arrived.tolist() == [40, 40, 20]
    # At time 19 labels up to time 4 are known (10 samples), at 39 up to 24 (50); the flush waits for the last, at 64.
    assert triggers.num_labelled.tolist() == triggers.num_selected.tolist() == [10, 40, 50]
    assert triggers.fired_at.tolist() == [19, 39, 64]


def test_a_trigger_without_a_label_trains_nothing_and_loses_nothing(store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, Amount(40), replay={"label_delay": "30s"})
    triggers = table(run, "triggers")
    assert triggers.num_selected.tolist() == [0, 20, 80]
    assert triggers.model_id.isna().tolist() == [True, False, False]
    assert table(run, "models").trigger_index.tolist() == [1, 2]


def test_labels_that_arrive_after_the_last_sample_are_trained_on(store: SampleStore, tmp_path: Path) -> None:
    """The last decision falls on the last sample, whose label comes later: only labels are new at the flush."""
    run = run_small(tmp_path, store, Amount(50), replay={"label_delay": "5s"})
    triggers = table(run, "triggers")
    assert triggers.num_arrived.tolist() == [50, 50, 0]
    assert triggers.num_selected.tolist() == [40, 50, 10]
    assert triggers.first_timestamp.isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("delay", "available"), [("7s", [26, 46, 56]), ({"per_sample": 0.26}, [19 + 11, 39 + 11, 49 + 6])]
)
def test_training_takes_time(delay: object, available: list[int], store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, Amount(40), replay={"activation_delay": delay})
    assert table(run, "models").available_at.tolist() == available


def test_an_absorbed_decision_is_logged_and_counted(store: SampleStore, tmp_path: Path) -> None:
    """Both members fire after 20 samples: at the last sample before second 10, and at second 10."""
    trigger = Ensemble({"a": Amount(20), "t": Time("10s")}, rule="any")
    run = run_small(tmp_path, store, trigger, replay={"flush": False})
    triggers, decisions = table(run, "triggers"), table(run, "decisions")
    assert triggers.num_arrived.tolist() == [20] * 5
    assert triggers.num_empty_periods.tolist() == [0, 1, 1, 1, 1]
    absorbed = decisions[(decisions.policy == "ensemble") & decisions.trigger_index.isna()]
    assert absorbed.fired.tolist() == [True] * 4
    assert decisions.policy.unique().tolist() == ["ensemble", "ensemble/a", "ensemble/t"]


def test_scratch_and_previous_differ_but_start_alike(store: SampleStore, tmp_path: Path) -> None:
    previous = run_small(tmp_path / "p", store, Amount(40))
    scratch = run_small(tmp_path / "s", store, Amount(40), training={"start_from": "scratch"})
    assert table(scratch, "models").parent_model_id.isna().all()
    one, other = result_bytes(previous), result_bytes(scratch)
    assert one["triggers/00000/predictions.npz"] == other["triggers/00000/predictions.npz"]
    assert one["triggers/00001/predictions.npz"] != other["triggers/00001/predictions.npz"]


def test_seeds_change_results_and_equal_seeds_do_not(store: SampleStore, tmp_path: Path) -> None:
    runs = [
        run_small(tmp_path / name, store, Amount(40), Uniform(ratio=0.5), seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    one, same, other = (result_bytes(run) for run in runs)
    assert one == same
    assert one["triggers/00000/selection.parquet"] != other["triggers/00000/selection.parquet"]


def test_passes_are_exact_and_no_sample_is_embedded_twice(store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, ByConfidence(10))
    decisions = table(run, "decisions")
    # With a model every decision embeds and classifies its own ten samples in one pass each.
    assert decisions.forward_passes.tolist() == [0.0] + [10.0] * (len(decisions) - 1)


class Stuck(Amount):
    """Names the same point for ever."""

    name = "stuck"

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        from modyn_bench.types import Side

        return DecisionPoint(0, Side.BEFORE)


class Outside(Amount):
    """Names a point beyond the arrivals."""

    name = "outside"

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        return DecisionPoint(len(arrivals) + 1)


class Repeats(NewData):
    """Selects a key twice."""

    name = "repeats"

    def select(self, context):  # type: ignore[no-untyped-def]
        import numpy as np

        from modyn_bench.types import Selection

        return Selection.unweighted(np.array([1, 1]))


class Late(Amount):
    """Decides at another time than that of the sample that it decides after."""

    name = "late"

    def __init__(self, num_samples: int, time: int) -> None:
        super().__init__(num_samples)
        self.time = time

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        from dataclasses import replace

        point = super().next_decision(arrivals)
        return None if point is None else replace(point, time=self.time)


class Peeks(NewData):
    """Asks for the label of a sample that has not arrived."""

    name = "peeks"

    def select(self, context):  # type: ignore[no-untyped-def]
        import numpy as np

        context.labels(np.array([0, context.num_labelled]))
        return super().select(context)


class Unsigned(NewData):
    """Selects keys whose differences wrap around."""

    name = "unsigned"

    def select(self, context):  # type: ignore[no-untyped-def]
        import numpy as np

        from modyn_bench.types import Selection

        return Selection(np.array([3, 1, 2], dtype=np.uint64), np.ones(3, dtype=np.float32))


@pytest.mark.parametrize(
    ("trigger", "selector", "message"),
    [
        (Late(5, 10**6), NewData(), r"late \(Late\) wants to decide at time 1000000, which is not within 2\.\.2"),
        (Late(5, -5), NewData(), r"late \(Late\) wants to decide at time -5"),
        (Amount(5), Peeks(), r"labels of keys 0\.\.5, but only 0\.\.4 are labelled"),
        (Amount(5), Unsigned(), r"unsigned \(Unsigned\) returned keys of another type"),
        (Stuck(5), NewData(), r"stuck \(Stuck\) does not advance"),
        (Outside(5), NewData(), r"outside \(Outside\) wants to decide after position 101 of 100"),
        (Amount(5), Repeats(), r"repeats \(Repeats\) returned keys that are not distinct"),
    ],
)
def test_a_broken_policy_is_named(
    trigger: Trigger, selector: NewData, message: str, store: SampleStore, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match=message):
        run_small(tmp_path, store, trigger, selector)


def test_every_policy_hears_of_every_trigger(store: SampleStore, tmp_path: Path) -> None:
    heard: list[TriggerRecord] = []

    class Listens(Amount):
        def on_trigger(self, record: TriggerRecord) -> None:
            heard.append(record)

    run_small(tmp_path, store, Listens(40))
    assert [record.trigger_index for record in heard] == [0, 1, 2]
    assert heard[0].model is not None
    assert {cost.stage for cost in heard[0].stages} >= {"decide", "select", "train", "predict"}


def test_blocks_are_a_fixed_grid(store: SampleStore, tmp_path: Path) -> None:
    """The batched dummy decides every 10 samples of the stream, whoever triggers in between."""

    class Plain(Blocks):
        def decide(self, view: View) -> Decision:
            return Decision(False, score=0.0, threshold=1.0)

    run = run_small(tmp_path, store, Ensemble({"b": Plain(10), "a": Amount(13)}, rule="any"))
    decisions = table(run, "decisions")
    assert decisions[decisions.policy == "ensemble/b"].num_samples_seen.tolist() == list(range(10, 101, 10))
