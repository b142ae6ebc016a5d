"""Train every epoch on other samples than before, until all were used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.selectors.downsampling.base import Choice, Random, Turn
from modyn_bench.selectors.downsampling.rs2 import Rs2
from modyn_bench.types import IntArray

if TYPE_CHECKING:
    import torch


class Rs2NoReplacement(Rs2):
    r"""Train every epoch on the next k of n samples in random order; when all were used, in another one.

    .. math:: S_t = \{\, \sigma_{tk + 1}, \dots, \sigma_{tk + k} \,\}, \qquad
        \sigma = (\sigma^{(1)}, \sigma^{(2)}, \dots)

    with permutations :math:`\sigma^{(j)}` of all samples, one after the other. The last :math:`n \bmod k` of one are
    carried into the epoch that begins the next, whose first samples are exchanged where they are among those carried.
    So at any epoch any two samples were used equally often, or one of them once more. With ``balance`` every class is
    spread evenly over each order.

    No model is asked, and all samples stand for as many.

    Takes the options of every downsampling but ``period``: a new subset every epoch; ``mode`` is
    ``sample_then_batch``.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> random = lambda *names: np.random.default_rng(names[-1])
        >>> epochs = [Rs2NoReplacement().subset(10, 4, epoch, random) for epoch in range(5)]
        >>> np.bincount(np.concatenate(epochs)).tolist()
        [2, 2, 2, 2, 2, 2, 2, 2, 2, 2]

    Reference:
        Okanovic et al., Repeated Random Sampling for Minimizing the Time-to-Accuracy of Learning, ICLR 2024, section 3
        (RS2 without replacement).

    Deviation:
        The reference drops what is left of an order, other samples in each, so that some are used less often.
    """

    name = "rs2_no_replacement"

    def subset(self, num_samples: int, budget: int, epoch: int, random: Random) -> IntArray:
        """Return the positions of an epoch's subset, shape (k,)."""
        return self._subset(np.zeros(num_samples, dtype=np.int64), budget, epoch, random)

    def _class_by_class(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose from orders in which every class is spread evenly: apart, classes would not be used equally often."""
        import torch

        positions = np.sort(self._subset(labels.cpu().numpy(), budget, turn.epoch, turn.random))
        return Choice(torch.from_numpy(positions).to(labels.device))

    def _subset(self, groups: IntArray, budget: int, epoch: int, random: Random) -> IntArray:
        """Return the positions of an epoch's subset, of orders in which every group (n,) is spread evenly, (k,)."""
        num_samples = len(groups)
        start = epoch * budget
        first, last = start // num_samples, (start + budget - 1) // num_samples
        known = max(first - 1, 0) if 2 * budget <= num_samples else 0  # what is carried depends on the order before
        orders = {known: evenly_spread(groups, random("cycle", known))}
        for cycle in range(known + 1, last + 1):
            carried = orders[cycle - 1][num_samples - cycle * num_samples % budget :]
            orders[cycle] = _without_at_first(evenly_spread(groups, random("cycle", cycle)), carried, budget)
        consecutive = np.concatenate([orders[cycle] for cycle in range(first, last + 1)])
        return consecutive[start - first * num_samples :][:budget]


def evenly_spread(groups: IntArray, generator: np.random.Generator) -> IntArray:
    r"""Return a random order in which every group is spread evenly, shape (n,); of one group it is uniform.

    Of a group's c members, in random order, the i-th (from 0) stands at :math:`(i + u) / c` of the way, with one u in
    [0, 1) for each group.

    Args:
        groups: The group of each sample, from 0, shape (n,).
        generator: Draws.

    Example:
        >>> groups = np.array([0, 0, 0, 0, 1, 1])
        >>> [groups[half].tolist().count(1) for half in np.split(evenly_spread(groups, np.random.default_rng(0)), 2)]
        [1, 1]
    """
    order = generator.permutation(len(groups))
    by_group = order[np.argsort(groups[order], kind="stable")]
    counts = np.bincount(groups)
    ranks = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = (ranks + np.repeat(generator.random(len(counts)), counts)) / np.repeat(counts, counts)
    return by_group[np.argsort(places, kind="stable")]


def _without_at_first(order: IntArray, carried: IntArray, budget: int) -> IntArray:
    """Move what is carried behind the others, among the first of an order, as many as the budget."""
    head = order[:budget]
    again = np.isin(head, carried)
    return np.concatenate([head[~again], head[again], order[budget:]])
