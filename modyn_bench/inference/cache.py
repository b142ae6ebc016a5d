"""Rows of values by key, growing as keys come, at a cost that stays linear in their number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modyn_bench.types import IntArray

_ABSENT = -1


class KeyedRows:
    """Float32 rows by key. Rows and index double when they are full, so adding n keys one by one costs O(n).

    Example:
        >>> rows = KeyedRows()
        >>> rows.add(np.array([7, 5]), np.array([[0.5], [0.25]], np.float32))
        >>> rows.missing(np.array([5, 6, 7])).tolist(), rows.get(np.array([5, 7])).ravel().tolist()
        ([6], [0.25, 0.5])
    """

    def __init__(self) -> None:
        self._first = 0  # the key that the index starts at
        self._index: IntArray = np.empty(0, dtype=np.int64)
        self._rows: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def missing(self, keys: IntArray) -> IntArray:
        """Return the keys that have no row, distinct and sorted."""
        unique = np.unique(keys)
        absent: IntArray = unique[self._positions(unique) == _ABSENT]
        return absent

    def get(self, keys: IntArray) -> NDArray[np.float32]:
        """Return a copy of the rows of keys that all have one, shape (n, d)."""
        return self._rows[self._positions(keys)]

    def add(self, keys: IntArray, rows: NDArray[np.float32]) -> None:
        """Add rows for distinct keys that have none yet: shapes (n,) and (n, d)."""
        if not len(keys):
            return
        self._cover(int(keys.min()), int(keys.max()))
        end = self._size + len(keys)
        if end > len(self._rows):
            grown = np.empty((max(end, 2 * len(self._rows)), rows.shape[1]), dtype=np.float32)
            if self._size:
                grown[: self._size] = self._rows[: self._size]
            self._rows = grown
        self._rows[self._size : end] = rows
        self._index[keys - self._first] = np.arange(self._size, end)
        self._size = end

    def _positions(self, keys: IntArray) -> IntArray:
        if not len(self._index):
            return np.full(len(keys), _ABSENT, dtype=np.int64)
        offsets = keys - self._first
        inside = (offsets >= 0) & (offsets < len(self._index))
        return np.where(inside, self._index[np.where(inside, offsets, 0)], _ABSENT)

    def _cover(self, low: int, high: int) -> None:
        """Widen the index to hold keys low..high, by at least its own length on the side that grows."""
        length = len(self._index)
        if not length:
            self._first, self._index = low, np.full(high - low + 1, _ABSENT, dtype=np.int64)
            return
        end = self._first + length
        new_first = self._first if low >= self._first else max(0, min(low, self._first - length))
        new_end = end if high < end else max(high + 1, end + length)
        if (new_first, new_end) == (self._first, end):
            return
        grown = np.full(new_end - new_first, _ABSENT, dtype=np.int64)
        grown[self._first - new_first : end - new_first] = self._index
        self._first, self._index = new_first, grown
