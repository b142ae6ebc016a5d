"""The first Wasserstein distance, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.drift.base import Distance, Values, share_at_most, sorted_columns, standard_deviations

if TYPE_CHECKING:
    import torch


class Wasserstein(Distance):
    r"""The mean over columns of the first Wasserstein distance, in standard deviations of the reference.

    .. math:: W_j = \frac{1}{\sigma_j} \int |F_j(x) - G_j(x)| \, dx

    Args:
        scaled: Divide by the reference's standard deviation :math:`\sigma_j`; a constant column is not divided.

    Shape:
        Reference (n, d), current window (m, d).

    Example:
        >>> distance = Wasserstein(scaled=False)
        >>> distance.fit(np.array([0.0, 1.0]))
        >>> distance.score(np.array([2.0, 3.0]))
        2.0

    Reference:
        Villani, Optimal Transport, 2009, section 6; Ramdas et al., On Wasserstein Two-Sample Testing, Entropy 2017.
    """

    name = "wasserstein"

    def __init__(self, *, scaled: bool = True) -> None:
        self.scaled = scaled

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Sort the reference."""
        self._reference = sorted_columns(reference)
        self._spread = spreads(self._reference) if self.scaled else None

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the mean distance of the columns."""
        distances = wasserstein_distances(self._reference, sorted_columns(current, len(self._reference)))
        return float((distances if self._spread is None else distances / self._spread).mean())


def wasserstein_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the first Wasserstein distance of sorted columns (d, n) and (d, m), shape (d,)."""
    import torch

    if x.shape == y.shape:
        return (x - y).abs().mean(dim=1)
    points = torch.cat([x, y], dim=1).sort(dim=1).values
    left = points[:, :-1].contiguous()
    difference = (share_at_most(x, left) - share_at_most(y, left)).abs()
    return (difference * points.diff(dim=1)).sum(dim=1)


def spreads(columns: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of columns (d, n), 1 where it is 0, shape (d,)."""
    import torch

    spread = standard_deviations(columns)
    return torch.where(spread > 0, spread, torch.ones_like(spread))
