"""Which parameter is in which optimiser and group, schedules with real step counts, and clipping."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modyn_bench.errors import RequestError
from modyn_bench.models import HashedTextClassifier
from modyn_bench.training.optimizers import (
    build_optimizers,
    build_schedules,
    clip_gradients,
    optimizer_states,
    restore_states,
    step_scaled,
)
from modyn_bench.training.schedules import WarmupPolynomialDecay

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))


def parameters_of(optimizer: torch.optim.Optimizer) -> list[set[int]]:
    return [{id(parameter) for parameter in group["params"]} for group in optimizer.param_groups]


def test_several_optimisers_share_the_parameters_and_one_may_take_the_rest():
    module = net()
    names = dict(module.named_parameters())
    adam = {"_target_": "torch.optim.AdamW", "params": r"^2\."}
    optimizers = build_optimizers({"head": adam, "body": SGD}, module)
    assert type(optimizers["head"]).__name__ == "AdamW"
    assert parameters_of(optimizers["head"]) == [{id(names["2.weight"]), id(names["2.bias"])}]
    assert parameters_of(optimizers["body"]) == [{id(names["0.weight"]), id(names["0.bias"])}]


def test_groups_have_options_of_their_own():
    module = net()
    names = dict(module.named_parameters())
    optimizer = build_optimizers({**SGD, "groups": [{"params": "bias$", "lr": 0.5, "weight_decay": 0.0}]}, module)[
        "default"
    ]
    assert parameters_of(optimizer)[0] == {id(names["0.bias"]), id(names["2.bias"])}
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"a": {**SGD, "params": "^0"}, "b": {**SGD, "params": "weight"}}, "parameter 0.weight is in a and b"),
        ({"a": {**SGD, "params": "^0"}}, "parameter 2.weight is in none"),
        ({"a": SGD, "b": SGD}, "a and b have no params"),
        ({"a": {**SGD, "params": "("}}, "no regular expression"),
        ({"a": {**SGD, "params": "."}, "b": {**SGD, "params": "nothing"}}, "b.params='nothing' matches no parameter"),
        ({**SGD, "groups": [{"params": "bias"}, {"params": "2"}]}, "2.bias is in groups 0 and 1"),
        ({**SGD, "groups": [{"params": "nothing"}]}, "matches no parameter"),
        ({**SGD, "groups": [{"lr": 1}]}, r"groups\[0\].params is missing"),
        ({"_target_": "torch.optim.SDG"}, "torch.optim.SDG cannot be imported"),
        ({**SGD, "momentom": 1}, "momentom"),
        ({"_target_": "torch.optim.LBFGS"}, "its step needs closure"),
        ({"lr": 0.1}, "_target_"),
    ],
)
def test_wrong_optimisers_are_answered_by_name(config, message):
    with pytest.raises(RequestError, match=message):
        build_optimizers(config, net())


def test_frozen_parameters_belong_to_no_optimiser():
    module = net()
    module[0].requires_grad_(False)
    assert len(parameters_of(build_optimizers(SGD, module)["default"])[0]) == 2


@pytest.mark.parametrize(
    ("config", "sparse"),
    [
        ({"_target_": "torch.optim.Adagrad", "lr": 0.1}, True),
        ({"_target_": "torch.optim.Adagrad", "lr": 0.1, "weight_decay": 0.1}, False),
        ({**SGD, "groups": [{"params": "embedding", "momentum": 0.9}]}, False),
        ({**SGD, "groups": [{"params": "embedding", "lr": 0.2}]}, True),
        ({"_target_": "torch.optim.AdamW", "lr": 0.1}, False),
        ({**SGD}, True),
        ({**SGD, "momentum": 0.9}, False),
        ({"sparse": {"_target_": "torch.optim.SparseAdam", "params": "embedding"}, "dense": SGD}, True),
    ],
)
def test_every_optimiser_of_torch_trains_embeddings(config, sparse):
    module = HashedTextClassifier(num_buckets=10, num_classes=2)
    optimizers = build_optimizers(config, module)
    assert module.embedding.sparse is sparse
    before = module.embedding.weight.detach().clone()
    module(torch.tensor([[1, 2]])).sum().backward()
    for optimizer in optimizers.values():
        optimizer.step()
    changed = (module.embedding.weight.detach() != before).any(dim=1)
    assert changed[1:3].all()


def test_states_are_carried_by_parameter_name():
    module = net()
    config = {"_target_": "torch.optim.Adam", "lr": 0.1}
    optimizers = build_optimizers(config, module)
    module(torch.ones(1, 2)).sum().backward()
    optimizers["default"].step()
    states = optimizer_states(optimizers, module)
    assert set(states["default"]["0.weight"]) == {"step", "exp_avg", "exp_avg_sq"}
    others = build_optimizers({**config, "lr": 0.3}, module)
    restore_states(others, states, module)
    assert others["default"].param_groups[0]["lr"] == 0.3  # as configured, not as saved
    again = optimizer_states(others, module)
    for name, values in states["default"].items():
        assert all(torch.equal(value, again["default"][name][key]) for key, value in values.items())


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_are_clipped_by_their_common_norm_like_torch_does(sparse):
    torch_clipped, clipped = [], []
    for target in (torch_clipped, clipped):
        generator = torch.Generator().manual_seed(0)
        module = HashedTextClassifier(num_buckets=10, num_classes=3, sparse=sparse and target is clipped)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        (module(torch.tensor([[1, 2, 1], [2, 3, 0]])) ** 2).sum().backward()
        if target is clipped:
            clip_gradients(module, 0.5)
        else:
            assert torch.nn.utils.clip_grad_norm_(module.parameters(), 0.5) > 0.5
        target += [parameter.grad.to_dense() for parameter in module.parameters()]
    for ours, theirs in zip(clipped, torch_clipped, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_small_gradients_are_left_alone():
    module = net()
    module(torch.ones(1, 2)).sum().backward()
    before = [parameter.grad.clone() for parameter in module.parameters()]
    clip_gradients(module, 1e6)
    assert all(torch.equal(a, b.grad) for a, b in zip(before, module.parameters(), strict=True))


@pytest.mark.parametrize(
    ("config", "argument", "value"),
    [
        ({"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": None}, "T_max", 12),
        ({"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "interval": "epoch"}, "T_max", 3),
        ({"_target_": "torch.optim.lr_scheduler.LinearLR", "total_iters": None}, "total_iters", 12),
        ({"_target_": "torch.optim.lr_scheduler.LinearLR"}, "total_iters", 5),  # its own default, left alone
        ({"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 1.0}, "total_steps", 12),
        ({"_target_": "torch.optim.lr_scheduler.PolynomialLR", "total_iters": 7}, "total_iters", 7),
    ],
)
def test_schedules_know_the_real_number_of_steps(config, argument, value):
    schedules, interval = build_schedules(config, build_optimizers(SGD, net()), num_steps=12, num_epochs=3)
    assert getattr(schedules[0], argument) == value
    assert interval == config.get("interval", "step")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_target_": "torch.optim.lr_scheduler.StepLR", "interval": "batch"}, "step or epoch"),
        (
            {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 1, "optimizer": "head"},
            "none of the optimisers",
        ),
        ({"_target_": "torch.optim.lr_scheduler.StepLR"}, "step_size"),
        ({"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau"}, "its step needs metrics"),
        ({"interval": "step"}, "_target_"),
    ],
)
def test_wrong_schedules_are_answered(config, message):
    with pytest.raises(RequestError, match=message):
        build_schedules(config, build_optimizers(SGD, net()), num_steps=12, num_epochs=3)


@pytest.mark.parametrize("broken", [None, "first"])
def test_the_loss_scale_moves_on_once_for_all_optimisers(broken):
    module = net()
    config = {"first": {**SGD, "params": "^0"}, "second": SGD}
    optimizers = list(build_optimizers(config, module).values())
    before = [parameter.detach().clone() for parameter in module.parameters()]
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1)
    torch.manual_seed(0)
    scaler.scale(module(torch.randn(5, 2)).square().sum()).backward()
    scaled = [parameter.grad.clone() for parameter in module.parameters()]
    if broken:
        module[0].bias.grad[0] = torch.inf
    step_scaled(optimizers, scaler, lambda: None)
    assert scaler.get_scale() == (4.0 if broken else 16.0)
    moved = [not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True)]
    assert moved == [not broken, not broken, True, True]
    for old, gradient, new in list(zip(before, scaled, module.parameters(), strict=True))[2 if broken else 0 :]:
        torch.testing.assert_close(new.detach(), old - SGD["lr"] * gradient / 8)


def rates(**options) -> list[float]:
    sgd = torch.optim.SGD(net().parameters(), lr=2.0)
    schedule = WarmupPolynomialDecay(sgd, **options)
    found = []
    for _ in range(options["total_steps"] + 2):
        found.append(schedule.get_last_lr()[0] / 2)
        sgd.step()
        schedule.step()
    return found


def test_warm_up_and_polynomial_decay_follow_the_formula():
    found = rates(total_steps=20, warmup=4, decay_start=8, decay_steps=10, power=2, end_factor=0.1, warmup_factor=0.2)
    for step, rate in enumerate(found):
        if step < 4:
            expected = 0.2 + 0.8 * (step + 1) / 4
        elif step < 8:
            expected = 1.0
        else:
            expected = max(max((18 - step) / 10, 0) ** 2, 0.1)
        assert rate == pytest.approx(expected)


def test_shares_of_the_steps_and_defaults():
    found = rates(total_steps=10, warmup=0.2, power=1)
    assert found == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0, 0])
    assert rates(total_steps=1, warmup=0)[0] == 1


@pytest.mark.parametrize("options", [{"warmup": 5, "decay_start": 2}, {"warmup": -1}, {"power": 0}, {"end_factor": 2}])
def test_impossible_schedules_are_refused(options):
    with pytest.raises(RequestError, match=r"training\.schedule"):
        rates(total_steps=10, **options)
