"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from modyn_bench.data.columns.common import LARGEST_EXACT, written
from modyn_bench.data.sources.base import UNREADABLE, Source
from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_HEAD_ROWS = 1000
_HEAD_BYTES = 1 << 22
_BLOCK_BYTES = 1 << 26
_KINDS = {str: "string", int: "number", float: "number", bool: "boolean", list: "list", dict: "nested object"}


class JsonLinesSource(Source):
    """A file of JSON objects, one a line; a key that a row lacks is a missing value.

    Strings are text as they are written, dates among them. Whole numbers beyond 64 bits are floats, but exact where
    numbers are names.
    """

    _table: pa.Table | None = None

    def column_names(self) -> list[str]:
        """Return the keys of the first 1,000 rows, in the order in which they occur."""
        rows = self._first_rows()
        return list(dict.fromkeys(name for row in rows for name in row)) if rows else self.all_column_names()

    def read(
        self, names: Sequence[str], *, verbatim: Collection[str] = (), exact: Collection[str] = ()
    ) -> tuple[pa.Table, list[str]]:
        """Read columns; every value has its type, and nulls are nulls."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = self._parsed()
        lost = [name for name in names if name not in table.column_names]
        if lost:
            raise DataError(f"{self.file}: no row has the key(s) {', '.join(map(repr, lost))}")
        table = table.select(list(names))
        for place, name in enumerate(names):
            if name in exact and pa.types.is_floating(table[name].type):
                largest = pc.max(pc.abs(table[name])).as_py()
                if largest is not None and largest >= LARGEST_EXACT:
                    table = table.set_column(place, name, self._exact(name, table.num_rows))
        return table, []

    def all_column_names(self) -> list[str]:
        """Return the keys of all rows, in the order in which they occur."""
        return list(self._parsed().column_names)

    @property
    def names_may_follow(self) -> bool:
        """Whether the file has more rows than those whose keys ``column_names`` reads."""
        head, whole = self.head(_HEAD_BYTES)
        return not whole or head.count(b"\n") > _HEAD_ROWS

    def _first_rows(self) -> list[dict[str, Any]]:
        """Return the first 1,000 rows, or none if the first is longer than what is read for them."""
        head, whole = self.head(_HEAD_BYTES)
        if head.lstrip()[:1] == b"[":
            raise DataError(f"{self.file} is a JSON array; expected JSON lines: one object a line")
        lines = head.split(b"\n")
        if not whole:
            del lines[-1]
        return [self._parse(line, number) for number, line in enumerate(lines[:_HEAD_ROWS], start=1) if line.strip()]

    def _parsed(self) -> pa.Table:
        """Return the table, with its columns in the order in which their keys occur."""
        if self._table is None:
            import pyarrow as pa

            rows = self._first_rows()
            texts = {name for row in rows for name, value in row.items() if isinstance(value, str)}
            table = self._as_arrow(texts)
            names = dict.fromkeys([*(name for row in rows for name in row), *table.column_names])
            # Arrow takes strings that look like dates for timestamps, unless it is told that they are strings.
            dates = {field.name for field in table.schema if pa.types.is_timestamp(field.type)}
            self._table = (self._as_arrow(texts | dates) if dates else table).select(list(names))
        return self._table

    def _as_arrow(self, texts: Collection[str]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.json

        read_options = pa.json.ReadOptions(block_size=_BLOCK_BYTES)
        parse_options = pa.json.ParseOptions(explicit_schema=pa.schema([(name, pa.string()) for name in sorted(texts)]))
        try:
            with self.open() as stream:
                return pa.json.read_json(stream, read_options=read_options, parse_options=parse_options)
        except (pa.ArrowException, *UNREADABLE) as error:
            self._find_bad_line()
            raise DataError(f"{self.file} cannot be read as JSON lines: {error}") from error

    def _exact(self, name: str, num_rows: int) -> pa.Array:
        """Return a column of numbers as whole ones of up to 38 digits, or as text where they are not."""
        import pyarrow as pa

        with self.open() as stream:
            lines = (self._parse(line, number) for number, line in enumerate(stream, start=1) if line.strip())
            values = [None if (value := row.get(name)) != value else value for row in lines]  # NaN is no value
        if len(values) != num_rows:
            raise DataError(f"{self.file}: {num_rows:,} rows in {len(values):,} lines; expected one object a line")
        if all(value is None or (isinstance(value, int) and abs(value) < 10**38) for value in values):
            return pa.array(values, pa.decimal128(38, 0))
        return pa.array([None if value is None else written(value) for value in values])

    def _find_bad_line(self) -> None:
        """Raise an error that names the first line that is no JSON object, or a key that changes its type.

        Arrow's errors count from the block's start.
        """
        seen: dict[str, tuple[str, int]] = {}
        try:
            with self.open() as stream:
                for number, line in enumerate(stream, start=1):
                    row = self._parse(line, number) if line.strip() else {}
                    for name, value in row.items():
                        kind = _KINDS.get(type(value), "")
                        before, place = seen.setdefault(name, (kind, number)) if kind else (kind, number)
                        if kind != before:
                            raise DataError(
                                f"{self.file}, line {number}: column {name!r} is a {kind}, but in line {place} a "
                                f"{before}; write it as one type"
                            )
        except UNREADABLE as error:
            raise DataError(f"{self.file} cannot be read to its end, it is cut off or damaged: {error}") from error

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.file}, line {number}: not UTF-8 ({error.reason}); convert it to UTF-8") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.file}, line {number}: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{self.file}, line {number}: a JSON {type(row).__name__}; expected an object")
        return row
