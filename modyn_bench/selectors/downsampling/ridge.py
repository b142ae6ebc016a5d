"""Ridge regression on rows that come one after the other, and its nonnegative solution. Shapes: s rows of width d."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_PATIENCE = 3  # exchanges of all wrong rows that may leave as many wrong, before rows enter one at a time
_ENTRIES = 5  # of each row, on average: rounding may let one come and go


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
    enter it, all at once, until there are none. Where that does not get on, as with a small ridge on rows that are
    nearly dependent, by the active-set method from there: rows enter one at a time, and nothing gets worse.

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
        (block principal pivoting); Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23 (active sets).
    """
    import torch

    tolerance = torch.finfo(rows.dtype).eps ** 0.75
    along = rows @ target
    inside = along > 0
    fewest, patience = len(rows) + 1, _PATIENCE
    while True:
        weights = _weights_of(inside, rows, target, ridge)
        pull = rows @ (target - rows.T @ weights)
        negative = inside & (weights < -tolerance * weights.norm())
        wrong = negative | (~inside & (pull > tolerance * along.norm()))
        count = int(wrong.sum())
        if not count:
            return weights.clamp(min=0.0)
        if count < fewest:
            fewest, patience = count, _PATIENCE
        elif patience:
            patience -= 1
        else:
            return _by_active_set(weights.clamp(min=0.0), rows, target, ridge, tolerance)
        inside = inside ^ wrong


def _by_active_set(
    weights: torch.Tensor, rows: torch.Tensor, target: torch.Tensor, ridge: float, tolerance: float
) -> torch.Tensor:
    """Return the nonnegative weights (s,) that are best, from some that are nonnegative."""
    inside = weights > 0
    least = tolerance * (rows @ target).norm()
    for _ in range(_ENTRIES * len(rows)):
        weights, inside = _towards_best(weights, inside, rows, target, ridge)
        pull = (rows @ (target - rows.T @ weights)).masked_fill(inside, 0.0)
        entering = pull.argmax()
        if pull[entering] <= least:
            break
        inside[entering] = True
    return weights


def _towards_best(
    weights: torch.Tensor, inside: torch.Tensor, rows: torch.Tensor, target: torch.Tensor, ridge: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move weights (s,) straight to what is best for the rows inside; rows whose weight falls to 0 before leave."""
    while True:
        best = _weights_of(inside, rows, target, ridge)
        falling = inside & (best <= 0)
        if not falling.any():
            return best, inside
        left = (weights / (weights - best)).masked_fill(~falling, 1.0)  # of the way, until the row is at 0
        first = left.argmin()
        weights = (weights + left[first] * (best - weights)).clamp(min=0.0)
        inside = inside & (weights > 0)
        inside[first] = False
        weights = weights.masked_fill(~inside, 0.0)


def _weights_of(inside: torch.Tensor, rows: torch.Tensor, target: torch.Tensor, ridge: float) -> torch.Tensor:
    """Return the weights (s,) of ridge regression on the rows inside (s,), 0 for others."""
    weights = rows.new_zeros(len(rows))
    weights[inside] = ridge_weights(rows[inside], target, ridge)
    return weights


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
