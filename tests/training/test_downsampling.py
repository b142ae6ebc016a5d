"""Downsampling at work in trainings: against hand-written loops, its counts, its budgets, and what is carried on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from choosing import Hardest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from worlds import LINEAR, SGD, Wider, numbers, table, trainer_of

from modyn_bench.config import TrainingConfig
from modyn_bench.data.store import Split
from modyn_bench.errors import ContractError
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Outputs, Turn, highest
from modyn_bench.selectors.downsampling.el2n import El2n
from modyn_bench.selectors.downsampling.forgetting import Forgetting
from modyn_bench.selectors.downsampling.importance import ImportanceSampled
from modyn_bench.selectors.downsampling.infobatch import Infobatch
from modyn_bench.training.budgets import TRAINED, plan_training
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.training.records import SampleRecords
from modyn_bench.training.scoring import Scorer
from modyn_bench.types import Selection


class Weighted(Hardest):
    """The same with weights: of the chosen, the i-th stands for i + 1 samples."""

    def choose(self, description, labels, budget, turn: Turn) -> Choice:
        return Choice(highest(description[:, 0], budget), torch.arange(1, budget + 1).double())


class Least(Downsampler):
    """Those that were trained on least often, counted by the policy itself."""

    name = "least"
    needs = ("history",)
    record_size = 1

    def record(self, outputs: Outputs, before: torch.Tensor) -> torch.Tensor:
        return before.nan_to_num(0.0) + 1.0

    def choose(self, description, labels, budget, turn: Turn) -> Choice:
        return Choice(highest(-description[:, 0].nan_to_num(0.0), budget))


def first(count: int, start: int = 0) -> Selection:
    return Selection.unweighted(np.arange(start, start + count))


def state_of(trained) -> dict[str, torch.Tensor]:
    return trained.module.state_dict()


@pytest.mark.parametrize("mode", ["batch_then_sample", "sample_then_batch"])
def test_choosing_everything_is_training_on_everything_to_the_bit(mode: str) -> None:
    world = table(128)
    plain = trainer_of(world).fit(first(128), None, last_key=127)
    chosen = trainer_of(world).fit(first(128), None, last_key=127, downsampler=Hardest(ratio=1.0, mode=mode))
    if mode == "batch_then_sample":  # within a batch the order is that of the scores' positions
        assert chosen.num_optimizer_steps == plain.num_optimizer_steps
    for name, tensor in state_of(plain).items():
        assert torch.equal(tensor, state_of(chosen)[name])
    assert chosen.uses["num_uses"].tolist() == [2] * 128


@pytest.mark.parametrize("policy", [Hardest, Weighted])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_batch_then_sample_is_the_hand_written_loop(policy: type[Hardest], accumulate: int) -> None:
    """57 of 190 are chosen: batches of 10 and one of 7, each from its share of the 190; an epoch ends with a step."""
    world, size, ratio, batch_size = numbers(190), 190, 0.3, 10
    trainer = trainer_of(world, LINEAR, batch_size=batch_size, accumulate=accumulate)
    start = trainer.fit(first(10), None, last_key=9)
    rng = np.random.default_rng(0)
    given_weights = rng.random(size).astype(np.float32)
    trained = trainer.fit(
        Selection(np.arange(size), given_weights), start, last_key=size - 1, downsampler=policy(ratio=ratio)
    )

    module = start.module
    rows = start.preprocessor.transform({"numeric": world[1].columns["numeric"][:size]})["numeric"]
    x, y = torch.from_numpy(rows), torch.from_numpy(world[1].labels[:size])
    w = torch.from_numpy(given_weights)
    order = TrainingPlan(size, TrainingConfig(), 0, size - 1)
    waiting, uses, sums, steps = [], np.zeros(size, int), np.zeros(size), 0
    bounds = [(0, 33), (33, 66), (66, 100), (100, 133), (133, 166), (166, 190)]
    for epoch in range(2):
        positions = order.permutation(epoch, size)
        for number, (low, high) in enumerate(bounds):
            members = positions[low:high]
            losses = nn.functional.cross_entropy(module(x[members]), y[members], reduction="none")
            budget = 7 if number == 5 else 10
            best = np.sort(np.argsort(-losses.detach().numpy(), kind="stable")[:budget])
            own = np.arange(1, budget + 1) * budget / len(members) if policy is Weighted else np.ones(budget)
            waiting += [(members[at], float(w[members[at]]) * weight) for at, weight in zip(best, own, strict=True)]
            last = number == 5
            while len(waiting) >= batch_size * accumulate or (last and waiting):
                step, waiting = waiting[: batch_size * accumulate], waiting[batch_size * accumulate :]
                at, weights = [one for one, _ in step], torch.tensor([weight for _, weight in step])
                module.zero_grad()
                losses = nn.functional.cross_entropy(module(x[at]), y[at], reduction="none")
                ((losses * weights).sum() / len(at)).backward()
                with torch.no_grad():
                    for parameter in module.parameters():
                        parameter -= 0.1 * parameter.grad
                uses[at] += 1
                sums[at] += weights.numpy()
                steps += 1
    for name, expected in module.state_dict().items():
        torch.testing.assert_close(state_of(trained)[name], expected, rtol=1e-4, atol=1e-6)
    assert trained.num_optimizer_steps == steps
    assert trained.uses["num_uses"].tolist() == uses.tolist()
    np.testing.assert_allclose(trained.uses["sum_of_weights"], sums, rtol=1e-5)
    assert trained.num_scored == 2 * size
    assert trained.backward_passes == uses.sum() == 2 * 57
    assert trained.forward_passes == 2 * size + uses.sum()


def test_where_an_epoch_fills_no_batch_it_is_one_step_on_what_the_model_as_it_is_chooses() -> None:
    """20 of 40, in batches of 64: every epoch scores all with the model that the epoch before has left, and steps."""
    world = numbers(70)
    trainer = trainer_of(world, LINEAR, epochs=3, batch_size=64)
    start = trainer.fit(first(30), None, last_key=29)
    trained = trainer.fit(first(40), start, last_key=39, downsampler=Hardest(ratio=0.5))
    assert (trained.num_optimizer_steps, trained.num_scored) == (3, 120)

    rows = start.preprocessor.transform({"numeric": world[1].columns["numeric"][:40]})["numeric"]
    x, y = torch.from_numpy(rows), torch.from_numpy(world[1].labels[:40])
    uses = np.zeros(40, int)
    for _ in range(3):
        losses = nn.functional.cross_entropy(start.module(x), y, reduction="none")
        best = np.argsort(-losses.detach().numpy(), kind="stable")[:20]
        start.module.zero_grad()
        losses[best].mean().backward()
        with torch.no_grad():
            for parameter in start.module.parameters():
                parameter -= 0.1 * parameter.grad
        uses[best] += 1
    assert trained.uses["num_uses"].tolist() == uses.tolist()
    for name, expected in start.module.state_dict().items():
        torch.testing.assert_close(state_of(trained)[name], expected, rtol=1e-4, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 80), st.floats(0.05, 1.0), st.integers(1, 12))
def test_every_mode_trains_on_the_share_of_an_epoch_in_as_many_steps(size: int, ratio: float, batch_size: int) -> None:
    trainer = trainer_of(numbers(80), LINEAR, epochs=2, batch_size=batch_size)
    for mode in ("batch_then_sample", "sample_then_batch"):
        policy = Hardest(ratio=ratio, mode=mode)
        trained = trainer.fit(first(size), None, last_key=size - 1, downsampler=policy)
        share = policy.share.of(size)
        assert trained.uses["num_uses"].sum() == 2 * share
        assert trained.num_optimizer_steps == 2 * math.ceil(share / batch_size)


class Fewer(Hardest):
    """Half of what it may choose."""

    def choose(self, description, labels, budget, turn: Turn) -> Choice:
        return Choice(highest(description[:, 0], max(budget // 2, 1)))


def test_what_is_fewer_than_a_batch_waits_for_the_next_pool_of_the_epoch() -> None:
    """Pools of 20 give 5 of 10: two make a step; of five pools the last one's make another."""
    trained = trainer_of(numbers(100), LINEAR, epochs=2, batch_size=10).fit(
        first(100), None, last_key=99, downsampler=Fewer(ratio=0.5)
    )
    assert trained.num_optimizer_steps == 2 * 3
    assert trained.backward_passes == 2 * 25


