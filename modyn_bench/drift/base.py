"""The contract of a drift distance, and what distances share. Torch is imported inside functions only.

Shapes: n samples of the reference, m of the current window, d columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np

from modyn_bench.errors import ContractError
from modyn_bench.seeding import derive

if TYPE_CHECKING:
    import torch

Reads: TypeAlias = Literal["vectors", "probabilities", "labels"]
"""What a distance compares: vectors (n, d), the newest model's class probabilities (n, C), or labels (n,)."""

Values: TypeAlias = "np.ndarray[Any, Any] | torch.Tensor"


class Distance(ABC):
    """A distance of a current window to a reference; high means drift.

    What is the same for every current window is computed once, in ``fit``. The constructor stores and validates its
    options; nothing else happens there. Computation runs where the given tensors lie.
    """

    name: ClassVar[str]
    """What the distance is called: the name of its YAML file."""

    reads: Reads = "vectors"

    min_samples: int = 1
    """What each window must hold at least."""

    @abstractmethod
    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Take the reference.

        Args:
            reference: Shape (n, d), or (n,) for labels.
            generator: Source of what is drawn once per reference, such as projections.
        """

    @abstractmethod
    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the distance of a current window to the reference.

        Args:
            current: Shape (m, d), or (m,) for labels.
            generator: Source of what is drawn for this score alone, such as permutations.
        """


def matrix(values: Values, *, double: bool = False) -> torch.Tensor:
    """Return values as a floating tensor of two dimensions, where they lie.

    Raises:
        ContractError: If there are none, or one is not finite.

    Example:
        >>> matrix(np.arange(3)).shape
        torch.Size([3, 1])
    """
    import torch

    tensor = torch.as_tensor(values).to(torch.float64 if double else torch.float32)
    tensor = tensor[:, None] if tensor.dim() == 1 else tensor.flatten(1)
    if not len(tensor):
        raise ContractError("a drift distance got an empty window")
    if not torch.isfinite(tensor).all():
        raise ContractError("a drift distance got values that are not finite")
    return tensor


def generator_or_fixed(generator: np.random.Generator | None) -> np.random.Generator:
    """Return the generator, or one that is always the same."""
    return derive(0, "distance") if generator is None else generator


def sorted_columns(values: Values) -> torch.Tensor:
    """Return every column sorted, float64, shape (d, n)."""
    return matrix(values, double=True).T.contiguous().sort(dim=1).values


def share_at_most(sorted_values: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the empirical distribution functions of sorted columns (d, n) at points (d, k): shares, shape (d, k)."""
    import torch

    return torch.searchsorted(sorted_values, at, right=True).double() / sorted_values.shape[1]
