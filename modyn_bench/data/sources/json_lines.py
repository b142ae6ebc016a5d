"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from modyn_bench.data.sources.base import UNREADABLE, Source
from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_HEAD_ROWS = 1000
_BLOCK_BYTES = 1 << 26


class JsonLinesSource(Source):
    """A file of JSON objects, one a line; a key that a row lacks is a missing value."""

    _table: pa.Table | None = None

    def column_names(self) -> list[str]:
        """Return the keys of the first 1,000 rows, in the order in which they occur."""
        head, whole = self.head(1 << 22)
        if head.lstrip()[:1] == b"[":
            raise DataError(f"{self.file} is a JSON array; expected JSON lines: one object a line")
        lines = head.split(b"\n")
        if len(lines) == 1 and not whole:
            return self.all_column_names()
        names: dict[str, None] = {}
        for number, line in enumerate(lines if whole else lines[:-1], start=1):
            if number > _HEAD_ROWS:
                break
            if line.strip():
                names.update(dict.fromkeys(self._parse(line, number)))
        return list(names)

    def read(self, names: Sequence[str], *, verbatim: Collection[str] = ()) -> tuple[pa.Table, list[str]]:
        """Read columns; every value has its type, and nulls are nulls."""
        table = self._parsed()
        lost = [name for name in names if name not in table.column_names]
        if lost:
            raise DataError(f"{self.file}: no row has the key(s) {', '.join(map(repr, lost))}")
        return table.select(list(names)), []

    def all_column_names(self) -> list[str]:
        """Return the keys of all rows, in the order in which they occur."""
        return list(self._parsed().column_names)

    @property
    def names_may_follow(self) -> bool:
        """Whether the file has more rows than those whose keys ``column_names`` reads."""
        head, whole = self.head(1 << 22)
        return not whole or head.count(b"\n") > _HEAD_ROWS

    def _parsed(self) -> pa.Table:
        if self._table is not None:
            return self._table
        import pyarrow as pa
        import pyarrow.json

        options = pa.json.ReadOptions(block_size=_BLOCK_BYTES)
        try:
            with self.open() as stream:
                self._table = pa.json.read_json(stream, read_options=options)
        except (pa.ArrowException, *UNREADABLE) as error:
            self._find_bad_line()
            raise DataError(f"{self.file} cannot be read as JSON lines: {error}") from error
        return self._table

    def _find_bad_line(self) -> None:
        """Raise an error that names the first line that is no JSON object; Arrow's counts from the block's start."""
        try:
            with self.open() as stream:
                for number, line in enumerate(stream, start=1):
                    if line.strip():
                        self._parse(line, number)
        except UNREADABLE as error:
            raise DataError(f"{self.file} cannot be read to its end, it is cut off or damaged: {error}") from error

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.file}, line {number}: not UTF-8 ({error.reason}); convert it to UTF-8") from error
        except ValueError as error:
            raise DataError(f"{self.file}, line {number}: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{self.file}, line {number}: a JSON {type(row).__name__}; expected an object")
        return row
