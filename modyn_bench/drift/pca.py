"""Principal components that are fitted on a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import torch


class Pca:
    """Projects rows on the directions in which a reference varies most.

    Args:
        num_components: Number of directions, at least 1; at most as many as the reference has rows or columns are used.

    Raises:
        RequestError: If there is none.

    Example:
        >>> import torch
        >>> pca = Pca(1)
        >>> pca.fit(torch.tensor([[0.0, 0.0], [2.0, 2.0]]))
        >>> [round(float(row), 4) for row in pca.transform(torch.tensor([[2.0, 2.0], [4.0, -2.0]]))]
        [1.4142, 0.0]

    Reference:
        Jolliffe, Principal Component Analysis, 2002.
    """

    def __init__(self, num_components: int) -> None:
        if num_components < 1:
            raise RequestError(f"trigger.num_components={num_components} must be at least 1, or null")
        self.num_components = num_components

    def fit(self, reference: torch.Tensor) -> None:
        """Find the directions; of each, the largest entry is positive.

        Args:
            reference: Shape (n, d).
        """
        import torch

        rows = reference.double()
        self._mean = rows.mean(dim=0)
        directions = torch.linalg.svd(rows - self._mean, full_matrices=False).Vh[: self.num_components]
        largest = directions.abs().argmax(dim=1, keepdim=True)
        self._directions = directions * directions.gather(1, largest).sign()

    def transform(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the rows' components, shape (n, num_components)."""
        components: torch.Tensor = (rows.double() - self._mean) @ self._directions.T
        return components
