"""The distance between the windows' means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.drift.base import Distance, Values, matrix
from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import torch

METRICS = ("euclidean", "cosine", "cityblock", "chebyshev")


class MeanDistance(Distance):
    r"""The distance between the means of the two windows, such as their mean embeddings.

    With :math:`\mu` and :math:`\nu` the means: euclidean :math:`\|\mu - \nu\|_2`, cosine :math:`1 - \mu^\top \nu /
    (\|\mu\| \|\nu\|)`, cityblock :math:`\|\mu - \nu\|_1`, chebyshev :math:`\|\mu - \nu\|_\infty`.

    Args:
        metric: ``euclidean``, ``cosine``, ``cityblock`` or ``chebyshev``.

    Shape:
        Reference (n, d), current window (m, d).

    Raises:
        RequestError: If there is no such metric.

    Example:
        >>> distance = MeanDistance()
        >>> distance.fit(np.array([[0.0, 0.0], [0.0, 2.0]]))
        >>> distance.score(np.array([[3.0, 5.0]]))
        5.0

    Reference:
        Rabanser et al., Failing Loudly: An Empirical Study of Methods for Detecting Dataset Shift, NeurIPS 2019.
    """

    name = "mean_distance"

    def __init__(self, *, metric: str = "euclidean") -> None:
        if metric not in METRICS:
            raise RequestError(f"trigger.distance.metric={metric!r} must be one of {', '.join(METRICS)}")
        self.metric = metric

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Take the reference's mean."""
        self._mean = matrix(reference, double=True).mean(dim=0)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the distance of the means."""
        rows = matrix(current, double=True, num_columns=len(self._mean))
        return _distance(self._mean, rows.mean(dim=0), self.metric)


def _distance(a: torch.Tensor, b: torch.Tensor, metric: str) -> float:
    if metric == "cosine":
        lengths = float(a.norm() * b.norm())
        return 1.0 - float(a @ b) / lengths if lengths else 0.0
    order = {"euclidean": 2.0, "cityblock": 1.0, "chebyshev": float("inf")}[metric]
    return float((a - b).norm(p=order))