@pytest.mark.parametrize("mode", ["batch_then_sample", "sample_then_batch"])
def test_what_fills_no_batch_is_dropped_whatever_the_mode(mode: str) -> None:
    """25 of 100 in batches of 10; 4 of 16, which fill no batch at all, are not dropped."""
    for size, used in ((100, 20), (16, 4)):
        trained = trainer_of(numbers(100), LINEAR, epochs=2, batch_size=10, drop_last=True).fit(
            first(size), None, last_key=size - 1, downsampler=Fewer(ratio=0.5, mode=mode)
        )
        assert trained.uses["num_uses"].sum() == trained.backward_passes == 2 * used
        assert trained.num_optimizer_steps == 2 * math.ceil(used / 10)


class Watches(Hardest):
    """Chooses by the loss, and records how often."""

    record_size = 1

    def record(self, outputs: Outputs, before: torch.Tensor) -> torch.Tensor:
        assert outputs.losses is not None
        return before.nan_to_num(0.0) + 1.0


def test_a_warm_up_of_a_policy_that_asks_the_model_asks_nothing() -> None:
    policy = Watches(warmup_triggers=1)
    trained = trainer_of(table(40)).fit(first(40), None, last_key=39, downsampler=policy.downsampler)
    assert trained.num_scored == 0
    assert trained.records[policy.name].values.tolist() == [[2.0]] * 40


