"""A set of keys that a policy remembers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modyn_bench.state import Stateful


class KeySet(Stateful):
    """A set of keys as one bit each, from a first key on.

    Example:
        >>> keys = KeySet()
        >>> keys.replace(7, np.array([True, False, True]))
        >>> keys.among(range(5, 11)).tolist()
        [False, False, True, False, True, False]
    """

    state_fields = ("start", "bits")

    def __init__(self) -> None:
        self.start = 0
        self.bits = np.zeros(0, dtype=np.uint8)

    def among(self, scope: range) -> NDArray[np.bool_]:
        """Tell which keys of a scope are in the set, shape (n,)."""
        found = np.zeros(len(scope), dtype=bool)
        known = range(max(scope.start, self.start), min(scope.stop, self.start + 8 * len(self.bits)))
        if len(known):
            members = np.unpackbits(self.bits, count=known.stop - self.start)
            found[known.start - scope.start : known.stop - scope.start] = members[known.start - self.start :]
        return found

    def replace(self, start: int, members: NDArray[np.bool_]) -> None:
        """Hold other keys: those with a true value, the first of which stands for the key ``start``."""
        self.start = start
        self.bits = np.packbits(members)
