"""Train on a share of the data in which newer samples are more likely."""

from __future__ import annotations

import numpy as np

from modyn_bench.selectors.base import History, SelectionContext, as_keys
from modyn_bench.selectors.presampling.base import Presampler
from modyn_bench.timespan import parse_duration
from modyn_bench.types import FloatArray, IntArray


class Recency(Presampler):
    r"""Select a share of the scope, the newer a sample the more likely, without replacement.

    A sample of age :math:`a_i` at the trigger is among the k that are selected with a probability of exactly

    .. math:: \pi_i = \min(1, c \cdot 2^{-a_i / \text{half\_life}}), \qquad \sum_i \pi_i = k,

    by systematic sampling in random order. All have weight 1: that newer samples count more is the purpose.

    Args:
        half_life: By how much older a sample is that is half as likely: a duration such as ``1y``.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> inclusion_probabilities(np.array([0, 10, 20, 60]), half_life=10, size=2).round(3).tolist()
        [0.143, 0.286, 0.571, 1.0]

    Reference:
        Hartley and Rao, Sampling with Unequal Probabilities and without Replacement, Annals of Mathematical
        Statistics, 1962 (systematic sampling in random order).
    """

    name = "recency"

    def __init__(
        self,
        half_life: str | int = "1y",
        *,
        ratio: float = 0.25,
        size: int | None = None,
        history: History = "all",
        limit: int | None = None,
        warmup_triggers: int = 0,
    ) -> None:
        super().__init__(ratio=ratio, size=size, history=history, limit=limit, warmup_triggers=warmup_triggers)
        self.half_life = parse_duration(half_life, "selector.half_life")

    def presample(self, scope: range, budget: int, context: SelectionContext) -> IntArray:
        """Draw the budget by age."""
        timestamps = context.timestamps(as_keys(scope))
        chances = inclusion_probabilities(timestamps, self.half_life, budget)
        return scope.start + draw_systematically(chances, context.generator)


def inclusion_probabilities(timestamps: IntArray, half_life: int, size: int) -> FloatArray:
    """Return how likely each of n samples is to be among those selected, shape (n,).

    The newest of them may be certain. The others share what is left of ``size`` in proportion to 2^(-age / half-life).

    Args:
        timestamps: UTC seconds, non-decreasing, shape (n,).
        half_life: Seconds.
        size: How many are selected, 1 to n.
    """
    first = len(timestamps) - size  # at most those from here on are certain
    chances: FloatArray = (timestamps - timestamps[first]) / half_life
    np.clip(chances, -1000, 64, out=chances)  # certain are all beyond 64, and powers stay finite
    np.exp2(chances, out=chances)
    sums = np.cumsum(chances)
    fits = np.arange(1, size + 1) * chances[first:] <= sums[first:]  # would not be more than certain
    last = int(np.flatnonzero(fits)[-1])
    chances[: first + last + 1] *= (last + 1) / sums[first + last]
    chances[first + last + 1 :] = 1.0
    return chances


def draw_systematically(chances: FloatArray, generator: np.random.Generator) -> IntArray:
    """Draw positions with given inclusion probabilities, whose sum is a whole number; in order, shape (Σ chances,).

    In random order, one is taken wherever the running sum passes a whole number from a random start.
    """
    taken = chances >= 1
    unsure = np.flatnonzero(~taken)
    generator.shuffle(unsure)
    sums = np.cumsum(chances[unsure])
    size = np.rint(sums[-1]) if len(sums) else 0.0
    sums *= size / sums[-1] if size else 0.0
    passed = np.minimum(np.floor(sums + generator.random()), size)  # rounding must not pass one more
    taken[unsure[np.diff(passed, prepend=0.0) > 0]] = True
    return np.flatnonzero(taken)
