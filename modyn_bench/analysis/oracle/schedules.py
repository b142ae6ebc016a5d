"""The best schedules among the models of candidates, by dynamic programming over the times at which they take over.

Shapes: K candidates in the order in which they get into service, n test samples in time order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from modyn_bench.evaluation.composite import VARIANTS
from modyn_bench.types import FloatArray, IntArray

Schedule = tuple[int, ...]
"""Positions of candidates, increasing; the first is 0."""


def cumulate(costs: FloatArray, times: IntArray, available_at: IntArray) -> FloatArray:
    """Sum one model's costs up to when each candidate gets into service, inclusive, and over all, shape (K + 1,).

    Args:
        costs: What the model costs on each test sample, shape (n,).
        times: Of the samples, non-decreasing, in UTC seconds, shape (n,).
        available_at: Of the candidates, non-decreasing, in UTC seconds, shape (K,).

    Example:
        >>> cumulate(np.array([1.0, 0.0, 2.0]), np.array([10, 20, 30]), np.array([10, 25])).tolist()
        [1.0, 1.0, 3.0]
    """
    ends = np.append(np.searchsorted(times, available_at, side="right"), len(times))
    sums = np.concatenate([[0.0], np.cumsum(costs, dtype=np.float64)])
    cumulative: FloatArray = sums[ends]
    return cumulative


@dataclass(frozen=True)
class Segments:
    r"""What the parts of a schedule :math:`c_1 < \dots < c_k` cost, so that the whole costs their sum.

    .. math:: \text{start} + \sum_{m=1}^{k-1} \text{between}_{c_m, c_{m+1}} + \text{end}_{c_k}

    The model in service at a time is that of the newest candidate in the schedule that got into service before,
    strictly, as the currently active model of a window is. The currently trained model is the one after it.

    Attributes:
        start: What is served before the first candidate's model is in service.
        between: What is served from i's getting into service until j's, where j follows on i, shape (K, K); infinite
            where j does not come after i.
        end: What is served once the last model is in service, shape (K,).
    """

    start: float
    between: FloatArray
    end: FloatArray

    @classmethod
    def of(cls, cumulative: FloatArray, variant: str) -> Segments:
        """Cut what every candidate's model costs into the parts of schedules.

        Args:
            cumulative: A row for each candidate, as ``cumulate`` returns it, shape (K, K + 1).
            variant: ``currently_active``: the model in service answers, and before the first there is none; or
                ``currently_trained``: the one that follows on it answers, the last one follows on itself.
        """
        assert variant in VARIANTS
        until, total = cumulative[:, :-1], cumulative[:, -1]
        own = np.diagonal(until)
        if variant == "currently_active":
            start, between = 0.0, until - own[:, None]
        else:
            start, between = float(own[0]), own[None, :] - until.T
        later = np.triu(np.ones(between.shape, dtype=bool), k=1)
        return cls(start, np.where(later, between, np.inf), total - own)

    def cost(self, schedule: Schedule) -> float:
        """Return what a schedule costs."""
        steps = sum(float(self.between[step]) for step in pairwise(schedule))
        return self.start + steps + float(self.end[schedule[-1]])


def best_schedules(segments: Segments, *, max_triggers: int | None = None) -> list[Schedule]:
    r"""Return the schedules of at most 1, 2, … candidates that cost least; the first candidate is in all of them.

    .. math:: D_1(0) = \text{start}, \qquad D_k(j) = \min_{i < j} D_{k-1}(i) + \text{between}_{ij}, \qquad
        \min_{k' \le k} \min_j D_{k'}(j) + \text{end}_j

    Of schedules that cost the same, one with fewer candidates. Takes O(K²) for each k.

    Args:
        segments: Of K candidates.
        max_triggers: The largest k; ``None``: K.

    Example:
        >>> segments = Segments.of(np.array([[0.0, 1.0, 4.0, 9.0], [0.0, 0.0, 1.0, 3.0], [9.0, 9.0, 9.0, 11.0]]),
        ...                        "currently_active")
        >>> best_schedules(segments), segments.cost((0, 1))
        ([(0,), (0, 1), (0, 1)], 4.0)

    Reference:
        Bellman, On the Approximation of Curves by Line Segments Using Dynamic Programming, CACM 1961 (the recursion
        over the last segment).
    """
    num_candidates = len(segments.end)
    limit = num_candidates if max_triggers is None else min(max_triggers, num_candidates)
    before = np.zeros((limit, num_candidates), dtype=np.int64)  # the candidate that a best schedule has before each
    reached = np.full(num_candidates, np.inf)
    reached[0] = segments.start
    lowest, schedules = np.inf, list[Schedule]()
    for k in range(limit):
        if k:
            totals = reached[:, None] + segments.between
            before[k] = totals.argmin(axis=0)
            reached = totals[before[k], np.arange(num_candidates)]
        finished = reached + segments.end
        last = int(finished.argmin())
        better = finished[last] < lowest
        lowest = min(lowest, finished[last])
        schedules.append(_walk_back(before[: k + 1], last) if better else schedules[-1])
    return schedules


def _walk_back(before: IntArray, last: int) -> Schedule:
    """Return the schedule that ends with a candidate; ``before`` has a row for each candidate in it, shape (k, K)."""
    schedule = [last]
    for row in before[:0:-1]:
        schedule.append(int(row[schedule[-1]]))
    return tuple(reversed(schedule))
