"""Categories to the ids that a model sees, fitted on given samples only.

A categorical feature is stored in one of two ways: as codes into a dictionary of strings, or, where the source numbers
its categories itself, as those numbers. Shapes: n samples, C categorical features.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.store import Column
from modyn_bench.types import IntArray

UNKNOWN = 0
"""The id of a category that the fitted samples do not have."""


@dataclass(frozen=True)
class KnownIds:
    """Which of the source's ids the fitted samples have: a bit for each, since strings would take a hundred times that.

    Attributes:
        seen: Whether an id was seen, shape (largest seen id + 1,).

    Example:
        >>> known = KnownIds(np.array([False, True, False, True]))
        >>> len(known), known.to_json()
        (2, {'num_bits': 4, 'bits': 'UA=='})
    """

    seen: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(np.count_nonzero(self.seen))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"num_bits": len(self.seen), "bits": base64.b64encode(np.packbits(self.seen).tobytes()).decode()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> KnownIds:
        """Rebuild from ``to_json``."""
        packed = np.frombuffer(base64.b64decode(values["bits"]), dtype=np.uint8)
        return cls(np.unpackbits(packed, count=values["num_bits"]).astype(bool))


Vocabulary: TypeAlias = tuple[str, ...] | KnownIds
"""What is known of one feature: its categories in lexical order, or its ids."""


def fit_vocabularies(column: Column, batches: Iterator[NDArray[Any]]) -> tuple[Vocabulary, ...]:
    """Return for each feature the categories that samples have, whatever the store's codes for them.

    Args:
        column: The categorical column.
        batches: What is stored of the samples, each of shape (n, C).
    """
    seen = [np.zeros(len(categories), dtype=bool) for categories in column.categories or [()] * column.shape[0]]
    for codes in batches:
        largest = codes.max(axis=0, initial=-1).tolist()
        for feature, mask in enumerate(seen):
            if largest[feature] >= len(mask):
                mask = seen[feature] = np.pad(mask, (0, largest[feature] + 1 - len(mask)))
            mask[codes[:, feature]] = True
    if not column.categories:
        return tuple(KnownIds(mask) for mask in seen)
    return tuple(
        tuple(sorted(categories[code] for code in np.flatnonzero(mask)))
        for categories, mask in zip(column.categories, seen, strict=True)
    )


class IdTable:
    """Looks up the ids of categories: one table for all features, behind one another.

    A known category gets its position, from 1, among its feature's known ones in their order; any other one is 0.

    Args:
        column: The categorical column.
        vocabularies: What is known of each feature.

    Example:
        >>> table = IdTable(
        ...     Column("categorical", "categorical", "int32", (1,), ("shop",)),
        ...     (KnownIds(np.array([False, True, False, True])),),
        ... )
        >>> out = np.empty((4, 1), dtype=np.int64)
        >>> table.look_up(np.array([[1], [3], [2], [9]]), out)
        >>> out.ravel().tolist()
        [1, 2, 0, 0]
    """

    def __init__(self, column: Column, vocabularies: Sequence[Vocabulary]) -> None:
        dictionaries = column.categories or [()] * len(vocabularies)
        parts = [_ids(*feature) for feature in zip(vocabularies, dictionaries, strict=False)]
        sizes = np.array([len(part) for part in parts], dtype=np.int64)
        self._table = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        self._open = not column.categories  # a code without a dictionary may be larger than any seen
        self._last = sizes - 1
        self._starts = np.cumsum(sizes) - sizes

    def look_up(self, codes: NDArray[Any], out: IntArray) -> None:
        """Write the ids of stored codes, shape (n, C), to ``out``."""
        known = np.minimum(codes, self._last) if self._open else codes
        np.take(self._table, known + self._starts, out=out, mode="clip")


def _ids(vocabulary: Vocabulary, categories: Sequence[str]) -> IntArray:
    """Return the id of every code of a feature, and behind them that of all codes that are larger."""
    if isinstance(vocabulary, KnownIds):
        ids = np.where(vocabulary.seen, np.cumsum(vocabulary.seen), UNKNOWN)
        return np.append(ids, UNKNOWN)
    places = {category: position for position, category in enumerate(vocabulary, start=UNKNOWN + 1)}
    return np.array([*(places.get(category, UNKNOWN) for category in categories), UNKNOWN], dtype=np.int64)