def test_records_of_another_width_are_refused_by_name() -> None:
    trainer = trainer_of(table(60))
    start = trainer.fit(first(30), None, last_key=29, downsampler=El2n())
    with pytest.raises(ContractError, match="el2n keeps 2 numbers of each sample, but records of this name have 1"):
        trainer.fit(first(60), start, last_key=59, downsampler=Wider())


class Both(Hardest):
    """Would be told of records and of the model's outputs."""

    needs = ("loss", "history")
    record_size = 1


@pytest.mark.parametrize("warmup_triggers", [0, 1])
def test_what_chooses_by_records_is_told_nothing_else(warmup_triggers: int) -> None:
    downsampler = Both(warmup_triggers=warmup_triggers).downsampler
    with pytest.raises(ContractError, match="needs loss, history"):
        trainer_of(table(40)).fit(first(40), None, last_key=39, downsampler=downsampler)


def test_a_pool_of_any_size_is_passed_forward_as_a_whole_set_is(monkeypatch) -> None:
    """What a policy sees of 3,000 samples at once, where no more than so many pass through the model at once."""
    described, sizes = {}, []
    forward = Scorer.ask

    def counted(self: Scorer, inputs, labels, columns) -> Outputs:
        sizes.append(len(labels))
        return forward(self, inputs, labels, columns)

    monkeypatch.setattr(Scorer, "ask", counted)

    class Keeps(Hardest):
        def choose(self, description, labels, budget, turn: Turn) -> Choice:
            described[self.mode] = description
            return super().choose(description, labels, budget, turn)

    for mode in ("batch_then_sample", "sample_then_batch"):
        trainer = trainer_of(numbers(3000), LINEAR, epochs=1, batch_size=30, shuffle=False)
        trainer.fit(first(3000), None, last_key=2999, downsampler=Keeps(ratio=0.01, mode=mode))
    assert sizes == 2 * [1024, 1024, 952]
    assert torch.equal(*described.values())


