"""Which column of a table is what, and the table's rows for ingest."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.data.columns.common import check_column, check_names, check_utf8, row_numbers
from modyn_bench.data.columns.features import FeatureColumns
from modyn_bench.data.columns.inference import infer_types
from modyn_bench.data.columns.labels import encode_labels, missing_labels
from modyn_bench.data.columns.texts import TextColumn
from modyn_bench.data.columns.times import UNITS, parse_times
from modyn_bench.data.hashing import hash_numbers, hash_texts
from modyn_bench.data.ingest import Rows
from modyn_bench.data.splits import content_hash
from modyn_bench.data.store import Schema
from modyn_bench.data.tokenizing import Tokenizer
from modyn_bench.data.tokens import HashedNgrams
from modyn_bench.errors import DataError, RequestError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from modyn_bench.types import IntArray

_SAVED_INDEX = re.compile(r"__index_level_\d+__")  # pandas writes the index of a frame as such a column


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which column is the time, which the label, which the inputs.

    Attributes:
        timestamp: One column, several (year, month, day, hour, minute, second), or ``None``: row order is time.
        timestamp_unit: Of numbers: ``auto``, ``s``, ``ms``, ``us``, ``ns``.
        label: The label column.
        label_threshold: Make two classes of a number: at most, and above it.
        classes: The classes in the order of their indices; ``None``: the distinct values, sorted.
        text: The text column; excludes ``features``.
        features: The features; ``None``: without ``text`` every column that has no other role.
        drop: Columns that are left out.
        categorical: Features that are categories whatever their type.
        numeric: Features that are numbers whatever their type.
        invalid_rows: What happens to rows without a label or a readable time: ``error``, or ``drop``, which is noted.
        tokens: How text becomes ids.
    """

    timestamp: tuple[str, ...] | None
    label: str
    timestamp_unit: str = "auto"
    label_threshold: float | None = None
    classes: tuple[str, ...] | None = None
    text: str | None = None
    features: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    invalid_rows: str = "error"
    tokens: Tokenizer = field(default_factory=HashedNgrams)

    def check(self) -> None:
        """Raise ``RequestError`` if options contradict one another."""
        if self.timestamp_unit not in ("auto", *UNITS):
            raise RequestError(
                f"dataset.timestamp_unit={self.timestamp_unit!r} must be one of auto, {', '.join(UNITS)}"
            )
        if self.invalid_rows not in ("error", "drop"):
            raise RequestError(f"dataset.invalid_rows={self.invalid_rows!r} must be error or drop")
        if self.timestamp is not None and not 1 <= len(self.timestamp) <= 6:
            raise RequestError(
                "dataset.timestamp must name one column, or up to six: year, month, day, hour, minute, second"
            )
        if self.timestamp is not None and self.label in self.timestamp:
            raise RequestError(
                f"dataset.label and dataset.timestamp are both {self.label!r}: choose another column for one"
            )
        if self.text is not None and (self.features is not None or self.categorical or self.numeric):
            raise RequestError("dataset.text and dataset.features exclude one another: set one of them to null")
        if self.text is not None and self.text in (self.label, *(self.timestamp or ())):
            raise RequestError(f"dataset.text={self.text!r} is the label or the timestamp too: choose another column")
        both = set(self.categorical) & set(self.numeric)
        if both:
            raise RequestError(f"dataset.categorical and dataset.numeric both name {', '.join(sorted(both))}")
        if self.features is not None and self.label in self.features:
            raise RequestError(f"dataset.features names the label {self.label!r}: take it out, it would leak")
        if self.classes is not None and self.label_threshold is not None:
            raise RequestError("dataset.classes and dataset.label_threshold exclude one another")
        self.tokens.check()

    def check_columns(self, known: Sequence[str], *, origin: str) -> None:
        """Raise ``RequestError`` with the nearest match if a configured column does not exist."""
        named = {
            "timestamp": self.timestamp or (),
            "label": (self.label,),
            "text": () if self.text is None else (self.text,),
            "features": self.features or (),
            "drop": self.drop,
            "categorical": self.categorical,
            "numeric": self.numeric,
        }
        for key, names in named.items():
            for name in names:
                check_column(name, known, key=f"dataset.{key}", origin=origin)
        inputs = set(self.feature_names(known)) if self.text is None else set()
        for key in ("categorical", "numeric"):
            for name in sorted(set(named[key]) - inputs):
                raise RequestError(f"dataset.{key} names {name!r}, which is no feature")
        if self.text is None and not inputs:
            raise RequestError(f"{origin} has no column besides time and label: there is nothing to learn from")

    def feature_names(self, known: Sequence[str]) -> tuple[str, ...]:
        """Return the features: those that are named, else every column that has no other role."""
        taken = {self.label, *(self.timestamp or ()), *self.drop}
        if self.features is not None:
            return tuple(name for name in self.features if name not in self.drop)
        return tuple(name for name in known if name not in taken and not _SAVED_INDEX.fullmatch(name))


