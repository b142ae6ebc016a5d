"""Feature columns to one numeric and one categorical array."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.base import InputColumns
from modyn_bench.data.columns.common import (
    as_number,
    encode,
    is_empty,
    is_number,
    is_text,
    joined,
    note_if_blurred,
    row_numbers,
)
from modyn_bench.data.hashing import HashArray, hash_numbers, hash_texts
from modyn_bench.data.ingest import Gather, array_gather
from modyn_bench.data.store import MISSING, Column
from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_FLOAT32_STEP = 2.0**-24
_MAX_LOSS = 1e-3
_FLOAT32_RANGE = 1e38


class FeatureColumns(InputColumns):
    """Numbers as the column ``numeric`` and everything else as the column ``categorical``.

    Numbers, booleans (0 and 1) and dates (seconds since 1970) are numeric, text is categorical, unless ``numeric`` or
    ``categorical`` names the column. A missing number is NaN in the store, and so is an infinite one; a missing
    category is the category ``<missing>``. A column without any value is left out. Numbers are stored as float32, or as
    float64 if rounding one of the features to float32 would move it by more than a thousandth of its standard
    deviation. All of this is noted with counts.

    Args:
        table: The source.
        names: The features, in this order.
        categorical: Features that are categories whatever their type.
        numeric: Features that are numbers whatever their type.
        origin: What the source is called.

    Raises:
        DataError: If a feature is of a type that is neither number nor category, a feature in ``numeric`` is no
            number, or none is left.
    """

    def __init__(
        self,
        table: pa.Table,
        names: Sequence[str],
        *,
        categorical: Collection[str] = (),
        numeric: Collection[str] = (),
        origin: str,
    ) -> None:
        self.notes = []
        self._hashes: dict[str, HashArray] = {}
        self._missing_numbers: dict[str, int] = {}
        self._missing_categories: dict[str, int] = {}
        self._identifiers: dict[str, int] = {}
        self._origin = origin
        numbers: dict[str, NDArray[np.float64]] = {}
        codes: dict[str, tuple[NDArray[np.int32], tuple[str, ...]]] = {}
        for name in names:
            column = joined(table[name])
            if is_empty(table[name]):
                self._hashes[name] = hash_numbers(np.full(table.num_rows, np.nan))
                self.notes.append(f"feature {name!r} has no value at all and is left out")
            elif name in categorical or (is_text(column.type) and name not in numeric):
                codes[name] = self._categories(name, column)
            else:
                numbers[name] = self._numbers(name, column)
        if not numbers and not codes:
            raise DataError(f"{origin}: no feature is left: besides time and label there is no column with a value")
        self._note_counts()
        self.columns = ()
        self._gathers: dict[str, Gather] = {}
        if numbers:
            self._add_numeric(numbers)
        if codes:
            self._add_categorical(codes)

    @property
    def gathers(self) -> dict[str, Gather]:
        """How ingest gets the features of rows."""
        return self._gathers

    def hashes(self) -> dict[str, HashArray]:
        """Return hashes of every feature's values, shape (n,) each."""
        return self._hashes

    def _note_counts(self) -> None:
        for what, counts in (
            ("missing numbers are NaN, for the preprocessor to impute", self._missing_numbers),
            ("missing categories are a category of their own", self._missing_categories),
            ("features nearly as varied as the rows; if they are identifiers, dataset.drop them", self._identifiers),
        ):
            if counts:
                listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
                self.notes.append(f"{what}: {listed}")

    def _numbers(self, name: str, column: pa.Array) -> NDArray[np.float64]:
        values = _as_floats(name, column, self._origin)
        infinite = np.isinf(values)
        if infinite.any():
            self.notes.append(f"feature {name!r}: infinite in {row_numbers(infinite)}, taken as missing")
            values = np.where(infinite, np.nan, values)
        blurred = note_if_blurred(name, column, values)
        if blurred is not None:
            self.notes.append(blurred)
        num_missing = int(np.count_nonzero(np.isnan(values)))
        if num_missing:
            self._missing_numbers[name] = num_missing
        self._hashes[name] = hash_numbers(values)
        return values

    def _categories(self, name: str, column: pa.Array) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        _refuse_nested(name, column, self._origin)
        try:
            codes, values = encode(column)
        except (OverflowError, ValueError) as error:  # Python has no name for it
            raise DataError(
                f"{self._origin}: feature {name!r} of type {column.type} holds a value that is no category ({error}); "
                f"leave it out with dataset.drop=[{name}]"
            ) from error
        num_missing = int(np.count_nonzero(codes < 0))
        if num_missing:
            self._missing_categories[name] = num_missing
            if MISSING not in values:
                values.append(MISSING)
            codes = np.where(codes < 0, values.index(MISSING), codes)
        if len(values) > 1000 and len(values) > len(codes) / 2:
            self._identifiers[name] = len(values)
        self._hashes[name] = _hash_values(values)[codes]
        return codes.astype(np.int32), tuple(values)

    def _add_numeric(self, numbers: dict[str, NDArray[np.float64]]) -> None:
        fine = [name for name, values in numbers.items() if not _fits_float32(values)]
        if fine:
            self.notes.append(f"numbers are stored as float64: float32 would blur {', '.join(map(repr, fine[:5]))}")
        dtype = "float64" if fine else "float32"
        array = np.empty((len(next(iter(numbers.values()))), len(numbers)), dtype=dtype)
        names = tuple(numbers)
        for position, name in enumerate(names):
            array[:, position] = numbers.pop(name)  # one float64 column less in memory each time
        self.columns += (Column("numeric", "numeric", dtype, (len(names),), names),)
        self._gathers["numeric"] = array_gather(array)

    def _add_categorical(self, codes: dict[str, tuple[NDArray[np.int32], tuple[str, ...]]]) -> None:
        array = np.stack([values for values, _ in codes.values()], axis=1)
        dictionaries = tuple(values for _, values in codes.values())
        self.columns += (Column("categorical", "categorical", "int32", (len(codes),), tuple(codes), dictionaries),)
        self._gathers["categorical"] = array_gather(array)


