"""The label column to class indices."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.common import as_number, encode, is_number, is_text, joined, row_numbers
from modyn_bench.errors import DataError
from modyn_bench.types import IntArray

if TYPE_CHECKING:
    import pyarrow as pa

_MAX_CLASSES_UNASKED = 1000
Labels = tuple[IntArray, tuple[str, ...], list[str]]


def encode_labels(
    table: pa.Table, name: str, *, threshold: float | None, classes: Sequence[str] | None, origin: str
) -> Labels:
    """Read the class of every row.

    Args:
        table: The source.
        name: The label column.
        threshold: Make two classes of a number: at most, and above the threshold.
        classes: The classes, in the order of their indices; ``None``: the distinct values, sorted (by number if all are
            numbers).
        origin: What the source is called.

    Returns:
        Class indices, -1 where the label is missing, shape (n,); class names; notes.

    Raises:
        DataError: If there is a single class, a label that is not declared, or a column that holds no classes.
    """
    at = f"{origin}: the label column {name!r}"
    column = _plain(table, name, at)
    if is_text(column.type):
        column = _whole_numbers(column)
    if threshold is not None:
        return _by_threshold(column, name, threshold, at)
    labels, found = encode(column)
    if classes is not None:
        return _as_declared(labels, found, [str(value) for value in classes], at)
    _refuse_quantities(labels, found, at)
    return labels, tuple(found), []


def missing_labels(table: pa.Table, name: str, *, origin: str) -> NDArray[np.bool_]:
    """Return which rows have no label, shape (n,).

    Raises:
        DataError: If none has one, or the column holds no classes.
    """
    import pyarrow.compute as pc

    at = f"{origin}: the label column {name!r}"
    if table[name].null_count == table.num_rows:
        raise DataError(f"{at} is empty: every label is missing")
    null = pc.is_null(_plain(table, name, at), nan_is_null=True)
    missing: NDArray[np.bool_] = np.asarray(null.to_numpy(zero_copy_only=False), dtype=bool)
    if missing.all():
        raise DataError(f"{at} is empty: every label is missing")
    return missing


def _plain(table: pa.Table, name: str, at: str) -> pa.Array:
    import pyarrow as pa

    column = joined(table[name])
    if not (is_text(column.type) or is_number(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(f"{at} is of type {column.type}; expected text, numbers or booleans")
    return column


def _whole_numbers(column: pa.Array) -> pa.Array:
    """Write ``1.0`` as ``1`` where all labels are numbers: a column with a gap is written with fractions by many."""
    import pyarrow.compute as pc

    if any(as_number(value) is None for value in column.unique().drop_null().to_pylist()):
        return column
    return pc.replace_substring_regex(column, r"^([+-]?\d+)\.0*$", r"\1")


def _by_threshold(column: pa.Array, name: str, threshold: float, at: str) -> Labels:
    labels, found = encode(column)
    numbers = [as_number(value) for value in found]
    wrong = [value for value, number in zip(found, numbers, strict=True) if number is None]
    if wrong:
        rows = np.isin(labels, [code for code, number in enumerate(numbers) if number is None])
        raise DataError(f"{at} is no number in {row_numbers(rows)}, for instance {wrong[0]!r}: no threshold applies")
    above = np.array([(number or 0.0) > threshold for number in numbers] or [False], dtype=np.int64)
    written = f"{threshold:g}"
    result = np.where(labels >= 0, above[labels], -1)
    if len(np.unique(result[result >= 0])) < 2:
        raise DataError(f"{at} never crosses dataset.label_threshold={written}: there is a single class")
    return result, (f"{name}<={written}", f"{name}>{written}"), []


def _as_declared(labels: IntArray, found: list[str], declared: list[str], at: str) -> Labels:
    if len(declared) < 2 or len(set(declared)) < len(declared):
        raise DataError(f"{at}: dataset.classes={declared} must name at least two classes, each once")
    place = {value: index for index, value in enumerate(declared)}
    unknown = [value for value in found if value not in place]
    if unknown:
        rows = np.isin(labels, [code for code, value in enumerate(found) if value not in place])
        near = get_close_matches(unknown[0], declared, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"{at} holds {unknown[0]!r}{' and others' if len(unknown) > 1 else ''}, not in dataset.classes, "
            f"in {row_numbers(rows)}{hint}"
        )
    recode = np.array([place[value] for value in found] or [0], dtype=np.int64)
    present = set(found)
    absent = [value for value in declared if value not in present]
    notes = [f"{len(absent)} declared class(es) without a row: {', '.join(absent[:5])}"] if absent else []
    return np.where(labels >= 0, recode[labels], -1), tuple(declared), notes


def _refuse_quantities(labels: IntArray, found: list[str], at: str) -> None:
    num_labelled = int(np.count_nonzero(labels >= 0))
    if len(found) == 1:
        raise DataError(
            f"{at} has a single class, {found[0]!r}: nothing can be learned; declare dataset.classes if more can come"
        )
    numbers = [as_number(value) for value in found]
    fractional = [number for number in numbers if number is not None and not number.is_integer()]
    if None not in numbers and fractional and len(found) > 20:
        raise DataError(
            f"{at} holds {len(found):,} different numbers, fractions among them: a quantity, no class; "
            "dataset.label_threshold=NUMBER makes two classes of it, dataset.classes declares them"
        )
    if len(found) > _MAX_CLASSES_UNASKED and len(found) > num_labelled / 2:
        raise DataError(
            f"{at} holds {len(found):,} different values in {num_labelled:,} rows: an identifier or text, no class; "
            "choose another dataset.label, or declare dataset.classes"
        )
