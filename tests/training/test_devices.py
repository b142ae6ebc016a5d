"""Trainings on two devices: against one device with batches twice as large, hand-written loops, and their failures."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from choosing import Hardest
from torch import nn
from worlds import ADAGRAD, LINEAR, SGD, numbers, table, text, trainer_of

from modyn_bench.config import TrainingConfig
from modyn_bench.errors import ContractError, RequestError, RunError
from modyn_bench.selectors.downsampling.base import Choice, Turn, highest
from modyn_bench.selectors.downsampling.el2n import El2n
from modyn_bench.selectors.downsampling.forgetting import Forgetting
from modyn_bench.selectors.downsampling.infobatch import Infobatch
from modyn_bench.training import devices
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.types import Selection


class Few(Hardest):
    """One sample of some pools, two of others."""

    own_budget = True

    def choose(self, description, labels, budget, turn: Turn) -> Choice:
        return Choice(highest(description[:, 0], int(turn.random().integers(1, 3))))


class OfTheFirstAll(Hardest):
    """All samples of the first device's pools, one of each of the other's."""

    own_budget = True

    def choose(self, description, labels, budget, turn: Turn) -> Choice:
        most = len(description) if torch.distributed.get_rank() == 0 else 1
        return Choice(highest(description[:, 0], most))


def first(count: int, start: int = 0) -> Selection:
    return Selection.unweighted(np.arange(start, start + count))


def weighted(count: int) -> Selection:
    return Selection(np.arange(count), np.random.default_rng(0).random(count).astype(np.float32) * 2)


def on_two(world, model=None, **options):
    options = {"batch_size": 16} | options
    return trainer_of(world, model, devices=2, **options)


def on_one(world, model=None, **options):
    options = {"batch_size": 16} | options
    return trainer_of(world, model, **options | {"batch_size": 2 * options["batch_size"]})


def assert_close(a, b) -> None:
    for name, tensor in a.module.state_dict().items():
        torch.testing.assert_close(tensor, b.module.state_dict()[name], rtol=1e-4, atol=1e-6)


def assert_same(a, b) -> None:
    for name, tensor in a.module.state_dict().items():
        assert torch.equal(tensor, b.module.state_dict()[name]), name


def assert_none_left() -> None:
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("world", "options"),
    [
        (numbers(190), {}),
        (numbers(190), {"accumulate": 3, "clip_norm": 0.05}),
        (numbers(193), {"num_samples": 150, "shuffle": False}),
        (numbers(97), {"drop_last": True, "batch_size": 20}),
        (numbers(65), {"schedule": {"_target_": "torch.optim.lr_scheduler.LinearLR", "total_iters": None}}),
        (text(200), {"optimizer": ADAGRAD}),  # whose gradients are sparse
        (table(100), {"optimizer": {**ADAGRAD, "weight_decay": 0.01}}),
        (numbers(100), {"precision": "64-true"}),
    ],
)
def test_two_devices_train_as_one_does_on_batches_twice_as_large(world, options):
    """Weights, accumulation, an epoch's last batch, and one of a single sample, for which a device stands in."""
    size = len(world[1])
    two = on_two(world, **options).fit(weighted(size), None, last_key=size - 1)
    one = on_one(world, **options).fit(weighted(size), None, last_key=size - 1)
    assert_close(two, one)
    assert two.num_optimizer_steps == one.num_optimizer_steps
    assert (two.forward_passes, two.backward_passes) == (one.forward_passes, one.backward_passes)
    assert_none_left()


def test_it_is_the_same_to_the_bit_again_and_going_on_from_what_was_saved(tmp_path):
    adam = {"_target_": "torch.optim.Adam"}
    trainer = on_two(table(200), optimizer=adam, carry_optimizer=True)
    parent = trainer.fit(first(100), None, last_key=99)
    trainer.save(parent, tmp_path)
    child = trainer.fit(first(100, 100), parent, last_key=199)
    resumed = trainer.fit(first(100, 100), trainer.load(tmp_path), last_key=199)
    assert_same(child, resumed)
    assert child.optimizer_states.keys() == parent.optimizer_states.keys()
    one = on_one(table(200), optimizer=adam, carry_optimizer=True)
    assert_close(child, one.fit(first(100, 100), one.fit(first(100), None, last_key=99), last_key=199))


def test_devices_drop_out_apart_and_a_model_may_leave_parameters_out():
    """Two equal samples, one on each device: were the same dropped on both, the step would be that of one of them."""
    world = numbers(20)
    world[1].columns["numeric"][:2] = 1.0
    world[1].labels[:2] = 0
    model, options = {"_target_": "worlds.Dropping"}, {"epochs": 1, "batch_size": 1}
    still = trainer_of(world, model, optimizer={**SGD, "lr": 0.0}).fit(first(20), None, last_key=19)
    two, again = (on_two(world, model, **options).fit(first(2), still, last_key=1) for _ in range(2))
    assert_same(two, again)
    alone = trainer_of(world, model, **options).fit(first(1), still, last_key=1)
    weights = [trained.module.head.weight for trained in (still, alone, two)]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.allclose(weights[1], weights[2])


