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

_TOLERANCE = 1e-9  # of the observed sum: equal sums that were added in another order count as equal


def sign_flip_p(sums: FloatArray, *, generator: np.random.Generator, inflation: float = 1.0) -> float:
    r"""Test that the differences of independent units are symmetric around 0, two-sided.

    Where a and b are exchangeable, every pattern of signs s is as probable as any other:

    .. math:: p = 2^{-n} \, \#\{s : |\textstyle\sum_i s_i D_i| \ge |\sum_i D_i| / \sqrt{\lambda}\}

    Above 16 units B = 9,999 patterns are drawn, and :math:`p = (1 + b) / (1 + B)` with b the drawn patterns that are as
    extreme, so that the observed one counts as drawn.

    Args:
        sums: A sum of differences for each unit, shape (n,).
        generator: Of the patterns.
        inflation: :math:`\lambda \ge 1`: how much larger the variance of the sum is than the units' own spread says; 1
            for independent units.

    Raises:
        RequestError: If there is no unit, or one is not finite.

    Example:
        >>> sign_flip_p(np.array([1.0, 2.0, 3.0]), generator=np.random.Generator(np.random.PCG64(0)))
        0.25

    Reference:
        Good, Permutation, Parametric, and Bootstrap Tests of Hypotheses, 2005; Phipson and Smyth, Permutation P-values
        Should Never Be Zero, Statistical Applications in Genetics and Molecular Biology 9, 2010 (why 1 is added).
    """
    if not len(sums) or not np.isfinite(sums).all():
        raise RequestError(f"a paired test needs finite differences, but has {sums.tolist()}")
    observed = abs(float(sums.sum())) / np.sqrt(inflation) - _TOLERANCE * float(np.abs(sums).sum())
    if len(sums) <= MAX_EXACT:
        return float(np.mean(np.abs(_all_signs(len(sums)) @ sums) >= observed))
    signs = 1.0 - 2.0 * generator.integers(0, 2, (NUM_FLIPS, len(sums)))
    as_extreme = int(np.sum(np.abs(signs @ sums) >= observed))
    return (1 + as_extreme) / (1 + NUM_FLIPS)


@cache
def _all_signs(num_units: int) -> FloatArray:
    """Return all patterns up to a change of all signs, which changes no absolute sum, shape (2^(n - 1), n)."""
    patterns = np.arange(2 ** (num_units - 1))[:, None] >> np.arange(num_units) & 1
    return 1.0 - 2.0 * patterns.astype(np.float64)
