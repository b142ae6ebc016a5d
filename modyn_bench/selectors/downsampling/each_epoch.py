"""What policies share that choose among the whole trigger training set between epochs, without a pass of their own."""

from __future__ import annotations

import numpy as np

from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.types import FloatArray, IntArray


class EachEpoch(Downsampler):
    """Chooses among the whole set, every ``period`` epochs, by what is known without another pass.

    Takes the options of every downsampling; ``mode`` is ``sample_then_batch``.

    Raises:
        RequestError: If an option is out of range.
    """

    modes = ("sample_then_batch",)


def highest_at_random(scores: FloatArray, budget: int, generator: np.random.Generator) -> IntArray:
    """Return positions of the highest scores, NaN before all, equal ones at random, in order of position, shape (k,).

    Args:
        scores: Shape (n,).
        budget: How many.
        generator: Draws among equal ones.

    Example:
        >>> highest_at_random(np.array([1.0, np.nan, 3.0, 0.0]), 2, np.random.default_rng(0)).tolist()
        [1, 2]
    """
    known = ~np.isnan(scores)
    order = np.lexsort((generator.random(len(scores)), -np.where(known, scores, 0.0), known))
    return np.sort(order[:budget])