def test_running_statistics_are_those_of_the_first_device():
    world, model = numbers(128), {"_target_": "worlds.WithNorm"}
    still = {"epochs": 1, "batch_size": 32, "shuffle": False, "optimizer": {**SGD, "lr": 0.0}}
    trainer = on_two(world, model, **still)
    two = trainer.fit(first(128), None, last_key=127)
    its_share = np.concatenate([np.arange(32), np.arange(64, 96)])
    start = trainer.fit(first(128), None, last_key=127)
    start.module.load_state_dict(trainer._build(start.preprocessor, 127).state_dict())
    expected = trainer_of(world, model, **still).fit(Selection.unweighted(its_share), start, last_key=127)
    assert_close(two, expected)


@pytest.mark.parametrize("size", [190, 2500])
@pytest.mark.parametrize("period", [0, 1])
def test_sample_then_batch_chooses_and_trains_as_one_device_does(size: int, period: int) -> None:
    """2,500 samples are scored in three batches, of which each device takes its part."""
    policy = Hardest(ratio=0.3, mode="sample_then_batch", period=period)
    options = {"batch_size": 64, "epochs": 2}
    two = on_two(numbers(size), LINEAR, **options).fit(weighted(size), None, last_key=9, downsampler=policy)
    one = on_one(numbers(size), LINEAR, **options).fit(weighted(size), None, last_key=9, downsampler=policy)
    assert_close(two, one)
    assert two.num_scored == one.num_scored == size * (1 + period)
    assert two.forward_passes == one.forward_passes
    np.testing.assert_array_equal(two.uses["num_uses"], one.uses["num_uses"])
    np.testing.assert_allclose(two.uses["sum_of_weights"], one.uses["sum_of_weights"])


@pytest.mark.parametrize("policy", [El2n, Forgetting, Infobatch])
def test_what_devices_record_is_brought_together(policy) -> None:
    """Every epoch chooses by what the one before recorded on either device."""
    world, options = table(150), {"epochs": 4}
    two = on_two(world, **options).fit(first(150), None, last_key=149, downsampler=policy())
    one = on_one(world, **options).fit(first(150), None, last_key=149, downsampler=policy())
    assert_close(two, one)
    np.testing.assert_array_equal(two.uses["num_uses"], one.uses["num_uses"])
    (of_two,), (of_one,) = two.records.values(), one.records.values()
    np.testing.assert_array_equal(of_two.keys, of_one.keys)
    np.testing.assert_allclose(of_two.values, of_one.values, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "accumulate", "bounds", "budgets"),
    [
        (190, 1, [0, 33, 66, 100, 133, 160, 190], [(10, 10), (10, 10), (8, 9)]),  # 57 are chosen
        (167, 2, [0, 33, 66, 100, 133, 150, 167], [(10, 10), (10, 10), (5, 5)]),  # 50
    ],
)
def test_batch_then_sample_is_the_hand_written_loop(
    size: int, accumulate: int, bounds: list[int], budgets: list[tuple[int, int]]
) -> None:
    """Each device chooses from its part of a pool; they step together, and an epoch's last step takes what is left."""
    ratio, batch_size, world = 0.3, 10, numbers(size)
    options = {"batch_size": batch_size, "accumulate": accumulate}
    trainer = on_two(world, LINEAR, **options)
    start = trainer.fit(first(10), None, last_key=9)
    policy, selection = Hardest(ratio=ratio), weighted(size)
    trained = trainer.fit(selection, start, last_key=size - 1, downsampler=policy)

    module = start.module
    rows = start.preprocessor.transform({"numeric": world[1].columns["numeric"]})["numeric"]
    x, y, w = torch.from_numpy(rows), torch.from_numpy(world[1].labels), torch.from_numpy(selection.weights)
    order = TrainingPlan(size, TrainingConfig(), 0, size - 1)
    uses, steps = np.zeros(size, int), 0
    waiting: list[list[int]] = [[], []]
    for epoch in range(2):
        positions = order.permutation(epoch, size)
        for number, of_devices in enumerate(budgets):
            for rank, budget in enumerate(of_devices):
                part = positions[bounds[2 * number + rank] : bounds[2 * number + rank + 1]]
                losses = nn.functional.cross_entropy(module(x[part]), y[part], reduction="none").detach().numpy()
                best = np.sort(np.argsort(-losses, kind="stable")[:budget])
                waiting[rank] += part[best].tolist()
            last = number == 2
            full = batch_size * accumulate
            while min(map(len, waiting)) >= full or (last and any(waiting)):
                members = [one for own in waiting for one in own[:full]]
                waiting = [own[full:] for own in waiting]
                module.zero_grad()
                losses = nn.functional.cross_entropy(module(x[members]), y[members], reduction="none")
                ((losses * w[members]).sum() / len(members)).backward()
                with torch.no_grad():
                    for parameter in module.parameters():
                        parameter -= 0.1 * parameter.grad
                uses[members] += 1
                steps += 1
    for name, expected in module.state_dict().items():
        torch.testing.assert_close(trained.module.state_dict()[name], expected, rtol=1e-4, atol=1e-6)
    assert trained.num_optimizer_steps == steps == trainer.plan(size, policy, last_key=size - 1).num_optimizer_steps
    assert trained.uses["num_uses"].tolist() == uses.tolist()
    np.testing.assert_allclose(trained.uses["sum_of_weights"], uses * selection.weights, rtol=1e-6)
    assert (trained.num_scored, trained.backward_passes) == (2 * size, uses.sum())


