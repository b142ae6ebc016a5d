"""What the values of binary records are: labels, times, numbers and category ids, checked.

Shapes: n records, w values of one role in a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.times import EARLIEST, LATEST, UNITS
from modyn_bench.data.hashing import HashArray, hash_numbers
from modyn_bench.data.ingest import MICROSECONDS
from modyn_bench.data.sources.records import RecordLayout
from modyn_bench.errors import DataError, RequestError
from modyn_bench.types import IntArray

MAX_IDS = 100_000_000
"""Ids of a feature must be below this: knowing which were seen takes some bytes for every id up to the largest."""


@dataclass(frozen=True)
class Place:
    """Where in a file a chunk of records lies.

    Attributes:
        file: The file.
        first: Position of the chunk's first record.
        header_bytes: Bytes before the file's first record.
        num_bytes: The size of a record.
    """

    file: Path
    first: int
    header_bytes: int
    num_bytes: int

    def refuse(self, wrong: NDArray[np.bool_], values: NDArray[Any], what: str, advice: str) -> NoReturn:
        """Raise ``DataError`` for the first of the wrong records; ``what`` says what they have, before its value."""
        row = int(np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))[0])
        bad = np.broadcast_to(wrong, values.shape)[row]
        at = self.first + row
        more = int(wrong.reshape(len(wrong), -1).any(axis=1).sum()) - 1
        others = f", and {more:,} of the {len(wrong) - 1:,} records read with it are wrong, too" if more else ""
        raise DataError(
            f"{self.file}: record {at + 1:,} (from byte {self.header_bytes + at * self.num_bytes:,} on) has "
            f"{what} {np.atleast_1d(values[row])[np.atleast_1d(bad)][0]}{others}; {advice}"
        )


@dataclass(frozen=True)
class CheckedRecords:
    """What is kept in memory of a chunk of records.

    Attributes:
        labels: Class indices, shape (n,).
        times: UTC microseconds, shape (n,); ``None`` if records have no timestamp.
        features: Hashes of every feature's values by its name, shape (n,) each.
        num_missing: How many numbers are missing.
    """

    labels: IntArray
    times: IntArray | None
    features: dict[str, HashArray]
    num_missing: int


@dataclass(frozen=True)
class RecordValues:
    """Turns the values of records into what a store keeps.

    Attributes:
        num_classes: Labels run from 0 to below this.
        timestamp_unit: Of timestamps, since 1970: ``s``, ``ms``, ``us`` or ``ns``.
        max_ids: Ids are taken modulo this; ``None``: as they are.
        missing_numbers: NaN and infinite numbers: ``error`` or ``impute``.
    """

    num_classes: int
    timestamp_unit: str
    max_ids: int | None
    missing_numbers: str

    def check(self) -> None:
        """Raise ``RequestError`` if an option is out of range."""
        if self.num_classes < 2:
            raise RequestError(f"dataset.num_classes={self.num_classes} must be at least 2")
        if self.timestamp_unit not in UNITS:
            raise RequestError(f"dataset.timestamp_unit={self.timestamp_unit!r} must be one of {', '.join(UNITS)}")
        if self.max_ids is not None and not 1 <= self.max_ids <= MAX_IDS:
            raise RequestError(f"dataset.max_ids={self.max_ids} must be at least 1 and at most {MAX_IDS:,}, or null")
        if self.missing_numbers not in ("error", "impute"):
            raise RequestError(f"dataset.missing_numbers={self.missing_numbers!r} must be error or impute")

    def read(self, layout: RecordLayout, records: NDArray[Any], place: Place) -> CheckedRecords:
        """Check a chunk of records, shape (n,).

        Raises:
            DataError: If a label, time, number or id is none.
        """
        labels = self.labels(layout.values(records, "label"), place)
        times = self.times(layout.values(records, "timestamp"), place) if layout.width("timestamp") else None
        features: dict[str, HashArray] = {}
        num_missing = 0
        if layout.width("numeric"):
            numbers = layout.values(records, "numeric")
            num_missing = self.check_numbers(numbers, place)
            features |= _hashes("numeric", numbers)
        if layout.width("categorical"):
            ids = layout.values(records, "categorical")
            self.check_ids(ids, place)
            features |= _hashes("categorical", self.ids(ids))
        return CheckedRecords(labels, times, features, num_missing)

    def labels(self, values: NDArray[Any], place: Place) -> IntArray:
        """Return class indices, shape (n,).

        Raises:
            DataError: If one is negative or too large.
        """
        wrong = (values < 0) | (values >= self.num_classes)
        if wrong.any():
            known = f"labels are 0 to {self.num_classes - 1}: correct dataset.fields, or raise dataset.num_classes"
            place.refuse(wrong, values, "the label", known)
        return values[:, 0].astype(np.int64)

    def times(self, values: NDArray[Any], place: Place) -> IntArray:
        """Return UTC microseconds, shape (n,).

        Raises:
            DataError: If one is not within the years 1 to 9999.
        """
        ticks = int(UNITS[self.timestamp_unit])
        wrong = (values < EARLIEST * ticks // MICROSECONDS) | (values > LATEST * ticks // MICROSECONDS)
        if wrong.any():
            advice = "which is no time of the years 1 to 9999: correct dataset.fields or dataset.timestamp_unit"
            place.refuse(wrong, values, "the timestamp", advice)
        whole = values[:, 0].astype(np.int64)
        return whole // (ticks // MICROSECONDS) if ticks > MICROSECONDS else whole * (MICROSECONDS // ticks)

    def check_numbers(self, values: NDArray[Any], place: Place) -> int:
        """Return how many numbers are missing.

        Raises:
            DataError: If one is, and none may.
        """
        missing = ~np.isfinite(values)
        if self.missing_numbers == "error" and missing.any():
            advice = "correct dataset.fields, or take such numbers as missing with dataset.missing_numbers=impute"
            place.refuse(missing, values, "the number", advice)
        return int(np.count_nonzero(missing))

    def check_ids(self, values: NDArray[Any], place: Place) -> None:
        """Raise ``DataError`` if an id is negative or too large, and is not taken modulo something."""
        wrong = (values < 0) | (values >= MAX_IDS)
        if self.max_ids is None and wrong.any():
            advice = "correct dataset.fields, or take ids that are hashes modulo a number, dataset.max_ids=1000000"
            place.refuse(wrong, values, "the category id", f"ids are 0 to {MAX_IDS - 1:,}: {advice}")

    def ids(self, values: NDArray[Any]) -> NDArray[np.int32]:
        """Return category ids as they are stored, shape (n, w)."""
        if self.max_ids is None:
            return values.astype(np.int32)
        wide = values if values.dtype.itemsize >= 4 else values.astype(np.int64)  # that holds the divisor, too
        ids: NDArray[np.int32] = np.mod(wide, self.max_ids).astype(np.int32)
        return ids


def feature_names(role: str, width: int) -> tuple[str, ...]:
    """Name the values of a role.

    Example:
        >>> feature_names("numeric", 2)
        ('numeric_1', 'numeric_2')
    """
    return tuple(f"{role}_{place}" for place in range(1, width + 1))


def _hashes(role: str, values: NDArray[Any]) -> dict[str, HashArray]:
    names = feature_names(role, values.shape[1])
    return {name: hash_numbers(values[:, place]) for place, name in enumerate(names)}