@pytest.mark.parametrize(("period", "scorings"), [(0, [0]), (1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (3, [0, 3])])
def test_sample_then_batch_scores_every_period(period: int, scorings: list[int]) -> None:
    asked: list[int] = []

    class Watched(Weighted):
        def choose(self, description, labels, budget, turn: Turn) -> Choice:
            asked.append(turn.epoch)
            assert (len(description), budget, turn.num_epochs) == (100, 25, 5)
            return super().choose(description, labels, budget, turn)

    trainer = trainer_of(table(100), epochs=5)
    trained = trainer.fit(first(100), None, last_key=99, downsampler=Watched(mode="sample_then_batch", period=period))
    assert asked == scorings
    assert trained.num_scored == 100 * len(scorings)
    assert trained.uses["num_uses"].sum() == trained.backward_passes == 25 * 5
    assert trained.uses["sum_of_weights"].sum() == pytest.approx(5 * sum(range(1, 26)) * 25 / 100)


def test_sample_then_batch_trains_on_the_highest_scores_of_the_model_as_it_is() -> None:
    world = numbers(120)
    trainer = trainer_of(world, LINEAR, epochs=1)
    start = trainer.fit(first(30), None, last_key=29)
    trained = trainer.fit(first(120), start, last_key=119, downsampler=Hardest(ratio=0.5, mode="sample_then_batch"))
    rows = start.preprocessor.transform({"numeric": world[1].columns["numeric"][:120]})["numeric"]
    with torch.no_grad():
        logits = start.module(torch.from_numpy(rows))
    losses = nn.functional.cross_entropy(logits, torch.from_numpy(world[1].labels[:120]), reduction="none").numpy()
    assert set(np.flatnonzero(trained.uses["num_uses"])) == set(np.argsort(-losses)[:60])


def test_scoring_leaves_the_model_and_its_randomness_as_they_are() -> None:
    """A policy that chooses all and one that was never asked: dropout and batch statistics come out the same."""
    world = numbers(96)
    model = {"_target_": "worlds.WithNorm"}
    plain = trainer_of(world, model).fit(first(96), None, last_key=95)
    scored = trainer_of(world, model).fit(
        first(96), None, last_key=95, downsampler=Hardest(ratio=1.0, mode="sample_then_batch")
    )
    for name, tensor in state_of(plain).items():
        assert torch.equal(tensor, state_of(scored)[name]), name


def test_what_is_recorded_is_carried_on_saved_and_dropped_with_its_samples(tmp_path) -> None:
    world = table(200)
    trainer = trainer_of(world, epochs=1)
    options = {"ratio": 0.5, "mode": "sample_then_batch"}
    a = trainer.fit(first(40), None, last_key=39, downsampler=Least(**options))
    assert a.num_scored == 0
    assert a.records["least"].keys.tolist() == list(range(20))  # of equal ones the first
    trainer.save(a, tmp_path / "a")
    for parent in (a, trainer_of(world, epochs=1).load(tmp_path / "a")):
        b = trainer.fit(first(60, 10), parent, last_key=69, downsampler=Least(**options), oldest_key=10)
        assert b.records["least"].keys.tolist() == list(range(10, 50))
        assert b.records["least"].values.ravel().tolist() == [1.0] * 40
        assert np.flatnonzero(b.uses["num_uses"]).tolist() == list(range(10, 40))  # those not trained on before


def test_records_outlast_trainings_of_other_policies(tmp_path) -> None:
    trainer = trainer_of(table(200))
    a = trainer.fit(first(40), None, last_key=39, downsampler=El2n(ratio=0.5))
    b = trainer.fit(first(40, 40), a, last_key=79, downsampler=Forgetting(ratio=0.5), oldest_key=10)
    trainer.save(b, tmp_path / "b")
    for parent in (b, trainer.load(tmp_path / "b")):
        c = trainer.fit(first(40, 80), parent, last_key=119, downsampler=Hardest(), oldest_key=50)
        d = trainer.fit(first(40, 120), parent, last_key=159, oldest_key=20)
        assert c.records["el2n"].keys.tolist() == []
        assert c.records["forgetting"].keys.tolist() == list(range(50, 80))
        assert d.records["el2n"].keys.tolist() == list(range(20, 40))
        assert d.records["el2n"].values.tolist() == a.records["el2n"].values[20:].tolist()
        assert d.records["forgetting"].values.tolist() == b.records["forgetting"].values.tolist()
    b.records = dict(reversed(b.records.items()))
    trainer.save(b, tmp_path / "reversed")
    trainer.save(trainer.load(tmp_path / "b"), tmp_path / "again")
    for file in (tmp_path / "b").iterdir():
        assert file.read_bytes() == (tmp_path / "reversed" / file.name).read_bytes()
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize(("start_from", "count"), [("previous", 3), ("scratch", 2), ("pretrained", 2)])
def test_a_change_of_models_forgets_nothing(start_from: str, count: int, devices: int, tmp_path) -> None:
    """All samples were forgotten twice, and right at last; now they are wrong, whatever trains in between."""
    schema, split = numbers(30)
    world = schema, Split("train", split.timestamps, np.zeros(30, dtype=np.int64), split.columns)
    wrong = {"head.weight": torch.zeros(3, 2), "head.bias": torch.arange(3.0)}
    save_file(wrong, tmp_path / "wrong.safetensors")
    options = {"start_from": start_from, "devices": devices, "optimizer": {**SGD, "lr": 0.0}}
    if start_from == "pretrained":
        options["initial_weights"] = str(tmp_path / "wrong.safetensors")
    trainer = trainer_of(world, LINEAR, **options)
    parent = trainer.fit(first(30), None, last_key=29)
    parent.module.load_state_dict(wrong)
    parent.records = {"forgetting": SampleRecords(np.arange(30), np.tile(np.float32([2, 1]), (30, 1)))}
    for last in (parent, trainer.fit(first(20), parent, last_key=30, downsampler=El2n())):
        trained = trainer.fit(first(20), last, last_key=31, downsampler=Forgetting(ratio=1.0))
        records = trained.records["forgetting"].values
        assert records[:, 0].tolist() == [count] * 20 + [2] * 10
        if start_from != "scratch":
            assert records[:, 1].tolist() == [0] * 20 + [1] * 10


@pytest.mark.parametrize(("policy", "whole"), [(Forgetting, {"ratio": 1.0}), (Infobatch, {"prune": 0.0})])
@pytest.mark.parametrize("passes", [None, 700.0])
@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": 3, "clip_norm": 0.05},
        {"num_samples": 150, "batch_size": 10, "drop_last": True},
        {"schedule": {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.5, "interval": "epoch"}},
        {"devices": 2, "batch_size": 10, "epochs": 3},
    ],
)
def test_a_warm_up_trains_on_everything_to_the_bit_and_is_recorded(
    policy: type[Downsampler], whole: dict, options: dict, passes: float | None
) -> None:
    trainer = trainer_of(numbers(96), {"_target_": "worlds.WithNorm"}, **options)
    selection = Selection(np.arange(96), np.random.default_rng(0).random(96).astype(np.float32))
    plain, trained, expected = (
        trainer.fit(selection, None, last_key=95, downsampler=downsampler, passes=passes)
        for downsampler in (None, policy(warmup_triggers=1).downsampler, policy(**whole))
    )
    for name, tensor in state_of(plain).items():
        assert torch.equal(tensor, state_of(trained)[name]), name
    for count in ("num_epochs", "num_optimizer_steps", "forward_passes", "backward_passes", "num_scored"):
        assert getattr(trained, count) == getattr(plain, count), count
    assert trained.uses["num_uses"].sum() == plain.backward_passes
    records = trained.records[policy.name]
    assert records.keys.tolist() == np.flatnonzero(trained.uses["num_uses"]).tolist()
    assert records.values.tolist() == expected.records[policy.name].values.tolist()


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
@pytest.mark.parametrize("mode", ["batch_then_sample", "sample_then_batch"])
def test_other_precisions_are_scored_and_trained(precision: str, mode: str) -> None:
    trained = trainer_of(table(100), precision=precision).fit(
        first(100), None, last_key=99, downsampler=Weighted(mode=mode)
    )
    assert trained.backward_passes == 50
    assert all(torch.isfinite(tensor).all() for tensor in state_of(trained).values())


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
@pytest.mark.parametrize("policy", [El2n, Forgetting, Infobatch])
def test_records_are_kept_in_other_precisions(precision: str, policy: type[Downsampler]) -> None:
    trained = trainer_of(table(100), precision=precision).fit(first(100), None, last_key=99, downsampler=policy())
    assert trained.records[policy.name].values.dtype == np.float32


