"""What every kind of column needs: finding it by name, saying which rows are wrong, ordering distinct values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import DataError, RequestError

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST_EXACT = 2**53
"""Above this, whole numbers are not all floats."""


def check_column(name: str, known: Sequence[str], *, key: str, origin: str) -> None:
    """Raise ``RequestError`` with the nearest match if a configured column does not exist.

    Args:
        name: The column's name in the configuration.
        known: The source's column names.
        key: The configuration key, e.g. ``dataset.label``.
        origin: What the source is called.
    """
    if name in known:
        return
    by_lower = {column.lower(): column for column in known}
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    hint = f"; did you mean {by_lower[near[0]]!r}?" if near else ""
    shown = ", ".join(map(repr, known[:20])) + (", ..." if len(known) > 20 else "")
    raise RequestError(f"{key}={name!r} is no column of {origin}{hint} (columns: {shown})")


def check_names(names: Sequence[str], *, origin: str) -> None:
    """Raise ``DataError`` if a source has no columns, or two of one name."""
    if not names:
        raise DataError(f"{origin}: no columns")
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise DataError(
            f"{origin}: the column name(s) {', '.join(map(repr, repeated))} occur more than once; rename them"
        )


def check_utf8(table: pa.Table, *, origin: str) -> None:
    """Raise ``DataError`` if a column of strings holds bytes that are not UTF-8; not every reader looks."""
    import pyarrow as pa

    for name in table.column_names:
        if is_text(table[name].type):
            try:
                table[name].validate(full=True)
            except pa.ArrowInvalid as error:
                raise DataError(f"{origin}: column {name!r} is not UTF-8 ({error}); convert it to UTF-8") from error


def row_numbers(wrong: NDArray[np.bool_]) -> str:
    """Say how many rows are wrong and which are the first; the first data row is row 1.

    Example:
        >>> row_numbers(np.array([True, False, True]))
        '2 of 3 rows (rows 1, 3)'
    """
    first = np.flatnonzero(wrong)[:5] + 1
    count = int(np.count_nonzero(wrong))
    more = ", ..." if count > len(first) else ""
    word = "row" if count == 1 else "rows"
    return f"{count:,} of {len(wrong):,} rows ({word} {', '.join(map(str, first.tolist()))}{more})"


def joined(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array, decoded if it is dictionary-encoded; strings get 64-bit offsets."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        kind = pa.large_string()
    if kind != column.type:
        column = column.cast(kind)
    if not isinstance(column, pa.ChunkedArray):
        return column
    # Arrow cannot join every nested type, and of those we only ever tell the name.
    return column.chunk(0) if column.num_chunks == 1 or pa.types.is_nested(kind) else column.combine_chunks()


def is_empty(column: pa.ChunkedArray | pa.Array) -> bool:
    """Whether a column has no value at all; NaN is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        return bool(pc.all(pc.is_null(column, nan_is_null=True), min_count=0).as_py())
    return bool(column.null_count == len(column))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds strings."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a type holds integers, floats or decimals."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def as_number(text: str) -> float | None:
    """Return the finite number that a string writes, or ``None``.

    Example:
        >>> as_number(" 1e3"), as_number("nan"), as_number("1_0"), as_number("a")
        (1000.0, None, None, None)
    """
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def text_as_numbers(column: pa.Array) -> pa.Array:
    """Return the numbers that a column of strings writes, as float64; null where it is null or writes none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bare = pc.utf8_trim_whitespace(column)
    written = pc.match_substring_regex(
        bare, r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|infinity)$", ignore_case=True
    )
    return pc.utf8_ltrim(pc.if_else(written, bare, None), characters="+").cast(pa.float64())


def sorted_values(values: Iterable[str]) -> list[str]:
    """Sort distinct strings: by number if all of them are numbers, else as strings.

    Example:
        >>> sorted_values(["10", "9"]), sorted_values(["10", "9", "a"])
        (['9', '10'], ['10', '9', 'a'])
    """
    distinct = sorted(values)
    numbers = [as_number(value) for value in distinct]
    if any(number is None for number in numbers):
        return distinct
    return [value for _, value in sorted(zip(numbers, distinct, strict=True), key=lambda pair: pair[0] or 0.0)]


def encode(column: pa.Array) -> tuple[NDArray[np.int64], list[str]]:
    """Encode a column of strings, numbers or booleans: codes into its sorted distinct values; -1 where it is null.

    Whole floats are written as integers, so that ``1.0`` in a column with gaps is the value ``1``; NaN is null.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    dictionary = column.dictionary_encode()
    names = [written(value) for value in dictionary.dictionary.to_pylist()]
    order = sorted_values(set(names))
    position = {name: code for code, name in enumerate(order)}
    recode = np.array([position[name] for name in names] or [0], dtype=np.int64)
    indices: Any = dictionary.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(indices >= 0, recode[indices], -1), order


def written(value: object) -> str:
    """Write a value as a class or category is called: whole numbers without a fraction, true and false in lower case.

    Example:
        >>> written(1.0), written(True), written(Decimal("2.00")), written("1.0")
        ('1', 'true', '2', '1.0')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def note_if_blurred(name: str, values: pa.Array, numbers: NDArray[np.float64]) -> str | None:
    """Return what is to be told of a feature whose numbers are so large that different ones are the same as floats.

    Args:
        name: The feature.
        values: As they stand in the source, numbers or text.
        numbers: The same as floats, NaN where one is missing.
    """
    import pyarrow.compute as pc

    known = numbers[~np.isnan(numbers)]
    if not len(known) or np.abs(known).max() < 2.0**53:  # whole numbers below are exact
        return None
    before, after = pc.count_distinct(values).as_py(), len(np.unique(known))
    if after >= before:
        return None
    return (
        f"feature {name!r}: its {before:,} different values are {after:,} different floats, which hold 16 digits; if "
        "they are identifiers, name it in dataset.categorical or dataset.drop"
    )
