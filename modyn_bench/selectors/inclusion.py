"""Drawing a fixed number of samples with known probabilities; NumPy alone, in float64.

Shapes: n samples, k drawn.
"""

from __future__ import annotations

import numpy as np

from modyn_bench.types import FloatArray, IntArray

_LARGEST = float(np.finfo(np.float32).max)


def as_scores(scores: FloatArray) -> FloatArray:
    """Return scores that can be drawn by, shape (n,): what is negative or NaN counts as 0, infinity as very large.

    Example:
        >>> as_scores(np.array([2.0, -1.0, np.nan])).tolist()
        [2.0, 0.0, 0.0]
    """
    finite = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=0.0, posinf=_LARGEST, neginf=0.0)
    positive: FloatArray = np.maximum(finite, 0.0)
    return positive


def mixed_with_uniform(scores: FloatArray, uniform_share: float) -> FloatArray:
    r"""Return the probabilities of single draws, shape (n,): positive, with sum 1.

    .. math:: q_i = (1 - \varepsilon) \frac{s_i}{\sum_j s_j} + \frac{\varepsilon}{n}

    and :math:`1 / n` where all scores are 0.

    Args:
        scores: s, not negative, shape (n,).
        uniform_share: :math:`\varepsilon`, in (0, 1].

    Example:
        >>> mixed_with_uniform(np.array([0.0, 0.0, 3.0, 1.0]), 0.2).round(2).tolist()
        [0.05, 0.05, 0.65, 0.25]
    """
    total = scores.sum()
    if total == 0:
        return np.full(len(scores), 1.0 / len(scores))
    mixed: FloatArray = (1.0 - uniform_share) * (scores / total) + uniform_share / len(scores)
    return mixed


def inclusion_probabilities(draw: FloatArray, size: int) -> FloatArray:
    r"""Return the probabilities that each sample is among so many, shape (n,).

    .. math:: \pi_i = \min(1, c\, q_i), \qquad \sum_i \pi_i = k

    The j largest are certain, with the smallest j for which the next one stays below 1 if it shares what is left,
    :math:`(k - j)\, q_{(j + 1)} \le \sum_{i > j} q_{(i)}`; so :math:`c = (k - j) / \sum_{i > j} q_{(i)}` is exact after
    one sort.

    Args:
        draw: q, positive, shape (n,).
        size: k, 1 to n.

    Example:
        >>> inclusion_probabilities(np.array([0.7, 0.1, 0.1, 0.1]), 2).round(4).tolist()
        [1.0, 0.3333, 0.3333, 0.3333]

    Reference:
        Särndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992, section 3.6.1 (probabilities proportional
        to size, without replacement).
    """
    ascending = np.sort(draw)
    ordered = ascending[::-1]
    rest = np.cumsum(ascending)[::-1]  # of this one and all smaller ones, smallest first for the sake of digits
    left = size - np.arange(size)
    certain = int(np.argmax(left * ordered[:size] <= rest[:size]))
    probabilities: FloatArray = draw / rest[certain]
    probabilities *= size - certain
    probabilities[draw > ordered[certain]] = 1.0
    np.minimum(probabilities, 1.0, out=probabilities)
    return probabilities


def systematic_positions(probabilities: FloatArray, start: float) -> IntArray:
    r"""Return the positions that a start in [0, 1) draws, increasing, shape (k,).

    Sample i is drawn where one of the points start, start + 1, ... lies in

    .. math:: [\pi_1 + \dots + \pi_{i-1},\; \pi_1 + \dots + \pi_i)

    which is at most once, and over uniform starts with probability :math:`\pi_i`.

    Args:
        probabilities: :math:`\pi`, at most 1 each, with a whole sum k, shape (n,).
        start: Where the first point lies.

    Example:
        >>> systematic_positions(np.array([0.5, 0.5, 0.5, 0.5]), 0.2).tolist()
        [0, 2]
    """
    size = round(float(probabilities.sum()))
    ends = np.cumsum(probabilities)
    ends *= size / ends[-1]
    steps = np.arange(size)
    drawn = np.searchsorted(ends, steps + start, side="right")
    drawn = np.maximum.accumulate(drawn - steps) + steps  # rounding may neither draw a certain one twice
    return np.minimum(drawn, len(ends) - size + steps)  # nor lead beyond the last


def draw_systematic(probabilities: FloatArray, generator: np.random.Generator) -> IntArray:
    r"""Draw so many samples as the probabilities sum up to, each with its own, in order of position, shape (k,).

    Randomised systematic sampling: a random order, and one uniform start. Whatever is drawn,
    :math:`\sum_{i \in S} x_i / \pi_i` is an unbiased estimate of :math:`\sum_i x_i` for any x.

    Args:
        probabilities: :math:`\pi`, at most 1 each, with a whole sum k, shape (n,).
        generator: Draws the order and the start.

    Example:
        >>> draw_systematic(np.array([1.0, 0.5, 0.5, 1.0]), np.random.default_rng(0)).tolist()
        [0, 2, 3]

    Reference:
        Hartley and Rao, Sampling with Unequal Probabilities and without Replacement, Annals of Mathematical Statistics
        33, 1962; Horvitz and Thompson, A Generalization of Sampling without Replacement from a Finite Universe, JASA
        47, 1952 (the estimate).
    """
    order = generator.permutation(len(probabilities))
    drawn: IntArray = order[systematic_positions(probabilities[order], generator.random())]
    drawn.sort()
    return drawn


def draw_one_by_one(draw: FloatArray, size: int, generator: np.random.Generator) -> IntArray:
    r"""Draw one sample after another, each with probability proportional to q among those left, shape (k,).

    They are the k smallest of :math:`e_i / q_i` with exponential e. A sample with :math:`q_i = 0` is never drawn, so
    that there may be fewer. How likely a sample is to be among them has no closed form.

    Args:
        draw: q, not negative and not all 0, shape (n,).
        size: k, 1 to n.
        generator: Draws.

    Example:
        >>> draw_one_by_one(np.array([0.5, 0.0, 0.5]), 3, np.random.default_rng(0)).tolist()
        [0, 2]

    Reference:
        Efraimidis and Spirakis, Weighted Random Sampling with a Reservoir, Information Processing Letters 97, 2006.
    """
    possible = np.flatnonzero(draw)
    times = generator.exponential(size=len(draw))[possible] / draw[possible]
    first = np.argsort(times, kind="stable")[:size]
    return np.sort(possible[first])