plans = st.fixed_dictionaries(
    {
        "num_samples": st.integers(1, 80),
        "batch_size": st.integers(1, 12),
        "epochs": st.integers(1, 4),
        "ratio": st.floats(0.05, 1.0),
        "scoring": st.just({"mode": "batch_then_sample"})
        | st.fixed_dictionaries({"mode": st.just("sample_then_batch"), "period": st.integers(0, 3)}),
        "accumulate": st.integers(1, 3),
        "drop_last": st.booleans(),
        "budget": st.none() | st.integers(1, 150),
    }
)


@settings(max_examples=25, deadline=None)
@given(plans)
def test_steps_and_samples_are_planned_as_they_come(options: dict) -> None:
    policy = Hardest(ratio=options["ratio"], **options["scoring"])
    trainer = trainer_of(
        numbers(80),
        LINEAR,
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        accumulate=options["accumulate"],
        drop_last=options["drop_last"],
        num_samples=options["budget"],
    )
    size = options["num_samples"]
    planned = trainer.plan(size, policy, last_key=size - 1)
    trained = trainer.fit(first(size), None, last_key=size - 1, downsampler=policy)
    assert trained.num_optimizer_steps == planned.num_optimizer_steps
    assert trained.backward_passes == planned.num_trained == trained.uses["num_uses"].sum()


