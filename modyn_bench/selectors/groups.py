"""Dividing a budget over groups of samples, and drawing each group's share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modyn_bench.types import IntArray


def fair_shares(counts: IntArray, budget: int, generator: np.random.Generator) -> IntArray:
    r"""Divide a budget over groups as evenly as their sizes allow, shape (g,).

    Every group gets :math:`\min(c_g, L)` with the largest whole :math:`L` that the budget allows; what is left, less
    than one for each group that has more, goes one each to groups that are drawn. The shares sum up to
    :math:`\min(\text{budget}, \sum_g c_g)`.

    Args:
        counts: Samples of each group, shape (g,).
        budget: Samples to divide.
        generator: Draws the groups that get one more.

    Example:
        >>> fair_shares(np.array([10, 10, 100]), 60, np.random.default_rng(0)).tolist()
        [10, 10, 40]
    """
    counts = np.asarray(counts, dtype=np.int64)
    if budget >= counts.sum():
        return counts.copy()
    level = _level(counts, budget)
    shares = np.minimum(counts, level)
    left = budget - int(shares.sum())
    if left:
        more = np.flatnonzero(counts > level)
        shares[generator.choice(more, size=left, replace=False, shuffle=False)] += 1
    return shares


def _level(counts: IntArray, budget: int) -> int:
    """Return the largest whole L of which the minima with some counts (g,) are within a budget below their sum."""
    level, above = 0, int(counts.max())
    while above - level > 1:
        middle = (level + above) // 2
        level, above = (middle, above) if np.minimum(counts, middle).sum() <= budget else (level, middle)
    return level


def proportional_shares(counts: IntArray, budget: int) -> IntArray:
    r"""Divide a budget over groups in proportion to their sizes, at least one each where it suffices, shape (g,).

    One each, and of the rest what every group's quota :math:`q_g = c_g \cdot \text{budget} / \sum c` exceeds one by,
    as far as it goes, rounded down; what is left goes one each to the largest remainders, of equal ones to the first. A
    budget below one each is divided by the quotas alone.

    Args:
        counts: Samples of each group, shape (g,).
        budget: Samples to divide, at most their sum.

    Example:
        >>> proportional_shares(np.array([5, 3, 2]), 5).tolist(), proportional_shares(np.array([90, 0, 1]), 10).tolist()
        ([3, 1, 1], [9, 0, 1])
    """
    counts = np.asarray(counts, dtype=np.int64)
    present = counts > 0
    total = max(int(counts.sum()), 1)
    shares = present.astype(np.int64) if budget >= present.sum() else np.zeros_like(counts)
    excess = np.maximum(counts * budget - shares * total, 0)  # in units of 1 / total
    left = budget - int(shares.sum())
    if not left:
        return shares
    whole = int(excess.sum())
    shares += excess * left // whole
    rest = budget - int(shares.sum())
    shares[np.argsort(-(excess * left % whole), kind="stable")[:rest]] += 1
    return shares


def systematic_shares(counts: IntArray, budget: int, offset: int) -> IntArray:
    r"""Divide a budget over groups in proportion to their sizes; an offset decides who gets more, shape (g,).

    .. math:: \lfloor (C_g \cdot \text{budget} + u) / n \rfloor - \lfloor (C_{g-1} \cdot \text{budget} + u) / n \rfloor,
        \qquad C_g = c_1 + \dots + c_g, \quad n = C_G

    Every group gets its quota :math:`q_g = c_g \cdot \text{budget} / n`, rounded down or up. Over offsets u that are
    uniform in 0 to n - 1 its expected share is :math:`q_g`, and it gets one at all with probability
    :math:`\min(1, q_g)`.

    Args:
        counts: c, samples of each group, not all 0, shape (g,).
        budget: Samples to divide, at most n.
        offset: u.

    Example:
        >>> [systematic_shares(np.array([2, 1, 1]), 2, offset).tolist() for offset in range(4)]
        [[1, 0, 1], [1, 0, 1], [1, 1, 0], [1, 1, 0]]
    """
    ends = np.cumsum(counts, dtype=np.int64)
    shares: IntArray = np.diff((ends * budget + offset) // ends[-1], prepend=0)
    return shares


def equal_shares(counts: IntArray, budget: int, generator: np.random.Generator) -> IntArray:
    r"""Give every group the same number of samples, :math:`\min(\min_g c_g, \lfloor \text{budget} / G \rfloor)`, (g,).

    Groups without samples do not count. A budget below one each is divided as ``fair_shares`` does.

    Example:
        >>> equal_shares(np.array([10, 0, 100]), 60, np.random.default_rng(0)).tolist()
        [10, 0, 10]
    """
    counts = np.asarray(counts, dtype=np.int64)
    present = counts[counts > 0]
    if budget < len(present):
        return fair_shares(counts, budget, generator)
    level = min(int(present.min()), budget // len(present)) if len(present) else 0
    return np.minimum(counts, level)


def draw_from_groups(groups: IntArray, shares: IntArray, generator: np.random.Generator) -> IntArray:
    """Draw each group's share uniformly without replacement, and return the positions in order, shape (Σ shares,).

    Takes as long for many groups as for few.

    Args:
        groups: The group of each sample, from 0, shape (n,).
        shares: How many to draw of each group, shape (g,); at most as many as it has.
        generator: Draws.
    """
    counts = np.bincount(groups, minlength=len(shares))
    left_out = 2 * shares > counts  # of these groups it is faster to draw who does not come
    drawn = _draw_places(counts, np.where(left_out, counts - shares, shares), generator)
    drawn ^= np.repeat(left_out, counts)
    taken = np.zeros(len(groups), dtype=bool)
    taken[_order(groups, len(shares))[drawn]] = True
    return np.flatnonzero(taken)


def _draw_places(counts: IntArray, shares: IntArray, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Draw each group's share of the places that the groups fill one after another, shape (Σ counts,).

    Draws with replacement until every group has as many different places as it should, which are then uniform.
    """
    starts = np.cumsum(counts) - counts
    drawn = np.zeros(int(counts.sum()), dtype=bool)
    owners = np.empty(len(drawn), dtype=np.int64 if len(drawn) >= 2**31 else np.int32)
    missing = np.repeat(np.arange(len(counts)), shares)  # one entry for each place that a group is to get
    while len(missing):
        places = starts[missing] + generator.integers(counts[missing])
        numbers = np.arange(len(places), dtype=owners.dtype)
        owners[places] = numbers
        new = (owners[places] == numbers) & ~drawn[places]  # a place that was drawn twice is new once
        drawn[places[new]] = True
        missing = missing[~new]
    return drawn


def _order(groups: IntArray, num_groups: int) -> IntArray:
    """Return the positions of samples, group after group, shape (n,): sorted by 16 bits at a time, the low ones first.

    Sorts of so few bits are linear in the number of samples.
    """
    order = np.argsort(groups.astype(np.uint16), kind="stable")
    for shift in range(16, max(num_groups - 1, 0).bit_length(), 16):
        order = order[np.argsort((groups[order] >> shift).astype(np.uint16), kind="stable")]
    return order
