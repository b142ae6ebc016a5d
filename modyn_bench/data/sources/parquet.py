"""Parquet files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from modyn_bench.data.sources.base import Source
from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetSource(Source):
    """A Parquet file; its own types hold."""

    def column_names(self) -> list[str]:
        """Return the names of the columns from the file's footer."""
        return list(self._schema().names)

    def column_type(self, name: str) -> pa.DataType | None:
        """Return the type of a column from the file's footer."""
        return self._schema().field(name).type

    def read(
        self, names: Sequence[str], *, verbatim: Collection[str] = (), exact: Collection[str] = ()
    ) -> tuple[pa.Table, list[str]]:
        """Read columns; they have their types, and nulls of their own."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # Old writers' 96-bit times are nanoseconds to Arrow, which wrap around after 2262, unless it is told.
            file = pq.ParquetFile(self.file, coerce_int96_timestamp_unit="us")
            return file.read(columns=list(names)), []
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _schema(self) -> pa.Schema:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_schema(self.file)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"{self.file} cannot be read as Parquet: {error}")
