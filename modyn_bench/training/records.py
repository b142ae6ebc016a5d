"""What trainings record of samples, by key, for policies that choose by the history of a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modyn_bench.types import IntArray


@dataclass(frozen=True)
class SampleRecords:
    """What one policy recorded of samples that were trained on.

    Args:
        keys: Sorted, shape (m,).
        values: Shape (m, d), float32.
    """

    keys: IntArray
    values: NDArray[np.float32]

    def of(self, keys: IntArray) -> NDArray[np.float32]:
        """Return the rows of keys, NaN where nothing was recorded, shape (n, d)."""
        rows = np.full((len(keys), self.values.shape[1]), np.nan, dtype=np.float32)
        if len(self.keys):
            places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            known = self.keys[places] == keys
            rows[known] = self.values[places[known]]
        return rows

    @classmethod
    def empty(cls, size: int) -> SampleRecords:
        """Return no record of a policy whose records have so many numbers."""
        return cls(np.empty(0, np.int64), np.empty((0, size), np.float32))

    def since(self, first_key: int) -> SampleRecords:
        """Return these records without those of keys below the first."""
        kept = self.keys >= first_key
        return SampleRecords(self.keys[kept], self.values[kept])

    def updated(self, keys: IntArray, values: NDArray[np.float32]) -> SampleRecords:
        """Return these records with those of sorted keys replaced or added; of a row of NaN there is none.

        Example:
            >>> before = SampleRecords(np.array([2, 5]), np.array([[0.25], [0.5]], np.float32))
            >>> after = before.updated(np.array([5, 7]), np.array([[0.75], [1.0]], np.float32))
            >>> after.keys.tolist(), after.values.ravel().tolist()
            ([2, 5, 7], [0.25, 0.75, 1.0])
        """
        trained = ~np.isnan(values).all(axis=1)
        keys, values = keys[trained], values[trained]
        kept = ~np.isin(self.keys, keys, assume_unique=True)
        together = np.concatenate([self.keys[kept], keys])
        order = np.argsort(together, kind="stable")
        return SampleRecords(together[order], np.concatenate([self.values[kept], values])[order])
