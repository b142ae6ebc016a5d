"""The source's own columns by their names, as they were read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.store import Schema, Split
from modyn_bench.errors import RequestError
from modyn_bench.types import IntArray


class NamedColumns:
    """Values of a split by the names of the source's columns: numbers as stored, categories as their codes.

    Args:
        schema: What the store holds.
        split: Where the samples lie.
    """

    def __init__(self, schema: Schema, split: Split) -> None:
        self._split = split
        columns = [column for column in schema.inputs if column.kind in ("numeric", "categorical")]
        self._places = {name: (column.name, place) for column in columns for place, name in enumerate(column.names)}
        self.kinds: dict[str, str] = {name: column.kind for column in columns for name in column.names}
        """Whether each column that can be asked for is ``numeric`` or ``categorical``, by its name."""

    def __call__(self, name: str, keys: IntArray) -> NDArray[Any]:
        """Return a column's values at keys, shape (n,).

        Raises:
            RequestError: If there is no such column.
        """
        if name not in self._places:
            raise RequestError(f"this dataset has no column {name!r}: it has {', '.join(self._places) or 'none'}")
        column, place = self._places[name]
        return np.asarray(self._split.columns[column][keys, place])
