"""Samples whose gradients stand for those of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Options, Outputs, Turn
from modyn_bench.selectors.downsampling.gradients import Gradients
from modyn_bench.selectors.downsampling.greedy import Optimizer
from modyn_bench.selectors.downsampling.set_functions import FacilityLocation
from modyn_bench.selectors.downsampling.similarities import DistanceSimilarity, MemoryBudget

if TYPE_CHECKING:
    import torch


class Craig(Downsampler):
    r"""Covers the gradients of each class by those of few samples, each weighted by how many it stands for.

    .. math::
        f(S) = \sum_i \Bigl(c - \min_{j \in S} \|g_i - g_j\|\Bigr), \qquad
        w_j = |\{i : j = \arg\min_{s \in S} \|g_i - g_s\|\}|

    within every class, with g the gradient of a sample's loss and c a constant that no distance exceeds, which
    changes no choice. The naive and the lazy optimiser reach at least :math:`1 - 1/e` of the largest f. The weights
    of a class sum up to its size.

    Args:
        gradient: ``outputs``: with respect to the logits; ``last_layer``: to the last layer's weights and biases.
        optimizer: ``naive``, ``lazy`` (the same choice, faster), ``approximate_lazy`` or ``stochastic``.
        stochastic_epsilon: What the stochastic optimiser may lose of the optimum, a fraction in (0, 1); it looks at
            :math:`\lceil \frac{n}{k} \ln \frac{1}{\epsilon} \rceil` samples for each that it adds.
        approximation: Least share of the best gain that the approximate lazy optimiser takes, in (0, 1].
        memory_budget: MiB that a class's similarities may take, 4 · n² bytes; beyond that they are computed anew
            whenever they are needed.

    Shape:
        Gradients (n, C), and embeddings (n, e) with ``last_layer``; what is not finite counts as 0.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import numpy as np, torch
        >>> rows, labels = torch.tensor([[0.0], [1.0], [9.0], [-1.0]]), torch.zeros(4, dtype=torch.int64)
        >>> turn = Turn(0, 1, lambda *names: np.random.default_rng(0))
        >>> choice = Craig().choose(rows, labels, 2, turn)
        >>> choice.positions.tolist(), choice.weights.tolist()
        ([0, 2], [3.0, 1.0])

    Reference:
        Mirzasoleiman et al., Coresets for Data-efficient Training of Machine Learning Models, ICML 2020, section 3
        and algorithm 1.

    Deviation:
        The reference divides a gradient by the number of samples that it came with, so that distances depend on
        batches; here they are those of the samples' own gradients.
    """

    name = "craig"
    by_class = True

    def __init__(
        self,
        *,
        gradient: str = "outputs",
        optimizer: str = "lazy",
        stochastic_epsilon: float = 0.1,
        approximation: float = 0.9,
        memory_budget: int = 1024,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        self.gradients = Gradients(gradient)
        self.needs = self.gradients.needs
        self.optimizer = Optimizer(optimizer, stochastic_epsilon=stochastic_epsilon, approximation=approximation)
        self.memory_budget = MemoryBudget(memory_budget)

    def describe(self, outputs: Outputs) -> torch.Tensor:
        """Return the gradients, or what they are made of."""
        return self.gradients.describe(outputs)

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose the medoids, in the order in which they were added, with the sizes of their clusters."""
        import torch

        similarity = DistanceSimilarity(self.gradients.vectors(description))
        function = FacilityLocation(similarity, kept=self.memory_budget.holds(len(similarity)))
        chosen = self.optimizer.maximize(function, budget, turn.random("greedy"))
        sizes = torch.bincount(function.nearest, minlength=budget)
        return Choice(torch.as_tensor(chosen, device=labels.device), sizes.to(torch.float32))
