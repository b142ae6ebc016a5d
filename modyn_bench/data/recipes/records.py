"""Fixed-size binary records: what click logs come as once their numbers and categories are encoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.records import Place, RecordValues, feature_names
from modyn_bench.data.columns.times import EARLIEST, LATEST
from modyn_bench.data.fingerprint import hash_sources
from modyn_bench.data.hashing import hash_numbers, hash_texts
from modyn_bench.data.ingest import MICROSECONDS, Gather, Rows
from modyn_bench.data.recipes.base import Recipe, named_after, plain
from modyn_bench.data.sources.base import files_at
from modyn_bench.data.sources.records import RecordFile, RecordLayout
from modyn_bench.data.splits import content_hash
from modyn_bench.data.store import Column, Schema
from modyn_bench.errors import RequestError
from modyn_bench.timespan import parse_duration, parse_time
from modyn_bench.types import IntArray

CRITEO = ("label int32", "numeric 13 float32", "categorical 26 int32")
"""The fields of Criteo 1 TB after the usual preprocessing: 160 bytes."""


@dataclass(kw_only=True)
class RecordsRecipe(Recipe):
    """A file of fixed-size binary records, or a folder of such files.

    Files are read in the order of their names, in which numbers count by their value: ``day_2`` comes before
    ``day_10``. Category ids are stored as they are, without a dictionary; which of them a model knows is decided by the
    samples that it is first trained on, as for any other category.

    Attributes:
        path: The file or folder; relative to the working directory.
        fields: What the bytes of a record are, in their order: ``role type`` or ``role count type``. Roles: ``label``,
            ``timestamp``, ``numeric``, ``categorical``, and ``skip`` for bytes that mean nothing here. Types are
            NumPy's.
        byte_order: Of all fields: ``little`` or ``big``.
        header_bytes: Bytes before the first record of every file.
        timestamp_unit: Of a timestamp field, since 1970: ``s``, ``ms``, ``us`` or ``ns``.
        file_duration: Without a timestamp field: every file is so long, for instance ``1d``, and its records share the
            time at which it starts; ``None``: one second a record.
        start: Without a timestamp field: the time of the first record, a date or seconds since 1970.
        num_classes: Labels run from 0 to below this.
        max_ids: Ids are taken modulo this, for ids that are hashes; ``None``: as they are.
        missing_numbers: NaN and infinite numbers: ``error``, or ``impute``, for the preprocessor.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> record = np.dtype([("label", "<i4"), ("price", "<f4"), ("shop", "<i4")])
        >>> clicks = np.array([(i % 2, i / 4, i) for i in range(40)], dtype=record)
        >>> _ = (folder / "clicks.bin").write_bytes(clicks.tobytes())
        >>> fields = ["label int32", "numeric float32", "categorical int32"]
        >>> store = RecordsRecipe(path=str(folder / "clicks.bin"), fields=fields).prepare(folder)
        >>> store.name, [column.names for column in store.schema.columns], sum(map(len, store.splits.values()))
        ('clicks', [('numeric_1',), ('categorical_1',)], 40)
    """

    location_fields: ClassVar[tuple[str, ...]] = ("path",)

    path: str
    fields: list[str] = field(default_factory=lambda: list(CRITEO))
    byte_order: str = "little"
    header_bytes: int = 0
    timestamp_unit: str = "s"
    file_duration: Any = None
    start: Any = 0
    num_classes: int = 2
    max_ids: int | None = None
    missing_numbers: str = "error"

    @property
    def name(self) -> str:
        """The file's name without its suffixes, or the folder's."""
        return named_after(self.path, "records")

    @property
    def origin(self) -> str:
        """The path, as given."""
        return str(self.path)

    @property
    def layout(self) -> RecordLayout:
        """What the bytes of a record are.

        Raises:
            RequestError: If the fields cannot be read, or do not make a record.
        """
        return RecordLayout(plain(self.fields), self.byte_order)

    @property
    def values(self) -> RecordValues:
        """What the values of a record mean."""
        return RecordValues(self.num_classes, self.timestamp_unit, self.max_ids, self.missing_numbers)

    def check(self) -> None:
        """Check ranges, what excludes one another, and that the files are there and hold whole records."""
        super().check()
        self.values.check()
        if self.header_bytes < 0:
            raise RequestError(f"dataset.header_bytes={self.header_bytes} must be at least 0")
        if self._timed and (self.file_duration is not None or self.start != 0):
            raise RequestError(
                "dataset.fields has a timestamp, beside which dataset.file_duration and dataset.start mean nothing: "
                "leave them out, or call that field skip"
            )
        sizes = [len(one) for one in self._files()]
        first, step = self._first_and_step()
        last = first + step * (sum(sizes) if self.file_duration is None else len(sizes))
        if not EARLIEST // MICROSECONDS <= first <= last <= LATEST // MICROSECONDS:
            raise RequestError(f"dataset.start={self.start}: the records would not all be of the years 1 to 9999")

    def source_hash(self, data_dir: Path | None) -> str:
        """Return the identity of the files' bytes, in the order in which they are read."""
        return hash_sources([one.file for one in self._files()], data_dir)

    def read(self, data_dir: Path) -> Rows:
        """Check and hash the records, a chunk at a time; what they hold stays in the files until it is stored."""
        layout, values, files = self.layout, self.values, self._files()
        sizes = [len(one) for one in files]
        times, note = self._times(sizes)
        labels, content = np.empty(sum(sizes), dtype=np.int64), np.empty(sum(sizes), dtype=np.uint64)
        label_hashes = hash_texts(self._classes)
        num_missing, start = 0, 0
        for one in files:
            for first, records in one.chunks():
                found = values.read(layout, records, Place(one.file, first, one.header_bytes, layout.num_bytes))
                part = slice(start, start := start + len(records))
                labels[part] = found.labels
                hashes = found.features | {"label label": label_hashes[found.labels]}
                if found.times is not None:
                    times[part] = found.times
                if self._timed or self.file_duration is not None:  # by row order, equal records would differ
                    hashes["timestamp"] = hash_numbers(times[part])
                content[part] = content_hash(len(records), hashes.items())
                num_missing += found.num_missing
        notes = [f"{start:,} records of {layout.num_bytes} bytes in {len(files)} file(s)", *note]
        if num_missing:
            notes.append(f"{num_missing:,} number(s) are missing, for the preprocessor to impute")
        columns, gathers = self._inputs(files)
        return Rows(Schema(columns, self._classes), times, labels, content, gathers, notes=notes)

    @property
    def _classes(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.num_classes)))

    @property
    def _timed(self) -> bool:
        return self.layout.width("timestamp") > 0

    def _files(self) -> list[RecordFile]:
        layout = self.layout
        found = sorted(files_at(Path(self.path).expanduser()), key=_in_order)
        return [RecordFile.at(file, layout, self.header_bytes) for file in found]

    def _first_and_step(self) -> tuple[int, int]:
        """Return when the first record, or file, is, and how much later the next one, in seconds."""
        duration = 1 if self.file_duration is None else parse_duration(self.file_duration, "dataset.file_duration")
        return parse_time(self.start, "dataset.start"), duration

    def _times(self, sizes: Sequence[int]) -> tuple[IntArray, list[str]]:
        """Return every record's time, yet to be filled in if records have one, and what there is to note."""
        if self._timed:
            return np.empty(sum(sizes), dtype=np.int64), []
        first, step = self._first_and_step()
        places = np.arange(sum(sizes) if self.file_duration is None else len(sizes), dtype=np.int64)
        times = (first + step * places) * MICROSECONDS
        if self.file_duration is None:
            return times, ["no timestamp: the order of the records is time, one second a record"]
        note = f"no timestamp: every file is {self.file_duration} long, and its records share the time of its start"
        return np.repeat(times, sizes), [note]

    def _inputs(self, files: Sequence[RecordFile]) -> tuple[tuple[Column, ...], dict[str, Gather]]:
        """Return the store's columns, and what gathers them from the files."""
        columns: tuple[Column, ...] = ()
        gathers: dict[str, Gather] = {}
        if numeric := self.layout.width("numeric"):
            dtype = str(np.result_type(self.layout.type_of("numeric"), np.float32))  # float32 if it holds all of them
            columns += (Column("numeric", "numeric", dtype, (numeric,), feature_names("numeric", numeric)),)
            gathers["numeric"] = _gather(files, "numeric", np.dtype(dtype), lambda values: values)
        if ids := self.layout.width("categorical"):
            columns += (Column("categorical", "categorical", "int32", (ids,), feature_names("categorical", ids)),)
            gathers["categorical"] = _gather(files, "categorical", np.dtype(np.int32), self.values.ids)
        return columns, gathers


def _gather(
    files: Sequence[RecordFile], role: str, dtype: np.dtype[Any], convert: Callable[[NDArray[Any]], NDArray[Any]]
) -> Gather:
    """Return a gather of a role's values over the records of files, which count on from one file to the next."""
    starts = np.cumsum([0, *map(len, files)])

    def gather(rows: IntArray) -> NDArray[Any]:
        values = np.empty((len(rows), files[0].layout.width(role)), dtype=dtype)
        owners = np.searchsorted(starts, rows, side="right") - 1
        for owner in np.unique(owners).tolist():
            own = owners == owner
            values[own] = convert(files[owner].take(rows[own] - starts[owner], role))
        return values

    return gather


def _in_order(file: Path) -> list[str | int]:
    """Return what sorts files by name, numbers in it by their value."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.name)]
