"""A file of rows: what columns it has, and its table; which kind it is goes by its suffix."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from modyn_bench.errors import DataError, RequestError

if TYPE_CHECKING:
    import pyarrow as pa

MISSING_VALUES = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a file raises that is gone, cut off or damaged, packed or not."""

_PACKED: dict[str, Callable[[Path], BufferedIOBase]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
KINDS = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "delimited",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".json": "json lines",
}


@dataclass(frozen=True)
class TextFormat:
    """How delimited text is written.

    Attributes:
        separator: One character; ``None``: a tab in ``.tsv`` files, else found out from the first lines.
        quote: One character around values that hold separators; ``None``: quotes are ordinary characters.
        missing_values: What is written where a value is missing (not in the text column).
    """

    separator: str | None = None
    quote: str | None = '"'
    missing_values: tuple[str, ...] = MISSING_VALUES

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        for key in ("separator", "quote"):
            value = getattr(self, key)
            if value is not None and len(value.encode()) != 1:
                raise RequestError(f"dataset.{key}={value!r} must be one ASCII character, or null")
            if value is not None and value in "\r\n\0":
                raise RequestError(f"dataset.{key}={value!r} ends lines or strings; it must be another character")
        if self.separator is not None and self.separator == self.quote:
            raise RequestError(f"dataset.separator and dataset.quote are both {self.quote!r}: one must be another")


class Source(ABC):
    """One file of rows.

    Args:
        file: The file.
        text_format: How delimited text is written; other kinds ignore it.
    """

    typed: ClassVar[bool] = True
    """Whether values have types; else all are text, and types are for who has the rows of all files to infer."""

    def __init__(self, file: Path, text_format: TextFormat) -> None:
        self.file = file
        self.text_format = text_format

    @abstractmethod
    def column_names(self) -> list[str]:
        """Return the names of the columns, reading as little as possible."""

    def all_column_names(self) -> list[str]:
        """Return the names of the columns from the whole file, where its beginning may not have them all."""
        return self.column_names()

    def column_type(self, name: str) -> pa.DataType | None:
        """Return the type of a column, or ``None`` where that takes reading the column."""
        return None

    @property
    def names_may_follow(self) -> bool:
        """Whether columns may first occur beyond what ``column_names`` reads."""
        return False

    @abstractmethod
    def read(
        self, names: Sequence[str], *, verbatim: Collection[str] = (), exact: Collection[str] = ()
    ) -> tuple[pa.Table, list[str]]:
        """Read columns.

        Args:
            names: The columns.
            verbatim: Those in which no text means a missing value.
            exact: Those in which numbers are names, so that rounding a large one would make another of it.

        Returns:
            The table in the file's order, and notes.

        Raises:
            DataError: If the file cannot be read as what it seems to be; the message names it.
        """

    def open(self) -> BufferedIOBase:
        """Open the file's bytes, unpacked if its last suffix says that they are packed."""
        unpack = _PACKED.get(self.file.suffix.lower())
        return self.file.open("rb") if unpack is None else unpack(self.file)

    def head(self, num_bytes: int = 1 << 18) -> tuple[bytes, bool]:
        """Return the first bytes, and whether they are all there are."""
        try:
            with self.open() as stream:
                head = stream.read(num_bytes + 1)
        except UNREADABLE as error:
            raise DataError(f"{self.file} cannot be read: {error}") from error
        if not head.removeprefix(codecs.BOM_UTF8).strip():
            raise DataError(f"{self.file} is empty")
        return head[:num_bytes], len(head) <= num_bytes


def kind_of(file: Path) -> tuple[str, str]:
    """Return a file's kind and the suffix that tells it, packing aside.

    Raises:
        RequestError: If the suffix is not known.
    """
    bare = file.with_suffix("") if file.suffix.lower() in _PACKED else file
    suffix = bare.suffix.lower()
    if suffix not in KINDS or (bare != file and KINDS[suffix] == "parquet"):
        advice = "unpack it first" if suffix in (".zip", ".tar", ".7z") else "rename or convert it"
        raise RequestError(
            f"dataset.path={file}: the suffix {suffix!r} is not known (known: {', '.join(KINDS)}, each also with "
            f"{', '.join(_PACKED)} but Parquet); {advice}"
        )
    return KINDS[suffix], suffix


def open_sources(path: Path, text_format: TextFormat) -> list[Source]:
    """Return the file at a path, or the files of a folder in the order of their names.

    Raises:
        RequestError: If there is no such path, or a suffix is not known.
    """
    from modyn_bench.data.sources.delimited import DelimitedSource
    from modyn_bench.data.sources.json_lines import JsonLinesSource
    from modyn_bench.data.sources.parquet import ParquetSource

    classes: dict[str, type[Source]] = {
        "delimited": DelimitedSource,
        "parquet": ParquetSource,
        "json lines": JsonLinesSource,
    }
    files = _files(path)
    kinds = {kind_of(file)[0] for file in files}
    if len(kinds) > 1:
        raise RequestError(f"dataset.path={path}: the folder holds files of several kinds ({', '.join(sorted(kinds))})")
    return [classes[kind_of(file)[0]](file, text_format) for file in files]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith((".", "_")))
        others = sorted(entry.name for entry in path.iterdir() if not entry.is_file() and entry.name[:1] not in "._")
        if others:
            raise RequestError(
                f"dataset.path={path}: the folder holds more than files: {', '.join(others[:5])}; folders in it and "
                "links that lead nowhere are not read, so name one folder of files"
            )
        if not files:
            raise RequestError(f"dataset.path={path}: the folder holds no files")
        return files
    from difflib import get_close_matches

    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, siblings, n=1)
    hint = f"; did you mean {path.parent / near[0]}?" if near else ""
    raise RequestError(f"dataset.path={path}: there is no such file or folder{hint}")
