"""What the pipeline counts, seeds and dates, each on a stream where doing it otherwise would show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small import run_small, small_store
from torch import nn

from modyn_bench.bookkeeping import Cursor, check_selection, trigger_record
from modyn_bench.data.store import SampleStore
from modyn_bench.errors import ContractError
from modyn_bench.selectors.base import SelectionContext
from modyn_bench.selectors.new_data import NewData
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.training.trained import TrainedModel
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import View
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.time import Time
from modyn_bench.types import Arrivals, Decision, Selection, StageCost


@pytest.fixture(scope="module")
def store() -> SampleStore:
    """100 samples, two a second at seconds 0 to 49."""
    return small_store([i // 2 for i in range(100)])


def table(run: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(run / f"{name}.parquet")


class LooksBack(Amount):
    """Fires every so many samples, and embeds the last 30 before it does."""

    name = "looks_back"

    def decide(self, view: View) -> Decision:
        if view.model_id is not None:
            view.embed(np.arange(view.num_arrived - 30, view.num_arrived))
        return super().decide(view)


class SaysYes(Amount):
    name = "says_yes"

    def decide(self, view: View):  # type: ignore[no-untyped-def]
        return True


class Counts(Amount):
    name = "counts"

    def next_decision(self, arrivals: Arrivals):  # type: ignore[no-untyped-def]
        return 5


class Bare(NewData):
    name = "bare"

    def select(self, context: SelectionContext):  # type: ignore[no-untyped-def]
        return np.arange(5)


class Misspelt(Amount):
    name = "misspelt"
    state_fields = ("num_sen",)


class HoldsObject(Amount):
    name = "holds_object"

    def consume(self, part: Arrivals) -> None:
        super().consume(part)
        self.num_seen = {part}  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("trigger", "selector", "message"),
    [
        (SaysYes(5), NewData(), r"trigger says_yes \(SaysYes\): decide returned a bool, but must return a Decision"),
        (
            Counts(5),
            NewData(),
            r"trigger counts \(Counts\): next_decision returned a int, but must return a DecisionPoint",
        ),
        (Amount(5), Bare(), r"selector bare \(Bare\): select returned a ndarray, but must return a Selection"),
        (Misspelt(5), NewData(), r"Misspelt\.state_fields names 'num_sen', but there is no such attribute"),
        (HoldsObject(100), NewData(), r"HoldsObject\.num_seen holds a set, which no state may hold"),
    ],
)
def test_a_policy_that_returns_something_else_is_named(
    trigger: Amount, selector: NewData, message: str, store: SampleStore, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match=message):
        run_small(tmp_path, store, trigger, selector)


def test_the_passes_of_decisions_are_costs_of_the_trigger_they_led_to(store: SampleStore, tmp_path: Path) -> None:
    run = run_small(tmp_path, store, Ensemble({"a": LooksBack(20), "b": LooksBack(40)}, rule="any"))
    decisions, stages = table(run, "decisions"), table(run, "stages")
    outer = decisions[decisions.policy == "ensemble"]
    assert outer.forward_passes.tolist() == [0.0, 30.0, 30.0, 30.0, 30.0]
    decide = stages[stages.stage == "decide"]
    assert decide.forward_passes.tolist()[:5] == [0.0, 30.0, 30.0, 30.0, 30.0]


def test_a_trigger_that_trains_nothing_empties_the_view_too(tmp_path: Path) -> None:
    """Labels take 50 s: those of the first 40 samples are there at the third trigger, no new ones at the fourth."""
    stream = small_store([*range(40), *range(100, 160)])
    run = run_small(tmp_path, stream, LooksBack(20), replay={"label_delay": "50s", "flush": False})
    triggers, decisions = table(run, "triggers"), table(run, "decisions")
    assert triggers.num_selected.tolist() == [0, 0, 40, 0, 10]
    assert decisions.forward_passes.tolist() == [0.0, 0.0, 0.0, 30.0, 30.0]


def test_the_draw_of_a_selection_depends_on_its_data_not_on_the_number_of_triggers(
    store: SampleStore, tmp_path: Path
) -> None:
    paths = []
    for size in (20, 40):
        run = run_small(tmp_path / str(size), store, Amount(size), Uniform(ratio=0.5, history="all"))
        paths.append(run / "triggers" / f"{40 // size - 1:05d}" / "selection.parquet")
    early, late = (pq.read_table(path).column("key").to_pylist() for path in paths)
    assert early == late
    assert len(early) == 20


class FirstTwenty(NewData):
    """Selects the same samples at every trigger."""

    name = "first_twenty"

    def select(self, context: SelectionContext) -> Selection:
        return Selection.unweighted(np.arange(20))


def test_the_seed_of_a_training_derives_from_all_that_is_labelled(store: SampleStore, tmp_path: Path) -> None:
    options = {"training": {"start_from": "scratch"}, "replay": {"flush": False}}
    one = run_small(tmp_path / "20", store, Amount(20), FirstTwenty(), **options)
    other = run_small(tmp_path / "40", store, Amount(40), FirstTwenty(), **options)
    by_labelled = {
        (size, (index + 1) * size): (run / f"triggers/{index:05d}/predictions.npz").read_bytes()
        for run, size in ((one, 20), (other, 40))
        for index in range(100 // size)
    }
    assert by_labelled[20, 40] == by_labelled[40, 40] != by_labelled[20, 20]
    assert by_labelled[20, 80] == by_labelled[40, 80] != by_labelled[20, 60]


def test_a_model_is_available_from_the_time_of_the_decision_on(tmp_path: Path) -> None:
    stream = small_store([0, 1, 2, 3, 14, 15, 16, 27, 28])
    replay = {"label_delay": "1s", "activation_delay": "2s"}
    run = run_small(tmp_path, stream, Time("10s", clock="grid_line"), replay=replay)
    triggers, models = table(run, "triggers"), table(run, "models")
    assert triggers.last_timestamp.tolist() == [3, 16, 28]
    assert triggers.fired_at.tolist() == [10, 20, 29]
    assert models.available_at.tolist() == [12, 22, 31]


def test_labels_alone_are_something_new(tmp_path: Path) -> None:
    """At second 20 no sample has come since the last trigger, but the labels of five that had come before."""
    stream = small_store([*range(10), *range(100, 110)])
    trigger = Ensemble({"a": Amount(10), "t": Time("20s", clock="grid_line")}, rule="any")
    run = run_small(tmp_path, stream, trigger, replay={"label_delay": "5s", "flush": False})
    triggers = table(run, "triggers")
    assert triggers.fired_at.tolist() == [9, 20, 109]
    assert triggers.num_arrived.tolist() == [10, 0, 10]
    assert triggers.num_labelled.tolist() == triggers.num_selected.tolist() == [5, 5, 5]
    assert triggers.first_timestamp.isna().tolist() == [False, True, False]


def test_a_measured_delay_is_what_choosing_and_training_took() -> None:
    stages = [StageCost("decide", 50.0), StageCost("select", 1.2), StageCost("score", 2.4), StageCost("train", 4.8)]
    record = trigger_record(
        Cursor(10, 9),
        now=100,
        num_labelled=10,
        num_selected=10,
        span=(0, 9),
        trained=TrainedModel(nn.Identity(), preprocessor=None),  # type: ignore[arg-type]
        continues=False,
        activation_delay="measured",
        stages=stages,
    )
    assert record.model is not None
    assert record.model.available_at == 100 + 9


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ([2, 3], r"returned keys that are held out and trained on"),
        ([5, 4], r"returned keys that are not distinct and in increasing order"),
        ([4, 10], r"returned keys 4\.\.10, but only 2\.\.9 are labelled"),
        ([4.0], r"returned keys of another type"),
    ],
)
def test_what_is_held_out_is_among_the_other_labelled_keys(held_out: list[int], message: str) -> None:
    weights = np.ones(3, dtype=np.float32)
    check_selection(Selection(np.array([3, 6, 9]), weights, held_out=np.array([2, 8])), NewData(), 2, 10)
    with pytest.raises(ContractError, match=rf"selector new_data \(NewData\) {message}"):
        check_selection(Selection(np.array([3, 6, 9]), weights, held_out=np.array(held_out)), NewData(), 2, 10)
