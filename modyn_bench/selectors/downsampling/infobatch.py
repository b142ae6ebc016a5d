"""Leave out some of the samples with a low loss, and weigh the others of them up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import RequestError
from modyn_bench.selectors.downsampling.base import Choice, Outputs, SharedOptions, Turn
from modyn_bench.selectors.downsampling.each_epoch import EachEpoch
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    import torch

_ROUNDING = 1e-9  # of a number of epochs


class Infobatch(EachEpoch):
    r"""Prune samples below the mean loss with probability r, every epoch anew, and weigh those kept by 1 / (1 − r).

    .. math::
        P_i = r\, [\, \ell_i < \bar \ell \,], \qquad w_i = \frac{1}{1 - P_i}

    with the losses of the last training pass over each sample, and their mean. The expected gradient is that of the
    whole set. Nothing is pruned in the last epochs, nor a sample that was never trained on. How many are chosen follows
    from the losses: at least those above the mean. The losses cost no pass, as they come from the training itself.

    There is no ``ratio`` or ``size``, and a new choice every epoch.

    Args:
        prune: r, the probability of leaving out a sample below the mean loss, in [0, 1).
        anneal: Share of the epochs, at the end, in which nothing is pruned, in [0, 1], rounded up to whole epochs.

    Shape:
        Losses (n,); records (n, 1).

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> [Infobatch(anneal=0.125).anneals(epoch=epoch, num_epochs=3) for epoch in range(3)]
        [False, False, True]

    Reference:
        Qin et al., InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data Pruning, ICLR 2024, section 2.

    Deviation:
        As everywhere here, weights are scaled to a mean of 1 and batches are averaged: the step size does not depend on
        how many are pruned. The paper leaves weights at 1 and 1 / (1 − r), so that the fewer steps of an epoch are
        larger, and add up to those of an epoch on everything. It sets the losses before the first pass to a
        constant; here those samples are kept, and the mean is over the others.
    """

    name = "infobatch"
    needs = ("history",)
    record_size = 1
    own_budget = True

    def __init__(self, *, prune: float = 0.5, anneal: float = 0.125, **options: Unpack[SharedOptions]) -> None:
        super().__init__(ratio=1.0, period=1, **options)
        if not 0 <= prune < 1:
            raise RequestError(f"selector.prune={prune} must be a probability in [0, 1)")
        if not 0 <= anneal <= 1:
            raise RequestError(f"selector.anneal={anneal} must be a fraction in [0, 1]")
        self.prune = prune
        self.anneal = anneal
        self.expected_share = 1.0 - (1.0 - anneal) * prune / 2.0  # with a mean loss in the middle

    def record(self, outputs: Outputs, before: torch.Tensor) -> torch.Tensor:
        """Return the losses, shape (n, 1)."""
        assert outputs.losses is not None
        return outputs.losses[:, None]

    def anneals(self, *, epoch: int, num_epochs: int) -> bool:
        """Tell whether an epoch is among the last ones, in which nothing is pruned."""
        return num_epochs - epoch <= math.ceil(self.anneal * num_epochs - _ROUNDING)

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose all but those pruned."""
        import torch

        losses = description[:, 0].cpu().double().numpy()
        anneals = self.anneals(epoch=turn.epoch, num_epochs=turn.num_epochs)
        low = np.zeros(len(losses), dtype=bool) if anneals else _low(losses)
        kept = ~low | (turn.random("prune", turn.epoch).random(len(losses)) >= self.prune)
        positions = np.flatnonzero(kept)
        weights = np.where(low[positions], 1.0 / (1.0 - self.prune), 1.0).astype(np.float32)
        device = description.device
        return Choice(torch.from_numpy(positions).to(device), torch.from_numpy(weights).to(device))


def _low(losses: FloatArray) -> NDArray[np.bool_]:
    """Tell which losses are below the mean of those known, shape (n,); never all of them."""
    known = losses[~np.isnan(losses)]
    low: NDArray[np.bool_] = losses < (known.mean() if len(known) else 0.0)
    return low
