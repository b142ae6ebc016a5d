"""k-center, CRAIG, GradMatch and submodular selection, against definitions in NumPy, exhaustive search and SciPy."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Outputs, Turn
from modyn_bench.selectors.downsampling.craig import Craig
from modyn_bench.selectors.downsampling.grad_match import GradMatch, match
from modyn_bench.selectors.downsampling.gradients import Gradients
from modyn_bench.selectors.downsampling.k_center import KCenter
from modyn_bench.selectors.downsampling.ridge import Complement, nonnegative_ridge
from modyn_bench.selectors.downsampling.submodular import Submodular
from modyn_bench.selectors.downsampling.vectors import Vectors
from modyn_bench.types import FloatArray, IntArray

POLICIES: dict[str, Callable[[], Downsampler]] = {
    "k_center": KCenter,
    "k_center_balanced": lambda: KCenter(balance=True),
    "craig": Craig,
    "craig_stochastic": lambda: Craig(optimizer="stochastic"),
    "craig_last_layer": lambda: Craig(gradient="last_layer", memory_budget=0),
    "grad_match": GradMatch,
    "grad_match_balanced": lambda: GradMatch(balance=True),
    "grad_match_last_layer": lambda: GradMatch(gradient="last_layer"),
    "facility_location": Submodular,
    "facility_location_anew": lambda: Submodular(memory_budget=0, of="embedding", optimizer="approximate_lazy"),
    "facility_location_stochastic": lambda: Submodular(optimizer="stochastic", gradient="last_layer"),
    "graph_cut": lambda: Submodular(function="graph_cut", balance=True),
    "log_determinant": lambda: Submodular(function="log_determinant", gradient="last_layer", optimizer="naive"),
}
NUM_CLASSES, NUM_COLUMNS = 3, 4


def outputs_of(rows: FloatArray, labels: IntArray) -> Outputs:
    """What a model whose embeddings are some rows (n, e) says, its last layer drawn."""
    embeddings = torch.from_numpy(rows).float()
    layer = torch.from_numpy(derive(0, "layer").standard_normal((rows.shape[1], NUM_CLASSES))).float()
    logits, truth = embeddings @ layer, torch.from_numpy(labels)
    gradients = logits.softmax(1) - torch.nn.functional.one_hot(truth, NUM_CLASSES)
    return Outputs(logits, truth, None, gradients, embeddings, {})


def random_outputs(seed: int, n: int) -> Outputs:
    generator = derive(seed, "rows")
    return outputs_of(generator.standard_normal((n, NUM_COLUMNS)), generator.integers(0, NUM_CLASSES, n))


def downsample(policy: Downsampler, outputs: Outputs, budget: int, seed: int = 0) -> Choice:
    return policy.downsample(
        policy.describe(outputs),
        outputs.labels,
        budget,
        Turn(0, 1, partial(derive, seed)),
    )


def choose(policy: Downsampler, rows: FloatArray, budget: int, seed: int = 0) -> Choice:
    """Choose among rows that stand for descriptions."""
    labels = torch.zeros(len(rows), dtype=torch.int64)
    return policy.choose(torch.from_numpy(rows), labels, budget, Turn(0, 1, partial(derive, seed)))


def distances(rows: FloatArray) -> FloatArray:
    return np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(2))


few_values = st.integers(-3, 3).map(float)
tied_rows = st.lists(st.tuples(*[few_values] * NUM_COLUMNS), min_size=1, max_size=30).map(np.array)
small_rows = st.lists(st.tuples(few_values, few_values), min_size=2, max_size=9).map(np.array)

# --- what holds for all of them


@pytest.mark.parametrize("name", POLICIES)
@given(rows=tied_rows, data=st.data())
def test_every_policy_keeps_the_contract(name: str, rows: FloatArray, data: st.DataObject):
    n = len(rows)
    labels = np.array(data.draw(st.lists(st.integers(0, NUM_CLASSES - 1), min_size=n, max_size=n)))
    budget = data.draw(st.integers(1, n))
    policy, outputs = POLICIES[name](), outputs_of(rows, labels)
    choice = downsample(policy, outputs, budget)
    positions = choice.positions.tolist()
    assert choice.positions.dtype == torch.int64
    assert len(set(positions)) == len(positions) <= budget
    assert set(positions) <= set(range(n))
    if not name.startswith("grad_match"):
        assert len(positions) == budget
    if choice.weights is not None:
        assert choice.weights.dtype == torch.float32
        assert choice.weights.min() > 0
        if not policy.balance and not policy.by_class:
            assert choice.weights.mean() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", POLICIES)
def test_nothing_accumulates_between_calls(name: str):
    policy = POLICIES[name]()
    first = downsample(policy, random_outputs(0, 60), 12)
    downsample(policy, random_outputs(1, 40), 30)
    again, fresh = (
        downsample(policy, random_outputs(0, 60), 12),
        downsample(POLICIES[name](), random_outputs(0, 60), 12),
    )
    for other in (again, fresh):
        assert other.positions.tolist() == first.positions.tolist()
        assert (other.weights is None and first.weights is None) or torch.equal(other.weights, first.weights)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("kind", ["one_class", "all_equal", "all_zero", "not_finite", "half", "all_of_them", "one"])
def test_what_is_degenerate_is_chosen_from_as_well(name: str, kind: str):
    policy, outputs = POLICIES[name](), random_outputs(3, 24)
    rows = outputs.embeddings.numpy().astype(np.float64)
    labels = outputs.labels.numpy()
    budget = {"all_of_them": 24, "one": 1}.get(kind, 7)
    if kind == "one_class":
        outputs = outputs_of(rows, labels * 0 + 2)
    elif kind == "all_equal":
        outputs = outputs_of(rows * 0 + 1, labels * 0)
    elif kind == "all_zero":
        zero = torch.zeros(24, NUM_CLASSES)
        outputs = Outputs(zero, outputs.labels, None, zero, torch.zeros(24, NUM_COLUMNS), {})
    elif kind == "not_finite":
        rows[3], rows[5, 0], rows[7, 1] = np.nan, np.inf, -np.inf
        outputs = outputs_of(rows, labels)
    elif kind == "half":
        half = torch.bfloat16
        outputs = Outputs(
            outputs.logits.to(half),
            outputs.labels,
            None,
            outputs.gradients.to(half),
            outputs.embeddings.to(half),
            {},
        )
        assert policy.describe(outputs).dtype == torch.float32
    choice = downsample(policy, outputs, budget)
    assert 1 <= len(set(choice.positions.tolist())) == len(choice.positions) <= budget
    if choice.weights is not None:
        assert choice.weights.isfinite().all()


@pytest.mark.parametrize("name", ["k_center", "facility_location_anew"])
def test_descriptions_in_half_precision_are_widened(name: str):
    policy, outputs = POLICIES[name](), random_outputs(0, 40)
    turn = Turn(0, 1, partial(derive, 0))
    half = policy.describe(outputs).to(torch.bfloat16)
    chosen = policy.choose(half, outputs.labels, 9, turn).positions
    assert chosen.tolist() == policy.choose(half.double(), outputs.labels, 9, turn).positions.tolist()


@pytest.mark.parametrize("name", POLICIES)
def test_describing_needs_what_it_says_and_changes_nothing(name: str):
    policy, outputs = POLICIES[name](), random_outputs(0, 12)
    needed = Outputs(
        outputs.logits,
        outputs.labels,
        None,
        outputs.gradients if "gradient" in policy.needs else None,
        outputs.embeddings if "embedding" in policy.needs else None,
        {},
    )
    first = policy.describe(needed)
    assert len(first) == 12
    assert torch.equal(first, policy.describe(needed))
    assert torch.equal(first[3:5], policy.describe(random_outputs_part(outputs, slice(3, 5))))


def random_outputs_part(outputs: Outputs, rows: slice) -> Outputs:
    assert outputs.gradients is not None
    assert outputs.embeddings is not None
    return Outputs(
        outputs.logits[rows], outputs.labels[rows], None, outputs.gradients[rows], outputs.embeddings[rows], {}
    )


@pytest.mark.parametrize("name", ["craig", "facility_location", "facility_location_stochastic"])
def test_beyond_the_memory_budget_the_choice_is_the_same_and_it_is_said_once(
    name: str, caplog: pytest.LogCaptureFixture
):
    kept, anew = POLICIES[name](), POLICIES[name]()
    anew.memory_budget = type(anew.memory_budget)(0)  # type: ignore[attr-defined]
    outputs = random_outputs(0, 300)
    with caplog.at_level(logging.WARNING):
        first = downsample(kept, outputs, 60)
        assert not caplog.records
        second = downsample(anew, outputs, 60)
        downsample(anew, outputs, 60)
    assert first.positions.tolist() == second.positions.tolist()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "more than memory_budget=0" in caplog.text


# --- k-center


@given(rows=tied_rows, data=st.data())
def test_k_center_is_the_definition(rows: FloatArray, data: st.DataObject):
    budget = data.draw(st.integers(1, len(rows)))
    far = distances(rows.astype(np.float32))
    chosen = [int(derive(7, "start").integers(len(rows)))]
    while len(chosen) < budget:
        left = [i for i in range(len(rows)) if i not in chosen]
        chosen.append(left[int(np.argmax(far[np.ix_(left, chosen)].min(1)))])
    assert choose(KCenter(), rows, budget, seed=7).positions.tolist() == chosen


@given(rows=small_rows, data=st.data())
def test_k_center_is_within_twice_the_optimum(rows: FloatArray, data: st.DataObject):
    budget = data.draw(st.integers(1, min(4, len(rows))))
    far = distances(rows)
    best = min(far[:, list(chosen)].min(1).max() for chosen in itertools.combinations(range(len(rows)), budget))
    chosen = choose(KCenter(), rows, budget).positions.tolist()
    assert far[:, chosen].min(1).max() <= 2 * best + 1e-9


def test_k_center_takes_the_outlier_before_anything_near():
    rows = np.concatenate([derive(0, "rows").standard_normal((50, 3)), [[100.0, 0, 0]]])
    for seed in range(10):
        chosen = choose(KCenter(), rows, 2, seed).positions.tolist()
        assert 50 in chosen


def test_k_center_starts_anywhere():
    starts = {choose(KCenter(), np.zeros((5, 1)), 1, seed).positions.item() for seed in range(100)}
    assert starts == set(range(5))


def test_k_center_does_not_depend_on_where_the_origin_is():
    rows = derive(0, "rows").integers(-50, 50, (200, 5)).astype(float)
    assert torch.equal(choose(KCenter(), rows, 60).positions, choose(KCenter(), rows + 2.0**17, 60).positions)


# --- CRAIG


@pytest.mark.parametrize("gradient", ["outputs", "last_layer"])
@pytest.mark.parametrize("optimizer", ["naive", "lazy", "approximate_lazy", "stochastic"])
def test_craigs_weights_are_the_sizes_of_clusters_in_every_class(gradient: str, optimizer: str):
    outputs = random_outputs(0, 120)
    policy = Craig(gradient=gradient, optimizer=optimizer)
    choice = downsample(policy, outputs, 24)
    labels, chosen = outputs.labels.numpy(), choice.positions.numpy()
    counts = choice.weights.numpy().astype(np.float64) * len(labels) / len(chosen)
    gradients = policy.gradients.vectors(policy.describe(outputs)).explicit(torch.arange(120)).numpy()
    far = distances(gradients)
    for group in range(NUM_CLASSES):
        members, medoids = np.flatnonzero(labels == group), chosen[labels[chosen] == group]
        nearest = far[np.ix_(members, medoids)].argmin(1)
        expected = np.bincount(nearest, minlength=len(medoids))
        np.testing.assert_allclose(counts[labels[chosen] == group], expected, atol=1e-4)
        assert counts[labels[chosen] == group].sum() == pytest.approx(len(members))


@given(rows=small_rows, data=st.data())
def test_craig_reaches_its_share_of_the_optimum(rows: FloatArray, data: st.DataObject):
    budget = data.draw(st.integers(1, min(4, len(rows))))
    far = distances(rows)

    def value(chosen: tuple[int, ...]) -> float:
        return float((far.max() - far[:, list(chosen)].min(1)).sum())

    best = max(value(chosen) for chosen in itertools.combinations(range(len(rows)), budget))
    chosen = choose(Craig(), rows, budget).positions.tolist()
    assert value(tuple(chosen)) >= (1 - 1 / math.e) * best - 1e-5


def test_craig_does_not_depend_on_the_batch_that_gradients_came_in():
    outputs = random_outputs(0, 60)
    policy = Craig()
    parts = torch.cat([policy.describe(random_outputs_part(outputs, slice(i, i + 7))) for i in range(0, 60, 7)])
    assert torch.equal(parts, policy.describe(outputs))


def test_gradients_of_the_last_layer_are_those_of_autograd():
    outputs = random_outputs(0, 10)
    gradients = Gradients("last_layer")
    vectors = gradients.vectors(gradients.describe(outputs))
    layer = torch.nn.Linear(NUM_COLUMNS, NUM_CLASSES)
    with torch.no_grad():
        drawn = derive(0, "layer").standard_normal((NUM_COLUMNS, NUM_CLASSES))
        layer.weight.copy_(torch.from_numpy(drawn.T))
        layer.bias.zero_()
    for i in range(10):
        layer.zero_grad()
        torch.nn.functional.cross_entropy(layer(outputs.embeddings[i : i + 1]), outputs.labels[i : i + 1]).backward()
        expected = torch.cat([layer.weight.grad, layer.bias.grad[:, None]], dim=1).flatten()
        torch.testing.assert_close(vectors.explicit(torch.tensor([i]))[0].float(), expected)


def test_a_medoid_stands_for_itself_even_where_another_is_the_same():
    choice = choose(Craig(), np.ones((6, 2)), 4)
    assert choice.positions.tolist() == [0, 1, 2, 3]
    assert choice.weights.tolist() == [3.0, 1.0, 1.0, 1.0]


def test_craig_takes_the_middle_of_a_cluster_before_an_outlier():
    rows = np.concatenate([derive(0, "rows").standard_normal((60, 2)), [[30.0, 0.0]]])
    chosen = choose(Craig(), rows, 2).positions.tolist()
    lengths = np.linalg.norm(rows, axis=1)
    assert lengths[chosen[0]] < np.quantile(lengths, 0.2)
    assert choose(Craig(), rows, 1).positions.tolist() == chosen[:1]


# --- GradMatch


def objective(rows: FloatArray, weights: FloatArray, target: FloatArray, ridge: float) -> float:
    return float(((rows.T @ weights - target) ** 2).sum() + ridge * (weights**2).sum())


def by_nnls(rows: FloatArray, target: FloatArray, ridge: float) -> FloatArray:
    """Nonnegative least squares on the system with the ridge below."""
    system = np.concatenate([rows.T, math.sqrt(ridge) * np.eye(len(rows))])
    return nnls(system, np.concatenate([target, np.zeros(len(rows))]))[0]


@pytest.mark.parametrize("ridge", [1e-4, 0.5, 20.0])
@given(data=st.data())
def test_nonnegative_ridge_is_nonnegative_least_squares_on_the_augmented_system(ridge: float, data: st.DataObject):
    s, d, seed = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 20)), data.draw(st.integers(0, 10**6))
    rows, target = regression(s, d, seed)
    weights = nonnegative_ridge(torch.from_numpy(rows), torch.from_numpy(target), ridge).numpy()
    np.testing.assert_allclose(weights, by_nnls(rows, target, ridge), atol=1e-7)


@pytest.mark.parametrize("ridge", [1e-5, 1e-4, 1e-3])
def test_nonnegative_ridge_gets_on_where_rows_are_nearly_dependent(ridge: float):
    """More rows than columns, where exchanging all wrong ones at once goes round."""
    for seed in range(40):
        rows, target = regression(35, 19, seed)
        weights = nonnegative_ridge(torch.from_numpy(rows), torch.from_numpy(target), ridge).numpy()
        np.testing.assert_allclose(weights, by_nnls(rows, target, ridge), atol=1e-6)


def regression(num_rows: int, width: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Random rows, two of them alike, and a target."""
    generator = derive(seed, "rows")
    rows, target = generator.standard_normal((num_rows, width)), generator.standard_normal(width)
    rows[num_rows // 2] = rows[0]
    return rows, target


def pursuit(rows: FloatArray, budget: int, ridge: float) -> list[int]:
    """The definition: the largest inner product with what ridge regression on the chosen leaves of the mean."""
    target, chosen = rows.mean(0), []
    for _ in range(budget):
        block = rows[chosen]
        weights = np.linalg.solve(block @ block.T + ridge * np.eye(len(chosen)), block @ target)
        pull = rows @ (target - block.T @ weights)
        pull[chosen] = -np.inf
        if pull.max() <= 0:
            break
        chosen.append(int(pull.argmax()))
    return chosen


@pytest.mark.parametrize("ridge", [1e-3, 0.5, 20.0])
@pytest.mark.parametrize(("n", "d", "budget"), [(30, 4, 10), (30, 60, 12), (60, 10, 60), (5, 3, 1), (1, 2, 1)])
def test_grad_match_is_the_definition(ridge: float, n: int, d: int, budget: int):
    rows = derive(n, "rows").standard_normal((n, d)) + 0.3
    chosen = pursuit(rows, budget, ridge)
    weights = by_nnls(rows[chosen], rows.mean(0), ridge)
    expected = [(i, weight) for i, weight in zip(chosen, weights, strict=True) if weight > 1e-12]
    choice = choose(GradMatch(ridge=ridge), rows, budget)
    assert choice.positions.tolist() == [i for i, _ in expected]
    scaled = np.array([weight for _, weight in expected])
    np.testing.assert_allclose(choice.weights, scaled * n / scaled.sum(), rtol=1e-4)


@pytest.mark.parametrize("ridge", [1e-3, 0.5])
@given(rows=tied_rows)
def test_what_grad_match_leaves_never_rises_with_the_budget(ridge: float, rows: FloatArray):
    left = []
    for budget in range(1, len(rows) + 1):
        positions, weights = match(Vectors(torch.from_numpy(rows)), budget, ridge)
        left.append(objective(rows[positions.numpy()], weights.numpy(), rows.mean(0), ridge))
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(left))


