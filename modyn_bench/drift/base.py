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

    smallest_p_value: float | None = None
    """The smallest p-value that the distance can give, where its score is one minus a p-value, else ``None``."""

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


def matrix(values: Values, *, double: bool = False, num_columns: int | None = None) -> torch.Tensor:
    """Return values as a floating tensor of two dimensions, where they lie.

    Raises:
        ContractError: If there are none, one is not finite, or there are not as many columns as in the reference.

    Example:
        >>> matrix(np.arange(3)).shape
        torch.Size([3, 1])
    """
    import torch

    dtype = torch.float64 if double else torch.float32
    if isinstance(values, torch.Tensor):
        tensor = values.detach().to(dtype)
    else:  # a copy, since torch takes neither every type nor a negative stride, and warns of read-only memory
        tensor = torch.from_numpy(np.array(values, dtype=np.float64, order="C")).to(dtype)
    tensor = tensor[:, None] if tensor.dim() == 1 else tensor.flatten(1)
    if not len(tensor):
        raise ContractError("a drift distance got an empty window")
    if not torch.isfinite(tensor).all():
        raise ContractError("a drift distance got values that are not finite")
    if num_columns is not None and tensor.shape[1] != num_columns:
        raise ContractError(
            f"a drift distance got a window of {tensor.shape[1]} columns, but its reference has {num_columns}"
        )
    return tensor


def generator_or_fixed(generator: np.random.Generator | None) -> np.random.Generator:
    """Return the generator, or one that is always the same."""
    return derive(0, "distance") if generator is None else generator


def sorted_columns(values: Values, num_columns: int | None = None) -> torch.Tensor:
    """Return every column sorted, float64, shape (d, n)."""
    return matrix(values, double=True, num_columns=num_columns).T.contiguous().sort(dim=1).values


def standard_deviations(columns: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of columns (d, n), exactly 0 of a constant one, whose mean may be rounded: (d,)."""
    return columns.std(dim=1, correction=0) * (columns.amax(dim=1) > columns.amin(dim=1))


def share_at_most(sorted_values: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the empirical distribution functions of sorted columns (d, n) at points (d, k): shares, shape (d, k)."""
    return num_at_most(sorted_values, at).double() / sorted_values.shape[1]


def num_at_most(sorted_values: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return how many entries of sorted columns (d, n) are at most the points (d, k), shape (d, k)."""
    import torch

    return torch.searchsorted(sorted_values, at, right=True)
