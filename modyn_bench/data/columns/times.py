"""Timestamps of a source to UTC microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.common import is_number, is_text, joined, text_as_numbers
from modyn_bench.data.ingest import MICROSECONDS
from modyn_bench.errors import DataError
from modyn_bench.types import IntArray

if TYPE_CHECKING:
    import pyarrow as pa

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_UNIT_LIMITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", np.inf))
EARLIEST, LATEST = -62_135_596_800 * MICROSECONDS, 253_402_300_799 * MICROSECONDS  # years 1 to 9999
_LARGEST = LATEST * 1e3  # in nanoseconds; what is larger is no time in any unit
_LARGEST_INT = int(np.iinfo(np.int64).max)
_UNREADABLE = np.iinfo(np.int64).min

Times = tuple[IntArray, NDArray[np.bool_], list[str]]


def parse_times(
    table: pa.Table,
    columns: Sequence[str] | None,
    *,
    unit: str,
    origin: str,
    deciding: NDArray[np.bool_] | None = None,
) -> Times:
    """Read the time of every row.

    Args:
        table: The source.
        columns: One column: ISO dates or datetimes (without an offset they are UTC), Arrow dates or timestamps, or
            numbers since 1970. Several: year, month, day, hour, minute, second, in this order. ``None``: row i is at
            second i.
        unit: Of numbers: ``s``, ``ms``, ``us``, ``ns``, or ``auto``. Auto goes by the largest magnitude: below 1e11
            they are seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds; numbers that all read
            as dates from 19000101 to 21001231 are dates.
        origin: What the source is called.
        deciding: The rows whose values decide how a column is read, shape (n,); ``None``: all. A value that is no time
            however it is read decides nothing.

    Returns:
        UTC microseconds, shape (n,); which rows are without a readable time, shape (n,); notes.
    """
    if columns is None:
        times = np.arange(table.num_rows, dtype=np.int64) * MICROSECONDS
        return times, np.zeros(table.num_rows, dtype=bool), ["no timestamp column: row order is time, one second a row"]
    notes: list[str] = []
    if len(columns) > 1:
        times = _from_parts([_numbers(joined(table[name])) for name in columns])
    else:
        every = np.ones(table.num_rows, dtype=bool)
        rows = every if deciding is None else deciding
        times = _from_column(joined(table[columns[0]]), columns[0], unit, rows, origin, notes)
    times = np.where((times < EARLIEST) | (times > LATEST), _UNREADABLE, times)
    return times, times == _UNREADABLE, notes


def _from_column(
    column: pa.Array, name: str, unit: str, deciding: NDArray[np.bool_], origin: str, notes: list[str]
) -> IntArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _from_moments(column)
    if is_text(column.type):
        numbers = _numbers(column)
        if np.isnan(numbers[deciding & ~_nulls(column)]).any():
            as_dates = _from_iso(column)
            if np.count_nonzero(as_dates[deciding] != _UNREADABLE) >= np.isfinite(numbers[deciding]).sum():
                return as_dates
        return _from_numbers(numbers, None, name, unit, deciding, notes)  # most are numbers, the others unreadable
    if is_number(column.type):
        if pa.types.is_uint64(column.type):
            column = pc.if_else(pc.greater(column, pa.scalar(_LARGEST_INT, pa.uint64())), None, column)
        exact = column.cast(pa.int64()) if pa.types.is_integer(column.type) else None
        return _from_numbers(_numbers(column), exact, name, unit, deciding, notes)
    raise DataError(
        f"{origin}: the timestamp column {name!r} is of type {column.type}; expected dates, text or numbers"
    )


def _from_moments(column: pa.Array) -> IntArray:
    """Return the microseconds of Arrow dates or timestamps, cut downwards; Arrow's own cast would wrap around."""
    import pyarrow as pa

    if pa.types.is_date32(column.type):
        ticks, factor = column.cast(pa.int32()).cast(pa.int64()), 86_400 * MICROSECONDS
    else:
        per_second = UNITS["ms" if pa.types.is_date64(column.type) else column.type.unit]
        ticks, factor = column.cast(pa.int64()), int(MICROSECONDS / per_second)
    counts = _nulls_unreadable(ticks)
    if factor == 0:  # nanoseconds
        return np.where(counts == _UNREADABLE, counts, counts // 1000)
    fits = (counts >= EARLIEST // factor) & (counts <= LATEST // factor)
    return np.where(fits, np.where(fits, counts, 0) * factor, _UNREADABLE)


def _from_iso(column: pa.Array) -> IntArray:
    import pandas as pd
    import pyarrow.compute as pc

    # pandas knows words, such as now, and beside nanoseconds no years but 1677 to 2262.
    if not pc.all(begins := pc.match_substring_regex(column, r"^\d{4}")).as_py():
        column = pc.if_else(begins, column, None)
    if pc.any(pc.match_substring_regex(column, r"\.\d{7}")).as_py():
        column = pc.replace_substring_regex(column, r"(\.\d{6})\d+", r"\1")
    parsed = pd.to_datetime(column.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    moments = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    return np.where(np.isnat(moments), _UNREADABLE, moments.astype(np.int64))


def _from_numbers(
    numbers: NDArray[np.float64],
    exact: pa.Array | None,
    name: str,
    unit: str,
    deciding: NDArray[np.bool_],
    notes: list[str],
) -> IntArray:
    finite = numbers[deciding & (np.abs(numbers) <= _LARGEST)]  # NaN is not
    if unit == "auto" and len(finite) and _are_dates(finite):
        notes.append(f"timestamp column {name!r}: numbers such as {int(finite[0])} are read as dates, year month day")
        return _from_parts(_date_parts(np.where(np.isfinite(numbers), numbers, 0.0)))
    if unit == "auto":
        largest = float(np.abs(finite).max()) if len(finite) else 0.0
        unit = next(name for name, limit in _UNIT_LIMITS if largest < limit)
        notes.append(f"timestamp column {name!r}: numbers are read as {unit} since 1970-01-01 UTC")
    scale = UNITS[unit] / MICROSECONDS
    if exact is not None and scale >= 1:
        times = _nulls_unreadable(exact)
        return np.where(times == _UNREADABLE, times, times // int(scale))
    with np.errstate(invalid="ignore", over="ignore"):
        micros = np.floor(numbers / scale + (0.5 if scale < 1 else 0.0))
        readable = np.abs(micros) < 2.0**62
        return np.where(readable, np.where(readable, micros, 0).astype(np.int64), _UNREADABLE)


def _are_dates(numbers: NDArray[np.float64]) -> bool:
    if not ((numbers >= 19_000_101) & (numbers <= 21_001_231) & (numbers == np.floor(numbers))).all():
        return False
    return bool((_from_parts(_date_parts(numbers)) != _UNREADABLE).all())


def _date_parts(numbers: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Take numbers such as 20191231 apart; exact, as they are far below 2**53."""
    return [np.floor(numbers / 10_000), np.floor(numbers / 100) % 100, numbers % 100]


def _from_parts(parts: Sequence[NDArray[np.float64]]) -> IntArray:
    """Return the microseconds of year, month, day, hour, minute, second; hour 24 is the next day's first."""
    defaults, limits = (1970, 1, 1, 0, 0, 0), ((1, 9999), (1, 12), (1, 31), (0, 24), (0, 59), (0, 60))
    valid = np.ones(len(parts[0]), dtype=bool)
    whole = []
    for part, (low, high) in zip(parts, limits, strict=False):
        fits = (part >= low) & (part <= high) & (part == np.floor(part))
        valid &= fits
        whole.append(np.where(fits, part, low).astype(np.int64))
    whole += [np.full(len(valid), default, dtype=np.int64) for default in defaults[len(whole) :]]
    year, month, day, hour, minute, second = whole
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    valid &= days.astype("datetime64[M]") == months  # the 31st of April is no date
    seconds = days.astype("datetime64[s]").astype(np.int64) + hour * 3600 + minute * 60 + second
    return np.where(valid, seconds * MICROSECONDS, _UNREADABLE)


def _numbers(column: pa.Array) -> NDArray[np.float64]:
    """Return a column as floats; NaN where it is null or no number."""
    import pyarrow as pa

    if is_text(column.type):
        column = text_as_numbers(column)
    values: Any = column.cast(pa.float64(), safe=False).fill_null(np.nan)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def _nulls(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def _nulls_unreadable(column: pa.Array) -> IntArray:
    return np.asarray(column.fill_null(_UNREADABLE).to_numpy(zero_copy_only=False), dtype=np.int64)
