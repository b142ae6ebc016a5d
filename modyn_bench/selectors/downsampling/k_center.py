"""Samples that leave none far away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Need, Outputs, Turn

if TYPE_CHECKING:
    import torch


class KCenter(Downsampler):
    r"""Adds the sample that is farthest from all chosen ones, again and again.

    .. math::
        j_1 \sim \text{uniform}, \qquad j_{t + 1} = \arg\max_i \min_{s \le t} \|x_i - x_{j_s}\|

    with x the embedding. The largest distance of a sample from its nearest chosen one is at most twice the smallest
    possible. Of equal distances the first sample is taken. Costs n · d a step, and memory for n distances.

    Shape:
        Embeddings (n, e); what is not finite counts as 0.

    Example:
        >>> import numpy as np, torch
        >>> rows, labels = torch.tensor([[0.0], [1.0], [9.0], [4.0]]), torch.zeros(4, dtype=torch.int64)
        >>> turn = Turn(0, 1, lambda *names: np.random.default_rng(0))
        >>> KCenter().choose(rows, labels, 3, turn).positions.tolist()
        [3, 2, 0]

    Reference:
        Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018,
        algorithm 1; Gonzalez, Clustering to Minimize the Maximum Intercluster Distance, 1985 (the factor 2).
    """

    name = "k_center"
    needs: tuple[Need, ...] = ("embedding",)

    def describe(self, outputs: Outputs) -> torch.Tensor:
        """Return the embeddings, shape (n, e)."""
        assert outputs.embeddings is not None
        return outputs.embeddings.float()

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose the centres, in the order in which they were added."""
        start = int(turn.random("start").integers(len(description)))
        return Choice(farthest_first(description.float().nan_to_num(0.0, 0.0, 0.0), budget, start))


def farthest_first(rows: torch.Tensor, budget: int, start: int) -> torch.Tensor:
    """Return a row and then, again and again, the one farthest from all before, shape (k,).

    Distances come from differences rather than from inner products: equal rows are at exactly 0 wherever they lie.

    Args:
        rows: Shape (n, d).
        budget: k.
        start: The first.
    """
    import torch

    rows = rows.contiguous()
    chosen = torch.empty(budget, dtype=torch.int64, device=rows.device)
    distances = rows.new_full((1, len(rows)), torch.inf)  # from the nearest chosen row; -1 of chosen ones
    newest = torch.tensor([start], device=rows.device)
    for step in range(budget):
        chosen[step] = newest[0]
        center = rows.index_select(0, newest)
        to_newest = torch.cdist(center, rows, compute_mode="donot_use_mm_for_euclid_dist")
        distances = torch.minimum(distances, to_newest).index_fill_(1, newest, -1.0)
        newest = distances.argmax(dim=1)
    return chosen
