"""What a set of samples is worth: three functions for the optimisers of ``greedy``.

Shapes: n samples, m candidates. None makes the matrix of all pairs, but facility location where it is let.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.ridge import Complement
from modyn_bench.selectors.downsampling.similarities import CosineSimilarity, Similarity, on_grid
from modyn_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    import torch

_ROWS_ON_CPU, _COLUMNS_ON_CPU = 64, 4096  # of a tile that stays in cache while it is worked on
_ROWS_ELSEWHERE, _COLUMNS_ELSEWHERE = 1024, 16384
_CONSTANT = 0.5**0.5  # cosine similarities are inner products of rows of 1 and the unit vector, times this


class FacilityLocation:
    r"""How well all samples are represented by their nearest chosen one. Monotone and submodular.

    .. math::
        f(S) = \sum_i \max_{j \in S} s_{ij}

    Args:
        similarity: s.
        kept: Compute all n² similarities once, as float32, instead of anew whenever they are needed.
    """

    gains_are_known = False

    def __init__(self, similarity: Similarity, *, kept: bool) -> None:
        import torch

        rows = similarity.vectors.left
        self._similarity = similarity
        self._device = rows.device
        on_cpu = rows.device.type == "cpu"
        self._num_rows = _ROWS_ON_CPU if on_cpu else _ROWS_ELSEWHERE
        self._num_columns = _COLUMNS_ON_CPU if on_cpu else _COLUMNS_ELSEWHERE
        self._reached = rows.new_zeros(len(rows))  # similarity with the nearest chosen sample
        self.nearest = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        """The chosen sample that each is nearest to, by the order of choice, shape (n,); of equal ones the first."""
        self._num_chosen = 0
        self._matrix = self._compute() if kept else None

    def __len__(self) -> int:
        return len(self._reached)

    def _compute(self) -> torch.Tensor:
        import torch

        n = len(self)
        matrix = torch.empty((n, n), dtype=torch.float32, device=self._device)
        for start in range(0, n, self._num_rows):
            rows = torch.arange(start, min(start + self._num_rows, n), device=self._device)
            for first in range(0, n, self._num_columns):
                columns = slice(first, first + self._num_columns)
                matrix[start : start + self._num_rows, columns] = self._similarity.between(rows, columns)
        return matrix

    def gain(self, candidates: IntArray) -> FloatArray:
        r"""Return :math:`\sum_i \max(0, s_{ij} - \max_{l \in S} s_{il})` of candidates j, shape (m,)."""
        import torch

        rows = torch.as_tensor(candidates, device=self._device)
        gains = self._reached.new_zeros(len(rows))  # at once: small tensors between large tiles would scatter the heap
        reached = self._reached if self._matrix is None else self._reached.to(self._matrix.dtype)
        for first in range(0, len(rows), self._num_rows):
            part = slice(first, first + self._num_rows)
            for start in range(0, len(self), self._num_columns):
                columns = slice(start, start + self._num_columns)
                tile = self._between(rows[part], columns).sub_(reached[columns]).clamp_(min=0.0)
                gains[part] += tile.sum(dim=1, dtype=gains.dtype)
        return _to_numpy(gains)

    def _between(self, rows: torch.Tensor, columns: slice) -> torch.Tensor:
        """Return a tile of similarities that may be written over."""
        if self._matrix is None:
            return self._similarity.between(rows, columns)
        return self._matrix[:, columns].index_select(0, rows)

    def add(self, element: int) -> None:
        """Choose a sample; it represents itself, and those that are nearer to it than to any chosen before."""
        import torch

        rows = torch.tensor([element], device=self._device)
        similarities = self._between(rows, slice(None))[0].to(self._reached.dtype)
        nearer = similarities > self._reached
        nearer[element] = True
        self.nearest[nearer] = self._num_chosen
        self._reached = torch.maximum(self._reached, similarities)
        self._num_chosen += 1


class GraphCut:
    r"""How similar the chosen are to all, less how similar they are to each other. Submodular, not monotone.

    .. math::
        f(S) = \lambda \sum_{i} \sum_{j \in S} s_{ij} - \sum_{i \in S} \sum_{j \in S} s_{ij}

    Args:
        similarity: s; the sums over all samples come from the sum of their unit vectors.
        weight: λ.
    """

    gains_are_known = True

    def __init__(self, similarity: CosineSimilarity, weight: float) -> None:
        import torch

        vectors = similarity.vectors
        n = len(vectors)
        self._similarity = similarity
        means = on_grid(vectors.along(vectors.mean()).add_(1.0).mul_(0.5), bits=40)
        lengths = on_grid(vectors.squared_lengths().add_(1.0).mul_(0.5))
        self._alone = means * (weight * n) - lengths
        self._shared = torch.zeros_like(self._alone)  # similarity with all that was chosen

    def __len__(self) -> int:
        return len(self._alone)

    def gain(self, candidates: IntArray) -> FloatArray:
        r"""Return :math:`\lambda \sum_i s_{ij} - s_{jj} - 2 \sum_{i \in S} s_{ij}` of candidates j, shape (m,)."""
        import torch

        rows = torch.as_tensor(candidates, device=self._alone.device)
        return _to_numpy(self._alone[rows] - 2.0 * self._shared[rows])

    def add(self, element: int) -> None:
        """Choose a sample."""
        import torch

        self._shared += self._similarity.between(torch.tensor([element], device=self._alone.device), slice(None))[0]


class LogDeterminant:
    r"""How much room the chosen take up. Submodular; monotone from :math:`\epsilon = 1` on.

    .. math::
        f(S) = \log \det (S_S + \epsilon I)

    with :math:`S_S` the cosine similarities of the chosen. A gain is the logarithm of ε and what the chosen leave of
    the sample, as ridge regression on them would; it is known of every sample, and costs n · d a step.

    Args:
        similarity: s.
        epsilon: ε, above 0.
        budget: How many will be chosen at most.
    """

    gains_are_known = True

    def __init__(self, similarity: CosineSimilarity, epsilon: float, budget: int) -> None:
        self._vectors = similarity.vectors
        self._epsilon = epsilon
        self._complement = Complement(self._vectors.width + 1, epsilon, budget, like=self._vectors.left)
        self._left = on_grid(self._vectors.squared_lengths().add_(1.0).mul_(0.5))

    def __len__(self) -> int:
        return len(self._left)

    def gain(self, candidates: IntArray) -> FloatArray:
        """Return the logarithms, shape (m,); what is left is rounded, so that equal samples have equal gains."""
        import torch

        left = self._left[torch.as_tensor(candidates, device=self._left.device)]
        return _to_numpy(on_grid(left, bits=40).clamp_(min=0.0).add_(self._epsilon).log_())

    def add(self, element: int) -> None:
        """Choose a sample."""
        import torch

        row = self._vectors.explicit(torch.tensor([element], device=self._left.device))[0]
        direction = self._complement.take(torch.cat([row.new_ones(1), row]) * _CONSTANT)
        parts = (self._vectors.along(direction[1:]) + direction[0]) * _CONSTANT
        self._left -= parts * parts


def _to_numpy(gains: torch.Tensor) -> FloatArray:
    array: FloatArray = gains.cpu().double().numpy()
    return array
