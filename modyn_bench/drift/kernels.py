"""Kernels between rows: what MMD is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import torch

_MAX_ENTRIES = 1 << 24  # of a kernel matrix that is in memory at a time
_MAX_MEDIAN_ROWS = 4096  # that the bandwidth is taken from, evenly spread over the reference
_SAME = 1e-6  # squared distances up to this share of the rows' squared lengths are rounding: the rows are equal

KERNELS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rbf": lambda squared: squared.neg_().exp_(),
    "laplace": lambda squared: squared.sqrt_().neg_().exp_(),
    "inverse_multiquadric": lambda squared: squared.add_(1.0).rsqrt_(),
    "energy": lambda squared: squared.sqrt_().neg_(),
}
"""Kernels of the squared distance divided by the bandwidth; they write over it."""


def check_kernel(kernel: str, bandwidth: float | None) -> None:
    """Raise ``RequestError`` if there is no such kernel or the bandwidth is not above 0."""
    if kernel not in KERNELS:
        raise RequestError(f"trigger.distance.kernel={kernel!r} must be one of {', '.join(KERNELS)}")
    if bandwidth is not None and not bandwidth > 0:
        raise RequestError(f"trigger.distance.bandwidth={bandwidth} must be above 0, or null for the median heuristic")


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared euclidean distances of rows, shape (n, m); equal rows have exactly 0."""
    lengths_x, lengths_y = (x * x).sum(dim=1)[:, None], (y * y).sum(dim=1)[None, :]
    lengths = lengths_x + lengths_y
    squared = lengths.addmm(x, y.T, alpha=-2.0)
    squared[squared <= _SAME * lengths] = 0.0
    return squared


def median_bandwidth(x: torch.Tensor) -> float:
    """Return the median squared distance between different rows; 1 if all are the same.

    Of more than 4,096 rows as many are used, evenly spread.
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
    return sum(float(part.double().sum()) for part in _parts(x, y, kernel, bandwidth))


def kernel_matrix(x: torch.Tensor, kernel: str, bandwidth: float) -> torch.Tensor:
    """Return the kernel of all pairs of rows, shape (n, n)."""
    return KERNELS[kernel](squared_distances(x, x).div_(bandwidth))


def _parts(x: torch.Tensor, y: torch.Tensor, kernel: str, bandwidth: float) -> Iterator[torch.Tensor]:
    rows = max(_MAX_ENTRIES // max(len(y), 1), 1)
    for start in range(0, len(x), rows):
        yield KERNELS[kernel](squared_distances(x[start : start + rows], y).div_(bandwidth))