def test_grad_match_matches_the_mean_where_it_may_take_all():
    rows = derive(0, "rows").standard_normal((200, 5))
    positions, weights = match(Vectors(torch.from_numpy(rows)), 200, 1e-8)
    assert objective(rows[positions.numpy()], weights.numpy(), rows.mean(0), 0.0) < 1e-12
    assert len(positions) < 200


def test_the_scale_of_the_target_changes_no_weight():
    generator = derive(0, "rows")
    rows, target = torch.from_numpy(generator.standard_normal((20, 8))), torch.from_numpy(generator.standard_normal(8))
    torch.testing.assert_close(nonnegative_ridge(rows, target * 20, 0.5), nonnegative_ridge(rows, target, 0.5) * 20)


@given(data=st.data())
def test_the_complement_is_the_same_by_matrix_and_by_directions(data: st.DataObject):
    d, taken, seed = data.draw(st.integers(1, 10)), data.draw(st.integers(1, 9)), data.draw(st.integers(0, 10**6))
    generator, like = derive(seed, "rows"), torch.zeros(1, dtype=torch.float64)
    rows, vector = generator.standard_normal((taken, d)), generator.standard_normal(d)
    expected = vector - rows.T @ np.linalg.solve(rows @ rows.T + 0.1 * np.eye(taken), rows @ vector)
    for budget in (taken, taken + d):
        complement = Complement(d, 0.1, budget, like=like)
        for row in rows:
            complement.take(torch.from_numpy(row))
        np.testing.assert_allclose(complement.apply(torch.from_numpy(vector)), expected, atol=1e-9)


