"""How far the classes' frequencies have moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modyn_bench.drift.base import Distance, Values, matrix
from modyn_bench.errors import ContractError, RequestError


class LabelShift(Distance):
    r"""The Jensen–Shannon divergence of the classes' frequencies, in bits: 0 when they agree, 1 when none is shared.

    .. math:: \mathrm{JS}(p, q) = \tfrac12 \mathrm{KL}(p \,\|\, \tfrac{p + q}2)
        + \tfrac12 \mathrm{KL}(q \,\|\, \tfrac{p + q}2)

    Args:
        of: ``predictions``: of the classes that the newest model predicts, which needs no label; ``labels``: of the
            labels that have arrived.

    Shape:
        Predictions: class probabilities (n, C). Labels: class indices (n,).

    Raises:
        RequestError: If it is to be of anything else.

    Example:
        >>> distance = LabelShift(of="labels")
        >>> distance.fit(np.array([0, 0, 1, 1]))
        >>> distance.score(np.array([1, 0])), distance.score(np.array([2, 2]))
        (0.0, 1.0)

    Reference:
        Lin, Divergence Measures Based on the Shannon Entropy, IEEE Transactions on Information Theory 37, 1991.
    """

    name = "label_shift"

    def __init__(self, *, of: str = "predictions") -> None:
        if of not in ("predictions", "labels"):
            raise RequestError(f"trigger.distance.of={of!r} must be predictions or labels")
        self.of = of
        self.reads = "probabilities" if of == "predictions" else "labels"

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Count the reference."""
        self._reference = self._counts(reference)

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the divergence."""
        p, q = self._reference, self._counts(current)
        size = max(len(p), len(q))
        p, q = (np.pad(counts, (0, size - len(counts))) / counts.sum() for counts in (p, q))
        middle = (p + q) / 2
        return max(0.5 * (_divergence(p, middle) + _divergence(q, middle)), 0.0)

    def _counts(self, values: Values) -> NDArray[np.float64]:
        """Return how often each class is the most probable of (n, C), or occurs among labels (n,)."""
        if self.of == "predictions":
            classes = matrix(values, double=True).argmax(dim=1).cpu().numpy()
        else:
            labels = matrix(values, double=True).flatten().cpu().numpy()
            classes = labels.astype(np.int64)
            if (classes != labels).any() or classes.min() < 0:
                raise ContractError(f"distance {self.name} got labels that are not class indices from 0 on")
        return np.bincount(classes).astype(np.float64)


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())
