"""What policies share that draw samples by a score, and weigh them so that nothing is biased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.selectors.downsampling.base import Choice, Options, Turn, highest
from modyn_bench.selectors.downsampling.scored import Scored
from modyn_bench.selectors.inclusion import (
    as_scores,
    draw_one_by_one,
    draw_systematic,
    inclusion_probabilities,
    mixed_with_uniform,
)
from modyn_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    import torch

DRAWS = ("inclusion", "top_k", "multinomial_reference")


class ImportanceSampled(Scored):
    r"""Draws k of n samples by their scores, each with a known probability, and weighs them by its inverse.

    .. math::
        q_i = (1 - \varepsilon) \frac{s_i}{\sum_j s_j} + \frac{\varepsilon}{n}, \qquad
        \pi_i = \min(1, c\, q_i), \qquad \sum_i \pi_i = k, \qquad w_i = \frac{k / n}{\pi_i}

    With these weights the batch's mean gradient :math:`\frac{1}{k} \sum_{i \in S} w_i g_i` has the expectation
    :math:`\frac{1}{n} \sum_i g_i`, whatever the scores; the uniform share keeps every weight at most
    :math:`1 / \varepsilon`.

    ``draw`` may be ``top_k``, the highest scores, all of weight 1; or ``multinomial_reference``, the rule of the
    reference system: one after another in proportion to :math:`p_i = s_i / \sum_j s_j` among those left, with
    :math:`w_i = 1 / (n\, p_i)`. These are the weights of draws with replacement, so they are biased: samples with high
    scores count too little, and those with low ones too much; most where k is a large share of n. A score of 0 is never
    drawn, unless all are 0. With ``balance``, n and p are those of the class, as there.

    Args:
        uniform_share: :math:`\varepsilon`, in (0, 1].
        draw: ``inclusion``, ``top_k`` or ``multinomial_reference``.

    Raises:
        RequestError: If an option is out of range.

    Reference:
        Horvitz and Thompson, A Generalization of Sampling without Replacement from a Finite Universe, JASA 47, 1952;
        Owen and Zhou, Safe and Effective Importance Sampling, JASA 95, 2000 (the uniform share).

    Deviation:
        The reference draws and weighs as ``multinomial_reference`` says, and divides a batch's loss by the sum of its
        weights, which is biased once more; here it is divided by the number of samples.
    """

    def __init__(
        self,
        *,
        uniform_share: float = 0.1,
        draw: str = "inclusion",
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        if not 0 < uniform_share <= 1:
            raise RequestError(f"selector.uniform_share={uniform_share} must be a fraction in (0, 1]")
        if draw not in DRAWS:
            raise RequestError(f"selector.draw={draw!r} must be one of {', '.join(DRAWS)}")
        self.uniform_share = uniform_share
        self.draw = draw

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose as ``draw`` says."""
        import torch

        if self.draw == "top_k":
            return Choice(highest(description[:, 0], budget))
        scores = as_scores(description[:, 0].cpu().double().numpy())
        generator = turn.random("draw", turn.epoch)
        if self.draw == "inclusion":
            positions, weights = self._by_inclusion(scores, budget, generator)
        else:
            positions, weights = _as_the_reference(scores, budget, generator)
        device = description.device
        return Choice(torch.from_numpy(positions).to(device), torch.from_numpy(weights.astype(np.float32)).to(device))

    def _by_inclusion(
        self, scores: FloatArray, budget: int, generator: np.random.Generator
    ) -> tuple[IntArray, FloatArray]:
        probabilities = inclusion_probabilities(mixed_with_uniform(scores, self.uniform_share), budget)
        positions = draw_systematic(probabilities, generator)
        return positions, 1.0 / probabilities[positions]


def _as_the_reference(scores: FloatArray, budget: int, generator: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Return positions and :math:`1 / (k p)`, which become :math:`1 / (n p)` when they are multiplied with k / n."""
    total = scores.sum()
    draw = scores / total if total > 0 else np.full(len(scores), 1.0 / len(scores))
    positions = draw_one_by_one(draw, budget, generator)
    return positions, 1.0 / (len(positions) * draw[positions])
