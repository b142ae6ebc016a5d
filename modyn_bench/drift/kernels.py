"""Kernels between rows: what MMD is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import torch

_TILE_ON_CPU = 512  # rows and columns of a tile that stays in cache while it is worked on
_TILE_ELSEWHERE = 8192
_MAX_MEDIAN_ROWS = 4096  # that the bandwidth is taken from, evenly spread over the reference
_ROUNDING = 10.0  # squared distances up to so many units of rounding of the rows' squared lengths are 0

Tile: TypeAlias = "tuple[slice, slice, torch.Tensor]"
"""Rows, columns, and what stands there of a matrix over pairs of rows."""

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
    if bandwidth is not None and not 0 < bandwidth < math.inf:
        raise RequestError(f"trigger.distance.bandwidth={bandwidth} must be above 0 and finite, or null for the median")


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared euclidean distances of rows, shape (n, m); equal rows have exactly 0."""
    import torch

    lengths_x, lengths_y = (x * x).sum(dim=1)[:, None], (y * y).sum(dim=1)[None, :]
    lengths = lengths_x + lengths_y
    squared = lengths.addmm(x, y.T, alpha=-2.0)
    return squared.masked_fill_(squared <= lengths.mul_(_ROUNDING * torch.finfo(squared.dtype).eps), 0.0)


def median_bandwidth(x: torch.Tensor) -> float:
    """Return the median squared distance between different rows; 1 if all are the same.

    Rows that are equal do not count. Of an even number the lower of the two in the middle is taken; of more than 4,096
    rows as many are used, evenly spread.
    """
    import torch

    if len(x) > _MAX_MEDIAN_ROWS:
        x = x[torch.linspace(0, len(x) - 1, _MAX_MEDIAN_ROWS, device=x.device).round().long()]
    above = x.new_empty(len(x) * (len(x) - 1) // 2)
    filled = 0
    for rows, columns, tile in _tiles(x, x, triangle=True):
        if rows == columns:
            tile = tile[tuple(torch.triu_indices(len(tile), len(tile), 1, device=x.device))]
        above[filled : filled + tile.numel()] = tile.flatten()
        filled += tile.numel()
    squared = above.cpu().numpy()
    num_equal = len(squared) - np.count_nonzero(squared)
    if num_equal == len(squared):
        return 1.0
    middle = num_equal + (len(squared) - num_equal - 1) // 2
    squared.partition(middle)
    return float(squared[middle])


def kernel_sum(x: torch.Tensor, y: torch.Tensor, kernel: str, bandwidth: float) -> float:
    """Return the sum of the kernel over all pairs of a row of x and a row of y; no matrix of all of them is made."""
    return float(sum(KERNELS[kernel](tile.div_(bandwidth)).sum().double() for _, _, tile in _tiles(x, y)))


def kernel_sum_within(x: torch.Tensor, kernel: str, bandwidth: float) -> float:
    """Return the sum of the kernel over all ordered pairs of different rows of x."""
    tiles = kernel_tiles(x, kernel, bandwidth)
    return float(sum(tile.sum().double() * (1 if rows == columns else 2) for rows, columns, tile in tiles))


def kernel_tiles(x: torch.Tensor, kernel: str, bandwidth: float) -> Iterator[Tile]:
    """Yield the kernel matrix of x in square tiles, those on the diagonal and above it; a row with itself has 0."""
    for rows, columns, tile in _tiles(x, x, triangle=True):
        values = KERNELS[kernel](tile.div_(bandwidth))
        if rows == columns:
            values.fill_diagonal_(0.0)
        yield rows, columns, values


def _tiles(x: torch.Tensor, y: torch.Tensor, *, triangle: bool = False) -> Iterator[Tile]:
    """Yield the squared distances of rows in tiles; of a triangle, none below the diagonal."""
    size = _TILE_ON_CPU if x.device.type == "cpu" else _TILE_ELSEWHERE
    for row in range(0, len(x), size):
        for column in range(row if triangle else 0, len(y), size):
            rows, columns = slice(row, min(row + size, len(x))), slice(column, min(column + size, len(y)))
            yield rows, columns, squared_distances(x[rows], y[columns])
