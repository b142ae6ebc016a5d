"""How well a classifier tells the current window from the reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.drift.base import Distance, Values, generator_or_fixed, matrix, standard_deviations
from modyn_bench.errors import ContractError, RequestError

if TYPE_CHECKING:
    import torch


class DomainClassifier(Distance):
    r"""The ROC AUC of a logistic regression that tells the two windows apart, by cross-fitting.

    Every row is judged by a classifier that has not seen it: rows are dealt into folds, each window evenly, and each
    fold is judged by the classifier of the others. The classifier minimises

    .. math:: \tfrac12 \|w\|^2 + C \sum_i \log(1 + e^{-z_i (w^\top x_i + b)})

    by Newton steps, on columns scaled by the training rows' mean and standard deviation. 0.5 is chance, 1 is certainty;
    each fold's AUC counts by its rows.

    Args:
        num_folds: Number of folds, at least 2.
        penalty: C, above 0: smaller is more regular.

    Shape:
        Reference (n, d), current window (m, d), both with at least ``num_folds`` rows.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> distance = DomainClassifier()
        >>> distance.fit(np.arange(50.0))
        >>> distance.score(np.arange(50.0) + 100)
        1.0

    Reference:
        Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017; Chernozhukov et al., Double/Debiased
        Machine Learning, 2018 (cross-fitting).
    """

    name = "domain_classifier"

    def __init__(self, *, num_folds: int = 5, penalty: float = 1.0) -> None:
        if num_folds < 2:
            raise RequestError(f"trigger.distance.num_folds={num_folds} must be at least 2")
        if not 0 < penalty < math.inf:
            raise RequestError(f"trigger.distance.penalty={penalty} must be above 0 and finite")
        self.num_folds = self.min_samples = num_folds
        self.penalty = penalty

    def fit(self, reference: Values, generator: np.random.Generator | None = None) -> None:
        """Take the reference."""
        self._reference = matrix(reference, double=True).clone()

    def score(self, current: Values, generator: np.random.Generator | None = None) -> float:
        """Return the AUC."""
        import torch

        rows = matrix(current, double=True, num_columns=self._reference.shape[1])
        sizes = len(self._reference), len(rows)
        if min(sizes) < self.num_folds:
            raise ContractError(
                f"distance {self.name} needs {self.num_folds} samples in each window, one for each fold, but they "
                f"hold {sizes[0]} and {sizes[1]}"
            )
        draw = generator_or_fixed(generator)
        fold_of = torch.from_numpy(np.concatenate([draw.permutation(size) % self.num_folds for size in sizes]))
        fold_of = fold_of.to(rows.device)
        x = torch.cat([self._reference, rows])
        is_current = torch.arange(len(x), device=x.device) >= sizes[0]
        total, weights = 0.0, None
        for fold in range(self.num_folds):
            judged = fold_of == fold
            mean, spread = x[~judged].mean(dim=0), standard_deviations(x[~judged].T)
            spread[spread == 0] = 1.0
            y = is_current[~judged].to(x.dtype)
            # Begun with the fold before, which has seen these rows, but ended at the one minimum there is.
            weights = logistic_regression((x[~judged] - mean) / spread, y, self.penalty, weights)
            scores = ((x[judged] - mean) / spread) @ weights[:-1]
            total += auc(scores, is_current[judged]) * int(judged.sum())
        return total / len(x)


def logistic_regression(
    x: torch.Tensor, y: torch.Tensor, penalty: float, start: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the weights and, last, the intercept of a logistic regression with an L2 penalty on the weights.

    Args:
        x: Shape (n, d), float64.
        y: 0 or 1, shape (n,).
        penalty: C.
        start: Weights and intercept to begin with, such as another fold's.
    """
    import torch

    x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
    ridge = torch.full((x.shape[1],), 1.0 / penalty, dtype=x.dtype, device=x.device)
    ridge[-1] = 1e-10  # the intercept is free; this keeps the system solvable

    def objective(w: torch.Tensor) -> torch.Tensor:
        logits = x @ w
        return (torch.nn.functional.softplus(logits) - y * logits).sum() + 0.5 * (ridge * w * w).sum()

    w = torch.zeros_like(ridge) if start is None else start
    value = objective(w)
    for _ in range(50):
        share = (x @ w).sigmoid()
        gradient = x.T @ (share - y) + ridge * w
        hessian = x.T @ (x * (share * (1 - share))[:, None]) + torch.diag(ridge)
        step = torch.linalg.solve(hessian, gradient)
        decrease = gradient @ step
        length = 1.0
        while (candidate := objective(w - length * step)) > value - 1e-4 * length * decrease and length > 1e-4:
            length /= 2
        w, value = w - length * step, candidate
        if decrease < 1e-10 * (1.0 + value.abs()):
            break
    return w


def auc(scores: torch.Tensor, positive: torch.Tensor) -> float:
    """Return the area under the ROC curve; equal scores share their ranks."""
    import torch

    _, codes, counts = scores.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    upper = counts.cumsum(0).to(torch.float64)
    ranks = (upper - (counts - 1) / 2.0)[codes]
    num_positive = int(positive.sum())
    num_negative = len(scores) - num_positive
    return float((ranks[positive].sum() - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))
