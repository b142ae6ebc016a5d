"""Greedy optimisers and the functions they maximise, against NumPy and against exhaustive search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive
from modyn_bench.selectors.downsampling.greedy import (
    Optimizer,
    SetFunction,
    lazy_greedy,
    naive_greedy,
    sample_size_of,
    stochastic_greedy,
)
from modyn_bench.selectors.downsampling.set_functions import FacilityLocation, GraphCut, LogDeterminant
from modyn_bench.selectors.downsampling.similarities import CosineSimilarity, DistanceSimilarity
from modyn_bench.selectors.downsampling.vectors import Vectors
from modyn_bench.types import FloatArray, IntArray

Rows = FloatArray


class Recorded:
    """A function that writes down the largest gain and the one that was taken, in every step."""

    def __init__(self, function: SetFunction) -> None:
        self.function = function
        self.gains_are_known = function.gains_are_known
        self.left = list(range(len(function)))
        self.steps: list[tuple[float, float]] = []
        self.num_gains = 0

    def __len__(self) -> int:
        return len(self.function)

    def gain(self, candidates: IntArray) -> FloatArray:
        self.num_gains += len(candidates)
        return self.function.gain(candidates)

    def add(self, element: int) -> None:
        gains = self.function.gain(np.array(self.left))
        self.steps.append((float(gains.max()), float(gains[self.left.index(element)])))
        self.left.remove(element)
        self.function.add(element)


def cosine(rows: Rows) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1)
    unit = rows / np.where(lengths == 0, 1, lengths)[:, None]
    return 0.5 + 0.5 * unit @ unit.T


def distances(rows: Rows) -> FloatArray:
    return np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(2))


def closeness(rows: Rows) -> FloatArray:
    """What ``DistanceSimilarity`` is: one minus the distance by a power of two of at least twice the radius."""
    radius = np.linalg.norm(rows - rows.mean(0), axis=1).max()
    return 1 - distances(rows) / (2.0 ** math.ceil(math.log2(2 * radius) - 1e-9) if radius else 1.0)


def facility_location(similarity: FloatArray, chosen: tuple[int, ...]) -> float:
    return float(similarity[:, list(chosen)].max(1).sum()) if chosen else 0.0


def graph_cut(similarity: FloatArray, chosen: tuple[int, ...], weight: float = 1.0) -> float:
    columns = similarity[:, list(chosen)]
    return float(weight * columns.sum() - columns[list(chosen)].sum())


def log_determinant(similarity: FloatArray, chosen: tuple[int, ...], epsilon: float = 1.0) -> float:
    block = similarity[np.ix_(chosen, chosen)]
    return float(np.linalg.slogdet(block + epsilon * np.eye(len(chosen)))[1]) if chosen else 0.0


FUNCTIONS: dict[
    str, tuple[Callable[[Vectors, int], SetFunction], Callable[[Rows], FloatArray], Callable[..., float]]
] = {
    "facility_location": (lambda x, k: FacilityLocation(CosineSimilarity(x), kept=True), cosine, facility_location),
    "facility_location_anew": (
        lambda x, k: FacilityLocation(CosineSimilarity(x), kept=False),
        cosine,
        facility_location,
    ),
    "facility_location_of_distances": (
        lambda x, k: FacilityLocation(DistanceSimilarity(x), kept=True),
        closeness,
        facility_location,
    ),
    "graph_cut": (lambda x, k: GraphCut(CosineSimilarity(x), 1.0), cosine, graph_cut),
    "graph_cut_3": (
        lambda x, k: GraphCut(CosineSimilarity(x), 3.0),
        cosine,
        lambda similarity, chosen: graph_cut(similarity, chosen, 3.0),
    ),
    "log_determinant": (lambda x, k: LogDeterminant(CosineSimilarity(x), 1.0, k), cosine, log_determinant),
    "log_determinant_small": (
        lambda x, k: LogDeterminant(CosineSimilarity(x), 1e-3, k),
        cosine,
        lambda similarity, chosen: log_determinant(similarity, chosen, 1e-3),
    ),
}


def greedy(value: Callable[..., float], similarity: FloatArray, budget: int) -> list[int]:
    """The definition: the first of the elements that raise the function most, its value computed anew."""
    chosen: tuple[int, ...] = ()
    for _ in range(budget):
        left = [i for i in range(len(similarity)) if i not in chosen]
        values = [round(value(similarity, (*chosen, i)), 9) for i in left]
        chosen = (*chosen, left[int(np.argmax(values))])
    return list(chosen)


def random_rows(seed: int, n: int, d: int) -> Rows:
    return derive(seed, "rows").standard_normal((n, d))


def vectors(rows: Rows) -> Vectors:
    return Vectors(torch.from_numpy(rows))


few_values = st.integers(-2, 2).map(float)
tied_rows = st.integers(1, 3).flatmap(
    lambda d: st.lists(st.tuples(*[few_values] * d), min_size=1, max_size=40).map(np.array)
)
"""Rows with many duplicates, opposites and zeros."""


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("n", "d", "budget"), [(1, 1, 1), (7, 3, 7), (30, 4, 12), (40, 2, 40), (25, 30, 20)])
def test_greedy_is_the_definition(name: str, n: int, d: int, budget: int):
    make, similarity, value = FUNCTIONS[name]
    rows = random_rows(n, n, d)
    assert naive_greedy(make(vectors(rows), budget), budget).tolist() == greedy(value, similarity(rows), budget)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(rows=tied_rows, data=st.data())
def test_gains_are_what_the_function_gains(name: str, rows: Rows, data: st.DataObject):
    make, similarity, value = FUNCTIONS[name]
    budget = data.draw(st.integers(1, len(rows)))
    function, matrix, chosen = make(vectors(rows), budget), similarity(rows), ()
    for element in data.draw(st.permutations(range(len(rows))))[:budget]:
        left = np.array([i for i in range(len(rows)) if i not in chosen])
        expected = [value(matrix, (*chosen, int(i))) - value(matrix, chosen) for i in left]
        np.testing.assert_allclose(function.gain(left), expected, atol=1e-5)
        function.add(element)
        chosen = (*chosen, element)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(rows=tied_rows, data=st.data())
def test_lazy_is_naive_ties_included(name: str, rows: Rows, data: st.DataObject):
    make = FUNCTIONS[name][0]
    budget = data.draw(st.integers(1, len(rows)))
    naive = naive_greedy(make(vectors(rows), budget), budget)
    assert lazy_greedy(make(vectors(rows), budget), budget).tolist() == naive.tolist()
    assert len(set(naive.tolist())) == budget


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_lazy_is_naive_with_few_gains_computed(name: str, seed: int):
    rows = np.repeat(random_rows(seed, 100, 5), 3, axis=0)  # every row three times
    naive = Recorded(FUNCTIONS[name][0](vectors(rows), 60))
    lazy = Recorded(FUNCTIONS[name][0](vectors(rows), 60))
    assert naive_greedy(naive, 60).tolist() == lazy_greedy(lazy, 60).tolist()
    assert lazy.num_gains < naive.num_gains


@pytest.mark.parametrize("name", FUNCTIONS)
@given(rows=tied_rows)
def test_equal_samples_are_taken_in_order(name: str, rows: Rows):
    twice = np.concatenate([rows, rows])
    chosen = naive_greedy(FUNCTIONS[name][0](vectors(twice), len(rows)), len(rows)).tolist()
    for i in range(len(rows)):
        assert i + len(rows) not in chosen or i in chosen[: chosen.index(i + len(rows))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rounding_does_not_decide_between_equal_samples(name: str):
    for seed in range(30):
        d, n = 2 + seed, 37 - seed
        rows = np.concatenate([random_rows(seed, n, d)] * 3)
        chosen = naive_greedy(FUNCTIONS[name][0](vectors(rows), 2 * n), 2 * n).tolist()
        assert all(i - n in chosen[: chosen.index(i)] for i in chosen if i >= n)


@given(rows=tied_rows, data=st.data())
def test_similarities_that_are_kept_choose_what_those_computed_anew_do(rows: Rows, data: st.DataObject):
    budget = data.draw(st.integers(1, len(rows)))
    for kind in (CosineSimilarity, DistanceSimilarity):
        kept, anew = (FacilityLocation(kind(vectors(rows)), kept=kept) for kept in (True, False))
        assert lazy_greedy(kept, budget).tolist() == lazy_greedy(anew, budget).tolist()
        assert kept.nearest.tolist() == anew.nearest.tolist()


def test_kept_and_anew_agree_over_many_tiles():
    rows = random_rows(0, 4500, 8)
    kept, anew = (FacilityLocation(CosineSimilarity(vectors(rows)), kept=kept) for kept in (True, False))
    first = stochastic_greedy(kept, 100, 0.1, derive(0, "greedy"))
    assert first.tolist() == stochastic_greedy(anew, 100, 0.1, derive(0, "greedy")).tolist()
    assert torch.equal(kept.nearest, anew.nearest)
    similarity = cosine(rows)[:, first]
    assert (similarity.argmax(1) == kept.nearest.numpy()).mean() > 0.999  # but for similarities that are rounded


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("approximation", [0.5, 0.9, 1.0])
@given(rows=tied_rows, data=st.data())
def test_approximate_lazy_takes_its_share_of_the_best_gain(
    name: str, approximation: float, rows: Rows, data: st.DataObject
):
    budget = data.draw(st.integers(1, len(rows)))
    function = Recorded(FUNCTIONS[name][0](vectors(rows), budget))
    assert len(set(lazy_greedy(function, budget, approximation).tolist())) == budget
    for best, taken in function.steps:
        assert taken >= approximation * best - 1e-9 if best >= 0 else taken == best


def test_approximate_lazy_computes_fewer_gains():
    rows = random_rows(0, 2000, 6)
    exact, nearly = (Recorded(FUNCTIONS["facility_location"][0](vectors(rows), 100)) for _ in range(2))
    lazy_greedy(exact, 100)
    lazy_greedy(nearly, 100, 0.7)
    assert nearly.num_gains < exact.num_gains


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
def test_stochastic_greedy_reaches_its_share_in_expectation(epsilon: float):
    for seed in range(4):
        rows = random_rows(seed, 9, 2)
        similarity = cosine(rows)
        best = max(facility_location(similarity, chosen) for chosen in itertools.combinations(range(9), 3))
        values = []
        for draw in range(60):
            function = FacilityLocation(CosineSimilarity(vectors(rows)), kept=True)
            chosen = stochastic_greedy(function, 3, epsilon, derive(draw, "greedy"))
            values.append(facility_location(similarity, tuple(chosen.tolist())))
        assert np.mean(values) >= (1 - 1 / math.e - epsilon) * best


def test_stochastic_greedy_takes_the_best_of_what_it_draws():
    function = Recorded(FUNCTIONS["facility_location"][0](vectors(random_rows(0, 200, 4)), 20))
    chosen = stochastic_greedy(function, 20, 0.1, derive(0, "greedy"))
    assert len(set(chosen.tolist())) == 20
    assert function.num_gains == 20 * sample_size_of(200, 20, 0.1) == 20 * math.ceil(10 * math.log(10))
    again = FUNCTIONS["facility_location"][0](vectors(random_rows(0, 200, 4)), 20)
    assert stochastic_greedy(again, 20, 0.1, derive(0, "greedy")).tolist() == chosen.tolist()


@given(rows=tied_rows, data=st.data())
def test_stochastic_greedy_over_all_is_naive(rows: Rows, data: st.DataObject):
    budget = data.draw(st.integers(1, len(rows)))
    make = FUNCTIONS["facility_location"][0]
    chosen = stochastic_greedy(make(vectors(rows), budget), budget, 1e-40, derive(0, "greedy"))
    assert chosen.tolist() == naive_greedy(make(vectors(rows), budget), budget).tolist()


small_rows = st.lists(st.tuples(few_values, few_values), min_size=2, max_size=9).map(np.array)


@pytest.mark.parametrize(
    "name", ["facility_location", "facility_location_anew", "facility_location_of_distances", "log_determinant"]
)
@given(rows=small_rows, data=st.data())
def test_greedy_reaches_its_share_of_the_optimum(name: str, rows: Rows, data: st.DataObject):
    make, similarity, value = FUNCTIONS[name]
    budget = data.draw(st.integers(1, min(4, len(rows))))
    matrix = similarity(rows)
    best = max(value(matrix, chosen) for chosen in itertools.combinations(range(len(rows)), budget))
    chosen = lazy_greedy(make(vectors(rows), budget), budget)
    assert value(matrix, tuple(chosen.tolist())) >= (1 - 1 / math.e) * best - 1e-5


@given(rows=tied_rows, epsilon=st.floats(1.0, 10.0))
def test_the_log_determinant_is_monotone_from_epsilon_1_on(rows: Rows, epsilon: float):
    function = Recorded(LogDeterminant(CosineSimilarity(vectors(rows)), epsilon, len(rows)))
    naive_greedy(function, len(rows))
    assert min(best for best, _ in function.steps) >= 0


def test_the_log_determinant_falls_below_epsilon_1():
    function = Recorded(LogDeterminant(CosineSimilarity(vectors(np.ones((3, 2)))), 0.1, 3))
    naive_greedy(function, 3)
    assert function.steps[-1][0] < 0


def test_the_graph_cut_is_monotone_from_lambda_2_on():
    rows = random_rows(0, 30, 3)
    for weight, monotone in ((2.0, True), (0.5, False)):
        function = Recorded(GraphCut(CosineSimilarity(vectors(rows)), weight))
        naive_greedy(function, 30)
        assert (min(best for best, _ in function.steps) >= -1e-4) == monotone


@given(rows=tied_rows, data=st.data())
def test_outer_products_are_compared_as_if_they_were_written_out(rows: Rows, data: st.DataObject):
    right = np.array(data.draw(st.lists(st.tuples(few_values, few_values), min_size=len(rows), max_size=len(rows))))
    outer = Vectors(torch.from_numpy(rows), torch.from_numpy(right))
    written = Vectors(torch.from_numpy((rows[:, :, None] * right[:, None, :]).reshape(len(rows), -1)))
    everything = torch.arange(len(rows))
    direction = torch.linspace(-1, 1, outer.width, dtype=torch.float64)
    for one, other in (
        (outer.explicit(everything), written.explicit(everything)),
        (outer.inner(everything, slice(0, 3)), written.inner(everything, slice(0, 3))),
        (outer.along(direction), written.along(direction)),
        (outer.mean(), written.mean()),
        (outer.squared_lengths(), written.squared_lengths()),
        (outer.unit().explicit(everything), written.unit().explicit(everything)),
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@given(rows=tied_rows)
@example(rows=np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0], [1.0, 1.0, 2.0]]))  # whose diameter bound is 2, to rounding
def test_similarities_are_in_the_unit_interval(rows: Rows):
    assume(len(rows) > 1)
    for similarity, expected in ((CosineSimilarity, cosine(rows)), (DistanceSimilarity, closeness(rows))):
        values = similarity(vectors(rows)).between(torch.arange(len(rows)), slice(None)).numpy()
        np.testing.assert_allclose(values, expected, atol=1e-6)
        assert values.min() >= 0
        assert values.max() <= 1
        assert (values == values.astype(np.float32)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_optimizer_does_what_its_name_says(name: str):
    make, rows = FUNCTIONS[name][0], random_rows(0, 60, 4)
    naive = naive_greedy(make(vectors(rows), 20), 20).tolist()
    expected = {
        "naive": naive,
        "lazy": naive,
        "approximate_lazy": lazy_greedy(make(vectors(rows), 20), 20, 0.6).tolist(),
        "stochastic": stochastic_greedy(make(vectors(rows), 20), 20, 0.2, derive(3, "greedy")).tolist(),
    }
    for optimizer, chosen in expected.items():
        options = Optimizer(optimizer, stochastic_epsilon=0.2, approximation=0.6)
        assert options.maximize(make(vectors(rows), 20), 20, derive(3, "greedy")).tolist() == chosen
    assert expected["stochastic"] != naive


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "greedy"}, "selector.optimizer='greedy' must be one of naive, lazy"),
        ({"stochastic_epsilon": 0.0}, "selector.stochastic_epsilon=0.0"),
        ({"stochastic_epsilon": 1.0}, "selector.stochastic_epsilon=1.0"),
        ({"approximation": 0.0}, "selector.approximation=0.0"),
        ({"approximation": 1.1}, "selector.approximation=1.1"),
    ],
)
def test_a_wrong_optimizer_is_named(options: dict[str, object], message: str):
    with pytest.raises(RequestError, match=message):
        Optimizer(**{"optimizer": "lazy", "stochastic_epsilon": 0.1, "approximation": 0.9, **options})  # type: ignore[arg-type]
