"""Drawing a fixed number with known probabilities: against brute force, and every bias by enumeration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product

import numpy as np
import pytest
import torch
from choosing import random_of
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from modyn_bench.seeding import derive
from modyn_bench.selectors.downsampling.base import Choice, Turn
from modyn_bench.selectors.downsampling.loss import Loss
from modyn_bench.selectors.groups import proportional_shares, systematic_shares
from modyn_bench.selectors.inclusion import (
    as_scores,
    draw_one_by_one,
    draw_systematic,
    inclusion_probabilities,
    mixed_with_uniform,
    systematic_positions,
)

Array = NDArray[np.float64]
score = st.one_of(st.just(0.0), st.floats(1e-30, 1e30), st.floats(0.01, 10))
score_lists = st.lists(score, min_size=1, max_size=60)

UNEVEN = np.array([8.0, 2.0, 1.0, 1.0, 0.5, 0.1])
SCORES = {
    "uneven": UNEVEN,
    "even": np.full(6, 0.7),
    "zero": np.zeros(6),
    "one huge": np.array([1e30, 1.0, 1.0, 0.0, 2.0, 3.0]),
    "infinite": np.array([np.inf, np.inf, 1.0, 0.0, 2.0, 3.0]),
    "mostly zero": np.array([0.0, 0.0, 5.0, 0.0, 0.0, 1.0]),
    "not a number": np.array([np.nan, 1.0, 2.0, 3.0, 4.0, 5.0]),
}


def by_bisection(draw: Array, size: int) -> Array:
    """The definition: min(1, c q) with the c that makes them sum up to the size."""
    low, high = 0.0, 1.0 / draw.min()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(1, middle * draw).sum() < size else (low, middle)
    return np.minimum(1, high * draw)


@given(score_lists, st.floats(0.01, 1), st.data())
def test_probabilities_are_capped_and_sum_up_to_the_size(scores: list[float], share: float, data: st.DataObject):
    size = data.draw(st.integers(1, len(scores)))
    draw = mixed_with_uniform(as_scores(np.array(scores)), share)
    probabilities = inclusion_probabilities(draw, size)
    assert draw.sum() == pytest.approx(1)
    assert draw.min() >= share / len(scores) * (1 - 1e-9)
    assert probabilities.sum() == pytest.approx(size, rel=1e-12)
    assert probabilities.max() <= 1
    assert probabilities.min() >= share * size / len(scores) * (1 - 1e-9)  # so no weight is above 1 / share
    assert (np.diff(probabilities[np.argsort(draw)]) >= -1e-12).all()
    np.testing.assert_allclose(probabilities, by_bisection(draw, size), rtol=1e-9)


@given(score_lists, st.data())
def test_a_draw_is_of_the_size_and_distinct(scores: list[float], data: st.DataObject):
    size = data.draw(st.integers(1, len(scores)))
    probabilities = inclusion_probabilities(mixed_with_uniform(as_scores(np.array(scores)), 0.1), size)
    drawn = draw_systematic(probabilities, derive(data.draw(st.integers(0, 99))))
    assert len(drawn) == size
    assert (np.diff(drawn) > 0).all()
    assert drawn[0] >= 0
    assert drawn[-1] < len(scores)
    assert set(np.flatnonzero(probabilities == 1)) <= set(drawn.tolist())


def test_a_start_at_the_very_end_stays_within() -> None:
    last = np.nextafter(1.0, 0.0)
    for size in (1, 7, 100_000):
        drawn = systematic_positions(np.ones(size), last)
        assert drawn.tolist() == list(range(size))
    drawn = systematic_positions(np.full(300_000, 1 / 3), last)
    assert len(drawn) == 100_000
    assert drawn[-1] == 299_999


def test_rounding_draws_nothing_twice() -> None:
    probabilities = np.array([0.5, 0.7, 1.0, 0.7, 0.1, 1.0])  # here two points fall into the third, by one bit
    assert systematic_positions(probabilities, 0.19999999999999993).tolist() == [0, 2, 3, 5]


def test_a_million_scores_are_exact() -> None:
    scores = derive(0).pareto(1.1, size=1_000_000)
    probabilities = inclusion_probabilities(mixed_with_uniform(scores, 0.1), 250_000)
    assert probabilities.sum() == pytest.approx(250_000, rel=1e-13)
    assert len(draw_systematic(probabilities, derive(1))) == 250_000


class Arranged:
    """Stands in for a generator: says the order, the start, or who comes first."""

    def __init__(self, order: Array, start: float = 0.0) -> None:
        self.order, self.start = order, start

    def permutation(self, size: int) -> Array:
        return self.order

    def random(self) -> float:
        return self.start


class Ranked:
    """Stands in for a generator: times that put some samples first, whatever their probabilities."""

    def __init__(self, first: tuple[int, ...], draw: Array) -> None:
        self.times = draw * 100.0
        for rank, position in enumerate(first):
            self.times[position] = draw[position] * rank

    def exponential(self, size: int) -> Array:
        return self.times


def starts(probabilities: Array) -> Iterator[tuple[float, float]]:
    """Between these starts the draw does not change: the middle of each stretch, and its length."""
    cuts = np.unique(np.concatenate([[0.0, 1.0], np.cumsum(probabilities) % 1.0]))
    yield from zip((cuts[1:] + cuts[:-1]) / 2, np.diff(cuts), strict=True)


def choose(policy: Loss, scores: Array, size: int, generator: object) -> Choice:
    description = torch.from_numpy(scores).float()[:, None]
    labels = torch.zeros(len(scores), dtype=torch.int64)
    return policy.downsample(
        description,
        labels,
        size,
        Turn(0, 1, lambda *names: generator),  # type: ignore[arg-type, return-value]
    )


def estimate(choice: Choice, gradients: Array) -> Array:
    """The mean gradient of a batch as it is trained on, shape (d,)."""
    weights = np.ones(len(choice.positions)) if choice.weights is None else choice.weights.double().numpy()
    return (weights[:, None] * gradients[choice.positions.numpy()]).mean(axis=0)


Of = Callable[[Choice, Array], Array]


def expected_of_the_design(scores: Array, size: int, gradients: Array) -> Array:
    """The expected estimate, exactly: over all orders and all starts."""
    probabilities = inclusion_probabilities(mixed_with_uniform(as_scores(np.float64(np.float32(scores))), 0.1), size)
    orders = [np.array(order) for order in permutations(range(len(scores)))]
    total = np.zeros(gradients.shape[1])
    for order in orders:
        for start, length in starts(probabilities[order]):
            total += length * estimate(choose(Loss(), scores, size, Arranged(order, start)), gradients)
    return total / len(orders)


def expected_of_the_reference(scores: Array, size: int, gradients: Array, of: Of = estimate) -> Array:
    """The expected estimate, exactly: over all sequences of draws without replacement."""
    draw, total = scores / scores.sum(), np.zeros(gradients.shape[1])
    policy = Loss(draw="multinomial_reference")
    for sequence in permutations(range(len(scores)), size):
        taken = np.concatenate([[0.0], np.cumsum(draw[list(sequence)])[:-1]])
        probability = np.prod(draw[list(sequence)] / (1 - taken))
        total += probability * of(choose(policy, scores, size, Ranked(sequence, draw)), gradients)
    return total


def relative_error(found: Array, gradients: Array) -> float:
    mean = gradients.mean(axis=0)
    return float(np.linalg.norm(found - mean) / np.linalg.norm(mean))


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("size", [1, 3, 5, 6])
def test_the_design_is_unbiased_for_any_gradients(name: str, size: int) -> None:
    scores = SCORES[name][:5] if size < 6 else SCORES[name]
    gradients = derive(3, name).normal(size=(len(scores), 3))
    assert relative_error(expected_of_the_design(scores, size, gradients), gradients) < 1e-6


@given(st.lists(score, min_size=8, max_size=8), st.integers(1, 8), st.integers(0, 999))
def test_one_order_is_unbiased_already(scores: list[float], size: int, seed: int) -> None:
    probabilities = inclusion_probabilities(mixed_with_uniform(as_scores(np.array(scores)), 0.1), size)
    drawn = np.zeros(8)
    for start, length in starts(probabilities):
        drawn[systematic_positions(probabilities, start)] += length
    np.testing.assert_allclose(drawn, probabilities, atol=1e-9)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=8), st.integers(0, 999), st.data())
def test_class_by_class_it_is_unbiased_for_any_budget(labels: list[int], seed: int, data: st.DataObject) -> None:
    """Exactly: over all offsets of the classes, and within each class over all starts."""
    size = data.draw(st.integers(1, len(labels)))
    generator = derive(seed, "classes")
    scores, gradients = generator.exponential(size=len(labels)), generator.normal(size=(len(labels), 3))
    total = np.zeros(3)
    for offset in range(len(labels)):
        for arranged, probability in arrangements(scores, np.array(labels), size, offset):
            choice = Loss(balance=True).downsample(
                torch.from_numpy(scores).float()[:, None],
                torch.tensor(labels),
                size,
                Turn(0, 1, lambda *names, by=arranged: by[names[1]] if names[0] == "class" else by[names[0]]),
            )
            assert choice.weights is not None
            total += probability * estimate(choice, gradients) / len(labels)
    np.testing.assert_allclose(total, gradients.mean(axis=0), atol=1e-6)


class Offset:
    """Stands in for a generator: says the offset of systematic shares."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def integers(self, high: int) -> int:
        return self.offset


