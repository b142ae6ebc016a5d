"""A text column to token ids and a blob."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.base import InputColumns
from modyn_bench.data.columns.common import is_text, joined
from modyn_bench.data.hashing import HashArray, hash_texts
from modyn_bench.data.ingest import Gather, GatherBytes
from modyn_bench.data.store import Column
from modyn_bench.data.tokenizing import Tokenizer
from modyn_bench.errors import DataError
from modyn_bench.types import IntArray

if TYPE_CHECKING:
    import pyarrow as pa


class TextColumn(InputColumns):
    """The raw text as the blob ``text`` and its token ids as the column ``tokens``.

    A missing text is the empty one, and noted.

    Args:
        table: The source.
        name: The text column.
        tokens: How text becomes ids.
        origin: What the source is called.

    Raises:
        DataError: If the column holds no text.
    """

    def __init__(self, table: pa.Table, name: str, *, tokens: Tokenizer, origin: str) -> None:
        import pyarrow as pa

        column = joined(table[name])
        if not is_text(column.type):
            raise DataError(
                f"{origin}: the text column {name!r} is of type {column.type}, not text; "
                "use dataset.features for numbers and categories"
            )
        num_missing = column.null_count
        self.notes = [f"text column {name!r}: {num_missing:,} missing texts are empty ones"] if num_missing else []
        self._texts = column.fill_null("").cast(pa.large_string())
        self._name = name
        self._tokens = tokens
        self.columns = (
            tokens.column(name),
            Column("text", "blob", "uint8", (), (name,)),
        )

    @property
    def gathers(self) -> dict[str, Gather]:
        """How ingest gets the tokens of rows."""
        return {"tokens": lambda rows: self._tokens.encode(self._texts.take(_indices(rows)).to_pylist())}

    @property
    def blobs(self) -> dict[str, GatherBytes]:
        """How ingest gets the texts of rows."""
        return {"text": self._bytes}

    def hashes(self) -> dict[str, HashArray]:
        """Return a hash of every text, shape (n,), under the column's name."""
        texts = (value.as_buffer().to_pybytes() for value in self._texts)
        return {self._name: hash_texts(texts, len(self._texts))}

    def _bytes(self, rows: IntArray) -> tuple[NDArray[np.uint8], IntArray]:
        taken = self._texts.take(_indices(rows))
        _, offsets_buffer, data = taken.buffers()
        offsets = np.frombuffer(offsets_buffer, dtype=np.int64, count=len(taken) + 1, offset=taken.offset * 8)
        payload = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
        return payload[offsets[0] : offsets[-1]], np.diff(offsets)


def _indices(rows: IntArray) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows, pa.int64())
