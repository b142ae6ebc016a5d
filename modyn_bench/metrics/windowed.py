"""Sums and counts over many windows of one time-sorted array at once.

Shapes: n samples, W windows, K groups. A window is a pair of positions [lo, hi); windows may overlap, repeat or be
empty. No result depends on which other windows are asked for at the same time, to the last bit: counts are integers,
and a sum of floats adds the window's own samples and nothing else, so that a NaN or a huge value stays in its window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modyn_bench.types import FloatArray, IntArray


class Windowed:
    """Windows over n samples.

    Args:
        bounds: Positions [lo, hi), shape (W, 2).
        num_samples: n.

    Raises:
        ValueError: If a window is reversed or reaches beyond the samples.

    Example:
        >>> windows = Windowed(np.array([[0, 2], [1, 4], [3, 3]]), 4)
        >>> windows.sum(np.array([1.0, 2.0, 3.0, 4.0])).tolist()
        [3.0, 9.0, 0.0]
        >>> windows.count(np.array([0, 1, 1, 1]), 2).tolist()
        [[1, 1], [0, 3], [0, 0]]
    """

    def __init__(self, bounds: IntArray, num_samples: int) -> None:
        bounds = np.asarray(bounds, dtype=np.int64)
        if bounds.ndim != 2 or bounds.shape[1] != 2:
            raise ValueError(f"bounds must have the shape (W, 2), but have {bounds.shape}")
        self.low, self.high = bounds[:, 0], bounds[:, 1]
        if len(bounds) and (self.low.min() < 0 or self.high.max() > num_samples or bool((self.low > self.high).any())):
            raise ValueError(f"bounds must satisfy 0 <= lo <= hi <= {num_samples}, the number of samples")
        self.num_samples = num_samples

    def __len__(self) -> int:
        return len(self.low)

    @property
    def sizes(self) -> IntArray:
        """Samples in each window, shape (W,)."""
        return self.high - self.low

    def count_true(self, mask: NDArray[np.bool_]) -> IntArray:
        """Return how many samples of each window a mask of shape (n,) holds for, shape (W,)."""
        before = np.zeros(self.num_samples + 1, dtype=np.int64)
        np.cumsum(mask, out=before[1:])
        return before[self.high] - before[self.low]

    def count(self, groups: NDArray[np.integer], num_groups: int, mask: NDArray[np.bool_] | None = None) -> IntArray:
        """Return how many samples of each window fall in each group, shape (W, K).

        Args:
            groups: The samples' groups in [0, K), shape (n,).
            num_groups: K.
            mask: Count only where it holds, shape (n,).
        """
        cuts = np.unique(np.concatenate([self.low, self.high]))
        before = np.zeros((max(len(cuts), 1), num_groups), dtype=np.int64)
        if len(cuts) > 1:
            segments = np.repeat(np.arange(len(cuts) - 1), np.diff(cuts))
            cells = segments * num_groups + groups[cuts[0] : cuts[-1]]
            if mask is not None:
                cells = cells[mask[cuts[0] : cuts[-1]]]
            counts = np.bincount(cells, minlength=(len(cuts) - 1) * num_groups).reshape(-1, num_groups)
            np.cumsum(counts, axis=0, out=before[1:])
        return before[np.searchsorted(cuts, self.high)] - before[np.searchsorted(cuts, self.low)]

    def sum(self, values: NDArray[np.floating]) -> FloatArray:
        """Return the sum of values of shape (n,) over each window, shape (W,); 0 for an empty one."""
        return _range_sums(values, self.low, self.high)

    def grouped_sum(self, values: NDArray[np.floating], groups: NDArray[np.integer], num_groups: int) -> FloatArray:
        """Return the sum of values over each window's samples of each group, shape (W, K).

        Args:
            values: Shape (n,).
            groups: The samples' groups in [0, K), shape (n,).
            num_groups: K.
        """
        narrow = groups.astype(np.uint16 if num_groups <= 2**16 else np.int64)  # NumPy sorts uint16 by radix
        order = np.argsort(narrow, kind="stable")
        first = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=num_groups))])[:-1]
        edges = Windowed(np.stack([np.zeros_like(self.low), self.low], axis=1), self.num_samples)
        low = (first + edges.count(groups, num_groups)).T  # (K, W): neighbours in time are neighbours in memory
        high = low + self.count(groups, num_groups).T
        return _range_sums(values[order], low.ravel(), high.ravel()).reshape(num_groups, len(self)).T


def _range_sums(values: NDArray[np.floating], low: IntArray, high: IntArray) -> FloatArray:
    """Return the sum of every values[low:high], in float64."""
    filled = np.flatnonzero(high > low)
    sums = np.zeros(len(low))
    if len(filled):
        ends = np.empty(2 * len(filled), dtype=np.int64)
        ends[0::2], ends[1::2] = low[filled], high[filled]
        padded = np.append(np.asarray(values, dtype=np.float64), 0.0)  # so that len(values) is an index
        sums[filled] = np.add.reduceat(padded, ends)[::2]
    return sums
