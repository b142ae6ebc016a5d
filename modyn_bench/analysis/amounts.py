"""Numbers of samples and passes as short texts, and axes that show them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import Formatter

_MOST_DIGITS = 9


class AmountFormatter(Formatter):
    """Ticks as ``short`` writes them."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write one tick."""
        return short([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Write all ticks, with as many digits as tell them apart."""
        return short(values)


def short(numbers: Sequence[float]) -> list[str]:
    """Numbers of samples as text, with three digits, or as many as their distances need: 1,500 as 1.5k.

    Example:
        >>> short([1_500]), short([999_900]), short([0, 1_000_000]), short([60_000, 60_050])
        (['1.5k'], ['1M'], ['0', '1M'], ['60k', '60.05k'])
    """
    distances = np.diff(np.unique(numbers))
    allowed = 0.01 * distances.min() if len(distances) else np.inf
    for digits in range(3, _MOST_DIGITS + 1):
        if all(abs(float(f"{number:.{digits}g}") - number) <= allowed for number in numbers):
            break
    return [_with_digits(number, digits) for number in numbers]


def _with_digits(number: float, digits: int) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size * (1 - 0.5 * 10.0**-digits):  # what rounds to it
            return f"{number / size:.{digits}g}{letter}"
    return f"{number:.{digits}g}"
