"""What samples are compared by: rows of a matrix, or outer products that are never made.

Computed in float64, where the device has it. Shapes: n rows of width d.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Vectors:
    r"""n rows x of a matrix, or, with a second one, the outer products of their rows, flattened.

    .. math::
        \langle x_i \otimes y_i, x_j \otimes y_j \rangle = \langle x_i, x_j \rangle \langle y_i, y_j \rangle

    Args:
        left: Shape (n, a); what is not finite counts as 0.
        right: Shape (n, b), likewise; ``None`` for the rows of ``left`` alone, d = a instead of d = a · b.

    Example:
        >>> import torch
        >>> outer = Vectors(torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[3.0, 1.0], [1.0, 1.0]]))
        >>> outer.explicit(torch.arange(2)).tolist()
        [[3.0, 1.0, 6.0, 2.0], [0.0, 0.0, 1.0, 1.0]]
        >>> outer.inner(torch.arange(2), slice(0, 2)).tolist()
        [[50.0, 8.0], [8.0, 2.0]]
    """

    def __init__(self, left: torch.Tensor, right: torch.Tensor | None = None) -> None:
        self.left = _precise(left)
        self.right = None if right is None else _precise(right)

    def __len__(self) -> int:
        return len(self.left)

    @property
    def width(self) -> int:
        """The dimension d of the space."""
        return self.left.shape[1] * (1 if self.right is None else self.right.shape[1])

    def inner(self, rows: torch.Tensor, columns: slice) -> torch.Tensor:
        """Return the inner products of some rows (m,) with a range of rows, shape (m, c)."""
        products = self.left[rows] @ self.left[columns].T
        return products if self.right is None else products.mul_(self.right[rows] @ self.right[columns].T)

    def along(self, direction: torch.Tensor) -> torch.Tensor:
        """Return the inner product of every row with a vector (d,), shape (n,)."""
        if self.right is None:
            return self.left @ direction
        return (self.left @ direction.view(self.left.shape[1], -1)).mul_(self.right).sum(dim=1)

    def explicit(self, rows: torch.Tensor) -> torch.Tensor:
        """Return some rows (m,), written out, shape (m, d)."""
        if self.right is None:
            return self.left[rows]
        return (self.left[rows][:, :, None] * self.right[rows][:, None, :]).flatten(1)

    def mean(self) -> torch.Tensor:
        """Return the mean row, shape (d,)."""
        if self.right is None:
            return self.left.mean(dim=0)
        return (self.left.T @ self.right).flatten() / len(self)

    def squared_lengths(self) -> torch.Tensor:
        """Return the squared length of every row, shape (n,)."""
        lengths = (self.left * self.left).sum(dim=1)
        return lengths if self.right is None else lengths * (self.right * self.right).sum(dim=1)

    def unit(self) -> Vectors:
        """Return the rows divided by their lengths; rows of zeros stay."""
        return Vectors(_unit(self.left), None if self.right is None else _unit(self.right))


def _unit(rows: torch.Tensor) -> torch.Tensor:
    lengths = (rows * rows).sum(dim=1, keepdim=True).sqrt_()
    return rows / lengths.masked_fill(lengths == 0, 1.0)


def _precise(rows: torch.Tensor) -> torch.Tensor:
    """Return rows as float64, or as float32 on Apple's devices, which have no float64; what is not finite as 0."""
    import torch

    wide = rows.to(torch.float32 if rows.device.type == "mps" else torch.float64)
    return wide.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
