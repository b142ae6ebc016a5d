"""Samples that maximise a submodular function of similarities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

from modyn_bench.errors import RequestError
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Options, Outputs, Turn
from modyn_bench.selectors.downsampling.gradients import Gradients
from modyn_bench.selectors.downsampling.greedy import Optimizer, SetFunction
from modyn_bench.selectors.downsampling.set_functions import FacilityLocation, GraphCut, LogDeterminant
from modyn_bench.selectors.downsampling.similarities import CosineSimilarity, MemoryBudget
from modyn_bench.selectors.downsampling.vectors import Vectors

if TYPE_CHECKING:
    import torch

FUNCTIONS = ("facility_location", "graph_cut", "log_determinant")


class Submodular(Downsampler):
    r"""Maximises a set function of cosine similarities :math:`s_{ij} = (1 + \cos(x_i, x_j)) / 2`, greedily.

    .. math::
        \text{facility\_location}: \sum_i \max_{j \in S} s_{ij} \qquad
        \text{graph\_cut}: \lambda \sum_i \sum_{j \in S} s_{ij} - \sum_{i, j \in S} s_{ij} \qquad
        \text{log\_determinant}: \log \det (S_S + \epsilon I)

    Facility location chooses what is typical, the logarithm of the determinant what differs, and the graph cut weighs
    the two. The naive and the lazy optimiser reach at least :math:`1 - 1/e` of the optimum of facility location, and
    of the logarithm of the determinant with :math:`\epsilon \ge 1`; the graph cut has no such bound.

    Args:
        function: ``facility_location``, ``graph_cut`` or ``log_determinant``.
        of: What similarities are of: the ``gradient`` of the loss, or the ``embedding``.
        gradient: ``outputs``: with respect to the logits; ``last_layer``: to the last layer's weights and biases.
        optimizer: ``naive``, ``lazy`` (the same choice, faster), ``approximate_lazy`` or ``stochastic``.
        stochastic_epsilon: What the stochastic optimiser may lose of the optimum, a fraction in (0, 1); it looks at
            :math:`\lceil \frac{n}{k} \ln \frac{1}{\epsilon} \rceil` samples for each that it adds.
        approximation: Least share of the best gain that the approximate lazy optimiser takes, in (0, 1].
        graph_cut_lambda: λ, at least 0: how much being typical counts; from 2 on the graph cut is monotone.
        epsilon: ε, above 0. The smaller, the less a near-copy of what was chosen adds; with 1 copies add so much that
            they may be preferred to what differs.
        memory_budget: MiB that the similarities of facility location may take, 4 · n² bytes; beyond that they are
            computed anew whenever they are needed. The other functions never keep them.

    Shape:
        Gradients (n, C), embeddings (n, e), or both; what is not finite counts as 0, a row of zeros is at ½ from all.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import numpy as np, torch
        >>> rows, labels = torch.tensor([[2.0, 0], [2, 1], [1, 2], [0, -1]]), torch.zeros(4, dtype=torch.int64)
        >>> turn = Turn(0, 1, lambda *names: np.random.default_rng(0))
        >>> Submodular().choose(rows, labels, 2, turn).positions.tolist()
        [0, 3]

    Reference:
        Iyer et al., Submodular Combinatorial Information Measures with Applications in Machine Learning, ALT 2021
        (functions); Chen et al., Fast Greedy MAP Inference for Determinantal Point Process, NeurIPS 2018
        (the determinant, step by step).

    Deviation:
        The reference's determinant has no ε, and is singular beyond the rank of the similarities; its stochastic
        optimiser's ε is 0.9, which looks at a tenth of n / k.
    """

    name = "submodular"

    def __init__(
        self,
        *,
        function: str = "facility_location",
        of: str = "gradient",
        gradient: str = "outputs",
        optimizer: str = "lazy",
        stochastic_epsilon: float = 0.1,
        approximation: float = 0.9,
        graph_cut_lambda: float = 1.0,
        epsilon: float = 0.01,
        memory_budget: int = 1024,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        if function not in FUNCTIONS:
            raise RequestError(f"selector.function={function!r} must be one of {', '.join(FUNCTIONS)}")
        if of not in ("gradient", "embedding"):
            raise RequestError(f"selector.of={of!r} must be gradient or embedding")
        if not 0 <= graph_cut_lambda < math.inf:
            raise RequestError(f"selector.graph_cut_lambda={graph_cut_lambda} must be at least 0 and finite")
        if not 0 < epsilon < math.inf:
            raise RequestError(f"selector.epsilon={epsilon} must be above 0 and finite")
        self.function = function
        self.of = of
        self.gradients = Gradients(gradient)
        self.needs = ("embedding",) if of == "embedding" else self.gradients.needs
        self.optimizer = Optimizer(optimizer, stochastic_epsilon=stochastic_epsilon, approximation=approximation)
        self.graph_cut_lambda = graph_cut_lambda
        self.epsilon = epsilon
        self.memory_budget = MemoryBudget(memory_budget)

    def describe(self, outputs: Outputs) -> torch.Tensor:
        """Return the embeddings, the gradients, or what they are made of."""
        if self.of == "gradient":
            return self.gradients.describe(outputs)
        assert outputs.embeddings is not None
        return outputs.embeddings.float()

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose samples, in the order in which they were added."""
        import torch

        vectors = Vectors(description) if self.of == "embedding" else self.gradients.vectors(description)
        function = self._of_none(CosineSimilarity(vectors), budget)
        chosen = self.optimizer.maximize(function, budget, turn.random("greedy"))
        return Choice(torch.as_tensor(chosen, device=labels.device))

    def _of_none(self, similarity: CosineSimilarity, budget: int) -> SetFunction:
        """Return the function, nothing chosen yet."""
        if self.function == "graph_cut":
            return GraphCut(similarity, self.graph_cut_lambda)
        if self.function == "log_determinant":
            return LogDeterminant(similarity, self.epsilon, budget)
        return FacilityLocation(similarity, kept=self.memory_budget.holds(len(similarity)))
