"""Dividing a budget over groups of samples, and drawing each group's share."""

from __future__ import annotations

import numpy as np

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
    ordered = np.sort(counts)
    below = np.concatenate([[0], np.cumsum(ordered)[:-1]])  # samples of all smaller groups
    waiting = np.arange(len(counts), 0, -1)  # groups that are not smaller
    levels = (budget - below) // waiting
    level = int(levels[np.argmax(levels < ordered)])  # of the smallest group that does not get all
    shares = np.minimum(counts, level)
    left = budget - int(shares.sum())
    if left:
        more = np.flatnonzero(counts > level)
        shares[generator.choice(more, size=left, replace=False, shuffle=False)] += 1
    return shares


def proportional_shares(counts: IntArray, budget: int) -> IntArray:
    """Divide a budget over groups in proportion to their sizes, shape (g,); it is at most their sum.

    Every group gets its quota rounded down; what is left goes one each to the largest remainders, of equal ones to the
    first.

    Example:
        >>> proportional_shares(np.array([5, 3, 2]), 5).tolist()
        [3, 1, 1]
    """
    counts = np.asarray(counts, dtype=np.int64)
    quotas = counts * budget
    total = max(int(counts.sum()), 1)
    shares = quotas // total
    left = budget - int(shares.sum())
    shares[np.argsort(-(quotas % total), kind="stable")[:left]] += 1
    return shares


def draw_from_groups(groups: IntArray, shares: IntArray, generator: np.random.Generator) -> IntArray:
    """Draw each group's share uniformly without replacement, and return the positions in order, shape (Σ shares,).

    Args:
        groups: The group of each sample, from 0, shape (n,).
        shares: How many to draw of each group, shape (g,); at most as many as it has.
        generator: Draws.
    """
    small = groups.astype(np.uint16) if len(shares) <= np.iinfo(np.uint16).max else groups  # sorts ten times as fast
    order = np.argsort(small, kind="stable")
    counts = np.bincount(groups, minlength=len(shares))
    ends = np.cumsum(counts)
    taken = np.zeros(len(groups), dtype=bool)
    for group in np.flatnonzero(shares):
        members = order[ends[group] - counts[group] : ends[group]]
        if shares[group] < len(members):
            members = members[generator.choice(len(members), size=shares[group], replace=False, shuffle=False)]
        taken[members] = True
    return np.flatnonzero(taken)
