"""How many of n samples a policy selects."""

from __future__ import annotations

from fractions import Fraction

from modyn_bench.errors import RequestError


class Share:
    r"""A ratio of the samples, :math:`\max(1, \lfloor \text{ratio} \cdot n \rfloor)`, or a number of them in its place.

    Args:
        ratio: A fraction in (0, 1].
        size: A number of samples, at least 1, in place of the ratio; all where there are fewer.

    Raises:
        RequestError: If either is out of range.

    Example:
        >>> Share(0.29).of(100), Share(0.29).of(1), Share(0.29, size=40).of(30), Share(0.29).of(0)
        (29, 1, 30, 0)
    """

    def __init__(self, ratio: float, size: int | None = None) -> None:
        if not 0 < ratio <= 1:
            raise RequestError(f"selector.ratio={ratio} must be a fraction in (0, 1]")
        if size is not None and size < 1:
            raise RequestError(f"selector.size={size} must be at least 1 sample, or null for a ratio")
        self.ratio = ratio
        self.size = size
        self._fraction = Fraction(ratio).limit_denominator(10**9)  # as floats, 0.29 * 100 is below 29

    def of(self, num_samples: int) -> int:
        """Return how many of so many samples are selected: at least one, where there is one."""
        wanted = int(self._fraction * num_samples) if self.size is None else self.size
        return min(max(wanted, 1), num_samples)
