"""Train every epoch on other samples than before, until all were used."""

from __future__ import annotations

import numpy as np

from modyn_bench.selectors.downsampling.base import Random
from modyn_bench.selectors.downsampling.rs2 import Rs2
from modyn_bench.types import IntArray


class Rs2NoReplacement(Rs2):
    r"""Train every epoch on the next k of n samples in random order; when all were used, in another one.

    .. math:: S_t = \{\, \sigma_{tk + 1}, \dots, \sigma_{tk + k} \,\}, \qquad
        \sigma = (\sigma^{(1)}, \sigma^{(2)}, \dots)

    with permutations :math:`\sigma^{(j)}` of all samples, one after the other. The last :math:`n \bmod k` of one are
    carried into the epoch that begins the next, whose first samples are exchanged where they are among those carried.
    So at any epoch any two samples were used equally often, or one of them once more.

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
        start = epoch * budget
        first, last = start // num_samples, (start + budget - 1) // num_samples
        known = max(first - 1, 0) if 2 * budget <= num_samples else 0  # what is carried depends on the order before
        orders = {known: random("cycle", known).permutation(num_samples)}
        for cycle in range(known + 1, last + 1):
            carried = orders[cycle - 1][num_samples - cycle * num_samples % budget :]
            orders[cycle] = _without_at_first(random("cycle", cycle).permutation(num_samples), carried, budget)
        consecutive = np.concatenate([orders[cycle] for cycle in range(first, last + 1)])
        return consecutive[start - first * num_samples :][:budget]


def _without_at_first(order: IntArray, carried: IntArray, budget: int) -> IntArray:
    """Move what is carried behind the others, among the first of an order, as many as the budget."""
    head = order[:budget]
    again = np.isin(head, carried)
    return np.concatenate([head[~again], head[again], order[budget:]])
