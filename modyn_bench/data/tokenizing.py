"""What turns texts into rows of token ids at ingest, whichever way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from modyn_bench.data.store import Column


class Tokenizer(Protocol):
    """Turns texts into ids of fixed width: 1, 2, … for tokens, 0 for padding behind them."""

    def check(self) -> None:
        """Raise ``RequestError`` if it cannot be used."""

    def column(self, source: str) -> Column:
        """Return what a store keeps of the ids of a text column, which the source calls ``source``."""

    def encode(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return the ids of texts, shape (n, max_tokens), of the column's type."""


def smallest_dtype(largest_id: int) -> str:
    """Return the NumPy name of the smallest type that holds every id.

    Example:
        >>> smallest_dtype(30_521), smallest_dtype(250_001)
        ('uint16', 'int32')
    """
    return "uint16" if largest_id <= 65_535 else "int32"
