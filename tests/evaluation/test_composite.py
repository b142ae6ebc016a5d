"""The assignment of models to windows equals its definition, in words, window by window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modyn_bench.evaluation.composite import NO_MODEL, assign
from tests.evaluation.making import triggers_at

times = st.integers(-50, 50)


def by_definition(available_at: list[int], anchor: int) -> tuple[int, int]:
    """Go through the models one by one, in trigger order."""
    active = NO_MODEL
    for model, available in enumerate(available_at):
        if available < anchor:
            active = model
    if not available_at:
        return NO_MODEL, NO_MODEL
    if active == NO_MODEL:
        return NO_MODEL, 0
    is_last = active == len(available_at) - 1
    return active, active if is_last else active + 1


def check(available_at: list[int], anchors: list[int]) -> None:
    made = assign(available_at, np.array(anchors, dtype=np.int64))
    expected = np.array([by_definition(available_at, anchor) for anchor in anchors]).reshape(-1, 2)
    np.testing.assert_array_equal(made.currently_active, expected[:, 0])
    np.testing.assert_array_equal(made.currently_trained, expected[:, 1])


@settings(deadline=None, max_examples=300)
@given(st.lists(times, max_size=12), st.lists(times, max_size=12))
def test_any_order_of_getting_into_service_with_ties(available_at, anchors):
    check(available_at, anchors)


@settings(deadline=None, max_examples=200)
@given(
    fired=st.lists(st.integers(0, 60), max_size=10),
    sizes=st.lists(st.integers(0, 40), min_size=10, max_size=10),
    fixed=st.integers(0, 30),
    rate=st.integers(0, 2),
    label_delay=st.integers(0, 30),
    anchors=st.lists(st.integers(-5, 150), max_size=12),
)
def test_delays_of_activation_and_of_labels(fired, sizes, fixed, rate, label_delay, anchors):
    """Decisions in stream order; the flush waits for the last label; models take a fixed time and one per sample."""
    fired = sorted(fired)
    if fired:
        fired[-1] += label_delay
    available = [time + fixed + rate * size for time, size in zip(fired, sizes, strict=False)]
    check(available, anchors)
    records = triggers_at(fired, available)
    from_records = [record.model.available_at for record in records if record.model is not None]
    assert from_records == available


@settings(deadline=None, max_examples=100)
@given(st.lists(times, min_size=1, max_size=12), st.lists(times, max_size=12))
def test_the_active_model_never_gets_older(available_at, anchors):
    made = assign(available_at, np.array(sorted(anchors), dtype=np.int64))
    assert (np.diff(made.currently_active) >= 0).all()
    assert (np.diff(made.currently_trained) >= 0).all()
    assert (made.currently_trained >= made.currently_active).all()


@pytest.mark.parametrize(
    ("available_at", "anchor", "active", "trained"),
    [
        ([], 5, NO_MODEL, NO_MODEL),
        ([5], 5, NO_MODEL, 0),  # strict
        ([5], 6, 0, 0),
        ([5, 5], 6, 1, 1),  # of a tie the last
        ([5, 7], 6, 0, 1),
        ([9, 5], 6, 1, 1),  # a newer model that overtakes
        ([9, 5], 10, 1, 1),  # and is not replaced by the older one
        ([5, 20, 9], 10, 2, 2),
        ([5, 9, 20], 10, 1, 2),
    ],
)
def test_cases(available_at, anchor, active, trained):
    made = assign(available_at, np.array([anchor]))
    assert (made.currently_active.tolist(), made.currently_trained.tolist()) == ([active], [trained])
    assert made.of("currently_active") is made.currently_active
    assert made.of("currently_trained") is made.currently_trained
    assert made.currently_active.dtype == made.currently_trained.dtype == np.int64
