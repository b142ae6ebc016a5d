"""Downsampling in whole runs: stopped in the middle of trainings, second models, budgets, and what the tables say."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from found import concrete_classes
from selecting import Judged
from small import NUM_CLASSES, NUM_FEATURES, result_bytes, run_small, small_store
from stopping import StopsAfterTrigger, StopsInTraining

from modyn_bench.data.store import SampleStore
from modyn_bench.errors import ContractError, RunError
from modyn_bench.selectors import downsampling
from modyn_bench.selectors.base import SelectionContext, Selector
from modyn_bench.selectors.coreset import Coreset
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.selectors.downsampling.el2n import El2n
from modyn_bench.selectors.downsampling.forgetting import Forgetting
from modyn_bench.selectors.downsampling.loss import Loss
from modyn_bench.selectors.downsampling.rho_loss import RhoLoss
from modyn_bench.selectors.new_data import NewData
from modyn_bench.selectors.presampling.schedule import Schedule
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.triggers.amount import Amount
from modyn_bench.types import Selection

SECOND = {"_target_": "modyn_bench.models.TabularMLP", "hidden": [4]}


class Alternating(Selector):
    """Two policies by turns, each again and again."""

    name = "alternating"
    state_fields = (*Selector.state_fields, "even", "odd")

    def __init__(self, even: Selector, odd: Selector) -> None:
        super().__init__()
        self.even, self.odd = even, odd

    @property
    def parts(self) -> dict[str, Selector]:
        return {"selector.even": self.even, "selector.odd": self.odd}

    @property
    def downsampler(self) -> Downsampler | None:
        return list(self.parts.values())[self.num_trained % 2].downsampler

    def select(self, context: SelectionContext) -> Selection:
        place, part = list(self.parts.items())[self.num_trained % 2]
        return part.select(context.inside(place))


POLICIES: dict[str, Callable[[], Selector]] = {
    **{policy.name: policy for policy in concrete_classes(downsampling, Downsampler)},
    "loss_whole_set": lambda: Loss(mode="sample_then_batch", history=1),
    "rho_loss_twin": lambda: RhoLoss(holdout="twin", mode="sample_then_batch", history=1),
    "warm_up": lambda: El2n(ratio=0.5, history=1, warmup_triggers=2),
    "coreset": lambda: Coreset(Uniform(ratio=0.7, history="all"), El2n(ratio=0.5)),
    "schedule": lambda: Schedule({"a": NewData(), "b": El2n(history="all"), "c": RhoLoss()}, after={"b": 1, "c": 3}),
    "two_sides": lambda: Schedule(
        {"a": RhoLoss(holdout_ratio=0.5, history=1), "b": RhoLoss(holdout_ratio=0.1, history=1)}, after={"b": 2}
    ),
    "again": lambda: Alternating(RhoLoss(history=1), RhoLoss(holdout_ratio=0.5, history=1)),
    "two_models": lambda: Coreset(
        NewData(history=1), Schedule({"a": RhoLoss(), "b": RhoLoss(irreducible_model=SECOND)}, after={"b": 2})
    ),
    "downsamplings": lambda: Coreset(
        NewData(history="all"), Schedule({"a": El2n(), "b": Forgetting(), "c": El2n()}, after={"b": 1, "c": 2})
    ),
}
EPOCHS = 4


@pytest.fixture(scope="module")
def store() -> SampleStore:
    """120 samples, two a second at seconds 0 to 59."""
    return small_store([i // 2 for i in range(120)])


def run(root: Path, store: SampleStore, selector: Selector, *, stop: int = 0, **training: object) -> Path:
    return run_small(
        root,
        store,
        Amount(30),
        selector,
        replay={"label_delay": "2s"},
        training={"epochs": EPOCHS, "batch_size": 8, **training},
        observers=[StopsInTraining(stop)] if stop else [],
    )


@pytest.mark.parametrize("name", POLICIES)
def test_stopped_in_the_middle_of_trainings_it_ends_with_the_same_bytes(
    name: str, store: SampleStore, tmp_path: Path
) -> None:
    expected = result_bytes(run(tmp_path / "whole", store, POLICIES[name]()))
    attempts = 0
    for stop in (3, 9, 14, 19):
        try:
            run(tmp_path / "parts", store, POLICIES[name](), stop=stop)
        except KeyboardInterrupt:
            attempts += 1
    assert attempts >= 2
    assert result_bytes(run(tmp_path / "parts", store, POLICIES[name]())) == expected


def stages_of(path: Path) -> pd.DataFrame:
    stages = pd.read_parquet(path / "stages.parquet")
    return stages[stages.trigger_index.notna()].set_index(["trigger_index", "stage"])


@pytest.mark.parametrize("name", POLICIES)
def test_what_was_used_is_in_the_tables(name: str, store: SampleStore, tmp_path: Path) -> None:
    path = run(tmp_path, store, POLICIES[name]())
    models, stages = pd.read_parquet(path / "models.parquet"), stages_of(path)
    own = stages[stages.index.isin(["select", "score", "train"], level="stage")].groupby("trigger_index").sum()
    assert models.forward_passes.tolist() == pytest.approx(own.forward_passes.tolist())
    assert models.backward_passes.tolist() == pytest.approx(own.backward_passes.tolist())
    downsampled = 0
    for index in models.trigger_index:
        selection = pd.read_parquet(path / "triggers" / f"{index:05d}" / "selection.parquet")
        assert ("num_uses" in selection) == ((index, "score") in stages.index)
        if "num_uses" not in selection:
            continue
        assert stages.seconds[(index, "score")] > 0
        downsampled += 1
        train = stages.loc[(index, "train")]
        assert selection.num_uses.sum() == train.forward_passes == train.backward_passes
        assert (selection.sum_of_weights[selection.num_uses == 0] == 0).all()
        mean = selection.sum_of_weights.sum() / selection.num_uses.sum()
        assert 0.3 < mean < 3.0  # expected 1
    assert downsampled >= len(models) - 1


def test_second_models_that_leave_nothing_are_refused(store: SampleStore, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"second models .*irreducible_epochs"):
        run(tmp_path, store, RhoLoss(holdout="twin"), budget="sample_passes")


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"schedule", "two_sides", "two_models", "again"}))
def test_every_policy_gets_the_same_compute(name: str, store: SampleStore, tmp_path: Path) -> None:
    """As many sample passes as 4 epochs over all data in scope take; a last batch or scoring more or less."""
    selector = POLICIES[name]()
    if name == "rho_loss_twin":  # as many epochs of both twins would take all there is
        selector = RhoLoss(holdout="twin", mode="sample_then_batch", history=1, irreducible_epochs=1)
    path = run(tmp_path, store, selector, budget="sample_passes")
    stages, triggers = stages_of(path), pd.read_parquet(path / "triggers.parquet")
    own = stages[stages.index.isin(["select", "score", "train"], level="stage")]
    used = (own.forward_passes + 2 * own.backward_passes).groupby("trigger_index").sum()
    history = "all" if isinstance(selector, Coreset) else selector.history
    for index, trigger in triggers.set_index("trigger_index").iterrows():
        labelled = triggers.num_labelled[: int(index) + 1]
        scope = labelled.sum() if history == "all" else labelled[-(int(history) + 1) :].sum()
        budget = 3 * EPOCHS * scope
        short = 0.25 * budget if name in ("infobatch", "grad_match") else 0.0  # they choose fewer than they may
        slack = 3 * 8 + trigger.num_selected
        assert budget - slack - short <= used[index] <= budget + slack


@pytest.mark.parametrize("hidden", [[], [16]])
def test_a_second_model_is_counted_by_its_size_and_kept(hidden: list[int], store: SampleStore, tmp_path: Path) -> None:
    second = {"_target_": "modyn_bench.models.TabularMLP", "hidden": hidden}
    selector = RhoLoss(holdout_ratio=0.3, irreducible_model=second, irreducible_epochs=3)
    path = run(tmp_path, store, selector)
    stages, triggers = stages_of(path), pd.read_parquet(path / "triggers.parquet")
    parts = sorted((path / "triggers").glob("[0-9]*"))
    linear = (NUM_FEATURES + 1) * NUM_CLASSES
    share = ((NUM_FEATURES + 1) * 16 + 17 * NUM_CLASSES) / linear if hidden else 1.0
    for index, part in enumerate(parts):
        keys = pd.read_parquet(part / "selection.parquet").key.to_numpy()
        held_out = int(triggers.num_labelled[index]) - len(keys)
        assert held_out > 0
        select = stages.loc[(index, "select")]
        assert select.backward_passes == pytest.approx(3 * held_out * share)
        assert select.forward_passes == pytest.approx((3 * held_out + len(keys)) * share)
        assert not selector.held_out(keys, 0).any()
    (kept,) = (parts[-1] / "model" / "second").iterdir()
    assert (kept / "model.safetensors").is_file()


def second_models(root: Path, store: SampleStore, selector: Selector, *, num_trained: int = 4) -> dict[str, bytes]:
    """Return the weights of the second models that are kept beside the model of the last of some trainings."""
    path = run_small(
        root,
        store,
        Amount(30),
        selector,
        replay={"label_delay": "2s", "max_triggers": num_trained},
        training={"epochs": EPOCHS, "batch_size": 8},
    )
    last = path / "triggers" / f"{num_trained - 1:05d}"
    return {file.parent.name: file.read_bytes() for file in last.glob("model/second/*/model.safetensors")}


class Renamed(RhoLoss):
    """A policy of one's own that builds on another, its sides included."""

    name = "renamed"