def test_devices_that_choose_differently_many_wait_for_each_other() -> None:
    trainer = on_two(numbers(121), LINEAR, batch_size=4, accumulate=2, epochs=3)
    a, b = (trainer.fit(first(121), None, last_key=120, downsampler=Few(ratio=0.3)) for _ in range(2))
    assert_same(a, b)
    assert a.uses["num_uses"].sum() == a.backward_passes
    assert a.num_scored == 3 * 121


@pytest.mark.parametrize(("batch_size", "of_the_other"), [(20, 0), (5, 40)])
def test_a_last_batch_is_dropped_where_it_is_small_whatever_other_devices_have(
    batch_size: int, of_the_other: int
) -> None:
    """Of 400 samples one device trains on its 200; the other chooses one of each pool, 10 or 40 in all."""
    trainer = on_two(numbers(400), LINEAR, batch_size=batch_size, drop_last=True, epochs=1)
    trained = trainer.fit(first(400), None, last_key=399, downsampler=OfTheFirstAll())
    assert trained.backward_passes == trained.uses["num_uses"].sum() == 200 + of_the_other
    assert trained.num_optimizer_steps == 200 // batch_size


def test_progress_is_told_as_it_comes_and_in_all() -> None:
    told: list[int] = []
    trained = on_two(numbers()).fit(first(97), None, last_key=96, on_samples=told.append)
    assert sum(told) == trained.forward_passes == 194


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        ({**LINEAR, "hidden": [8, 8]}, {"epochs": 30, "optimizer": {**SGD, "lr": 1e8}}, RunError, "loss of batch"),
        (
            LINEAR,
            {"epochs": 1, "batch_size": 100, "optimizer": {**SGD, "lr": float("inf")}},
            RunError,
            "after the last",
        ),
        ({"_target_": "worlds.WrongLater"}, {}, RequestError, r"returned shape \(16, 1\)"),
        ({"_target_": "worlds.Raises"}, {}, RunError, "(?s)on device 0.*ZeroDivisionError"),
        ({"_target_": "worlds.Leaves"}, {}, RunError, "on device 1 ended with exit code 3"),
    ],
)
def test_what_fails_in_a_process_is_told_as_if_it_had_failed_here(model, options, error, message) -> None:
    with pytest.raises(error, match=message):
        on_two(numbers(), model, **options).fit(first(198), None, last_key=197)
    assert_none_left()


def test_a_policy_that_breaks_its_contract_on_one_device_is_named() -> None:
    class NoneOnTheSecond(Hardest):
        def choose(self, description, labels, budget, turn: Turn) -> Choice:
            number = torch.distributed.get_rank()
            return Choice(highest(description[:, 0], 0 if number else budget))

    with pytest.raises(ContractError, match="hardest chose 0 of"):
        on_two(numbers()).fit(first(200), None, last_key=199, downsampler=NoneOnTheSecond(ratio=0.5))
    assert_none_left()


def test_an_interrupt_ends_all_processes(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(devices.tempfile, "tempdir", str(tmp_path))

    def on_samples(count: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        on_two(numbers(), LINEAR, epochs=100_000).fit(first(200), None, last_key=199, on_samples=on_samples)
    assert_none_left()
    assert not list(Path(tmp_path).iterdir())


def test_processes_that_are_not_forked_train_alike(monkeypatch) -> None:
    trainer, policy = on_two(table(60), epochs=1), El2n(mode="sample_then_batch")
    forked = trainer.fit(first(60), None, last_key=59, downsampler=policy)
    monkeypatch.setattr(devices.sys, "platform", "elsewhere")
    assert_same(forked, trainer.fit(first(60), None, last_key=59, downsampler=policy))
