"""Samples whose weighted gradients add up to the mean gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

from modyn_bench.errors import RequestError
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Options, Outputs, Turn
from modyn_bench.selectors.downsampling.gradients import Gradients
from modyn_bench.selectors.downsampling.ridge import Complement, nonnegative_ridge
from modyn_bench.selectors.downsampling.vectors import Vectors

if TYPE_CHECKING:
    import torch

    Matched = tuple[torch.Tensor, torch.Tensor]


class GradMatch(Downsampler):
    r"""Matches the mean gradient by a weighted sum of few samples' gradients, by orthogonal matching pursuit.

    .. math::
        E(S) = \min_{w \ge 0} \Bigl\|\sum_{j \in S} w_j g_j - \bar g\Bigr\|^2 + \lambda \|w\|^2, \qquad
        j_{t + 1} = \arg\max_{j \notin S_t} \langle g_j, r_t \rangle

    with r what ridge regression on the chosen leaves of the mean gradient. The pursuit ends early where nothing points
    along r. Then the weights are those of E; samples of weight 0 drop out, so that fewer than the budget may be left.
    What is left is weighted in proportion to w, and the weights sum up to n: to match the sum of gradients instead of
    their mean multiplies w by n, and nothing else. E(S) never rises with the budget.

    λ multiplies the squared length of the weights, and is as large as squared lengths of gradients: where these are far
    below it, the samples most aligned with the mean are taken. Where all gradients are 0, a uniform draw is. The paper
    matches class by class, which is ``balance=true``.

    Args:
        gradient: ``outputs``: with respect to the logits; ``last_layer``: to the last layer's weights and biases.
        ridge: λ, above 0.

    Shape:
        Gradients (n, C), and embeddings (n, e) with ``last_layer``; what is not finite counts as 0.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import numpy as np, torch
        >>> rows, labels = torch.tensor([[4.0, 0], [0, 2], [0, -2], [0, 2]]), torch.zeros(4, dtype=torch.int64)
        >>> turn = Turn(0, 1, lambda *names: np.random.default_rng(0))
        >>> choice = GradMatch(ridge=4.0).choose(rows, labels, 4, turn)
        >>> choice.positions.tolist(), [round(weight, 3) for weight in choice.weights.tolist()]
        ([0, 1, 3], [2.182, 0.909, 0.909])

    Reference:
        Killamsetty et al., GRAD-MATCH: Gradient Matching based Data Subset Selection for Efficient Deep Model Training,
        ICML 2021, section 3 and algorithm 2; λ = 0.5 is its authors'.

    Deviation:
        The reference's λ is 1, and its weights are not scaled.
    """

    name = "grad_match"

    def __init__(
        self,
        *,
        gradient: str = "outputs",
        ridge: float = 0.5,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        if not 0 < ridge < math.inf:
            raise RequestError(f"selector.ridge={ridge} must be above 0 and finite")
        self.gradients = Gradients(gradient)
        self.needs = self.gradients.needs
        self.ridge = ridge

    def describe(self, outputs: Outputs) -> torch.Tensor:
        """Return the gradients, or what they are made of."""
        return self.gradients.describe(outputs)

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose samples, in the order in which they were added, without those of weight 0."""
        import torch

        n = len(description)
        positions, weights = match(self.gradients.vectors(description), budget, self.ridge)
        if not len(positions):
            drawn = turn.random("draw").choice(n, size=budget, replace=False)
            equal = torch.full((budget,), n / budget, device=labels.device)
            return Choice(torch.as_tensor(drawn, device=labels.device), equal)
        return Choice(positions, (weights * (n / weights.sum())).to(torch.float32))


def match(vectors: Vectors, budget: int, ridge: float) -> Matched:
    """Match the mean of some vectors, and return positions and weights above 0, both of shape (k,), k ≤ budget.

    Args:
        vectors: The gradients.
        budget: How many may be chosen.
        ridge: λ.
    """
    mean = vectors.mean()
    chosen = pursue(vectors, mean, budget, ridge)
    weights = nonnegative_ridge(vectors.explicit(chosen), mean, ridge)
    kept = weights > 0
    return chosen[kept], weights[kept]


def pursue(vectors: Vectors, target: torch.Tensor, budget: int, ridge: float) -> torch.Tensor:
    """Return the vectors that point along what ridge regression on those before leaves of the target, shape (k,)."""
    import torch

    complement = Complement(vectors.width, ridge, budget, like=target)
    chosen = torch.empty(budget, dtype=torch.int64, device=target.device)
    residual = target.clone()
    for step in range(budget):
        pull = vectors.along(residual).index_fill_(0, chosen[:step], -torch.inf)
        best = pull.argmax(dim=0, keepdim=True)
        if not pull[best] > 0:
            return chosen[:step]
        chosen[step] = best[0]
        direction = complement.take(vectors.explicit(best)[0])
        residual -= direction * (direction @ target)
    return chosen