def rows_from_table(
    table: pa.Table, roles: Roles, *, origin: str, notes: Sequence[str] = (), untyped: Collection[str] = ()
) -> Rows:
    """Turn a table into rows for ingest.

    Args:
        table: The source, in its own order.
        roles: Which column is what.
        origin: What the source is called.
        notes: What its reader has to say.
        untyped: Columns of text whose types are what the values of the usable rows write.

    Raises:
        RequestError: If a configured column does not exist.
        DataError: If the table's content is not what the roles say.
    """
    import pyarrow as pa

    names = table.column_names
    check_names(names, origin=origin)
    roles.check_columns(names, origin=origin)
    check_utf8(table, origin=origin)
    if table.num_rows == 0:
        raise DataError(f"{origin}: no rows, only the columns {', '.join(names[:20])}")
    no_label = missing_labels(table, roles.label, origin=origin)
    times, no_time, time_notes = parse_times(
        table, roles.timestamp, unit=roles.timestamp_unit, origin=origin, deciding=~no_label
    )
    all_notes = [*notes, *time_notes, *note_saved_index(names, roles)]
    usable = _usable_rows(no_label, no_time, roles, origin, all_notes)
    if usable is not None:  # before anything is learned from the rows: types, classes
        table, times = table.take(usable), times[usable]
    if untyped:
        columns = dict(zip(table.column_names, table.columns, strict=True))
        del table  # so that a column of text can go
        all_notes += infer_types(columns, untyped)
        table = pa.table(columns)
    labels, classes, label_notes = encode_labels(
        table, roles.label, threshold=roles.label_threshold, classes=roles.classes, origin=origin
    )
    all_notes += label_notes
    parts = {f"label {roles.label}": hash_texts(classes, len(classes))[labels]}
    if roles.timestamp is not None:  # with row order as time, equal rows would differ by their place
        parts["timestamp"] = hash_numbers(times)
    inputs: TextColumn | FeatureColumns
    if roles.text is not None:
        inputs = TextColumn(table, roles.text, tokens=roles.tokens, origin=origin)
    else:
        features = roles.feature_names(names)
        inputs = FeatureColumns(table, features, categorical=roles.categorical, numeric=roles.numeric, origin=origin)
    return Rows(
        schema=Schema(inputs.columns, classes),
        times=times,
        labels=labels,
        content=content_hash(len(times), [*parts.items(), *inputs.hashes().items()]),
        columns=inputs.gathers,
        blobs=inputs.blobs,
        notes=[*all_notes, *inputs.notes],
    )


def note_saved_index(names: Sequence[str], roles: Roles) -> list[str]:
    """Return a note if the index of a data frame is among the columns, which is no feature unless it is named."""
    index = [name for name in names if _SAVED_INDEX.fullmatch(name) and name not in (roles.features or ())]
    return [f"{', '.join(index)} is the index of a saved data frame and left out"] if index else []


def _usable_rows(
    no_label: NDArray[np.bool_], no_time: NDArray[np.bool_], roles: Roles, origin: str, notes: list[str]
) -> IntArray | None:
    """Return the positions of the rows that have a time and a label, or ``None`` if all have."""
    columns = " ".join(map(repr, roles.timestamp or ()))
    problems = {f"no readable time in {columns}": no_time, f"no label in {roles.label!r}": no_label}
    found = [f"{what}: {row_numbers(rows)}" for what, rows in problems.items() if rows.any()]
    if not found:
        return None
    if roles.invalid_rows == "error":
        times = "Times are ISO dates or datetimes, or numbers since 1970; mend" if no_time.any() else "Mend"
        raise DataError(
            f"{origin}: {'; '.join(found)}. {times} the rows, or leave them out with dataset.invalid_rows=drop"
        )
    notes += [f"left out (invalid_rows=drop), {what}" for what in found]
    usable = np.flatnonzero(~(no_time | no_label))
    if len(usable) == 0:
        raise DataError(f"{origin}: no row is left: {'; '.join(found)}")
    return usable