def arrangements(scores: Array, labels: NDArray[np.int64], size: int, offset: int) -> Iterator[tuple[dict, float]]:
    """What generators may say of one offset, by the names that they are asked for, each with its probability."""
    counts = np.bincount(labels)
    few = size < np.count_nonzero(counts)
    shares = systematic_shares(counts, size, offset) if few else proportional_shares(counts, size)
    groups = np.flatnonzero(shares)
    stretches = []
    for group in groups:
        draw = mixed_with_uniform(as_scores(np.float64(np.float32(scores[labels == group]))), 0.1)
        stretches.append(list(starts(inclusion_probabilities(draw, int(shares[group])))))
    for combined in product(*stretches):
        said = {
            int(group): Arranged(np.arange(counts[group]), start)
            for group, (start, _) in zip(groups, combined, strict=True)
        }
        yield {"classes": Offset(offset), **said}, float(np.prod([length for _, length in combined]))


# By how much the reference's rule is wrong with gradients that are not the scores: the expected mean gradient, relative
# to the mean gradient, with batches divided by their size, and by the sum of their weights, as the reference does.
@pytest.mark.parametrize(("size", "by_size", "by_weights"), [(2, 0.40, 0.28), (3, 0.79, 0.16), (6, 5.19, 0.55)])
def test_the_references_rule_is_biased(size: int, by_size: float, by_weights: float) -> None:
    gradients = derive(5, "independent").normal(1.0, 1.0, size=(6, 8))
    assert relative_error(expected_of_the_reference(UNEVEN, size, gradients), gradients) > by_size
    assert relative_error(expected_of_the_reference(UNEVEN, size, gradients, normalised), gradients) > by_weights
    assert relative_error(expected_of_the_design(UNEVEN, size, gradients), gradients) < 1e-6


