"""What every distance owes: direction, determinism, untouched inputs, errors that help. New ones are found by walking.

Exceptions stand in the sets below, where they can be seen.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from found import concrete_classes
from hypothesis import given, settings
from hypothesis import strategies as st

import modyn_bench.drift
from modyn_bench.drift.base import Distance
from modyn_bench.errors import ContractError, RequestError
from modyn_bench.seeding import derive

DISTANCES = concrete_classes(modyn_bench.drift, Distance)
NEEDS_ROWS = {"mmd": 2, "kernel_two_sample": 2, "domain_classifier": 5}
DEALS_ROWS = {"domain_classifier", "kernel_two_sample"}  # at random to folds or samples, by their places
KEEPS_UNITS = {"mean_distance"}
VARIANTS: dict[str, list[dict[str, object]]] = {
    "label_shift": [{"of": "labels"}],
    "kolmogorov_smirnov": [{"combine": "mean"}, {"combine": "max"}, {"correction": "fdr"}],
    "cramer_von_mises": [{"combine": "mean"}, {"combine": "max"}, {"correction": "fdr"}],
    "mean_distance": [{"metric": "cityblock"}, {"metric": "chebyshev"}, {"metric": "cosine"}],
    "mmd": [{"kernel": kernel} for kernel in ("laplace", "inverse_multiquadric", "energy")],
    "drifted_columns": [{"column_distance": "kolmogorov_smirnov"}],
    "wasserstein": [{"scaled": False}],
    "sliced_wasserstein": [{"scaled": False}],
}
MAKERS: dict[str, Callable[[], Distance]] = {
    "-".join([each.name, *map(str, options.values())]): (lambda each=each, options=options: each(**options))
    for each in DISTANCES
    for options in [{}, *VARIANTS.get(each.name, [])]
}
each_distance = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
each_class = pytest.mark.parametrize("kind", DISTANCES, ids=lambda kind: kind.name)


def window(reads: str, size: int, shift: float = 0.0, *names: int | str) -> np.ndarray:
    """A window that is moved by so many standard deviations: other classes, and a model that is less sure of them."""
    generator = derive(0, "window", *names)
    if reads == "vectors":
        return generator.standard_normal((size, 6)) + 0.5 + shift * np.tile([1.0, -1.0], 3)
    chances = np.exp(shift * np.array([1.0, 0.0, 0.0, -1.0]))
    classes = np.searchsorted((chances / chances.sum()).cumsum(), generator.random(size) * 0.999999)
    if reads == "labels":
        return classes
    confidence = 0.9 - 0.25 * shift + 0.01 * generator.random(size)
    rows = np.repeat((1 - confidence)[:, None] / 3, 4, axis=1)
    rows[np.arange(size), classes] = confidence
    return rows


def score(distance: Distance, reference, current) -> float:
    distance.fit(reference, derive(1, "fit"))
    return distance.score(current, derive(1, "score"))


def test_distances_are_found_and_named():
    names = [each.name for each in DISTANCES]
    assert len(names) >= 11
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.islower() for name in names)
    assert {*NEEDS_ROWS, *DEALS_ROWS, *KEEPS_UNITS, *VARIANTS} <= set(names)


@each_distance
def test_high_means_drift(make):
    reads = make().reads
    reference = window(reads, 300, 0, "reference")
    for size in (300, 170):
        at_rest = score(make(), reference, reference)
        moved = score(make(), reference, window(reads, size, 2, "current"))
        assert isinstance(moved, float)
        assert at_rest < moved


@each_distance
def test_the_score_grows_with_the_shift(make):
    reads = make().reads
    reference = window(reads, 400, 0, "reference")
    scores = [score(make(), reference, window(reads, 250, shift, "current")) for shift in (0, 0.5, 1, 2)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]
    assert all(math.isfinite(value) for value in scores)


@each_distance
def test_a_score_follows_from_its_generator_alone(make):
    reads = make().reads
    reference, current = window(reads, 60, 0, "reference"), window(reads, 47, 0.2, "current")
    scores = set()
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002 - what must not matter
        torch.manual_seed(seed)
        before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        scores.add(score(make(), reference, current))
        assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
        assert (torch.get_rng_state() == before[1]).all()
        again = make()
        again.fit(reference)
        scores_without = again.score(current), again.score(current)
        assert scores_without[0] == scores_without[1]
    assert len(scores) == 1


@each_distance
def test_scoring_leaves_no_trace(make):
    reads = make().reads
    distance, current = make(), window(reads, 47, 0.2, "current")
    first = score(distance, window(reads, 60, 0, "reference"), current)
    distance.score(window(reads, 33, 2, "another"), derive(5, "score"))
    assert distance.score(current, derive(1, "score")) == first


@each_distance
@pytest.mark.parametrize("convert", [lambda values: values, torch.from_numpy], ids=["numpy", "torch"])
def test_inputs_are_neither_changed_nor_kept(make, convert):
    reads = make().reads
    reference, current = window(reads, 60, 0, "reference"), window(reads, 60, 0.2, "current")
    copies = reference.copy(), current.copy()
    distance = make()
    first = score(distance, convert(reference), convert(current))
    np.testing.assert_array_equal(reference, copies[0])
    np.testing.assert_array_equal(current, copies[1])
    reference[:] = reference[::-1] * 0  # as a buffer that is filled anew
    assert distance.score(convert(current), derive(1, "score")) == first


@each_distance
def test_fitting_again_forgets_the_first_reference(make):
    reads = make().reads
    current, distance = window(reads, 50, 0.3, "current"), make()
    score(distance, window(reads, 80, 3, "another"), current)
    again = score(distance, window(reads, 60, 0, "reference"), current)
    assert again == score(make(), window(reads, 60, 0, "reference"), current)


@each_distance
def test_any_array_will_do(make):
    """NumPy or torch, float32 or not, read-only, backwards, or with a gradient: the same values, the same score."""
    reads = make().reads
    reference, current = window(reads, 60, 0, "reference"), window(reads, 47, 0.2, "current")
    if reads != "labels":
        reference, current = (each.astype(np.float32).astype(np.float64) for each in (reference, current))
    expected = score(make(), reference, current)
    assert score(make(), torch.from_numpy(reference), torch.from_numpy(current)) == expected
    backwards = np.ascontiguousarray(reference[::-1])[::-1]
    frozen = current.copy()
    frozen.flags.writeable = False
    assert score(make(), backwards, frozen) == expected
    if reads != "labels":
        single = torch.from_numpy(reference).float().requires_grad_(), torch.from_numpy(current).float()
        assert score(make(), *single) == expected
        assert score(make(), reference.astype(np.float32), current.astype(np.float32)) == expected


@each_distance
@pytest.mark.parametrize("convert", [lambda values: values, torch.from_numpy], ids=["numpy", "torch"])
def test_an_empty_window_is_refused(make, convert):
    full = window(make().reads, 50)
    with pytest.raises(ContractError, match="empty"):
        make().fit(convert(full[:0]))
    distance = make()
    distance.fit(convert(full))
    with pytest.raises(ContractError, match="empty"):
        distance.score(convert(full[:0]))


@each_distance
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(make, value):
    full = window(make().reads, 50)
    broken = full.astype(np.float64)
    broken[7] = value
    with pytest.raises(ContractError, match="not finite"):
        make().fit(broken)
    distance = make()
    distance.fit(full)
    with pytest.raises(ContractError, match="not finite"):
        distance.score(torch.from_numpy(broken))


@each_distance
def test_windows_of_few_rows(make):
    reads, name = make().reads, make().name
    reference, current = window(reads, 50, 0, "reference"), window(reads, 50, 1, "current")
    needed = NEEDS_ROWS.get(name, 1)
    assert math.isfinite(score(make(), reference[:needed], current[:needed]))
    if needed > 1:
        for first, second in ((needed - 1, 50), (50, needed - 1)):
            with pytest.raises(ContractError, match=rf"distance {name} needs .* in each window.* hold"):
                score(make(), reference[:first], current[:second])


@each_distance
def test_windows_of_other_columns_are_refused(make):
    if make().reads != "vectors":
        return
    reference = window("vectors", 50)
    for columns in (1, 5):
        distance = make()
        distance.fit(reference)
        with pytest.raises(ContractError, match=f"{columns} columns.*reference has 6"):
            distance.score(reference[:, :columns])


@pytest.mark.parametrize("labels", [[0, -1], [0.5, 1.0]])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(ContractError, match="class indices"):
        MAKERS["label_shift-labels"]().fit(np.array(labels))


def wrong_values(parameter: inspect.Parameter) -> list[object]:
    """Values that no option of this kind can mean."""
    if isinstance(parameter.default, bool):
        return []
    if isinstance(parameter.default, str):
        return ["nonsense", ""]
    return [0, -1] if isinstance(parameter.default, int) else [-1.0, math.nan, math.inf]


@each_class
def test_wrong_options_are_refused_by_their_key(kind):
    for key, parameter in inspect.signature(kind).parameters.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        for value in wrong_values(parameter):
            with pytest.raises(RequestError, match=rf"trigger\.distance\.{key}="):
                kind(**{key: value})


sizes = st.integers(5, 40)
VECTORS = {name: make for name, make in MAKERS.items() if make().reads == "vectors"}
each_of_vectors = pytest.mark.parametrize("make", VECTORS.values(), ids=VECTORS.keys())


def eighths(size: int, seed: int, name: str) -> np.ndarray:
    """Rows that move by whole numbers without rounding."""
    return np.round(8 * window("vectors", size, 0, seed, name)) / 8


@each_distance
@settings(max_examples=15)
@given(n=sizes, m=sizes, seed=st.integers(0, 999))
def test_the_order_of_rows_does_not_matter(make, n, m, seed):
    reads = make().reads
    reference, current = window(reads, n, 0, seed, "reference"), window(reads, m, 0.5, seed, "current")
    order = derive(seed, "order")
    if make().name not in DEALS_ROWS:
        reordered = score(make(), order.permutation(reference), order.permutation(current))
        assert reordered == pytest.approx(score(make(), reference, current), abs=1e-6)


@each_of_vectors
@settings(max_examples=15)
@given(n=sizes, m=sizes, seed=st.integers(0, 999), offset=st.integers(-100_000, 100_000))
def test_moving_both_windows_does_not_matter(make, n, m, seed, offset):
    reference, current = eighths(n, seed, "reference"), eighths(m, seed, "current")
    moved = score(make(), reference + offset, current + offset)
    if getattr(make(), "metric", None) != "cosine":
        assert moved == pytest.approx(score(make(), reference, current), abs=1e-6)


@each_of_vectors
@settings(max_examples=15)
@given(n=sizes, m=sizes, seed=st.integers(0, 999), exponent=st.integers(-8, 8))
def test_the_unit_of_both_windows_does_not_matter(make, n, m, seed, exponent):
    reference, current = eighths(n, seed, "reference"), eighths(m, seed, "current")
    scaled = score(make(), reference * 2.0**exponent, current * 2.0**exponent)
    if make().name not in KEEPS_UNITS and getattr(make(), "scaled", True):
        assert scaled == pytest.approx(score(make(), reference, current), abs=1e-6)
