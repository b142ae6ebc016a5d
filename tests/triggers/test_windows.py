"""The reference and the current window, against a brute-force definition that keeps every sample in lists."""

from __future__ import annotations

import numpy as np
import pytest
from driving import StubView, stream
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.errors import RequestError
from modyn_bench.triggers.windows import DetectionWindows


def view_at(timestamps: list[int], num_arrived: int) -> StubView:
    samples = stream(timestamps)
    return StubView(0, samples, int(samples.timestamps[num_arrived - 1]), num_arrived, num_arrived)


def last_of(samples: list[tuple[int, int]], size: int | str) -> list[int]:
    """The keys of the last samples, so many or so old at most."""
    if isinstance(size, int):
        return [key for key, _ in samples[-size:]]
    limit = int(size.removesuffix("s"))
    return [key for key, time in samples if time >= samples[-1][1] - limit]


def windows_by_definition(
    timestamps: list[int], num_arrived: int, triggers: list[int], options: dict
) -> tuple[list[int], list[int]]:
    samples = list(enumerate(sorted(timestamps)))[:num_arrived]
    seen = samples if options["overlap"] or not triggers else samples[triggers[-1] :]
    current = last_of(seen, options["current_size"]) if seen else []
    if not triggers:
        return [], current
    end = {"last_trigger": triggers[-1], "fixed": triggers[0]}.get(options["reference"])
    if end is None:
        end = current[0] if current else num_arrived
    return (last_of(samples[:end], options["reference_size"]) if end else []), current


sizes = st.one_of(st.integers(1, 30), st.integers(1, 40).map(lambda seconds: f"{seconds}s"))


@given(
    timestamps=st.lists(st.integers(0, 60), min_size=1, max_size=40),
    data=st.data(),
    options=st.fixed_dictionaries(
        {
            "reference_size": sizes,
            "current_size": sizes,
            "reference": st.sampled_from(["last_trigger", "sliding", "fixed"]),
            "overlap": st.booleans(),
        }
    ),
)
def test_windows_are_what_lists_say(timestamps: list[int], data: st.DataObject, options: dict) -> None:
    num_arrived = data.draw(st.integers(1, len(timestamps)))
    triggers = sorted(data.draw(st.sets(st.integers(1, num_arrived), max_size=3)))
    made = DetectionWindows(**options)
    view = view_at(timestamps, num_arrived)
    first, last = (triggers[0], triggers[-1]) if triggers else (None, None)
    reference, current = windows_by_definition(timestamps, num_arrived, triggers, options)
    assert list(made.of_reference(view, end=num_arrived, first_trigger=first, last_trigger=last)) == reference
    assert list(made.current(view, end=num_arrived, last_trigger=last)) == current


def test_nothing_is_lost_or_doubled_where_a_block_exceeds_the_window() -> None:
    """The reference system's reference would be [4, 5, 6, 7] of these seven, and [1, 2, 1, 2, 3] of three."""
    made = DetectionWindows(10, 4, overlap=False)
    seven, three = view_at(list(range(7)), 7), view_at(list(range(3)), 3)
    assert list(made.of_reference(seven, end=7, first_trigger=7, last_trigger=7)) == [0, 1, 2, 3, 4, 5, 6]
    assert list(made.of_reference(three, end=3, first_trigger=3, last_trigger=3)) == [0, 1, 2]


def test_a_window_longer_than_the_stream_holds_what_there_is() -> None:
    made = DetectionWindows(10**9, "9999w")
    view = view_at(list(range(5)), 5)
    assert made.current(view, end=5, last_trigger=3) == range(5)
    assert made.of_reference(view, end=5, first_trigger=3, last_trigger=3) == range(3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference_size": 0}, r"trigger\.windows\.reference_size=0 must be at least 1 sample"),
        ({"current_size": "0d"}, r"trigger\.windows\.current_size"),
        ({"current_size": "soon"}, r"trigger\.windows\.current_size"),
        ({"reference": "last"}, r"trigger\.windows\.reference='last' must be one of last_trigger, sliding, fixed"),
    ],
)
def test_wrong_windows_are_refused(options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        DetectionWindows(**options)


def test_the_view_finds_keys_by_time() -> None:
    view = view_at([0, 0, 5, 5, 9], 5)
    assert [view.first_key_since(time) for time in (-1, 0, 1, 5, 6, 10)] == [0, 0, 2, 2, 4, 5]
    np.testing.assert_array_equal(view.timestamps(np.array([4, 0])), [9, 0])