def _hash_values(values: Sequence[str]) -> HashArray:
    """Hash categories as the numbers, booleans or gaps that they write, else as text.

    So rows keep their hash, and their split, when a row that is appended makes another type of their column.
    """
    truth = {"true": 1.0, "false": 0.0, MISSING: np.nan}
    numbers = [truth.get(value if value == MISSING else value.lower(), as_number(value)) for value in values]
    as_numbers = hash_numbers(np.array([0.0 if number is None else number for number in numbers]))
    is_a_number = np.array([number is not None for number in numbers])
    return np.where(is_a_number, as_numbers, hash_texts(values, len(values)))


def _refuse_nested(name: str, column: pa.Array, origin: str) -> None:
    import pyarrow as pa

    kind = column.type
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    if pa.types.is_nested(kind) or any(holds(kind) for holds in binary):
        raise DataError(
            f"{origin}: feature {name!r} is of type {column.type}, neither number nor category; "
            f"leave it out with dataset.drop=[{name}]"
        )


def _as_floats(name: str, column: pa.Array, origin: str) -> NDArray[np.float64]:
    import pyarrow as pa

    _refuse_nested(name, column, origin)
    if is_text(column.type):
        return _text_as_floats(name, column, origin)
    scale = 1.0
    if pa.types.is_temporal(column.type):
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("ms"))
        scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
        column = column.cast(pa.int64() if column.type.bit_width == 64 else pa.int32())
    elif not (is_number(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(f"{origin}: feature {name!r} is of type {column.type}; leave it out with dataset.drop=[{name}]")
    floats: Any = column.cast(pa.uint8() if pa.types.is_boolean(column.type) else column.type)
    floats = floats.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return np.asarray(floats, dtype=np.float64) / scale


def _text_as_floats(name: str, column: pa.Array, origin: str) -> NDArray[np.float64]:
    codes, values = encode(column)
    numbers = [as_number(value) for value in values]
    wrong = [code for code, number in enumerate(numbers) if number is None]
    if wrong:
        rows = np.isin(codes, wrong)
        raise DataError(
            f"{origin}: feature {name!r} is named in dataset.numeric but is no number in {row_numbers(rows)}, "
            f"for instance {values[wrong[0]]!r}"
        )
    return np.array([*numbers, np.nan], dtype=np.float64)[codes]  # code -1, a missing value, takes the last: NaN


def _fits_float32(values: NDArray[np.float64]) -> bool:
    known = values[~np.isnan(values)]
    largest = float(np.abs(known).max()) if len(known) else 0.0
    if largest >= _FLOAT32_RANGE:
        return False
    if (known.astype(np.float32) == known).all():
        return True
    return largest * _FLOAT32_STEP <= _MAX_LOSS * float(known.std())