@settings(max_examples=25, deadline=None)
@given(plans, st.floats(0.0, 3000.0))
def test_a_budget_of_sample_passes_is_used_up_within_a_batch(options: dict, passes: float) -> None:
    """One batch, or pool, is the least; a scoring of the whole set may find nothing left to train on."""
    size = options["num_samples"]
    policy = Hardest(ratio=options["ratio"], **options["scoring"])
    trainer = trainer_of(numbers(80), LINEAR, batch_size=options["batch_size"], drop_last=options["drop_last"])
    for chosen in (policy, None):
        trained = trainer.fit(first(size), None, last_key=size - 1, downsampler=chosen, passes=passes)
        used = trained.forward_passes + 2 * trained.backward_passes
        scored = size if chosen is not None else 0
        slack = scored + TRAINED * options["batch_size"]
        assert passes - slack <= used <= max(passes, 1) + slack


def test_a_budget_of_samples_is_that_of_what_is_trained_on() -> None:
    config = TrainingConfig(num_samples=1000, batch_size=10)
    assert plan_training(400, config, Hardest(ratio=0.25), seed=0, last_key=0).num_trained == 1000
    later = plan_training(400, config, Hardest(ratio=0.25, mode="sample_then_batch"), seed=0, last_key=0)
    assert (later.num_trained, later.num_epochs) == (1000, 10)


def test_a_number_of_samples_is_spread_over_the_pools() -> None:
    trained = trainer_of(table(200), epochs=1, batch_size=10).fit(
        first(200), None, last_key=199, downsampler=Hardest(size=50)
    )
    assert trained.backward_passes == 50
    assert trained.num_optimizer_steps == math.ceil(50 / 10)


class DrawnByColumn(ImportanceSampled):
    """Draws by numbers that have nothing to do with gradients."""

    name = "drawn_by_column"

    def score(self, outputs: Outputs) -> torch.Tensor:
        return outputs.columns["score"]


