from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modyn_bench.data.columns.times import parse_times
from modyn_bench.errors import DataError

moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
zones = st.none() | st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def micros(moment):
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def parse(values, *, unit="auto", kind=None):
    table = pa.table({"ts": pa.array(values, kind)})
    times, wrong, notes = parse_times(table, ["ts"], unit=unit, origin="toy.csv")
    return times.tolist(), np.flatnonzero(wrong).tolist(), notes


@given(st.lists(moments, min_size=1), zones, st.sampled_from(["T", " "]))
def test_iso_datetimes_against_python(values, zone, separator):
    values = [value.replace(tzinfo=zone) for value in values]
    times, wrong, _ = parse([value.isoformat(separator) for value in values])
    assert times == [micros(value) for value in values]
    assert wrong == []


@given(st.lists(moments, min_size=1))
def test_iso_dates_and_arrow_dates(values):
    days = [value.date() for value in values]
    expected = [micros(datetime(day.year, day.month, day.day, tzinfo=UTC)) for day in days]
    assert parse([day.isoformat() for day in days])[0] == expected
    assert parse(days)[0] == expected
    assert parse(days, kind=pa.date64())[0] == expected


@given(st.lists(moments, min_size=1), st.sampled_from(["s", "ms", "us", "ns"]), st.sampled_from([None, "America/Lima"]))
def test_arrow_timestamps(values, unit, zone):
    values = [value.replace(microsecond=0, tzinfo=UTC) for value in values]
    array = pa.array(values, pa.timestamp("s", "UTC")).cast(pa.timestamp(unit, "UTC"))
    array = array.cast(pa.timestamp(unit, zone)) if zone else array.cast(pa.timestamp(unit))
    assert parse(array)[0] == [micros(value) for value in values]


