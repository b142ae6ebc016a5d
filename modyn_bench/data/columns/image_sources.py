"""Where the bytes of each row's image are: in a file that the row names, or in the row itself."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.base import Problems
from modyn_bench.data.columns.common import is_text, joined
from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


class Findings:
    """Rows by what is wrong with them, told with the first of each.

    Example:
        >>> found = Findings(3)
        >>> found.add(1, "no such file", "a.jpg")
        >>> {what: rows.tolist() for what, rows in found.problems.items()}
        {"no such file, for instance 'a.jpg'": [False, True, False]}
    """

    def __init__(self, num_rows: int) -> None:
        self._num_rows = num_rows
        self._rows: dict[str, list[int]] = {}
        self._first: dict[str, str] = {}

    def add(self, row: int, what: str, name: str = "", detail: str = "") -> None:
        """Note what is wrong with a row; of each kind, the first name and its details are told."""
        self._rows.setdefault(what, []).append(row)
        shown = f"{name!r} ({detail})" if name and detail else repr(name) if name else detail
        self._first.setdefault(what, f", for instance {shown}" if shown else "")

    @property
    def problems(self) -> Problems:
        """The rows of each kind, shape (n,)."""
        masks: dict[str, NDArray[np.bool_]] = {}
        for what, rows in self._rows.items():
            mask = np.zeros(self._num_rows, dtype=bool)
            mask[rows] = True
            masks[what + self._first[what]] = mask
        return masks


class ImageSource(ABC):
    """The encoded images of a table's rows."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def payload(self, row: int) -> bytes:
        """Return a row's image as it is encoded.

        Raises:
            OSError: If it cannot be read.
        """

    @abstractmethod
    def called(self, row: int) -> str:
        """Return what a row's image is called; empty if it has no name."""

    @abstractmethod
    def problems(self) -> Problems:
        """Return the rows without an image, as far as it can be told without reading any."""


class ImageFiles(ImageSource):
    """Images in files of a folder.

    A name that is absolute, or leads out of the folder by ``..``, names none of them and is never opened.

    Args:
        names: Of each row, relative to the folder, ``None`` where there is none.
        column: The column of the names.
        folder: The folder.
        suffix: What is appended to each name.
    """

    def __init__(self, names: Sequence[str | None], *, column: str, folder: Path, suffix: str | None) -> None:
        self.folder = folder
        self._root = str(folder)
        self._column = column
        self._names = [name + (suffix or "") if name and name.strip() else "" for name in names]

    def __len__(self) -> int:
        return len(self._names)

    @property
    def members(self) -> list[str]:
        """The names of all rows; empty where a row names none in the folder."""
        return [os.path.normpath(name) if name and _is_inside(name) else "" for name in self._names]

    def payload(self, row: int) -> bytes:
        """Return the bytes of a row's file."""
        with open(self._path(self._names[row]), "rb") as stream:
            return stream.read()

    def called(self, row: int) -> str:
        """Return the file's name."""
        return self._names[row]

    def problems(self) -> Problems:
        """Return the rows that name no file there is."""
        found = Findings(len(self))
        for row, name in enumerate(self._names):
            if not name:
                found.add(row, f"no file name in {self._column!r}")
            elif not _is_inside(name):
                found.add(row, f"a path in {self._column!r} that leads out of {self._root}", name)
            elif not _is_file(self._path(name)):
                found.add(row, f"no such file in {self._root}", name, self._with_suffix(name))
        return found.problems

    def _path(self, name: str) -> str:
        """Return a file's path, ``..`` resolved in the name alone: behind a link it would lead elsewhere."""
        return os.path.join(self._root, os.path.normpath(name))

    def _with_suffix(self, name: str) -> str:
        """Say which suffix makes a file of a name that is none."""
        endings = (ending for ending in _SUFFIXES if _is_file(self._path(name + ending)))
        ending = next(endings, None)
        return f"but there is {name + ending!r}: set dataset.suffix={ending}" if ending is not None else ""


class ImageBytes(ImageSource):
    """Images that stand in the table itself.

    Args:
        payloads: Of each row, of a binary type; null where there is none.
        column: Their column.
    """

    def __init__(self, payloads: pa.ChunkedArray, *, column: str) -> None:
        self._payloads = payloads
        self._column = column

    def __len__(self) -> int:
        return len(self._payloads)

    def payload(self, row: int) -> bytes:
        """Return the bytes of a row."""
        payload: bytes = self._payloads[row].as_py()
        return payload

    def called(self, row: int) -> str:
        """Return nothing: it is the row's."""
        return ""

    def problems(self) -> Problems:
        """Return the rows without an image."""
        missing = np.asarray(self._payloads.is_null().to_numpy(), dtype=bool)
        return {f"no image in {self._column!r}": missing}


def holds_images(kind: pa.DataType) -> bool:
    """Whether a type holds images, and not their names: binary, or a struct with such a field, ``bytes``."""
    import pyarrow as pa

    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def image_source(table: pa.Table, column: str, *, folder: Path | None, suffix: str | None, origin: str) -> ImageSource:
    """Return the images of a column; without a folder, only those that stand in it themselves.

    Raises:
        DataError: If it holds neither names nor images.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = table[column]
    if holds_images(values.type):
        payloads = pc.struct_field(values, "bytes") if pa.types.is_struct(values.type) else values
        return ImageBytes(payloads, column=column)
    if folder is not None and (is_text(joined(values).type) or pa.types.is_integer(values.type)):
        names = joined(values).cast(pa.large_string()).to_pylist()
        return ImageFiles(names, column=column, folder=folder, suffix=suffix)
    expected = "images as bytes" if folder is None else "names of files, or images as bytes"
    raise DataError(f"{origin}: the image column {column!r} is of type {values.type}; expected {expected}")


def _is_inside(name: str) -> bool:
    return not os.path.isabs(name) and os.path.normpath(name).split(os.sep)[0] != os.pardir


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:  # a name with a zero byte
        return False
