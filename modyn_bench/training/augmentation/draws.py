"""Random numbers of samples, the same whatever batch or device a sample is in."""

from __future__ import annotations

import numpy as np

from modyn_bench.seeding import derive_seed, priorities
from modyn_bench.types import FloatArray, IntArray


class Draws:
    """Draws random numbers for the samples of a batch.

    A sample's numbers depend on the seed, on where it stands in the trigger training set, and on what they are called;
    not on the other samples of its batch, nor on the device. So trainings on one device and on two augment alike.

    Args:
        positions: Where the samples stand in the trigger training set, shape (n,).
        seed: The run's seed.
        names: Whose numbers they are: training, augmentation, epoch.

    Example:
        >>> alone, among = Draws(np.array([7]), 0, "x"), Draws(np.array([3, 7, 9]), 0, "x")
        >>> bool(alone.uniform("left")[0] == among.uniform("left")[1])
        True
    """

    def __init__(self, positions: IntArray, seed: int, *names: int | str) -> None:
        self._positions = positions
        self._seed = derive_seed(seed, *names)

    def __len__(self) -> int:
        return len(self._positions)

    def uniform(self, name: int | str) -> FloatArray:
        """Return a number in [0, 1) for each sample, shape (n,); again the same for the same name."""
        numbers = priorities(self._positions, self._seed, name) >> np.uint64(11)
        return numbers.astype(np.float64) * 2.0**-53