# --- submodular


def test_facility_location_takes_every_cluster_before_an_outlier():
    generator = derive(0, "rows")
    centers = np.eye(3) * 10
    rows = np.concatenate([*(center + 0.3 * generator.standard_normal((40, 3)) for center in centers), [[-9, -9, -9]]])
    chosen = choose(Submodular(of="embedding"), rows, 4).positions.tolist()
    assert sorted(i // 40 for i in chosen[:3]) == [0, 1, 2]
    diverse = choose(Submodular(of="embedding", function="log_determinant", epsilon=0.01), rows, 4).positions.tolist()
    assert 120 in diverse


def test_the_graph_cut_weighs_what_is_typical_against_what_differs():
    rows = np.concatenate([[[1.0, 0.01 * i] for i in range(10)], [[-1.0, 0.0]]])
    typical = choose(Submodular(function="graph_cut", graph_cut_lambda=50.0), rows, 2).positions.tolist()
    differing = choose(Submodular(function="graph_cut", graph_cut_lambda=0.0), rows, 2).positions.tolist()
    assert 10 not in typical
    assert 10 in differing


@pytest.mark.parametrize("function", ["facility_location", "graph_cut", "log_determinant"])
def test_balanced_every_class_is_chosen_from_apart(function: str):
    outputs = random_outputs(0, 90)
    choice = downsample(Submodular(function=function, balance=True), outputs, 30)
    counts = torch.bincount(outputs.labels)
    shares = torch.bincount(outputs.labels[choice.positions])
    assert (shares - counts / 3).abs().max() < 1
    group = outputs.labels == 1
    alone = downsample(Submodular(function=function), random_outputs_part(outputs, group), int(shares[1]))  # type: ignore[arg-type]
    of_class = choice.positions[outputs.labels[choice.positions] == 1]
    assert group.nonzero().flatten()[alone.positions].tolist() == of_class.tolist()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Craig(gradient="layer"), "selector.gradient='layer' must be outputs or last_layer"),
        (lambda: Craig(optimizer="fast"), "selector.optimizer='fast'"),
        (lambda: Craig(memory_budget=-1), "selector.memory_budget=-1"),
        (lambda: GradMatch(gradient="x"), "selector.gradient='x'"),
        (lambda: GradMatch(ridge=0.0), "selector.ridge=0.0"),
        (lambda: GradMatch(ridge=math.nan), "selector.ridge=nan"),
        (lambda: Submodular(function="cut"), "selector.function='cut' must be one of facility_location"),
        (lambda: Submodular(of="loss"), "selector.of='loss'"),
        (lambda: Submodular(gradient="x"), "selector.gradient='x'"),
        (lambda: Submodular(graph_cut_lambda=-0.1), "selector.graph_cut_lambda=-0.1"),
        (lambda: Submodular(epsilon=0.0), "selector.epsilon=0.0"),
        (lambda: KCenter(ratio=0.0), "selector.ratio=0.0"),
        (lambda: KCenter(mode="all"), "selector.mode='all'"),
    ],
)
def test_a_wrong_option_is_named(make: Callable[[], Downsampler], message: str):
    with pytest.raises(RequestError, match=message):
        make()