@pytest.mark.parametrize(
    ("before", "after", "model"),
    [
        (RhoLoss(holdout_ratio=0.5, history=1), RhoLoss(history=1), "irreducible"),
        (Renamed(history=1), RhoLoss(history=1), "irreducible"),
        (RhoLoss(irreducible_epochs=2, history=1), RhoLoss(history=1), "irreducible"),
        (Judged(history=1), Judged(history=1), "judge"),
    ],
    ids=["other_sides", "subclass", "other_epochs", "own_policy"],
)
def test_a_second_model_goes_on_from_that_of_no_other_policy(
    before: Selector, after: Selector, model: str, store: SampleStore, tmp_path: Path
) -> None:
    """It is what it would be had the policy before had none."""

    def turns(first: Selector) -> Selector:
        return Schedule({"a": copy.deepcopy(first), "b": copy.deepcopy(after)}, after={"b": 2})

    found = second_models(tmp_path / "found", store, turns(before))
    assert found == second_models(tmp_path / "alone", store, turns(NewData(history=1)))
    assert list(found) == [f"policies.b.{model}"]


def test_a_second_model_goes_on_until_another_policy_has_its_turn(store: SampleStore, tmp_path: Path) -> None:
    """The even one trains at triggers 0 and 2, and begins anew there; from 2 to 3 it goes on where it has both."""

    def policy() -> Selector:
        return RhoLoss(history=1)

    again = second_models(tmp_path / "again", store, Alternating(policy(), NewData()), num_trained=3)
    first_time = second_models(
        tmp_path / "first", store, Alternating(RhoLoss(history=1, warmup_triggers=2), NewData()), num_trained=3
    )
    assert list(again) == ["even.irreducible"]
    assert again == first_time
    going_on = second_models(tmp_path / "on", store, policy())
    anew = second_models(tmp_path / "anew", store, RhoLoss(history=1, warmup_triggers=3))
    assert list(going_on) == list(anew) == ["irreducible"]
    assert going_on != anew


