"""Train on a share of the data in which newer samples are more likely."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from modyn_bench.selectors.base import History, SelectionContext, as_keys
from modyn_bench.selectors.inclusion import draw_systematic, inclusion_probabilities
from modyn_bench.selectors.presampling.base import Options, Presampler
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
        >>> by_age(np.array([0, 10, 20, 60]), half_life=10, size=2).round(3).tolist()
        [0.143, 0.286, 0.571, 1.0]

    Reference:
        Hartley and Rao, Sampling with Unequal Probabilities and without Replacement, Annals of Mathematical
        Statistics, 1962 (systematic sampling in random order).
    """

    name = "recency"

    def __init__(self, half_life: str | int = "1y", *, history: History = "all", **options: Unpack[Options]) -> None:
        super().__init__(history=history, **options)
        self.half_life = parse_duration(half_life, "selector.half_life")

    def presample(self, scope: range, budget: int, context: SelectionContext) -> IntArray:
        """Draw the budget by age."""
        timestamps = context.timestamps(as_keys(scope))
        return scope.start + draw_systematic(by_age(timestamps, self.half_life, budget), context.generator)


def by_age(timestamps: IntArray, half_life: int, size: int) -> FloatArray:
    """Return how likely each of n samples is to be among those selected, shape (n,).

    The newest of them may be certain. The others share what is left of ``size`` in proportion to 2^(-age / half-life).

    Args:
        timestamps: UTC seconds, non-decreasing, shape (n,).
        half_life: Seconds.
        size: How many are selected, 1 to n.
    """
    first = len(timestamps) - size  # at most those from here on are certain
    halvings: FloatArray = (timestamps - timestamps[first]) / half_life
    np.clip(halvings, -1000, 64, out=halvings)  # certain are all beyond 64, and powers stay finite
    return inclusion_probabilities(np.exp2(halvings, out=halvings), size)
