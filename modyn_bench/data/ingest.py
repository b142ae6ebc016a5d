"""Ingest: rows of a source, in source order, to a sample store; sorted, split, checked, and written atomically."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.fingerprint import hash_file, hash_values
from modyn_bench.data.hashing import HashArray
from modyn_bench.data.splits import SplitRule
from modyn_bench.data.store import FORMAT, FORMAT_VERSION, MANIFEST, SampleStore, Schema
from modyn_bench.errors import DataError
from modyn_bench.timespan import format_time
from modyn_bench.types import IntArray

Gather: TypeAlias = Callable[[IntArray], NDArray[Any]]
"""Row positions, shape (k,) -> the values of those rows, shape (k, ...)."""
GatherBytes: TypeAlias = Callable[[IntArray], tuple[NDArray[np.uint8], IntArray]]
"""Row positions, shape (k,) -> their payloads behind one another, and the length of each, shape (k,)."""

MICROSECONDS = 1_000_000
_CHUNK_ROWS = 65_536
_CHUNK_BYTES = 1 << 26


@dataclass
class Rows:
    """All usable rows of a source, in source order, as a recipe hands them to ingest.

    Attributes:
        schema: Columns and classes.
        times: UTC microseconds, shape (n,), int64. Rows are sorted by them, and stored by whole second.
        labels: Class indices, shape (n,), int64.
        content: Hash of each row's content for the split, shape (n,); see ``splits.content_hash``.
        columns: A gather for each fixed-width column of the schema.
        blobs: A gather for each blob of the schema.
        notes: What the recipe did to the source so far, with counts.
    """

    schema: Schema
    times: IntArray
    labels: IntArray
    content: HashArray
    columns: Mapping[str, Gather]
    blobs: Mapping[str, GatherBytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.times)


def array_gather(array: NDArray[Any]) -> Gather:
    """Return a gather over an array in memory, or mapped."""
    return lambda rows: np.take(array, rows, axis=0)


def chunk_rows(row_bytes: int) -> int:
    """Return how many rows are read or written at once: 64 k, but no more than 64 MiB of them, and at least one.

    Example:
        >>> chunk_rows(8), chunk_rows(3 * 224 * 224), chunk_rows(10**9)
        (65536, 445, 1)
    """
    return max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // max(row_bytes, 1)))


def build_store(
    data_dir: Path, *, name: str, fingerprint: str, rule: SplitRule, read: Callable[[], Rows], origin: str
) -> SampleStore:
    """Open the store of a fingerprint in ``data_dir``, building it first if it is not there.

    Building happens under a lock in a temporary folder that one rename puts in place, so a store is whole or absent,
    and of several processes that need it one builds it.

    Args:
        data_dir: Folder of all stores.
        name: The dataset's name.
        fingerprint: Identity of source, recipe and split rule.
        rule: How the test split is held out.
        read: Reads the source; called only if the store must be built.
        origin: What the source is called in errors and notes.

    Raises:
        DataError: If the source cannot be used, or the folder of the store holds something else.
    """
    from filelock import FileLock

    folder = data_dir / "stores" / f"{name[:80]}-{fingerprint[:16]}"
    if not folder.exists():
        locks = data_dir / "locks"
        try:
            locks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"data_dir={data_dir} cannot be written to ({error.strerror}); set another one") from error
        with FileLock(locks / f"{folder.name}.lock"):
            if not folder.exists():
                rows = read()
                splits = _split(rows, rule, origin)
                _write(folder, name=name, fingerprint=fingerprint, rows=rows, splits=splits)
    store = SampleStore.open(folder)
    if store.fingerprint != fingerprint:
        raise DataError(
            f"{folder / MANIFEST}: fingerprint {store.fingerprint} instead of {fingerprint}; delete the folder"
        )
    return store


def _split(rows: Rows, rule: SplitRule, origin: str) -> dict[str, IntArray]:
    """Return the row positions of each split in time order, ties in source order, and note what there was to note."""
    if len(rows) == 0:
        raise DataError(f"{origin}: no usable row")
    num_unsorted = int(np.count_nonzero(rows.times < np.maximum.accumulate(rows.times)))
    order = np.argsort(rows.times, kind="stable")
    if num_unsorted:
        rows.notes.append(
            f"sorted by time: {num_unsorted:,} of {len(rows):,} rows came before an earlier one's time; "
            "ties keep the source's order"
        )
    order = order[rule.kept(rows.content[order])]
    if len(order) < len(rows):
        rows.notes.append(f"{len(order):,} of {len(rows):,} rows are used: used_fraction={rule.used}")
    held_out = rule.held_out(rows.content[order], rows.times[order] // MICROSECONDS)
    splits = {"train": order[~held_out], "test": order[held_out]}
    for name, members in splits.items():
        if len(members) == 0:
            raise DataError(
                f"{origin}: the {name} split is empty: test_split={rule.method} with test_fraction={rule.fraction} put "
                f"all {len(order):,} rows into the other; change dataset.test_fraction, dataset.split_seed or "
                "dataset.test_block, or bring more rows"
            )
    rows.notes.append(_describe(rows, splits, rule))
    _note_unseen_labels(rows, splits)
    return splits


def _describe(rows: Rows, splits: Mapping[str, IntArray], rule: SplitRule) -> str:
    first, last = (int(rows.times[members] // MICROSECONDS) for members in (splits["train"][0], splits["train"][-1]))
    short = last - first < 2 * 86_400
    span = f"{format_time(first, seconds=short)} to {format_time(last, seconds=short)}"
    share = len(splits["test"]) / (len(splits["test"]) + len(splits["train"]))
    return (
        f"{len(splits['train']):,} train rows ({span}), {len(splits['test']):,} test rows "
        f"({share:.1%} by {rule.method}), {rows.schema.num_classes} classes"
    )


def _note_unseen_labels(rows: Rows, splits: Mapping[str, IntArray]) -> None:
    counts = {name: np.bincount(rows.labels[m], minlength=rows.schema.num_classes) for name, m in splits.items()}
    only_test = np.flatnonzero((counts["train"] == 0) & (counts["test"] > 0))
    if len(only_test):
        named = ", ".join(repr(rows.schema.classes[label]) for label in only_test[:5].tolist())
        rows.notes.append(
            f"{len(only_test)} class(es) with {int(counts['test'][only_test].sum()):,} rows stand in the test split "
            f"only and cannot be learned: {named}{', ...' if len(only_test) > 5 else ''}"
        )


def _write(folder: Path, *, name: str, fingerprint: str, rows: Rows, splits: Mapping[str, IntArray]) -> None:
    temporary = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # what a killed builder left; the lock is ours
    try:
        for split, members in splits.items():
            _write_split(temporary / split, rows, members)
        files = sorted(file for file in temporary.rglob("*") if file.is_file())
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": name,
            "fingerprint": fingerprint,
            "notes": rows.notes,
            "splits": {split: len(members) for split, members in splits.items()},
            "files": {file.relative_to(temporary).as_posix(): _seal(file) for file in files},
            "schema": rows.schema.to_json(),
        }
        manifest_file = temporary / MANIFEST
        manifest["checksum"] = hash_values(manifest)
        manifest_file.write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
        _sync(manifest_file)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_split(folder: Path, rows: Rows, members: IntArray) -> None:
    folder.mkdir(parents=True)
    times = array_gather(rows.times)
    _write_array(folder / "timestamps.npy", members, lambda part: times(part) // MICROSECONDS, np.dtype(np.int64), ())
    _write_array(folder / "labels.npy", members, array_gather(rows.labels), np.dtype(np.int64), ())
    for column in rows.schema.columns:
        if column.kind == "blob":
            _write_blob(folder, column.name, members, rows.blobs[column.name])
        else:
            file = folder / f"{column.name}.npy"
            _write_array(file, members, rows.columns[column.name], np.dtype(column.dtype), column.shape)


def _write_array(file: Path, members: IntArray, gather: Gather, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (len(members), *shape)}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        rows = chunk_rows(math.prod(shape) * dtype.itemsize)
        for start in range(0, len(members), rows):
            part = members[start : start + rows]
            values = np.ascontiguousarray(gather(part), dtype=dtype)
            assert values.shape == (len(part), *shape), f"{file.name}: {values.shape} instead of {(len(part), *shape)}"
            stream.write(values.data)


def _write_blob(folder: Path, name: str, members: IntArray, gather: GatherBytes) -> None:
    offsets = np.zeros(len(members) + 1, dtype=np.int64)
    with (folder / f"{name}.bin").open("wb") as stream:
        for start in range(0, len(members), _CHUNK_ROWS):
            data, lengths = gather(members[start : start + _CHUNK_ROWS])
            stream.write(np.ascontiguousarray(data).data)
            offsets[start + 1 : start + 1 + len(lengths)] = lengths
    np.save(folder / f"{name}.offsets.npy", np.cumsum(offsets), allow_pickle=False)


def _seal(file: Path) -> dict[str, int | str]:
    """Flush a file to the disk and return what the manifest records of it."""
    _sync(file)
    status = file.stat()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "blake2b": hash_file(file)}


def _sync(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())
