"""Rows in files: CSV, TSV, Parquet or JSON lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from modyn_bench.data.columns import Roles, note_saved_index, rows_from_table
from modyn_bench.data.columns.common import check_names
from modyn_bench.data.fingerprint import hash_sources, hash_values
from modyn_bench.data.ingest import Rows
from modyn_bench.data.recipes.base import plain
from modyn_bench.data.recipes.columnar import ColumnarRecipe
from modyn_bench.data.sources.base import MISSING_VALUES, Source, TextFormat, kind_of, open_sources
from modyn_bench.data.sources.union import concatenate
from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(kw_only=True)
class FilesRecipe(ColumnarRecipe):
    """A CSV, TSV, Parquet or JSON lines file (also .gz, .bz2, .xz), or a folder of such files in the order of names.

    Attributes:
        path: The file or folder; relative to the working directory.
        separator: Of delimited text: one character; ``None``: found out.
        quote: Of delimited text: one character, or ``None`` where quotes are ordinary characters.
        missing_values: Of delimited text: what is written where a value is missing.
    """

    location_fields: ClassVar[tuple[str, ...]] = ("path",)

    path: str
    separator: str | None = None
    quote: str | None = '"'
    missing_values: list[str] = field(default_factory=lambda: list(MISSING_VALUES))

    @property
    def name(self) -> str:
        """The file's name without its suffixes."""
        stem = Path(self.path).name.split(".")[0]
        return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "table"

    @property
    def origin(self) -> str:
        """The path, as given."""
        return str(self.path)

    def check(self) -> None:
        """Check ranges, that the path exists, and that the configured columns do."""
        super().check()
        self._text_format.check()
        sources = self._sources()
        names = sources[0].column_names()
        check_names(names, origin=str(sources[0].file))
        if not sources[0].names_may_follow:
            self.roles.check_columns(names, origin=self.origin)

    def source_hash(self, data_dir: Path | None) -> str:
        """Return the identity of the files' bytes and of the kind they are read as."""
        files = [source.file for source in self._sources()]
        return hash_values([kind_of(file) for file in files], hash_sources(files, data_dir))

    def read(self, data_dir: Path) -> Rows:
        """Read the files, one behind the other."""
        roles, sources = self.roles, self._sources()
        first = sources[0].all_column_names()
        roles.check_columns(first, origin=self.origin)
        notes = note_saved_index(first, roles)
        roles = roles.resolved(first)
        untyped = () if sources[0].typed else roles.inputs.inferred
        # No name for the table here, so that what takes it can let its columns go.
        return rows_from_table(
            self._read_files(sources, roles, notes),
            roles,
            origin=self.origin,
            data_dir=data_dir,
            notes=notes,
            untyped=untyped,
        )

    def _read_files(self, sources: list[Source], roles: Roles, notes: list[str]) -> pa.Table:
        """Return the rows of all files and add what there is to note."""
        first = sources[0].all_column_names()
        needed, verbatim, exact = roles.needed(first), roles.inputs.verbatim, roles.exact
        tables: list[pa.Table] = []
        for source in sources:
            names = source.all_column_names()
            check_names(names, origin=str(source.file))
            if set(names) != set(first):
                differing = ", ".join(map(repr, sorted(set(names) ^ set(first))))
                raise DataError(
                    f"{source.file}: its columns are not those of {sources[0].file.name}; differing: {differing}"
                )
            table, found = source.read(needed, verbatim=verbatim, exact=exact)
            tables.append(table)
            notes += found
        return concatenate(tables, [source.file for source in sources], exact=exact)

    @property
    def _text_format(self) -> TextFormat:
        return TextFormat(self.separator, self.quote, tuple(map(str, plain(self.missing_values))))

    def _sources(self) -> list[Source]:
        return open_sources(Path(self.path).expanduser(), self._text_format)