def deviations(mode: str, draw: str, *, num_runs: int = 150) -> np.ndarray:
    """How many standard errors the mean step of many trainings lies from the step along the gradient of all samples."""
    size, ratio, rate = 640, 0.25, 1.0
    schema, split = numbers(size)
    labels = np.where(np.arange(size) % 10, 0, split.labels)  # most are one class, so that gradients do not cancel out
    world = schema, Split("train", split.timestamps, labels, split.columns)
    score = np.random.default_rng(5).exponential(size=size).astype(np.float32)
    options = {"epochs": 1, "batch_size": 160, "optimizer": {"_target_": "torch.optim.SGD", "lr": rate}}
    trainer = trainer_of(world, LINEAR, **options)
    still = {"_target_": "torch.optim.SGD", "lr": 0.0}
    start = trainer_of(world, LINEAR, epochs=1, optimizer=still).fit(first(size), None, last_key=0)
    rows = start.preprocessor.transform({"numeric": world[1].columns["numeric"]})["numeric"]
    module = start.module
    losses = nn.functional.cross_entropy(module(torch.from_numpy(rows)), torch.from_numpy(labels))
    gradients = torch.autograd.grad(losses, list(module.parameters()))
    expected = torch.cat([-rate * gradient.flatten() for gradient in gradients]).numpy()
    before = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    selection = Selection(np.arange(size), np.ones(size, np.float32), {"score": score})
    steps = []
    for last_key in range(1, num_runs + 1):  # seeds derive from it
        trained = trainer.fit(
            selection, start, last_key=last_key, downsampler=DrawnByColumn(ratio=ratio, mode=mode, draw=draw)
        )
        assert trained.num_optimizer_steps == 1
        after = torch.cat([parameter.detach().flatten() for parameter in trained.module.parameters()])
        steps.append((after - before).numpy())
    errors = np.std(steps, axis=0, ddof=1) / np.sqrt(num_runs)
    deviation: np.ndarray = (np.mean(steps, axis=0) - expected) / errors
    return deviation


@pytest.mark.parametrize("mode", ["batch_then_sample", "sample_then_batch"])
def test_whatever_is_drawn_by_the_mean_step_is_that_of_all_samples(mode: str) -> None:
    """Through the real batches: 160 of 640 samples make a step, drawn by scores that say nothing of gradients."""
    assert np.abs(deviations(mode, "inclusion")).max() < 4.5
    assert np.abs(deviations(mode, "multinomial_reference")).max() > 5  # the reference's weights are biased


def test_epochs_of_subsets_that_drop_their_last_batch_add_up_to_the_budget() -> None:
    """20 of 80 are chosen, of which one batch of 12 is trained on: 13 samples take a second epoch, and are 24."""
    trainer = trainer_of(numbers(80), LINEAR, batch_size=12, drop_last=True, num_samples=13)
    policy = Hardest(ratio=0.25, mode="sample_then_batch")
    assert trainer.plan(80, policy, last_key=79).num_trained == 24
    assert trainer.fit(first(80), None, last_key=79, downsampler=policy).backward_passes == 24


class LessAtFirst(Hardest):
    """A batch of 8 less than it may choose, but all in the last epoch."""

    def choose(self, description, labels, budget, turn: Turn) -> Choice:
        last = turn.epoch == turn.num_epochs - 1
        return Choice(highest(description[:, 0], budget if last else budget - 8))


ONE_CYCLE = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.1}


def test_a_schedule_stays_at_its_end_where_more_steps_are_made_than_planned() -> None:
    """Planned are 40, 40 and 24 of 104 samples, in 2, 2 and 1 steps; chosen are 32, 32 and 40, in 2 steps each."""
    trainer = trainer_of(numbers(80), LINEAR, batch_size=8, accumulate=3, num_samples=104, schedule=ONE_CYCLE)
    policy = LessAtFirst(ratio=0.5, mode="sample_then_batch")
    assert trainer.plan(80, policy, last_key=79).num_optimizer_steps == 5
    trained = trainer.fit(first(80), None, last_key=79, downsampler=policy)
    assert (trained.num_optimizer_steps, trained.backward_passes) == (6, 104)


def test_samples_that_are_dropped_use_up_no_passes() -> None:
    """A round scores 80 and trains on 12, which takes 116 passes: ten of them are the budget."""
    trainer = trainer_of(numbers(80), LINEAR, batch_size=12, drop_last=True)
    policy = Hardest(ratio=0.25, mode="sample_then_batch")
    trained = trainer.fit(first(80), None, last_key=79, downsampler=policy, passes=1160)
    assert trained.forward_passes + 2 * trained.backward_passes == 1160
