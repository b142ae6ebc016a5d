"""The sample store: time-sorted, memory-mapped, fixed-width columns per split, and blobs for what varies in size.

A store is a folder that ingest writes once and every run maps:

    manifest.json                    schema, fingerprint, notes, and the size and checksum of every file
    train/timestamps.npy             int64 UTC seconds, non-decreasing, shape (n,)
    train/labels.npy                 int64 class indices, shape (n,)
    train/numeric.npy, tokens.npy …  one array per fixed-width column, shape (n, ...)
    train/text.bin, text.offsets.npy one contiguous blob, and n + 1 offsets into it
    test/…                           likewise

A key is a position in its split, so consecutive samples are slices and arbitrary ones a single gather.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.fingerprint import hash_file, hash_values
from modyn_bench.errors import DataError
from modyn_bench.types import IntArray

MANIFEST = "manifest.json"
FORMAT = "modyn_bench sample store"
FORMAT_VERSION = 1
MISSING = "<missing>"
"""The category that stands for a missing value: missing is a category of its own."""


@dataclass(frozen=True)
class Column:
    """One column of a store: a fixed-width array per sample, or a blob.

    Attributes:
        name: ``numeric``, ``categorical``, ``tokens``, ``image``; blobs: ``text``, ``jpeg``.
        kind: What a preprocessor does with it.
        dtype: NumPy name of the stored type; ``uint8`` for blobs.
        shape: Shape of one sample, e.g. ``(6,)`` for six numeric features; ``()`` for blobs.
        names: The source's column names, one per feature (numeric and categorical).
        categories: For each categorical feature its dictionary, code -> string. It is only a lossless coding of the
            source; no model sees it. A missing value is the category ``<missing>``. Empty where the source numbers its
            categories itself, and the numbers are stored.
        num_values: For tokens: the number of hash buckets, or a tokenizer's largest id. Ids run from 1 to
            ``num_values``; 0 is padding.
        vocabulary_hash: For tokens: the identity of a tokenizer's vocabulary; empty for hashed n-grams.
        pad_id: For tokens: the tokenizer's own id of padding, which stands in the store for its token 0.
    """

    name: str
    kind: Literal["numeric", "categorical", "tokens", "image", "blob"]
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    categories: tuple[tuple[str, ...], ...] = ()
    num_values: int | None = None
    vocabulary_hash: str = ""
    pad_id: int = 0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Column:
        """Rebuild a column from what ``dataclasses.asdict`` and JSON made of it."""
        sequences = {
            "shape": tuple(values["shape"]),
            "names": tuple(values["names"]),
            "categories": tuple(tuple(feature) for feature in values["categories"]),
        }
        return cls(**{**values, **sequences})


@dataclass(frozen=True)
class Schema:
    """The columns of a store and its classes.

    Attributes:
        columns: In the order in which they were written.
        classes: Class names; a label is an index into them.

    Example:
        >>> schema = Schema((Column("numeric", "numeric", "float32", (2,), ("a", "b")),), ("no", "yes"))
        >>> schema.num_classes, schema["numeric"].names
        (2, ('a', 'b'))
    """

    columns: tuple[Column, ...]
    classes: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The fixed-width columns: what a model can get."""
        return tuple(column for column in self.columns if column.kind != "blob")

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"columns": [asdict(column) for column in self.columns], "classes": list(self.classes)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Schema:
        """Rebuild a schema from ``to_json``."""
        return cls(tuple(Column.from_json(column) for column in values["columns"]), tuple(values["classes"]))


