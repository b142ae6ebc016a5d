"""The Hellinger distance of histograms, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.drift.base import Distance, Values, sorted_columns
from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import torch


class Hellinger(Distance):
    r"""The mean over columns of the Hellinger distance of their histograms.

    .. math:: H_j = \sqrt{\tfrac12 \sum_b \left(\sqrt{p_{jb}} - \sqrt{q_{jb}}\right)^2}

    Bins are cut at quantiles of the reference, so that each holds about as many of its samples; the outer ones are
    open.

    Args:
        num_bins: Bins of a column, at least 2.

    Shape:
        Reference (n, d), current window (m, d).

    Raises:
        RequestError: If there are fewer than two bins.

    Example:
        >>> distance = Hellinger(num_bins=2)
        >>> distance.fit(np.array([0.0, 1.0]))
        >>> distance.score(np.array([0.0, 1.0])), round(distance.score(np.array([1.0, 1.0])), 4)
        (0.0, 0.5412)

    Reference:
        Ditzler and Polikar, Hellinger Distance Based Drift Detection for Nonstationary Environments, CIDUE 2011.
    """

    name = "hellinger"

    def __init__(self, *, num_bins: int = 20) -> None:
        if num_bins < 2:
            raise RequestError(f"trigger.distance.num_bins={num_bins} must be at least 2")
        self.num_bins = num_bins

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Cut the bins and count the reference."""
        import torch

        columns = sorted_columns(reference)
        # Quantiles by whole numbers, so that an edge that is a sample is exactly that sample.
        places = torch.arange(1, self.num_bins, device=columns.device) * (columns.shape[1] - 1)
        below = columns[:, places // self.num_bins]
        above = columns[:, (places + self.num_bins - 1) // self.num_bins]
        self._edges = (below + (above - below) * ((places % self.num_bins).double() / self.num_bins)).contiguous()
        self._reference = self._histograms(columns)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the mean distance of the columns."""
        shares = self._histograms(sorted_columns(current, len(self._reference)))
        apart = self._reference.sqrt() - shares.sqrt()
        return float((apart.square().sum(dim=1) / 2.0).sqrt().mean())

    def _histograms(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the shares of sorted columns (d, n) in the bins, shape (d, bins); an edge belongs to the bin below."""
        import torch

        below = torch.searchsorted(columns, self._edges, right=True)
        ends = torch.nn.functional.pad(below, (1, 1))
        ends[:, -1] = columns.shape[1]
        return ends.diff(dim=1).double() / columns.shape[1]
