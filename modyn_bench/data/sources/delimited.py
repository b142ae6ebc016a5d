"""Delimited text: CSV, TSV and their like."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modyn_bench.data.sources.base import UNREADABLE, Source, kind_of
from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_SEPARATORS = (",", ";", "\t", "|")
_BLOCK_BYTES = 1 << 24
_LARGEST_VALUE = 1 << 30


class DelimitedSource(Source):
    """A CSV or TSV file in UTF-8 with a header line.

    Every value is read as text; ``infer_types`` finds the types of columns when the rows of all files are together. A
    column without a name, which is what a saved index looks like, is left out, and noted. Blanks around values are no
    part of them. Empty lines are no rows. Rows with more or fewer values than the header are an error that counts them,
    and so are quoted values in which whole rows seem to have vanished.
    """

    typed = False

    def column_names(self) -> list[str]:
        """Return the names in the header, without surrounding blanks."""
        return [name for name in self._header() if name]

    def read(
        self, names: Sequence[str], *, verbatim: Collection[str] = (), exact: Collection[str] = ()
    ) -> tuple[pa.Table, list[str]]:
        """Read columns as text, and mark what is missing (not in ``verbatim``)."""
        import pyarrow as pa

        header = self._header()
        num_unnamed = header.count("")
        notes = [f"{self.file.name}: {num_unnamed} column(s) without a name are left out"] if num_unnamed else []
        # Names of our own, one per position, so that neither blanks nor repetitions in the header matter.
        places = {name: f"{place}" for place, name in reversed(list(enumerate(header)))}
        parsed = self._parse([f"{place}" for place in range(len(header))], [places[name] for name in names])
        columns: dict[str, Any] = {}
        for name in names:
            values = parsed.pop(places[name]).combine_chunks()  # one column less in memory each time
            self._refuse_swallowed_rows(name, values, len(header))
            columns[name] = values if name in verbatim else self._without_missing(values)
        return pa.table(columns), notes

    @cached_property
    def separator(self) -> str:
        """The separator: the configured one, a tab for TSV, else the one that cuts the first lines best."""
        if self.text_format.separator is not None:
            return self.text_format.separator
        if kind_of(self.file)[1] == ".tsv":
            return "\t"
        widths = {separator: [len(row) for row in self._first_rows(separator)] for separator in _SEPARATORS}
        agreeing = {s: w[0] for s, w in widths.items() if w[0] > 1 and all(width == w[0] for width in w)}
        candidates = agreeing or {s: w[0] for s, w in widths.items() if w[0] > 1}
        if not candidates:
            raise DataError(
                f"{self.file}: the header {self._first_rows(',')[0]} has a single column; tried comma, semicolon, tab "
                "and bar; set dataset.separator"
            )
        return max(candidates, key=lambda separator: candidates[separator])

    def _header(self) -> list[str]:
        return [name.strip() for name in self._first_rows(self.separator)[0]]

    def _first_rows(self, separator: str) -> list[list[str]]:
        head, whole = self.head()
        while not whole and head.count(b"\n") < 2 and len(head) < _LARGEST_VALUE:  # a long header, or a long first row
            head, whole = self.head(4 * len(head))
        if b"\x00" in head:
            raise DataError(f"{self.file} is not UTF-8 text: it holds zero bytes, as UTF-16 does; convert it to UTF-8")
        text = head.decode("utf-8-sig", errors="replace")  # what is not UTF-8 is told when the rows are read
        if not whole:
            text = text[: text.rfind("\n") + 1] or text
        quote = self.text_format.quote
        quoting: Any = csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=quote, quoting=quoting)
        limit = csv.field_size_limit(_LARGEST_VALUE)
        try:
            return list(itertools.islice((row for row in reader if row), 20))
        except csv.Error as error:
            raise DataError(f"{self.file}: the first rows cannot be read: {error}") from error
        finally:
            csv.field_size_limit(limit)

    def _num_lines_before_header(self) -> int:
        lines = self.head()[0].removeprefix(codecs.BOM_UTF8).splitlines()
        return next(number for number, line in enumerate(lines) if line.strip(b"\r\n"))

    def _parse(self, columns: list[str], wanted: list[str]) -> dict[str, pa.ChunkedArray]:
        import pyarrow as pa
        import pyarrow.csv

        if self.head()[1] and len(self._first_rows(self.separator)) == 1:  # Arrow wants a line end behind the header
            return {column: pa.chunked_array([], pa.large_string()) for column in wanted}
        ragged: list[Any] = []

        def collect(row: Any) -> str:  # noqa: ANN401 - Arrow's InvalidRow
            ragged.append(row)
            return "skip"

        try:
            with self.open() as stream:
                table = pa.csv.read_csv(
                    stream,
                    # One thread, because only then does Arrow know the numbers of the rows it complains of.
                    read_options=pa.csv.ReadOptions(
                        column_names=columns,
                        skip_rows=self._num_lines_before_header(),
                        skip_rows_after_names=1,
                        block_size=_BLOCK_BYTES,
                        use_threads=False,
                    ),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=self.separator,
                        quote_char=self.text_format.quote or False,
                        double_quote=self.text_format.quote is not None,
                        newlines_in_values=self.text_format.quote is not None,
                        invalid_row_handler=collect,
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        column_types=dict.fromkeys(columns, pa.large_string()), include_columns=wanted
                    ),
                )
        except (pa.ArrowException, *UNREADABLE) as error:
            self._find_bad_bytes()
            raise DataError(
                f"{self.file} cannot be read as delimited text: {error}; is a quote left open? "
                "dataset.quote=null takes quotes as ordinary characters"
            ) from error
        if ragged:
            shown = ", ".join(f"row {row.number - 1}: {row.actual_columns}" for row in ragged[:5])
            raise DataError(
                f"{self.file}: {len(ragged):,} row(s) do not have the header's {len(columns)} values ({shown}"
                f"{', ...' if len(ragged) > 5 else ''}); is dataset.separator={self.separator!r} right?"
            )
        return dict(zip(table.column_names, table.columns, strict=True))

    def _find_bad_bytes(self) -> None:
        """Raise an error that names the first line that is not UTF-8, or says that the file is cut off or damaged."""
        try:
            with self.open() as stream:
                for number, line in enumerate(stream, start=1):
                    try:
                        line.decode("utf-8")
                    except UnicodeDecodeError as error:
                        raise DataError(
                            f"{self.file}, line {number}: not UTF-8 ({error.reason} at byte {error.start}); convert "
                            "it, for instance with iconv -f latin1 -t utf8"
                        ) from error
        except UNREADABLE as error:
            raise DataError(f"{self.file} cannot be read to its end, it is cut off or damaged: {error}") from error

    def _refuse_swallowed_rows(self, name: str, values: pa.Array, num_columns: int) -> None:
        """Raise an error if a quoted value holds a line that looks like a row: a quote was left open."""
        import pyarrow.compute as pc

        separator = self.separator
        suspects = values.filter(pc.match_substring(values, "\n")).to_pylist() if num_columns > 2 else []
        for value in suspects:
            lines = [line for line in value.splitlines()[1:-1] if line.count(separator) >= num_columns - 1]
            if lines:
                raise DataError(
                    f"{self.file}: a quoted value of column {name!r} holds {len(value.splitlines())} lines that look "
                    f"like rows, such as {lines[0][:80]!r}: a quote is left open; mend it, or take quotes as ordinary "
                    "characters with dataset.quote=null"
                )

    def _without_missing(self, column: pa.Array) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        values = pc.utf8_trim_whitespace(column)
        missing = pc.is_in(values, value_set=pa.array(self.text_format.missing_values, pa.large_string()))
        return pc.if_else(missing, None, values)
