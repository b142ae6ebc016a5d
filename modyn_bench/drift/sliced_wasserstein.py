"""The first Wasserstein distance along random directions."""

from __future__ import annotations

import numpy as np

from modyn_bench.drift.base import Distance, Values, generator_or_fixed, matrix, sorted_columns, standard_deviations
from modyn_bench.drift.wasserstein import wasserstein_distances
from modyn_bench.errors import RequestError


class SlicedWasserstein(Distance):
    r"""The mean first Wasserstein distance of the rows' projections on random directions.

    .. math:: \mathrm{SW} = \frac{1}{L} \sum_{l=1}^{L} W_1(\{\theta_l^\top x_i\}, \{\theta_l^\top y_i\})

    with :math:`\theta_l` uniform on the unit sphere, drawn once per reference.

    Args:
        num_projections: L, at least 1.
        scaled: Divide by the root mean square distance of the reference's rows from their mean, so that the score has
            no unit.

    Shape:
        Reference (n, d), current window (m, d).

    Raises:
        RequestError: If there is no projection.

    Example:
        >>> distance = SlicedWasserstein(scaled=False)
        >>> distance.fit(np.array([[0.0], [1.0]]))
        >>> round(distance.score(np.array([[2.0], [3.0]])), 6)
        2.0

    Reference:
        Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures, 2015, section 3.
    """

    name = "sliced_wasserstein"

    def __init__(self, *, num_projections: int = 100, scaled: bool = True) -> None:
        if num_projections < 1:
            raise RequestError(f"trigger.distance.num_projections={num_projections} must be at least 1")
        self.num_projections = num_projections
        self.scaled = scaled

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Draw the directions, and project and sort the reference."""
        import torch

        rows = matrix(reference, double=True)
        drawn = generator_or_fixed(generator).standard_normal((rows.shape[1], self.num_projections))
        directions = torch.from_numpy(drawn / np.linalg.norm(drawn, axis=0)).to(rows.device)
        self._directions = directions
        self._reference = sorted_columns(rows @ directions)
        spread = float(standard_deviations(rows.T).norm())
        self._scale = spread if self.scaled and spread > 0 else 1.0

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the mean distance of the projections."""
        projected = sorted_columns(matrix(current, double=True, num_columns=len(self._directions)) @ self._directions)
        return float(wasserstein_distances(self._reference, projected).mean()) / self._scale
