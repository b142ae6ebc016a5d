r"""How much one sample stands for another, in [0, 1], from tiles of inner products.

Similarities are rounded to multiples of :math:`2^{-22}`. Their sums are then exact, so that neither tiles, nor
threads, nor the order of a sum decide between samples whose gains are the same.
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from modyn_bench.errors import RequestError
from modyn_bench.selectors.downsampling.vectors import Vectors

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_ROUNDING = 1e-9  # of the logarithm of a diameter, which may be a power of two itself
GRID_BITS = 22  # a float32 in [0, 1] holds such a multiple exactly


class Similarity(ABC):
    """Similarities of n samples with each other, none of which is kept.

    Args:
        vectors: What samples are compared by.
    """

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def __len__(self) -> int:
        return len(self.vectors)

    @abstractmethod
    def between(self, rows: torch.Tensor, columns: slice) -> torch.Tensor:
        """Return the similarities of some samples (m,) with a range of samples, shape (m, c)."""


class CosineSimilarity(Similarity):
    r"""How alike directions are.

    .. math::
        s_{ij} = \frac{1}{2} + \frac{\langle x_i, x_j \rangle}{2 \, \|x_i\| \, \|x_j\|}

    A row of zeros is at ½ from all rows, itself included.

    Example:
        >>> import torch
        >>> CosineSimilarity(Vectors(torch.eye(2))).between(torch.arange(2), slice(0, 2)).tolist()
        [[1.0, 0.5], [0.5, 1.0]]
    """

    def __init__(self, vectors: Vectors) -> None:
        super().__init__(vectors.unit())

    def between(self, rows: torch.Tensor, columns: slice) -> torch.Tensor:
        """Return the similarities of some samples (m,) with a range of samples, shape (m, c)."""
        return on_grid(self.vectors.inner(rows, columns).add_(1.0).mul_(0.5)).clamp_(0.0, 1.0)


class DistanceSimilarity(Similarity):
    r"""How close rows are.

    .. math::
        s_{ij} = 1 - \frac{\|x_i - x_j\|}{c}, \qquad c \ge 2 \max_i \|x_i - \bar x\| \ge \max_{ij} \|x_i - x_j\|

    with c the next power of two, which changes no digits. Distances below about :math:`2^{-23} c` count as 0.

    Example:
        >>> import torch
        >>> DistanceSimilarity(Vectors(torch.tensor([[0.0], [4.0]]))).between(torch.tensor([0]), slice(0, 2)).tolist()
        [[1.0, 0.0]]
    """

    def __init__(self, vectors: Vectors) -> None:
        super().__init__(vectors)
        self._lengths = vectors.squared_lengths()
        mean = vectors.mean()
        from_mean = self._lengths - 2.0 * vectors.along(mean) + mean @ mean
        diameter = 2.0 * math.sqrt(max(float(from_mean.max()), 0.0))
        self._scale = 2.0 ** math.ceil(math.log2(diameter) - _ROUNDING) if diameter else 1.0

    def between(self, rows: torch.Tensor, columns: slice) -> torch.Tensor:
        """Return the similarities of some samples (m,) with a range of samples, shape (m, c)."""
        squared = self.vectors.inner(rows, columns).mul_(-2.0)
        squared.add_(self._lengths[rows][:, None]).add_(self._lengths[columns])
        distances = squared.clamp_(min=0.0).sqrt_().div_(self._scale)
        return on_grid(distances.neg_().add_(1.0)).clamp_(0.0, 1.0)


class MemoryBudget:
    """How much memory the similarities of all pairs may take; where they would take more, it is logged, once.

    Args:
        mebibytes: The bound; 0 keeps none.

    Raises:
        RequestError: If it is below 0.
    """

    def __init__(self, mebibytes: int) -> None:
        if mebibytes < 0:
            raise RequestError(f"selector.memory_budget={mebibytes} must be at least 0 MiB")
        self.mebibytes = mebibytes
        self._told = False

    def holds(self, num_samples: int) -> bool:
        """Return whether the float32 similarities of so many samples stay within it."""
        needed = num_samples**2 * 4 / 2**20
        if needed > self.mebibytes and not self._told:
            self._told = True
            logger.warning(
                "similarities of %d samples would take %d MiB, more than memory_budget=%d: "
                "they are computed anew whenever they are needed",
                num_samples,
                needed,
                self.mebibytes,
            )
        return needed <= self.mebibytes


def on_grid(values: torch.Tensor, bits: int = GRID_BITS) -> torch.Tensor:
    """Round numbers within [-2, 2] to multiples of ``2 ** -bits``, in place.

    Next to a number of the right size, that is all the digits there are.
    """
    import torch

    digits = 52 if values.dtype == torch.float64 else 23
    large = 1.5 * 2.0 ** (digits - min(bits, digits - 1))
    return values.add_(large).sub_(large)