class Twice(Selector):
    """Hands two parts its own context, so that they use one name for two models."""

    name = "twice"

    def select(self, context: SelectionContext) -> Selection:
        keys = self.within_limit(context)
        for half in (keys[::2], keys[1::2]):
            context.train("judge", Selection.unweighted(half))
        return Selection.unweighted(keys)


def test_one_name_for_two_second_models_is_refused(store: SampleStore, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"second model judge was trained twice at one trigger.*context\.inside"):
        run(tmp_path, store, Twice())


def test_a_second_model_may_have_any_name(store: SampleStore, tmp_path: Path) -> None:
    class Odd(Judged):
        def select(self, context: SelectionContext) -> Selection:
            selection = NewData.select(self, context)
            for name in ("a/b", "a", "../c"):
                context.train(name, selection)
            return selection

    whole = run(tmp_path / "whole", store, Odd())
    assert len(list(whole.glob("triggers/*/model/second/*/model.safetensors"))) == 3
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", store, Odd(), stop=9)
    assert result_bytes(run(tmp_path / "parts", store, Odd())) == result_bytes(whole)


def test_what_is_known_of_samples_outlasts_a_turn_that_sees_none_of_them(store: SampleStore, tmp_path: Path) -> None:
    """A third of 90 samples in each of two epochs: those that the policy knows from its first turn are left out."""
    turns = {"a": El2n(ratio=0.5), "b": NewData(), "c": El2n(history="all", ratio=0.34)}
    path = run_small(tmp_path, store, Amount(30), Schedule(turns, after={"b": 1, "c": 2}))
    selection = pd.read_parquet(path / "triggers" / "00002" / "selection.parquet").set_index("key")
    assert selection.num_uses.tolist() == [0] * 30 + [1] * 60


