"""Windows: whole numbers of seconds, half-open, none lost, none outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modyn_bench.config import WindowsConfig
from modyn_bench.errors import DataError, RequestError
from modyn_bench.evaluation.windows import WindowSet, auto_duration, build_window_sets
from modyn_bench.timespan import parse_duration, parse_time
from tests.evaluation.making import config_of, trigger, triggers_at

DAY = 86_400


def build(timestamps, triggers=(), **options) -> WindowSet:
    return build_window_sets(config_of(w=options), np.array(timestamps, dtype=np.int64), triggers)[0]


def intervals(windows: WindowSet) -> list[tuple[int, int]]:
    return list(zip(windows.starts.tolist(), windows.ends.tolist(), strict=True))


stamps = st.lists(st.integers(-400, 400), min_size=1, max_size=30).map(sorted)
bound = st.none() | st.integers(-450, 450)


def check_invariants(windows: WindowSet, timestamps: list[int]) -> None:
    """Bounds count what lies in [start, end), by brute force; types and ids are in order."""
    for start, end, (low, high) in zip(windows.starts, windows.ends, windows.bounds, strict=True):
        assert start < end
        assert [start <= time < end for time in timestamps] == [low <= k < high for k in range(len(timestamps))]
    assert windows.ids.tolist() == list(range(len(windows)))
    assert windows.num_samples.tolist() == [high - low for low, high in windows.bounds]
    for array in (windows.ids, windows.starts, windows.ends, windows.anchors, windows.bounds):
        assert array.dtype == np.int64


@settings(deadline=None, max_examples=150)
@given(timestamps=stamps, every=st.integers(1, 200), start=bound, end=bound)
def test_sliced_windows_partition_what_lies_between_start_and_end(timestamps, every, start, end):
    assume(start is None or end is None or start < end)
    first = timestamps[0] if start is None else start
    inside = [t for t in timestamps if t >= first and (end is None or t < end)]
    options = {"kind": "sliced", "every": every, "start": start, "end": end}
    if first > timestamps[-1] or (end is not None and end <= timestamps[0]):
        with pytest.raises(RequestError, match=r"evaluation\.windows\.w has no window"):
            build(timestamps, **options)
        return
    windows = build(timestamps, **options)
    check_invariants(windows, timestamps)
    assert (windows.ends - windows.starts == every).all()
    assert ((windows.starts - first) % every == 0).all()
    assert (np.diff(windows.starts) == every).all()
    assert windows.ends[0] > timestamps[0]  # none before the data
    assert windows.starts[-1] <= timestamps[-1]  # none after them
    assert end is None or windows.starts[-1] < end
    for time in inside:
        assert ((windows.starts <= time) & (time < windows.ends)).sum() == 1
    assert (windows.anchors == windows.starts).all()
    if end is None or end > timestamps[-1]:
        assert windows.starts[-1] <= timestamps[-1] < windows.ends[-1]


@settings(deadline=None, max_examples=150)
@given(
    timestamps=stamps, every=st.integers(1, 200), radius=st.integers(1, 300), start=st.none() | st.integers(-450, 450)
)
def test_sliding_windows(timestamps, every, radius, start):
    assume(start is None or start <= timestamps[-1])
    try:
        windows = build(timestamps, kind="sliding", every=every, radius=radius, start=start)
    except RequestError:  # windows so small and far apart that all lie in a gap
        assert 2 * radius < every
        return
    check_invariants(windows, timestamps)
    first = timestamps[0] if start is None else start
    assert (windows.ends - windows.starts == 2 * radius).all()
    assert ((windows.anchors - first) % every == 0).all()
    assert (windows.anchors == windows.starts + radius).all()
    assert windows.anchors[0] >= first
    assert (np.diff(windows.anchors) == every).all()
    assert windows.ends[0] > timestamps[0]
    assert windows.starts[-1] <= timestamps[-1]
    if 2 * radius >= every:
        assert windows.starts[-1] <= timestamps[-1] < windows.ends[-1]
        assert windows.anchors[-1] - every <= timestamps[-1]  # at most one centre beyond the last sample


def test_sliding_anchor_may_be_the_start():
    windows = build([0, 100], kind="sliding", every=50, radius=60, anchor="start")
    assert windows.anchors.tolist() == windows.starts.tolist() == [-60, -10, 40]
    sliced = build([0, 100], kind="sliced", every=50, anchor="center")
    assert sliced.anchors.tolist() == [25, 75, 125]


def test_a_last_sliding_window_takes_what_is_left_over_unless_an_end_cuts_it_off():
    windows = build([0, 10, 15], kind="sliding", every=10, radius=5)
    assert intervals(windows) == [(-5, 5), (5, 15), (15, 25)]
    assert windows.anchors.tolist() == [0, 10, 20]  # beyond the last sample
    clipped = build([0, 10, 15], kind="sliding", every=10, radius=5, end=15)
    assert intervals(clipped) == [(-5, 5), (5, 15)]
    covered = build([0, 10, 14], kind="sliding", every=10, radius=5)
    assert intervals(covered) == [(-5, 5), (5, 15)]


@pytest.mark.parametrize("kind", ["sliced", "sliding", "between_triggers"])
def test_an_end_before_the_test_split_leaves_no_window_whatever_period_holds_both(kind):
    options = {"kind": kind, "every": 100, "radius": 100, "start": 0, "end": 5}
    for triggers in ((), triggers_at([3])):
        with pytest.raises(RequestError, match="has no window"):
            build([10, 20], triggers, **options)


def test_the_reference_schedule_of_yearbook():
    """Daily centres from 0, a radius of 25 hours: the window at t covers three fake years, the first one two."""
    years = np.arange(84) * DAY
    windows = build(years, kind="sliding", every="1d", radius="25h", start=0)
    assert windows.anchors.tolist() == years.tolist()
    assert windows.num_samples.tolist() == [2, *[3] * 82, 2]


@settings(deadline=None, max_examples=100)
@given(
    timestamps=stamps,
    fired=st.lists(st.integers(-450, 450), max_size=8).map(sorted),
    start=bound,
    end=bound,
)
def test_windows_between_triggers_lose_no_sample(timestamps, fired, start, end):
    assume(start is None or end is None or start < end)
    assume(start is None or start <= timestamps[-1])
    assume(end is None or end > timestamps[0])
    windows = build(timestamps, triggers_at(fired), kind="between_triggers", start=start, end=end)
    check_invariants(windows, timestamps)
    assert (windows.starts[1:] == windows.ends[:-1]).all()
    assert set((windows.starts[1:] - 1).tolist()) <= set(fired)
    first = timestamps[0] if start is None else start
    for time in timestamps:
        count = ((windows.starts <= time) & (time < windows.ends)).sum()
        assert count <= 1
        if time >= first and (end is None or time < end):
            assert count == 1
    for time in fired:  # what the trigger trained on and what its model serves first lie in different windows
        assert not ((windows.starts <= time) & (time + 1 < windows.ends)).any()


def test_between_triggers_in_numbers():
    timestamps = [0, 5, 10, 15, 20]
    records = [trigger(0, 5, model_id=0), trigger(1, 7, model_id=None), trigger(2, 15, model_id=1)]
    windows = build(timestamps, records, kind="between_triggers")
    assert intervals(windows) == [(0, 6), (6, 16), (16, 21)]  # the one that trained nothing cuts nothing
    assert windows.num_samples.tolist() == [2, 2, 1]
    assert intervals(build(timestamps, triggers_at([5, 5, 30]), kind="between_triggers")) == [(0, 6), (6, 31)]
    assert intervals(build(timestamps, (), kind="between_triggers")) == [(0, 21)]
    assert intervals(build(timestamps, triggers_at([-9, 40, 50]), kind="between_triggers")) == [(0, 41)]


def test_between_triggers_the_window_that_holds_the_end_is_cut_off_there():
    timestamps = [0, 5, 10, 15, 20]
    options = {"kind": "between_triggers", "end": 12}
    assert intervals(build(timestamps, triggers_at([5, 30]), **options)) == [(0, 6), (6, 12)]
    assert intervals(build(timestamps, triggers_at([5, 14]), **options)) == [(0, 6), (6, 12)]
    assert intervals(build(timestamps, triggers_at([5, 11]), **options)) == [(0, 6), (6, 12)]  # none starts at the end
    assert intervals(build(timestamps, (), **options)) == [(0, 12)]
    assert intervals(build(timestamps, triggers_at([5]), kind="between_triggers", end=99)) == [(0, 6), (6, 21)]


def test_static_windows_are_taken_as_they_are():
    windows = build([0, 5, 10], kind="static", intervals=[[5, 11], [None, 5], [0, None], [100, 200]])
    assert intervals(windows) == [(5, 11), (0, 5), (0, 11), (100, 200)]
    assert windows.num_samples.tolist() == [2, 1, 3, 0]
    assert windows.ids.tolist() == [0, 1, 2, 3]
    with pytest.raises(RequestError, match="outside the test split"):
        build([0, 5, 10], kind="static", intervals=[[11, None]])


def test_offset_windows_surround_each_models_data():
    records = [
        trigger(0, 20, model_id=0, data=(10, 19)),
        trigger(1, 30, model_id=1, data=(None, None)),  # a model trained on late labels alone
        trigger(2, 40, model_id=2, data=(21, 40)),
    ]
    windows = build(range(60), records, kind="offset", offsets=["-inf", -5, 0, "5s", "inf"])
    assert intervals(windows) == [
        *[(0, 10), (5, 10), (10, 20), (20, 25), (20, 60)],
        *[(0, 21), (16, 21), (21, 41), (41, 46), (41, 60)],
    ]
    assert windows.model_ids.tolist() == [0] * 5 + [2] * 5
    assert windows.ids.tolist() == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    assert windows.of_model(2).tolist() == [5, 6, 7, 8, 9]
    assert windows.of_model(1).tolist() == []
    assert windows.num_samples.tolist() == [10, 5, 10, 5, 40, 21, 5, 20, 5, 19]
    assert (windows.anchors == windows.starts).all()


def test_offset_windows_outside_the_test_split_are_left_out_without_shifting_ids():
    records = [trigger(0, 20, model_id=0, data=(10, 19))]
    windows = build([15, 16, 17], records, kind="offset", offsets=["-inf", -5, 0, 5, "inf", "-20s"])
    assert intervals(windows) == [(10, 20)]
    assert windows.ids.tolist() == [2]
    none = build([15, 16, 17], (), kind="offset", offsets=[0])
    assert len(none) == 0
    assert none.bounds.shape == (0, 2)


def test_calendar_windows():
    times = [parse_time(day) for day in ("2019-01-31", "2019-02-01", "2020-02-29", "2020-12-31")]
    years = build(times, kind="sliced", calendar="year")
    assert intervals(years) == [
        (parse_time("2019-01-01"), parse_time("2020-01-01")),
        (parse_time("2020-01-01"), parse_time("2021-01-01")),
    ]
    assert years.num_samples.tolist() == [2, 2]
    months = build(times, kind="sliced", calendar="month", start="2019-02-15", end="2020-03-01")
    assert months.starts[0] == parse_time("2019-02-01")
    assert months.starts[-1] == parse_time("2020-02-01")
    assert months.ends[-1] == parse_time("2020-03-01")
    sliding = build(times, kind="sliding", calendar="year", radius="400d")
    assert sliding.anchors.tolist() == [parse_time(day) for day in ("2019-01-01", "2020-01-01")]


def test_auto_takes_the_longest_step_of_the_ladder_that_gives_40_windows():
    year = parse_duration("1y")
    assert auto_duration(0, 27 * year) == "26w"
    assert auto_duration(0, 39 * year - 1) == "26w"
    assert auto_duration(0, 39 * year) == "1y"
    assert auto_duration(5, 5 + 39) == "1s"
    assert auto_duration(7, 7) == "1s"
    for span in (39, 200, 5_000, 10**6, 10**8, 10**9):
        windows = build([0, span], kind="sliced")
        assert len(windows) >= 40
        assert windows.ends[-1] > span >= windows.starts[-1]


def test_auto_looks_at_what_start_and_end_leave():
    windows = build(np.arange(0, 10_000, 7), kind="sliced", start=100, end=300)
    assert (windows.ends - windows.starts == 5).all()
    assert len(windows) == 40


def test_a_unit_taken_for_another_is_refused():
    with pytest.raises(RequestError, match=r"makes 31,536,001 windows.*longer every"):
        build([0, 365 * DAY], kind="sliced", every="1s")
    assert len(build([0, 99_999], kind="sliced", every="1s")) == 100_000


def test_sets_are_ordered_by_name_and_an_empty_split_is_refused():
    config = config_of(zulu={"kind": "sliced", "every": 5}, alpha={"kind": "sliced", "every": 7})
    assert [windows.name for windows in build_window_sets(config, np.arange(20), ())] == ["alpha", "zulu"]
    with pytest.raises(DataError, match="test split holds no sample"):
        build_window_sets(config, np.zeros(0, np.int64), ())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "static"}, "intervals is missing"),
        ({"kind": "static", "intervals": [[5, 5]]}, "must end after it starts"),
        ({"kind": "static", "intervals": [[1, 2, 3]]}, "not a pair"),
        ({"kind": "static", "intervals": ["12"]}, "not a pair"),
        ({"kind": "offset"}, "offsets is missing"),
        ({"kind": "offset", "offsets": ["1 fortnight"]}, "not a duration"),
        ({"kind": "offset", "offsets": ["-"]}, "not a duration"),
        ({"kind": "sliding"}, "radius is missing"),
        ({"kind": "sliced", "start": 5, "end": 5}, "must be later"),
        ({"kind": "slices"}, "must be one of"),
    ],
)
def test_what_the_schema_refuses(options, message):
    with pytest.raises(RequestError, match=message):
        WindowsConfig(**options).check("w")
