"""Greedy maximisation of a set function: add, one after the other, what gains most.

Of equal gains the lowest index is taken. Shapes: n elements to choose from, k to choose.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray, IntArray

OPTIMIZERS = ("naive", "lazy", "approximate_lazy", "stochastic")

_BATCH = 16  # elements whose gain a lazy optimiser computes at once


class SetFunction(Protocol):
    """A function of a set that grows from the empty one."""

    gains_are_known: bool
    """Whether all gains are at hand after every step, so that there is nothing to be lazy about."""

    def __len__(self) -> int:
        """Return how many elements there are."""

    def gain(self, candidates: IntArray) -> FloatArray:
        """Return by how much each of some elements (m,) that are not in the set would raise the function, (m,)."""

    def add(self, element: int) -> None:
        """Put an element into the set."""


class Optimizer:
    r"""One of four ways to be greedy. Only the first knows nothing of submodularity, that gains never rise.

    - ``naive``: computes every gain in every step.
    - ``lazy``: chooses the same, and computes a gain again only where its last value is above the best.
    - ``approximate_lazy``: takes an element as soon as its gain is at least :math:`\beta` times the best there could
      be.
    - ``stochastic``: takes the best of :math:`\lceil \frac{n}{k} \ln \frac{1}{\epsilon} \rceil` elements, drawn anew
      in every step. Of a monotone submodular function it reaches a share :math:`1 - 1/e - \epsilon` of the optimum in
      expectation; the first two reach :math:`1 - 1/e` always.

    Args:
        optimizer: Its name.
        stochastic_epsilon: ε, in (0, 1).
        approximation: β, in (0, 1].

    Raises:
        RequestError: If an option is out of range.

    Reference:
        Minoux, Accelerated Greedy Algorithms for Maximizing Submodular Set Functions, 1978 (lazy); Mirzasoleiman et
        al., Lazier Than Lazy Greedy, AAAI 2015, algorithm 1 (stochastic).
    """

    def __init__(self, optimizer: str, *, stochastic_epsilon: float, approximation: float) -> None:
        if optimizer not in OPTIMIZERS:
            raise RequestError(f"selector.optimizer={optimizer!r} must be one of {', '.join(OPTIMIZERS)}")
        if not 0 < stochastic_epsilon < 1:
            raise RequestError(f"selector.stochastic_epsilon={stochastic_epsilon} must be a fraction in (0, 1)")
        if not 0 < approximation <= 1:
            raise RequestError(f"selector.approximation={approximation} must be a fraction in (0, 1]")
        self.name = optimizer
        self.stochastic_epsilon = stochastic_epsilon
        self.approximation = approximation

    def maximize(self, function: SetFunction, budget: int, generator: np.random.Generator) -> IntArray:
        """Return the elements that were added, in that order, shape (k,).

        Args:
            function: Of the empty set; afterwards of what was chosen.
            budget: k, at most n.
            generator: Draws what the stochastic optimiser looks at.
        """
        if self.name == "naive" or (self.name == "lazy" and function.gains_are_known):
            return naive_greedy(function, budget)
        if self.name == "stochastic":
            return stochastic_greedy(function, budget, self.stochastic_epsilon, generator)
        return lazy_greedy(function, budget, self.approximation if self.name == "approximate_lazy" else None)


def naive_greedy(function: SetFunction, budget: int) -> IntArray:
    """Add the element with the largest gain, ``budget`` times, shape (k,)."""
    chosen = np.empty(budget, dtype=np.int64)
    candidates = np.arange(len(function))
    for step in range(budget):
        best = int(np.argmax(function.gain(candidates)))
        chosen[step] = candidates[best]
        function.add(int(chosen[step]))
        candidates = np.delete(candidates, best)
    return chosen


def lazy_greedy(function: SetFunction, budget: int, approximation: float | None = None) -> IntArray:
    """Do as ``naive_greedy``, or nearly so, with an earlier gain of an element as a bound of its gain, shape (k,).

    Args:
        function: Submodular: gains never rise.
        budget: k.
        approximation: The least share of the largest bound that an element must gain; ``None``: the best is taken.
    """
    chosen = np.empty(budget, dtype=np.int64)
    bounds = function.gain(np.arange(len(function)))
    known = np.ones(len(bounds), dtype=bool)  # whose bound is the gain
    for step in range(budget):
        while True:
            best = int(np.argmax(bounds))
            if known[best]:
                break
            highest = bounds[best]
            unknown = np.where(known, -np.inf, bounds)
            batch = np.argpartition(-unknown, min(_BATCH, len(bounds)) - 1)[:_BATCH]
            batch = batch[np.isfinite(unknown[batch])]
            bounds[batch] = function.gain(batch)
            known[batch] = True
            found = int(np.argmax(np.where(known, bounds, -np.inf)))
            if approximation is not None and bounds[found] >= approximation * highest:
                best = found
                break
        chosen[step] = best
        function.add(best)
        bounds[best] = -np.inf
        known[:] = False
    return chosen


def stochastic_greedy(function: SetFunction, budget: int, epsilon: float, generator: np.random.Generator) -> IntArray:
    """Add the best of some elements that are drawn anew every time, shape (k,)."""
    sample_size = sample_size_of(len(function), budget, epsilon)
    left = np.arange(len(function))
    for step in range(budget):  # what was chosen stands at the end of `left`
        num_left = len(left) - step
        places = generator.choice(num_left, size=min(sample_size, num_left), replace=False, shuffle=False)
        places = places[np.argsort(left[places])]
        best = int(places[np.argmax(function.gain(left[places]))])
        function.add(int(left[best]))
        left[best], left[num_left - 1] = left[num_left - 1], left[best]
    return left[::-1][:budget].copy()


def sample_size_of(num_elements: int, budget: int, epsilon: float) -> int:
    r"""Return :math:`\lceil \frac{n}{k} \ln \frac{1}{\epsilon} \rceil`.

    Example:
        >>> sample_size_of(100, 10, 0.1)
        24
    """
    return math.ceil(num_elements / budget * math.log(1.0 / epsilon))