def test_what_a_warm_up_trained_on_is_known_afterwards(store: SampleStore, tmp_path: Path) -> None:
    once = {"epochs": 1}
    path = run_small(tmp_path, store, Amount(30), El2n(history="all", ratio=0.5, warmup_triggers=1), training=once)
    uses = [pd.read_parquet(path / "triggers" / f"{index:05d}" / "selection.parquet").num_uses for index in (0, 1)]
    assert uses[0].tolist() == [1] * 30
    assert uses[1].tolist() == [0] * 30 + [1] * 30


def test_sides_are_the_same_at_every_trigger(store: SampleStore, tmp_path: Path) -> None:
    path = run(tmp_path, store, RhoLoss(history="all"))
    parts = sorted((path / "triggers").glob("[0-9]*"))
    chosen = [set(pd.read_parquet(part / "selection.parquet").key) for part in parts]
    for earlier, later in pairwise(chosen):
        assert earlier <= later
    assert len(chosen[-1]) == 120 - int(RhoLoss().held_out(np.arange(120), 0).sum())


def test_second_models_outlive_a_trigger_that_trains_nothing(tmp_path: Path) -> None:
    """Labels come 6 s late, so the triggers within the crowds of second 10 and 30 find none that are new."""
    crowded = small_store([0] * 20 + [10] * 60 + [30] * 60)

    def run_to(root: Path, *, stop: int = 0) -> Path:
        selector = RhoLoss(holdout_ratio=0.4)
        observers = [StopsAfterTrigger(stop)] if stop else []
        return run_small(root, crowded, Amount(20), selector, replay={"label_delay": "6s"}, observers=observers)

    whole = run_to(tmp_path / "whole")
    triggers = pd.read_parquet(whole / "triggers.parquet")
    assert triggers.model_id.isna().sum() >= 3
    for stop in range(1, len(triggers)):
        with pytest.raises(KeyboardInterrupt):
            run_to(tmp_path / str(stop), stop=stop)
        assert result_bytes(run_to(tmp_path / str(stop))) == result_bytes(whole), f"stopped after trigger {stop - 1}"