def normalised(choice: Choice, gradients: Array) -> Array:
    """The reference's own batch: divided by the sum of the weights."""
    assert choice.weights is not None
    weights = choice.weights.double().numpy()
    weighted: Array = weights @ gradients[choice.positions.numpy()]
    return weighted / weights.sum()


def test_the_references_rule_is_right_where_one_is_drawn_or_gradients_are_the_scores() -> None:
    gradients = derive(5, "independent").normal(1.0, 1.0, size=(6, 8))
    assert relative_error(expected_of_the_reference(UNEVEN, 1, gradients), gradients) < 1e-6
    assert relative_error(expected_of_the_reference(UNEVEN, 4, UNEVEN[:, None]), UNEVEN[:, None]) < 1e-6


@pytest.mark.parametrize("name", SCORES)
def test_the_references_weights_are_returned(name: str) -> None:
    scores = as_scores(SCORES[name])
    draw = scores / scores.sum() if scores.any() else np.full(6, 1 / 6)
    choice = choose(Loss(draw="multinomial_reference"), scores, 4, derive(0))
    assert choice.weights is not None
    drawn = choice.positions.numpy()
    assert len(drawn) == min(4, np.count_nonzero(draw))
    with np.errstate(over="ignore"):  # a weight may be too large for float32, as the reference's may
        np.testing.assert_allclose(choice.weights.numpy(), (1 / (6 * draw[drawn])).astype(np.float32), rtol=1e-5)


def simulate(policy: Loss, scores: Array, size: int, gradients: Array, repeats: int) -> tuple[Array, Array]:
    """The mean of many estimates, and its standard error."""
    random = random_of(0)
    estimates = np.array([estimate(choose(policy, scores, size, random(i)), gradients) for i in range(repeats)])
    return estimates.mean(axis=0), estimates.std(axis=0) / np.sqrt(repeats)


def test_at_the_size_of_a_batch() -> None:
    generator = derive(0, "batch")
    scores, gradients = generator.exponential(size=640), generator.normal(1.0, 1.0, size=(640, 8))
    mean, error = simulate(Loss(), scores, 160, gradients, 4000)
    assert (np.abs(mean - gradients.mean(axis=0)) < 5 * error).all()
    mean, error = simulate(Loss(draw="multinomial_reference"), scores, 160, gradients, 4000)
    assert (mean - gradients.mean(axis=0) > 20 * error).all()
    assert relative_error(mean, gradients) > 0.13


def test_scores_that_are_gradient_norms_lower_the_variance() -> None:
    generator = derive(0, "variance")
    gradients = generator.normal(size=(640, 8)) * generator.lognormal(0, 1.5, size=(640, 1))
    _, by_norm = simulate(Loss(), np.linalg.norm(gradients, axis=1), 160, gradients, 500)
    _, uniform = simulate(Loss(), np.ones(640), 160, gradients, 500)
    assert (by_norm < 0.5 * uniform).all()


@given(score_lists, st.data())
def test_one_by_one_as_many_as_can_be_drawn(scores: list[float], data: st.DataObject):
    draw = np.array(scores)
    assume(draw.any())
    size = data.draw(st.integers(1, len(scores)))
    drawn = draw_one_by_one(draw, size, derive(0))
    assert len(drawn) == min(size, np.count_nonzero(draw))
    assert (np.diff(drawn) > 0).all()
    assert (draw[drawn] > 0).all()


def test_one_by_one_has_the_probabilities_of_sequences() -> None:
    draw = UNEVEN / UNEVEN.sum()
    wanted = np.zeros(6)
    for first, second in permutations(range(6), 2):
        wanted[[first, second]] += draw[first] * draw[second] / (1 - draw[first])
    counts = np.zeros(6)
    for i in range(20_000):
        counts[draw_one_by_one(draw, 2, derive(i, "sequences"))] += 1
    deviation = np.sqrt(20_000 * wanted * (1 - wanted))
    assert (np.abs(counts - 20_000 * wanted) < 5 * deviation).all()
