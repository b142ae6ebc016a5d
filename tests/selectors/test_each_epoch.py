"""Choices between epochs that cost no pass: error norms, forgetting, pruning by loss, repeated random subsets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from choosing import outputs_of, random_of, random_outputs
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.errors import RequestError
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Turn
from modyn_bench.selectors.downsampling.each_epoch import highest_at_random
from modyn_bench.selectors.downsampling.el2n import El2n
from modyn_bench.selectors.downsampling.forgetting import Forgetting
from modyn_bench.selectors.downsampling.infobatch import Infobatch
from modyn_bench.selectors.downsampling.rs2 import Rs2
from modyn_bench.selectors.downsampling.rs2_no_replacement import Rs2NoReplacement, evenly_spread

NAN = float("nan")


def chosen_by(
    policy: Downsampler,
    description: list[float] | torch.Tensor,
    budget: int | None = None,
    *,
    epoch: int = 0,
    num_epochs: int = 100,
    seed: int = 0,
    labels: torch.Tensor | None = None,
) -> Choice:
    rows = torch.as_tensor(description, dtype=torch.float32)
    rows = rows[:, None] if rows.ndim == 1 else rows
    labels = torch.zeros(len(rows), dtype=torch.int64) if labels is None else labels
    budget = policy.share.of(len(rows)) if budget is None else budget
    return policy.downsample(rows, labels, budget, Turn(epoch, num_epochs, random_of(seed)))


@pytest.mark.parametrize("policy", [El2n(), Forgetting()], ids=lambda policy: policy.name)
def test_what_was_never_trained_on_comes_first_and_then_the_highest(policy: Downsampler) -> None:
    scores = [0.5, NAN, 2.0, NAN, 1.0, float("inf")]
    wanted = [[1, 3], [1, 3, 5], [1, 2, 3, 5], [1, 2, 3, 4, 5]]
    for positions in wanted:
        assert chosen_by(policy, scores, len(positions)).positions.tolist() == positions
    drawn = {chosen_by(policy, scores, 1, seed=seed).positions.item() for seed in range(20)}
    assert drawn == {1, 3}


def test_equal_scores_are_drawn_from() -> None:
    counts = np.zeros(8)
    for seed in range(800):
        positions = chosen_by(El2n(), [1.0, 1.0, 1.0, 1.0, 2.0, 0.0, 0.0, 0.0], 3, seed=seed).positions
        counts[positions.numpy()] += 1
    assert counts[4] == 800
    assert counts[5:].sum() == 0
    assert (np.abs(counts[:4] - 400) < 5 * np.sqrt(800 * 0.25)).all()


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, NAN, float("inf")]), min_size=1), st.data())
def test_the_highest_are_the_highest(scores: list[float], data: st.DataObject) -> None:
    values = np.array(scores)
    budget = data.draw(st.integers(1, len(scores)))
    taken = highest_at_random(values, budget, np.random.default_rng(0))
    key = np.where(np.isnan(values), 1e9, np.minimum(values, 1e8))
    assert len(set(taken.tolist())) == budget
    assert sorted(key[taken]) == sorted(key)[len(scores) - budget :]


FORGOTTEN = {  # whether each pass was correct: how often it was forgotten
    "": NAN,
    "0": float("inf"),
    "000": float("inf"),
    "1": 0.0,
    "0011": 0.0,
    "10": 1.0,
    "010": 1.0,
    "101010": 3.0,
    "1001100": 2.0,
    "1110": 1.0,
}


def test_forgetting_is_counted_by_hand() -> None:
    policy = Forgetting()
    for passes, count in FORGOTTEN.items():
        record = torch.full((1, 2), NAN)
        for correct in passes:
            record = policy.record(outputs_of([[1.0, 0.0]], [0 if correct == "1" else 1]), record)
        assert record[0, 0].item() == pytest.approx(count, nan_ok=True), passes
        assert not passes or record[0, 1].item() == float(passes[-1])


def test_what_one_model_had_right_and_another_has_wrong_is_not_forgotten() -> None:
    policy = Forgetting()
    before = torch.tensor([[NAN, NAN], [float("inf"), 0.0], [2.0, 1.0], [2.0, 0.0]])
    kept, wrong = before.clone(), outputs_of([[1.0, 0.0]] * 4, [1] * 4)
    same, other = policy.begin(before, continues=True), policy.begin(before, continues=False)
    assert torch.equal(same.nan_to_num(), kept.nan_to_num())
    assert torch.equal(other.isnan(), kept.isnan())
    assert policy.record(wrong, same).tolist() == [[torch.inf, 0], [torch.inf, 0], [3, 0], [2, 0]]
    assert policy.record(wrong, other).tolist() == [[torch.inf, 0], [torch.inf, 0], [2, 0], [2, 0]]
    assert torch.equal(before.nan_to_num(), kept.nan_to_num())


@pytest.mark.parametrize("policy", [El2n(), Infobatch()], ids=lambda policy: policy.name)
def test_other_records_outlast_a_change_of_models(policy: Downsampler) -> None:
    assert policy.begin(torch.tensor([[0.5]]), continues=False).tolist() == [[0.5]]


def test_a_record_is_of_each_sample_apart() -> None:
    policy = Forgetting()
    before = torch.tensor([[NAN, NAN], [float("inf"), 0.0], [2.0, 1.0], [2.0, 0.0]])
    right, wrong = outputs_of([[1.0, 0.0]] * 4, [0] * 4), outputs_of([[1.0, 0.0]] * 4, [1] * 4)
    kept = before.clone()
    assert policy.record(right, before).tolist() == [[0, 1], [0, 1], [2, 1], [2, 1]]
    assert policy.record(wrong, before).tolist() == [[torch.inf, 0], [torch.inf, 0], [3, 0], [2, 0]]
    assert torch.equal(before.nan_to_num(), kept.nan_to_num())


def test_losses_are_recorded() -> None:
    outputs = random_outputs(5)
    assert torch.equal(Infobatch().record(outputs, torch.full((5, 1), NAN))[:, 0], outputs.losses)


def test_nothing_above_the_mean_is_pruned() -> None:
    losses = torch.tensor([0.1, 0.2, 5.0, 0.3, 4.0, NAN, 0.0])
    for seed in range(50):
        choice = chosen_by(Infobatch(prune=0.9), losses, seed=seed)
        assert {2, 4, 5} <= set(choice.positions.tolist())
        stand_for = choice.weights * 7 / len(choice.positions)
        low = losses[choice.positions] < 1.6
        assert torch.allclose(stand_for, torch.where(low, 10.0, 1.0))


@pytest.mark.parametrize("value", [0.7, 1e-30, 0.0, 3e38, float("inf")])
def test_equal_losses_are_all_trained_on(value: float) -> None:
    choice = chosen_by(Infobatch(), [value] * 999)
    assert len(choice.positions) == 999
    assert (choice.weights == 1).all()


def test_nothing_is_pruned_before_the_first_pass_nor_in_the_last_epochs() -> None:
    losses = list(np.linspace(0.0, 1.0, 100))
    assert len(chosen_by(Infobatch(), [NAN] * 100).positions) == 100
    sizes = [len(chosen_by(Infobatch(), losses, epoch=epoch, num_epochs=16).positions) for epoch in range(16)]
    assert max(sizes[:14]) < 100
    assert sizes[14:] == [100, 100]
    assert not Infobatch(anneal=0).anneals(epoch=9, num_epochs=10)
    assert [Infobatch().anneals(epoch=epoch, num_epochs=3) for epoch in range(3)] == [False, False, True]
    assert Infobatch(anneal=0.29).anneals(epoch=71, num_epochs=100)
    assert not Infobatch(anneal=0.29).anneals(epoch=70, num_epochs=100)


@pytest.mark.parametrize("balance", [False, True])
def test_pruning_is_unbiased_for_any_gradients(balance: bool) -> None:
    generator = np.random.default_rng(0)
    losses, gradients = torch.from_numpy(generator.exponential(size=200)), generator.normal(1.0, 1.0, size=(200, 4))
    labels = torch.arange(200) % 3
    policy, estimates = Infobatch(prune=0.7, balance=balance), []
    for seed in range(3000):
        choice = chosen_by(policy, losses, seed=seed, labels=labels)
        weights = choice.weights.double().numpy()
        estimates.append((weights[:, None] * gradients[choice.positions.numpy()]).mean(axis=0))
    error = np.std(estimates, axis=0) / np.sqrt(len(estimates))
    assert (np.abs(np.mean(estimates, axis=0) - gradients.mean(axis=0)) < 5 * error).all()
    assert len(choice.positions) < 160


def test_by_class_the_mean_is_the_classs() -> None:
    losses, labels = [1.0, 3.0, 10.0, 30.0], torch.tensor([0, 0, 1, 1])
    drawn = [
        set(chosen_by(Infobatch(balance=True, prune=0.9), losses, seed=i, labels=labels).positions.tolist())
        for i in range(40)
    ]
    assert all({1, 3} <= one for one in drawn)
    assert {1, 3} in drawn


def subsets(policy: Rs2, num_samples: int, num_epochs: int, seed: int = 0) -> list[list[int]]:
    nothing = torch.empty(num_samples, 0)
    return [chosen_by(policy, nothing, epoch=epoch, seed=seed).positions.tolist() for epoch in range(num_epochs)]


def test_a_fresh_subset_every_epoch() -> None:
    drawn = subsets(Rs2(ratio=0.5), 40, 200)
    assert all(len(set(one)) == 20 for one in drawn)
    assert len({tuple(one) for one in drawn}) == 200
    counts = np.bincount(np.concatenate(drawn), minlength=40)
    assert (np.abs(counts - 100) < 5 * np.sqrt(200 * 0.25)).all()


@given(st.integers(1, 30), st.floats(0.03, 1), st.integers(1, 12), st.integers(0, 9))
def test_without_replacement_all_are_used_equally_often(
    num_samples: int, ratio: float, num_epochs: int, seed: int
) -> None:
    policy = Rs2NoReplacement(ratio=ratio)
    drawn = subsets(policy, num_samples, num_epochs, seed)
    for epoch in range(num_epochs):
        assert len(set(drawn[epoch])) == policy.share.of(num_samples)
        counts = np.bincount(np.concatenate(drawn[: epoch + 1]), minlength=num_samples)
        assert counts.max() - counts.min() <= 1


def test_without_replacement_cycles_differ_and_no_sample_is_preferred() -> None:
    first, second = (subsets(Rs2NoReplacement(ratio=0.25), 40, 8)[start : start + 4] for start in (0, 4))
    assert sorted(np.concatenate(first)) == sorted(np.concatenate(second)) == list(range(40))
    assert first != second
    counts = np.zeros(7)
    for seed in range(700):
        counts[subsets(Rs2NoReplacement(size=3), 7, 3, seed)[2]] += 1  # the one that is carried into, and over
    assert (np.abs(counts - 300) < 5 * np.sqrt(700 * 12 / 49)).all()


def test_without_replacement_by_class() -> None:
    labels, policy = torch.tensor([0] * 12 + [1] * 4), Rs2NoReplacement(ratio=0.25, balance=True)
    drawn = [chosen_by(policy, torch.empty(16, 0), epoch=epoch, labels=labels).positions.numpy() for epoch in range(4)]
    assert [np.bincount(labels[one]).tolist() for one in drawn] == [[3, 1]] * 4
    assert sorted(np.concatenate(drawn)) == list(range(16))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 30), st.integers(0, 9))
def test_without_replacement_by_class_no_sample_is_used_two_times_more(
    classes: list[int], size: int, seed: int
) -> None:
    """However few places there are, and whatever the classes' sizes."""
    policy, labels = Rs2NoReplacement(size=size, balance=True), torch.tensor(classes)
    uses = np.zeros(len(classes), int)
    for epoch in range(12):
        choice = chosen_by(policy, torch.empty(len(classes), 0), epoch=epoch, labels=labels, seed=seed)
        uses[choice.positions.numpy()] += 1
        assert len(choice.positions) == min(size, len(classes))
        assert uses.max() - uses.min() <= 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 99))
def test_groups_are_spread_evenly(classes: list[int], seed: int) -> None:
    """Of an order's first part, every group has its share, within one of it for each group."""
    groups = np.array(classes)
    order = evenly_spread(groups, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(classes)))
    counts = np.bincount(groups)
    for end in range(1, len(classes) + 1):
        share = counts * end / len(classes)
        assert np.abs(np.bincount(groups[order[:end]], minlength=len(counts)) - share).max() <= np.count_nonzero(counts)


@pytest.mark.parametrize("policy", [El2n, Forgetting, Infobatch, Rs2, Rs2NoReplacement])
def test_they_cannot_choose_from_batches(policy: type[Downsampler]) -> None:
    with pytest.raises(RequestError, match=r"selector.mode='batch_then_sample' must be sample_then_batch with"):
        policy(mode="batch_then_sample")


def test_what_has_one_value_only_is_no_option() -> None:
    for policy, option in ((Rs2, "period"), (Rs2NoReplacement, "period"), (Infobatch, "period"), (Infobatch, "ratio")):
        with pytest.raises(TypeError, match=option):
            policy(**{option: 1})
    assert Infobatch().share.of(70) == 70
