"""Every policy that chooses while the model is trained is held to the same contract; they are found, not listed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from choosing import chosen, description_of, random_of, random_outputs
from found import concrete_classes

from modyn_bench.commands.targets import signature_of
from modyn_bench.errors import ContractError, RequestError
from modyn_bench.selectors import downsampling
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Outputs, Turn
from modyn_bench.selectors.downsampling.grad_norm import GradNorm
from modyn_bench.selectors.downsampling.importance import DRAWS
from modyn_bench.selectors.downsampling.infobatch import Infobatch
from modyn_bench.selectors.downsampling.loss import Loss
from modyn_bench.selectors.groups import proportional_shares

Make = Callable[..., Downsampler]

POLICIES: dict[str, Make] = {
    **{one.name: one for one in concrete_classes(downsampling, Downsampler)},
    **{f"loss_{draw}": lambda draw=draw, **options: Loss(draw=draw, **options) for draw in DRAWS},
    "grad_norm_of_last_layer": lambda **options: GradNorm(of="last_layer", **options),
}
SIZES = [1, 2, 3, 7, 40]


@pytest.fixture(params=POLICIES)
def make(request: pytest.FixtureRequest) -> Make:
    return POLICIES[request.param]


@pytest.mark.parametrize("num_samples", SIZES)
def test_a_choice_is_of_distinct_positions_within_the_budget(make: Make, num_samples: int) -> None:
    policy, outputs = make(), random_outputs(num_samples)
    for budget in {1, (num_samples + 1) // 2, num_samples}:
        choice = chosen(policy, outputs, budget)
        positions = choice.positions
        assert positions.dtype == torch.int64
        assert len(positions.unique()) == len(positions) >= 1
        assert len(positions) <= budget or policy.own_budget
        assert positions.min() >= 0
        assert positions.max() < num_samples
        if choice.weights is not None:
            assert choice.weights.shape == positions.shape
            assert choice.weights.dtype == torch.float32
            assert choice.weights.isfinite().all()
            assert (choice.weights >= 0).all()


def test_a_choice_depends_on_the_names_alone(make: Make) -> None:
    policy, outputs = make(), random_outputs(40)
    first, again = chosen(policy, outputs, 10), chosen(policy, outputs, 10)
    other = chosen(make(), outputs, 10)
    assert first.positions.tolist() == again.positions.tolist() == other.positions.tolist()


def test_nothing_is_changed(make: Make) -> None:
    policy, outputs, untouched = make(), random_outputs(20), random_outputs(20)
    before = dict(vars(policy))
    description = description_of(policy, outputs)
    kept = description.clone()
    policy.downsample(description, outputs.labels, 5, Turn(0, 3, random_of(0)))
    assert vars(policy) == before
    assert torch.equal(description, kept)
    for name in ("logits", "labels", "losses", "gradients", "embeddings"):
        assert torch.equal(getattr(outputs, name), getattr(untouched, name))


def test_a_description_has_a_row_for_each_sample_and_reads_no_other(make: Make) -> None:
    policy, outputs = make(), random_outputs(20)
    whole = description_of(policy, outputs)
    assert whole.ndim == 2
    assert len(whole) == 20
    rows = slice(5, 11)
    tensors = [getattr(outputs, name)[rows] for name in ("logits", "labels", "losses", "gradients", "embeddings")]
    part = Outputs(*tensors, {name: column[rows] for name, column in outputs.columns.items()})
    assert torch.allclose(description_of(policy, part), whole[rows], atol=1e-6, equal_nan=True)


def test_a_policy_reads_what_it_needs_alone(make: Make) -> None:
    policy, outputs = make(), random_outputs(20)
    if policy.needs == ("history",):
        return  # records are made while training, where all is known
    reduced = Outputs(
        outputs.logits,
        outputs.labels,
        outputs.losses if "loss" in policy.needs else None,
        outputs.gradients if "gradient" in policy.needs else None,
        outputs.embeddings if "embedding" in policy.needs else None,
        outputs.columns,
    )
    assert torch.equal(description_of(policy, reduced), description_of(policy, outputs))


def test_with_balance_every_class_has_its_share(make: Make) -> None:
    policy, outputs = make(balance=True), random_outputs(40)
    choice = chosen(policy, outputs, 12)
    counts, found = np.bincount(outputs.labels), np.bincount(outputs.labels[choice.positions], minlength=3)
    assert len(choice.positions.unique()) == len(choice.positions)
    if policy.own_budget:
        assert (found <= counts).all()
    else:
        assert (found <= proportional_shares(counts, 12)).all()
    assert (found > 0).all()


def test_with_fewer_places_than_classes_each_is_drawn_by_its_size(make: Make) -> None:
    policy, counts = make(balance=True), np.array([1, 2, 0, 3, 6, 8])
    if policy.own_budget or policy.name == "rs2_no_replacement":
        return  # the one chooses no share of the classes, the other spreads them over an order of all samples
    outputs = replace(random_outputs(20, num_classes=6), labels=torch.from_numpy(np.repeat(np.arange(6), counts)))
    chances = np.minimum(counts * (3 / 20), 1.0)
    found = np.zeros(6)
    for turn in range(400):
        choice = chosen(policy, outputs, 3, random=random_of(turn % 20), epoch=turn // 20)
        found += np.bincount(outputs.labels[choice.positions], minlength=6) > 0
    assert (abs(found - 400 * chances) <= 5 * np.sqrt(400 * chances * (1 - chances))).all()


@pytest.mark.parametrize("name", [name for name in POLICIES if name.startswith(("loss", "grad_norm"))])
def test_draws_with_balance_differ_between_classes(name: str) -> None:
    equal = torch.ones(80)
    twice = Outputs(torch.zeros(80, 2), torch.arange(80) // 40, equal, torch.ones(80, 2), torch.ones(80, 4), {})
    choice = chosen(POLICIES[name](balance=True), twice, 20)
    halves = [
        choice.positions[choice.positions < 40].tolist(),
        (choice.positions[choice.positions >= 40] - 40).tolist(),
    ]
    assert [len(half) for half in halves] == [10, 10]
    assert (halves[0] != halves[1]) == (not name.endswith("top_k"))


def test_modes_are_those_of_the_policy(make: Make) -> None:
    for mode in ("batch_then_sample", "sample_then_batch", "batch"):
        if mode in make().modes:
            assert make(mode=mode).mode == mode
        else:
            with pytest.raises(RequestError, match=rf"selector.mode='{mode}' must be .* with"):
                make(mode=mode)


@pytest.mark.parametrize("policy", concrete_classes(downsampling, Downsampler), ids=lambda one: one.name)
def test_a_period_is_for_choices_from_the_whole_set(policy: type[Downsampler]) -> None:
    if "period" not in signature_of(policy).names:
        return
    assert policy(mode="sample_then_batch", period=2).period == 2
    if "batch_then_sample" not in policy.modes:
        assert policy(period=0).period == 0
        return
    assert policy(mode="batch_then_sample", period=1).period == 1
    for options in ({}, {"mode": "batch_then_sample"}):
        for period in (0, 2):
            with pytest.raises(RequestError, match=rf"selector\.period={period} .* selector\.mode=sample_then_batch"):
                policy(period=period, **options)


@pytest.mark.parametrize("policy", concrete_classes(downsampling, Downsampler), ids=lambda one: one.name)
def test_all_options_are_checked(policy: type[Downsampler]) -> None:
    wrong = {
        "ratio": 0.0,
        "size": 0,
        "history": -1,
        "limit": 0,
        "limit_by": "oldest",
        "warmup_triggers": -1,
        "mode": "batch",
        "period": -1,
        "uniform_share": 0.0,
        "draw": "all",
        "of": "inputs",
        "prune": 1.0,
        "anneal": 1.5,
    }
    for option in inspect.signature(policy).parameters:
        if option in wrong:
            with pytest.raises(RequestError, match=rf"selector\.{option}="):
                policy(**{option: wrong[option]})


def test_a_choice_that_is_too_large_is_refused() -> None:
    class Greedy(Loss):
        own_budget = False

        def choose(self, description, labels, budget, turn):
            return Choice(torch.arange(len(labels)))

    with pytest.raises(ContractError, match=r"selector loss chose 5 of 5 samples, but may choose 1..2"):
        chosen(Greedy(), random_outputs(5), 2)


def test_weights_have_a_mean_of_one_in_expectation() -> None:
    outputs = random_outputs(60)
    for make in (Loss, GradNorm, Infobatch, lambda: Loss(balance=True)):
        policy = make()
        means = [chosen(policy, outputs, random=random_of(seed)).weights.mean().item() for seed in range(500)]
        assert abs(np.mean(means) - 1) < 5 * np.std(means) / np.sqrt(500) + 1e-6
