"""Kernels between rows: what MMD is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import torch

_MAX_ENTRIES = 1 << 19  # of a kernel matrix that is in memory at a time: what a cache holds is summed up fastest
_MAX_MEDIAN_ROWS = 2048  # that the bandwidth is taken from, evenly spread over the reference
_ROUNDING = 10.0  # squared distances up to so many units of rounding of the rows' squared lengths are 0

KERNELS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rbf": lambda squared: squared.neg_().exp_(),
    "laplace": lambda squared: squared.sqrt_().neg_().exp_(),
    "inverse_multiquadric": lambda squared: squared.add_(1.0).rsqrt_(),
    "energy": lambda squared: squared.sqrt_().neg_(),
}
"""Kernels of the squared distance divided by the bandwidth; they write over it."""

PRECISE = ("laplace", "energy")
"""Kernels that are steep at 0, where float32 has too few digits of the distance."""


def check_kernel(kernel: str, bandwidth: float | None) -> None:
    """Raise ``RequestError`` if there is no such kernel or the bandwidth is not above 0."""
    if kernel not in KERNELS:
        raise RequestError(f"trigger.distance.kernel={kernel!r} must be one of {', '.join(KERNELS)}")
    if bandwidth is not None and not bandwidth > 0:
        raise RequestError(f"trigger.distance.bandwidth={bandwidth} must be above 0, or null for the median heuristic")


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared euclidean distances of rows, shape (n, m); equal rows have exactly 0."""
    return _distances(x, _lengths(x), y, _lengths(y))


def _lengths(x: torch.Tensor) -> torch.Tensor:
    return (x * x).sum(dim=1)


def _distances(x: torch.Tensor, lengths_x: torch.Tensor, y: torch.Tensor, lengths_y: torch.Tensor) -> torch.Tensor:
    import torch

    lengths = lengths_x[:, None] + lengths_y[None, :]
    squared = lengths.addmm(x, y.T, alpha=-2.0)
    return squared.masked_fill_(squared <= lengths.mul_(_ROUNDING * torch.finfo(squared.dtype).eps), 0.0)


def median_bandwidth(x: torch.Tensor) -> float:
    """Return the median squared distance between different rows; 1 if all are the same.

    Of more than 2,048 rows as many are used, evenly spread.
    """
    import torch

    rows = x
    if len(x) > _MAX_MEDIAN_ROWS:
        rows = x[torch.linspace(0, len(x) - 1, _MAX_MEDIAN_ROWS, device=x.device).round().long()]
    squared = squared_distances(rows, rows)
    above = squared[tuple(torch.triu_indices(len(rows), len(rows), 1, device=x.device))]
    above = above[above > 0]
    return float(above.median()) if len(above) else 1.0


def kernel_sum(x: torch.Tensor, y: torch.Tensor, kernel: str, bandwidth: float) -> float:
    """Return the sum of the kernel over all pairs of rows; the matrix is made in parts."""
    lengths_x, lengths_y = _lengths(x), _lengths(y)
    total, rows = 0.0, max(_MAX_ENTRIES // max(len(y), 1), 1)
    for start in range(0, len(x), rows):
        block = slice(start, start + rows)
        squared = _distances(x[block], lengths_x[block], y, lengths_y)
        total += _sum(KERNELS[kernel](squared.div_(bandwidth)))
    return total


def kernel_sum_within(x: torch.Tensor, kernel: str, bandwidth: float) -> float:
    """Return the sum of the kernel over all pairs of different rows; each pair is computed once."""
    lengths = _lengths(x)
    total, rows = 0.0, max(_MAX_ENTRIES // max(len(x), 1), 1)
    for start in range(0, len(x), rows):
        block, rest = slice(start, start + rows), slice(start + rows, None)
        own = _distances(x[block], lengths[block], x[block], lengths[block])
        total += _sum(KERNELS[kernel](own.div_(bandwidth)).fill_diagonal_(0.0))
        if start + rows < len(x):
            across = _distances(x[block], lengths[block], x[rest], lengths[rest])
            total += 2.0 * _sum(KERNELS[kernel](across.div_(bandwidth)))
    return total


def kernel_matrix(x: torch.Tensor, kernel: str, bandwidth: float) -> torch.Tensor:
    """Return the kernel of all pairs of rows, shape (n, n)."""
    return KERNELS[kernel](squared_distances(x, x).div_(bandwidth))


def _sum(values: torch.Tensor) -> float:
    """Return a sum whose rounding does not grow with the number of values: rows in float32, their sums in float64."""
    return float(values.sum(dim=1).double().sum())