class Blob:
    """Variable-size payloads as one contiguous array with offsets.

    Args:
        data: All payloads behind one another, shape (bytes,), uint8.
        offsets: Where each starts, and where the last ends, shape (n + 1,), int64.

    Example:
        >>> blob = Blob(np.frombuffer(b"abcde", np.uint8), np.array([0, 2, 2, 5]))
        >>> len(blob), blob[0], blob.take(np.array([2, 1]))
        (3, b'ab', [b'cde', b''])
    """

    def __init__(self, data: NDArray[np.uint8], offsets: IntArray) -> None:
        self.data = data
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, key: int) -> bytes:
        if not 0 <= key < len(self):
            raise IndexError(f"key {key} is not in 0..{len(self) - 1}")
        return self.data[self.offsets[key] : self.offsets[key + 1]].tobytes()

    def take(self, keys: IntArray) -> list[bytes]:
        """Return the payloads of arbitrary keys."""
        starts, ends = self.offsets[keys], self.offsets[keys + 1]
        return [self.data[start:end].tobytes() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


class Split:
    """One split of a store: arrays in time order, ties in source order; position is key.

    Attributes:
        name: ``train``, ``test`` or ``holdout``.
        timestamps: UTC seconds, non-decreasing, shape (n,), int64.
        labels: Class indices, shape (n,), int64.
        columns: Fixed-width columns by name, each of shape (n, ...). Those of a store are memory-mapped, read-only.
        blobs: Variable-size payloads by name.
    """

    def __init__(
        self,
        name: str,
        timestamps: IntArray,
        labels: IntArray,
        columns: Mapping[str, NDArray[Any]],
        blobs: Mapping[str, Blob] | None = None,
    ) -> None:
        self.name = name
        self.timestamps = timestamps
        self.labels = labels
        self.columns = dict(columns)
        self.blobs = dict(blobs or {})

    def __len__(self) -> int:
        return len(self.timestamps)

    def __repr__(self) -> str:
        return f"Split({self.name}, {len(self)} samples, {', '.join([*self.columns, *self.blobs])})"

    def time_range(self, start: int, end: int) -> tuple[int, int]:
        """Return the positions [lo, hi) of the samples in the half-open time interval [start, end), in UTC seconds.

        Example:
            >>> Split("test", np.array([1, 5, 5, 9]), np.zeros(4, np.int64), {}).time_range(5, 9)
            (1, 3)
        """
        lo, hi = np.searchsorted(self.timestamps, np.array([start, max(start, end)], dtype=np.int64), side="left")
        return int(lo), int(hi)


class SampleStore:
    """A dataset on disk, ready to be replayed.

    Attributes:
        path: The store's folder.
        name: The dataset's name.
        schema: Columns and classes.
        fingerprint: Identity of the content: the source's bytes, the recipe's options and the split rule.
        notes: What ingest did to the source, with counts; meant to be printed by whoever uses the store.
        splits: By name; ``train`` and ``test``, in some stores ``holdout``.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        schema: Schema,
        fingerprint: str,
        notes: tuple[str, ...],
        splits: Mapping[str, Split],
    ) -> None:
        self.path = path
        self.name = name
        self.schema = schema
        self.fingerprint = fingerprint
        self.notes = notes
        self.splits = dict(splits)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(split)}" for name, split in self.splits.items())
        return f"SampleStore({self.name}: {sizes}, {self.schema.num_classes} classes)"

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> SampleStore:
        """Map a store after checking that every file is there and of its recorded size.

        A file whose modification time is not the recorded one has its checksum verified too.

        Args:
            path: The store's folder.
            verify: Verify every checksum, which reads the whole store.

        Raises:
            DataError: If the folder is no store, is of another format version, or one of its files is damaged.
        """
        manifest = _read_manifest(path)
        for file, expected in manifest["files"].items():
            _check_file(path / file, expected, verify=verify)
        schema = Schema.from_json(manifest["schema"])
        splits = {name: _map_split(path, name, schema) for name in manifest["splits"]}
        for name, split in splits.items():
            _check_lengths(path, split, int(manifest["splits"][name]))
        return cls(
            path,
            name=manifest["name"],
            schema=schema,
            fingerprint=manifest["fingerprint"],
            notes=tuple(manifest["notes"]),
            splits=splits,
        )


def _damaged(file: Path, what: str) -> DataError:
    return DataError(f"{file}: {what}; the sample store is damaged: delete the folder {file.parent} to build it anew")


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not path.is_dir():
        raise DataError(f"{path} is no folder: expected a sample store")
    if not file.is_file():
        raise DataError(f"{file} is missing: {path} is no sample store; nothing in it was touched")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise _damaged(file, f"it cannot be read ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{file} was not written by modyn_bench: {path} is no sample store; nothing in it was touched")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{file}: format version {manifest.get('format_version')}, but this program reads {FORMAT_VERSION}; "
            f"delete the folder {path} to build it anew"
        )
    if manifest.pop("checksum", None) != hash_values(manifest):
        raise _damaged(file, "its content is not what was written")
    return manifest


def _check_file(file: Path, expected: Mapping[str, Any], *, verify: bool) -> None:
    try:
        status = file.stat()
    except OSError as error:
        raise _damaged(file, f"it cannot be read ({error.strerror})") from error
    if status.st_size != expected["bytes"]:
        raise _damaged(file, f"{status.st_size} bytes instead of {expected['bytes']}")
    if (verify or status.st_mtime_ns != expected["mtime_ns"]) and hash_file(file) != expected["blake2b"]:
        raise _damaged(file, "its checksum is not the recorded one")


def _map_array(file: Path) -> NDArray[Any]:
    """Map an array as a plain ndarray; the memmap subclass makes small gathers several times slower."""
    try:
        mapped: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise _damaged(file, f"it cannot be mapped ({error})") from error
    return mapped.view(np.ndarray)


def _map_bytes(file: Path) -> NDArray[np.uint8]:
    if file.stat().st_size == 0:
        return np.zeros(0, dtype=np.uint8)
    return np.memmap(file, dtype=np.uint8, mode="r").view(np.ndarray)


def _map_split(path: Path, name: str, schema: Schema) -> Split:
    folder = path / name
    blobs = [column.name for column in schema.columns if column.kind == "blob"]
    return Split(
        name,
        _map_array(folder / "timestamps.npy"),
        _map_array(folder / "labels.npy"),
        {column.name: _map_array(folder / f"{column.name}.npy") for column in schema.inputs},
        {blob: Blob(_map_bytes(folder / f"{blob}.bin"), _map_array(folder / f"{blob}.offsets.npy")) for blob in blobs},
    )


def _check_lengths(path: Path, split: Split, num_samples: int) -> None:
    lengths = {"timestamps": len(split.timestamps), "labels": len(split.labels)}
    lengths |= {name: len(array) for name, array in split.columns.items()}
    lengths |= {name: len(blob) for name, blob in split.blobs.items()}
    for name, length in lengths.items():
        if length != num_samples:
            raise _damaged(path / MANIFEST, f"{split.name}/{name} has {length} samples instead of {num_samples}")
