"""Which column of a table is what, and the table's rows for ingest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.base import Problems
from modyn_bench.data.columns.common import check_column, check_names, check_utf8, row_numbers
from modyn_bench.data.columns.inference import infer_types
from modyn_bench.data.columns.inputs import Inputs, is_saved_index
from modyn_bench.data.columns.labels import Labels, encode_labels, missing_labels
from modyn_bench.data.columns.times import UNITS, parse_times
from modyn_bench.data.hashing import hash_numbers, hash_texts
from modyn_bench.data.ingest import Rows
from modyn_bench.data.splits import content_hash
from modyn_bench.data.store import Schema
from modyn_bench.errors import DataError, RequestError

if TYPE_CHECKING:
    import pyarrow as pa

    from modyn_bench.types import IntArray

_NO_TIME = "no readable time"


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which column is the time, which the label, which the inputs.

    Attributes:
        timestamp: One column, several (year, month, day, hour, minute, second), or ``None``: row order is time.
        timestamp_unit: Of numbers: ``auto``, ``s``, ``ms``, ``us``, ``ns``.
        label: The label column.
        label_threshold: Make two classes of a number: at most, and above it.
        classes: The classes in the order of their indices; ``None``: the distinct values, sorted.
        inputs: What a model learns from.
        invalid_rows: What happens to rows without a label, a readable time or a usable input: ``error``, or ``drop``,
            which is noted.
    """

    timestamp: tuple[str, ...] | None
    label: str
    inputs: Inputs
    timestamp_unit: str = "auto"
    label_threshold: float | None = None
    classes: tuple[str, ...] | None = None
    invalid_rows: str = "error"

    @property
    def taken(self) -> tuple[str, ...]:
        """The columns that are the label or the time."""
        return (self.label, *(self.timestamp or ()))

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
        self.inputs.check(label=self.label, taken=self.taken)
        if self.classes is not None and self.label_threshold is not None:
            raise RequestError("dataset.classes and dataset.label_threshold exclude one another")

    def check_columns(self, known: Sequence[str], *, origin: str) -> None:
        """Raise ``RequestError`` with the nearest match if a configured column does not exist."""
        named = {"timestamp": self.timestamp or (), "label": (self.label,), **self.inputs.named}
        for key, names in named.items():
            for name in names:
                check_column(name, known, key=f"dataset.{key}", origin=origin)
        self.inputs.check_columns(known, taken=self.taken, origin=origin)

    def resolved(self, known: Sequence[str]) -> Roles:
        """Return the same roles with the inputs named, so that other columns need not be read."""
        return replace(self, inputs=self.inputs.resolved(known, self.taken))

    def needed(self, known: Sequence[str]) -> list[str]:
        """Return the columns that are read, in the source's order."""
        used = {*self.taken, *self.inputs.names(known, self.taken)}
        return [name for name in known if name in used]

    @property
    def exact(self) -> set[str]:
        """Columns in which numbers are names."""
        return {self.label, *self.inputs.exact}


def rows_from_table(
    table: pa.Table,
    roles: Roles,
    *,
    origin: str,
    data_dir: Path,
    notes: Sequence[str] = (),
    untyped: Collection[str] = (),
) -> Rows:
    """Turn a table into rows for ingest.

    Args:
        table: The source, in its own order.
        roles: Which column is what.
        origin: What the source is called.
        data_dir: Where temporary files may go.
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
    time_columns = " ".join(map(repr, roles.timestamp or ()))
    problems = {f"{_NO_TIME} in {time_columns}": no_time, f"no label in {roles.label!r}": no_label}
    usable = _usable_rows({**problems, **roles.inputs.problems(table, origin=origin)}, roles, origin, all_notes)
    num_rows = table.num_rows
    if len(usable) < num_rows:  # before anything is learned from the rows: types, classes
        table, times = table.take(usable), times[usable]
    if untyped:
        columns = dict(zip(table.column_names, table.columns, strict=True))
        del table  # so that a column of text can go
        all_notes += infer_types(columns, untyped)
        table = pa.table(columns)
    labels, classes, label_notes = _labels(table, roles, origin)
    inputs = roles.inputs.read(table, taken=roles.taken, origin=origin, data_dir=data_dir)
    if inputs.problems:
        of_source = {what: _spread(wrong, usable, num_rows) for what, wrong in inputs.problems.items()}
        left = np.flatnonzero(np.isin(usable, _usable_rows(of_source, roles, origin, all_notes)))
        table, times = table.take(left), times[left]
        inputs.keep(left)
        labels, classes, label_notes = _labels(table, roles, origin)
    parts = {f"label {roles.label}": hash_texts(classes, len(classes))[labels], **inputs.hashes()}
    if roles.timestamp is not None:  # with row order as time, equal rows would differ by their place
        parts["timestamp"] = hash_numbers(times)
    return Rows(
        schema=Schema(inputs.columns, classes),
        times=times,
        labels=labels,
        content=content_hash(len(times), parts.items()),
        columns=inputs.gathers,
        blobs=inputs.blobs,
        notes=[*all_notes, *label_notes, *inputs.notes],
    )


def note_saved_index(names: Sequence[str], roles: Roles) -> list[str]:
    """Return a note if the index of a data frame is among the columns, which is no feature unless it is named."""
    named = {name for columns in roles.inputs.named.values() for name in columns}
    index = [name for name in names if is_saved_index(name) and name not in named]
    return [f"{', '.join(index)} is the index of a saved data frame and left out"] if index else []


def _labels(table: pa.Table, roles: Roles, origin: str) -> Labels:
    return encode_labels(table, roles.label, threshold=roles.label_threshold, classes=roles.classes, origin=origin)


def _spread(wrong: NDArray[np.bool_], rows: IntArray, num_rows: int) -> NDArray[np.bool_]:
    """Return which rows of the source are wrong, from which of some of its rows are."""
    return np.isin(np.arange(num_rows), rows[wrong])


def _usable_rows(problems: Problems, roles: Roles, origin: str, notes: list[str]) -> IntArray:
    """Return the positions of the rows without a problem.

    Raises:
        DataError: If there are others, and they are not to be left out, or none is left.
    """
    found = [f"{what}: {row_numbers(rows)}" for what, rows in problems.items() if rows.any()]
    if found and roles.invalid_rows == "error":
        times = "Times are ISO dates or datetimes, or numbers since 1970; mend" if _NO_TIME in found[0] else "Mend"
        raise DataError(
            f"{origin}: {'; '.join(found)}. {times} the rows, or leave them out with dataset.invalid_rows=drop"
        )
    notes += [f"left out (invalid_rows=drop), {what}" for what in found]
    usable = np.flatnonzero(~np.logical_or.reduce(list(problems.values())))
    if len(usable) == 0:
        raise DataError(f"{origin}: no row is left: {'; '.join(found)}")
    return usable
