"""The tables of several files to one: types that differ without harm are brought to one, others are told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modyn_bench.data.columns.common import LARGEST_EXACT, is_empty, is_number, is_text
from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_UNITS = ("s", "ms", "us")


def concatenate(tables: Sequence[pa.Table], files: Sequence[Path], *, exact: Collection[str]) -> pa.Table:
    """Return the rows of tables with the same columns, one table behind the other.

    Columns are decoded if they are dictionaries. Where a column's types differ, integers and floats become the wider of
    them, dates and timestamps become timestamps of the finest unit, which is microseconds (in UTC if one of them has a
    time zone; one without is UTC), and a column without a value takes any type.

    Args:
        tables: The tables, of the columns of the first.
        files: The file of each.
        exact: Columns in which numbers are names, so that rounding a large one would make another of it.

    Raises:
        DataError: If types cannot be brought to one; it names the column, two files and their types.
    """
    import pyarrow as pa

    if len(tables) == 1:
        return tables[0]
    joined: dict[str, Any] = {}
    for name in tables[0].column_names:
        columns = [table[name] for table in tables]
        kind = columns[0].type
        if any(column.type != kind for column in columns):
            kind = _common_of_all(name, columns, files)
            columns = [
                _cast(name, column, kind, file, is_exact=name in exact)
                for column, file in zip(columns, files, strict=True)
            ]
            kind = columns[0].type
        joined[name] = pa.chunked_array([chunk for column in columns for chunk in column.chunks], kind)
    try:
        return pa.table(joined)
    except pa.ArrowInvalid as error:
        raise DataError(f"{files[0].parent}: the files cannot be put behind one another: {error}") from error


def _common_of_all(name: str, columns: Sequence[pa.ChunkedArray], files: Sequence[Path]) -> pa.DataType:
    kinds = [_plain(column) for column in columns]
    common = kinds[0]
    for place, kind in enumerate(kinds):
        found = _common(common, kind)
        if found is None:
            other = next(i for i, before in enumerate(kinds) if _common(before, kind) is None)
            raise DataError(
                f"{files[place]}: column {name!r} is of type {columns[place].type}, but in {files[other].name} of type "
                f"{columns[other].type}; write it as one type in all files, or leave it out with dataset.drop=[{name}]"
            )
        common = found
    return common


def _plain(column: pa.ChunkedArray) -> pa.DataType:
    """Return the type of a column's values; the null type if it has none."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_empty(column):
        return pa.null()
    return pa.large_string() if is_text(kind) else kind


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both, or ``None``."""
    import pyarrow as pa

    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if is_number(one) and is_number(other):
        return _common_number(one, other)
    if all(pa.types.is_timestamp(kind) or pa.types.is_date(kind) for kind in (one, other)):
        return _common_time(one, other)
    return None


def _common_number(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_integer(one) and pa.types.is_integer(other):
        unsigned = pa.types.is_unsigned_integer(one) and pa.types.is_unsigned_integer(other)
        return pa.uint64() if unsigned else pa.int64()
    if pa.types.is_floating(one) or pa.types.is_floating(other):
        return pa.float64()
    return pa.decimal128(38, max(getattr(kind, "scale", 0) for kind in (one, other)))


def _common_time(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_date(one) and pa.types.is_date(other):
        return pa.date32()
    units = [kind.unit for kind in (one, other) if pa.types.is_timestamp(kind)]
    unit = max((unit for unit in units if unit in _UNITS), key=_UNITS.index, default="us")
    unit = "us" if "ns" in units else unit
    zone = any(getattr(kind, "tz", None) is not None for kind in (one, other))
    return pa.timestamp(unit, "UTC" if zone else None)


def _cast(name: str, column: pa.ChunkedArray, kind: pa.DataType, file: Path, *, is_exact: bool) -> pa.ChunkedArray:
    """Return a column as another type, all of whose values it can hold.

    Raises:
        DataError: If it cannot.
    """
    import pyarrow as pa

    plain = _plain(column)
    if pa.types.is_null(plain):
        return pa.chunked_array([pa.nulls(len(column), kind)])
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        if pa.types.is_date(plain) and pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp(kind.unit))
        if pa.types.is_timestamp(plain) and plain.unit == "ns":
            return column.cast(kind, safe=False)  # cuts to microseconds
        if is_number(plain) and pa.types.is_floating(kind):
            return _as_floats(column, is_exact=is_exact)
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{file}: column {name!r} is of type {column.type} and does not fit {kind}, which the column is in other "
            f"files ({error}); write it as one type in all files"
        ) from error


def _as_floats(column: pa.ChunkedArray, *, is_exact: bool) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    floats = column.cast(pa.float64(), safe=False)
    if is_exact and not pa.types.is_floating(column.type):
        largest = pc.max(pc.abs(floats)).as_py()
        if largest is not None and largest >= LARGEST_EXACT:
            raise pa.ArrowInvalid("whole numbers beyond 2**53 lose digits there")
    return floats
