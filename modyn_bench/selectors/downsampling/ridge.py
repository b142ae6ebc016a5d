"""Ridge regression on rows that come one after the other, and its nonnegative solution. Shapes: s rows of width d."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_PATIENCE = 3  # exchanges of all wrong rows that may make things worse, before one row at a time is exchanged


class Complement:
    r"""What ridge regression on the rows A that were taken leaves of a vector.

    .. math::
        P v = v - A^\top (A A^\top + \lambda I)^{-1} A v = \Bigl(I - \sum_t u_t u_t^\top\Bigr) v, \qquad
        u_t = \frac{P_{t - 1} a_t}{\sqrt{\lambda + a_t^\top P_{t - 1} a_t}}

    Kept as P, or as the directions u where they are fewer than its columns.

    Args:
        width: d.
        ridge: λ, above 0.
        budget: How many rows will be taken at most.
        like: A tensor of the dtype and on the device to compute with.

    Example:
        >>> import torch
        >>> complement = Complement(2, 1.0, 5, like=torch.zeros(1))
        >>> direction = complement.take(torch.tensor([1.0, 0.0]))
        >>> complement.apply(torch.tensor([1.0, 1.0])).tolist()
        [0.5, 1.0]
    """

    def __init__(self, width: int, ridge: float, budget: int, *, like: torch.Tensor) -> None:
        import torch

        self._ridge = ridge
        self._taken = 0
        self._directions = like.new_empty((budget, width)) if budget < width else None
        self._matrix = None if budget < width else torch.eye(width, dtype=like.dtype, device=like.device)

    def apply(self, vector: torch.Tensor) -> torch.Tensor:
        """Return what is left of a vector, shape (d,)."""
        if self._matrix is not None:
            return self._matrix @ vector
        assert self._directions is not None
        directions = self._directions[: self._taken]
        return vector - directions.T @ (directions @ vector)

    def take(self, row: torch.Tensor) -> torch.Tensor:
        """Take a row, and return its direction u, shape (d,)."""
        left = self.apply(row)
        direction = left / (self._ridge + (row @ left).clamp(min=0.0)).sqrt()
        if self._matrix is not None:
            self._matrix.addr_(direction, direction, alpha=-1.0)
        elif self._directions is not None:
            self._directions[self._taken] = direction
        self._taken += 1
        return direction


def nonnegative_ridge(rows: torch.Tensor, target: torch.Tensor, ridge: float) -> torch.Tensor:
    r"""Return the weights :math:`w \ge 0` that minimise :math:`\|A^\top w - b\|^2 + \lambda \|w\|^2`, shape (s,).

    By block principal pivoting: rows whose weight is negative leave the regression, rows that the residual points to
    enter it, all at once, until there are none.

    Args:
        rows: A, shape (s, d).
        target: b, shape (d,).
        ridge: λ, above 0, which makes the solution unique.

    Example:
        >>> import torch
        >>> nonnegative_ridge(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([2.0, -1.0]), 1.0).tolist()
        [1.0, 0.0]

    Reference:
        Kim and Park, Fast Nonnegative Matrix Factorization: An Active-Set-Like Method, SIAM J. Sci. Comput. 33, 2011
        (block principal pivoting).
    """
    import torch

    tolerance = torch.finfo(rows.dtype).eps ** 0.75
    along = rows @ target
    inside = along > 0
    weights = torch.zeros_like(along)
    fewest, patience = len(rows) + 1, _PATIENCE
    for _ in range(100 + 10 * len(rows)):
        weights = torch.zeros_like(along)
        weights[inside] = ridge_weights(rows[inside], target, ridge)
        pull = rows @ (target - rows.T @ weights)
        negative = inside & (weights < -tolerance * weights.norm())
        wrong = negative | (~inside & (pull > tolerance * along.norm()))
        count = int(wrong.sum())
        if not count:
            break
        if count < fewest:
            fewest, patience = count, _PATIENCE
        elif patience:
            patience -= 1
        else:
            last = wrong.nonzero()[-1]
            wrong = torch.zeros_like(wrong).index_fill_(0, last, value=True)
        inside = inside ^ wrong
    return weights.clamp(min=0.0)


def ridge_weights(rows: torch.Tensor, target: torch.Tensor, ridge: float) -> torch.Tensor:
    r"""Return :math:`(A A^\top + \lambda I)^{-1} A b`, from the smaller of the two Gram matrices, shape (s,)."""
    import torch

    wide = len(rows) <= rows.shape[1]
    gram = rows @ rows.T if wide else rows.T @ rows
    gram.diagonal().add_(ridge)
    factor = torch.linalg.cholesky(gram)
    right = (rows @ target if wide else target)[:, None]
    solution = torch.cholesky_solve(right, factor)[:, 0]
    return solution if wide else rows @ solution