@given(
    st.lists(moments, min_size=1), st.sampled_from([("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]), st.data()
)
def test_numbers(values, unit_and_scale, data):
    unit, scale = unit_and_scale
    seconds = [micros(value) // 10**6 for value in values]
    numbers = [second * scale for second in seconds]
    expected = [second * 10**6 for second in seconds]
    assert parse(numbers, unit=unit)[0] == expected
    if unit != "ns":  # as floats and as text a nanosecond count is beyond 2**53
        assert parse(list(map(float, numbers)), unit=unit)[0] == expected
        assert parse(list(map(str, numbers)), unit=unit)[0] == expected
    assume(max(map(abs, seconds)) > 10**8)  # from 1973 on (or before 1966) their magnitude tells the unit
    assert parse(numbers)[0] == expected


def test_fractions_of_seconds_order_but_are_cut_to_microseconds():
    assert parse([0.25, -0.25, 1.5])[0] == [250_000, -250_000, 1_500_000]
    assert parse([1_600_000_000_123], unit="ms")[0] == [1_600_000_000_123_000]
    assert parse([-1], unit="ns")[0] == [-1], "times are cut downwards, before 1970 too"


@pytest.mark.parametrize("far", ["0001-01-01", "1600-05-05T00:00:00.7654321", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("turned", [1, -1])
def test_nanoseconds_and_years_far_away_beside_one_another(far, turned):
    values = [far, "2020-01-01T00:00:00.123456789"][::turned]
    expected = [micros(datetime.fromisoformat(value)) for value in values]
    assert parse(values) == (expected, [], [])


def test_arrow_timestamps_are_cut_downwards():
    assert parse([-1, 1, -1001], kind=pa.timestamp("ns"))[0] == [-1, 0, -2]


def test_numbers_that_read_as_dates_are_dates_and_that_is_noted():
    times, wrong, notes = parse([20191231, 20200229])
    assert times == [micros(datetime(2019, 12, 31)), micros(datetime(2020, 2, 29))]
    assert wrong == []
    assert "20191231 are read as dates" in notes[0]
    assert parse(["20191231"])[0] == times[:1]
    assert parse([20191231], unit="s")[0] == [20191231 * 10**6]
    assert parse([20191231, 20190231])[0] == [20191231 * 10**6, 20190231 * 10**6], "the 31st of February is no date"


@pytest.mark.parametrize(
    ("values", "kind", "wrong"),
    [
        (["2020-01-01", "soon", None, "", "2020-02-30", "31/12/2020"], None, [1, 2, 3, 4, 5]),
        ([1.0, None, float("nan"), float("inf"), 1e30], None, [1, 2, 3, 4]),
        ([1, None], pa.int32(), [1]),
        ([None, None], pa.string(), [0, 1]),
        (["2020-01-01", "1577836800"], None, [1]),
        (["2020-01-01", "now", "today", "Now", "NOW", "tomorrow", "epoch", "2020-01-01 now"], None, [*range(1, 8)]),
        (["now"], None, [0]),
        (["2020-01-01", "NaT", "nan", "null", "None", "-", "0", "inf"], None, [*range(1, 8)]),
        (["20-01-01", "01/02/20", "1/2/2020", "2020-13-01", "2020-00-10", "2020-01-01 25:00"], None, [*range(6)]),
        (["2020-01-01T10:00+99:00", "2020-01-01 10:00 PM", "0000-01-01", "10000-01-01"], None, [*range(4)]),
        ([date(2020, 1, 1), None], None, [1]),
        ([2**64 - 1, 2**63, 1], pa.uint64(), [0, 1]),
        ([2**64 // 10**6 + 1, -(2**62), 1, None], pa.timestamp("s"), [0, 1, 3]),
        ([2**63 // 10**3 + 1, 1], pa.timestamp("ms", "UTC"), [0]),
        ([2**63 - 1, 1], pa.timestamp("us"), [0]),
        ([2**31 - 1, 1], pa.date32(), [0]),
    ],
)
def test_unreadable_times_are_found(values, kind, wrong):
    assert parse(values, unit="s", kind=kind)[1] == wrong


@pytest.mark.parametrize("values", [[True], [[1]], [b"x"], [{"a": 1}]])
def test_a_column_of_another_type_is_told(values):
    with pytest.raises(DataError, match=r"toy\.csv: the timestamp column 'ts' is of type"):
        parse(values)


@given(
    st.lists(
        st.tuples(
            *[st.integers(low, high) for low, high in ((1999, 2001), (0, 13), (0, 32), (-1, 25), (-1, 60), (-1, 60))]
        ),
        min_size=1,
    ),
    st.integers(2, 6),
)
def test_parts_against_pandas(rows, num_parts):
    names = ["year", "month", "day", "hour", "minute", "second"][:num_parts]
    rows = [row[:num_parts] for row in rows]
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
    times, wrong, _ = parse_times(table, names, unit="auto", origin="toy")
    for row, time, bad in zip(rows, times.tolist(), wrong.tolist(), strict=True):
        parts = (
            dict(zip(names, row, strict=True)) if num_parts > 2 else {**dict(zip(names, row, strict=True)), "day": 1}
        )
        hour, second = parts.get("hour", 0), parts.get("second", 0)
        try:
            expected = pd.Timestamp(**{**parts, "hour": hour % 24 if hour == 24 else hour, "second": second % 60})
        except ValueError:
            assert bad
        else:
            assert bad == (second < 0)
            extra = (24 * 3600 if hour == 24 else 0) + (60 if second == 60 else 0)
            assert bad or time == expected.value // 1000 + extra * 10**6


def test_parts_with_gaps_are_unreadable():
    table = pa.table({"y": [2013, None, 2013], "m": [1.0, 1.0, 1.5], "h": [1, 1, 1]})
    assert parse_times(table, ["y", "m"], unit="auto", origin="toy")[1].tolist() == [False, True, True]


def test_without_a_column_row_order_is_time():
    times, wrong, notes = parse_times(pa.table({"x": [5, 5, 5]}), None, unit="auto", origin="toy")
    assert times.tolist() == [0, 10**6, 2 * 10**6]
    assert not wrong.any()
    assert "one second a row" in notes[0]
