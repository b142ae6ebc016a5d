"""The paired permutation test: the signs of independent differences are exchanged."""

from __future__ import annotations

from functools import cache

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray

MAX_EXACT = 16
"""Up to so many units all patterns of signs are enumerated."""

NUM_FLIPS = 9_999
"""Patterns that are drawn where there are more units."""

_TOLERANCE = 1e-9  # equal values that were computed in another order count as equal


def sign_flip_p(
    sums: FloatArray,
    *,
    generator: np.random.Generator,
    weights: FloatArray | None = None,
    inflation: float = 1.0,
) -> float:
    r"""Test that the differences of independent units are symmetric around 0, two-sided.

    Where a and b are exchangeable, every pattern of signs s is as probable as any other:

    .. math:: p = 2^{-n} \, \#\{s : t(s) \ge t(1) / \sqrt{\lambda}\}, \quad
        t(s)^2 = \frac{\hat\mu_s^2}{\sum_i (s_i D_i - w_i \hat\mu_s)^2}, \quad
        \hat\mu_s = \frac{\sum_i s_i D_i}{\sum_i w_i}

    With equal weights :math:`t(s)` orders patterns as :math:`|\sum_i s_i D_i|` does. It is t that is divided, since its
    spread is that of the differences around their own mean: a sum that is divided would have to exceed more, the more a
    and b differ. Above 16 units B = 9,999 patterns are drawn, and :math:`p = (1 + b) / (1 + B)` with b of them as
    extreme, so that the observed one counts as drawn.

    Args:
        sums: D, a sum of differences for each unit, shape (n,).
        generator: Of the patterns.
        weights: w, what each unit counts for, shape (n,); ``None`` for equal ones.
        inflation: :math:`\lambda \ge 1`: how much larger the variance of the mean is than the units' own spread says; 1
            for independent units.

    Raises:
        RequestError: If there is no unit, or one is not finite.

    Example:
        >>> sign_flip_p(np.array([1.0, 2.0, 3.0]), generator=np.random.Generator(np.random.PCG64(0)))
        0.25

    Reference:
        Good, Permutation, Parametric, and Bootstrap Tests of Hypotheses, 2005; Janssen, Studentized Permutation Tests
        for Non-i.i.d. Hypotheses, Statistics and Probability Letters 36, 1997 (why t); Phipson and Smyth, Permutation
        P-values Should Never Be Zero, Statistical Applications in Genetics and Molecular Biology 9, 2010 (why 1 is
        added).
    """
    if not len(sums) or not np.isfinite(sums).all():
        raise RequestError(f"a paired test needs finite differences, but has {sums.tolist()}")
    size = float(np.sqrt(sums @ sums))
    if size == 0:
        return 1.0
    scaled: FloatArray = sums / size
    own: FloatArray = np.ones(len(sums)) if weights is None else weights / float(weights.mean())
    exact = len(sums) <= MAX_EXACT
    signs = _all_signs(len(sums)) if exact else _drawn_signs(len(sums), generator)
    extreme = _as_extreme(signs, scaled, own, inflation)
    return float(np.mean(extreme)) if exact else (1 + int(extreme.sum())) / (1 + NUM_FLIPS)


def smallest_p(num_units: int) -> float:
    """Return the smallest p-value that ``sign_flip_p`` can give for so many units that are not 0.

    Example:
        >>> smallest_p(6), smallest_p(17)
        (0.03125, 0.0001)
    """
    return 2.0 ** (1 - num_units) if 0 < num_units <= MAX_EXACT else 1 / (1 + NUM_FLIPS) if num_units else 1.0


def _as_extreme(signs: FloatArray, sums: FloatArray, weights: FloatArray, inflation: float) -> np.ndarray:
    """Say of each pattern whether its t is as large as the observed one, over the root of the inflation, shape (B,)."""

    def square_and_rest(totals: FloatArray, products: FloatArray) -> tuple[FloatArray, FloatArray]:
        means = totals / weights.sum()
        rest = sums @ sums - 2 * means * products + means**2 * float(weights @ weights)
        return means**2, np.maximum(rest, 0.0)

    square, rest = square_and_rest(signs @ sums, signs @ (weights * sums))
    observed, own_rest = square_and_rest(sums.sum(), weights @ sums)
    found: np.ndarray = square * own_rest * inflation >= observed * rest - _TOLERANCE * observed
    return found


def _drawn_signs(num_units: int, generator: np.random.Generator) -> FloatArray:
    return 1.0 - 2.0 * generator.integers(0, 2, (NUM_FLIPS, num_units)).astype(np.float64)


@cache
def _all_signs(num_units: int) -> FloatArray:
    """Return all patterns up to a change of all signs, which changes no absolute mean, shape (2^(n - 1), n)."""
    patterns = np.arange(2 ** (num_units - 1))[:, None] >> np.arange(num_units) & 1
    return 1.0 - 2.0 * patterns.astype(np.float64)
