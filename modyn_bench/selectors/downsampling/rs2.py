"""Train every epoch on another random subset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from modyn_bench.selectors.downsampling.base import Choice, Random, SharedOptions, Turn
from modyn_bench.selectors.downsampling.each_epoch import EachEpoch
from modyn_bench.types import IntArray

if TYPE_CHECKING:
    import torch


class Rs2(EachEpoch):
    r"""Train every epoch on k of n samples, drawn uniformly without replacement, independently of other epochs.

    No model is asked, and all samples stand for as many. Unlike ``uniform``, which draws once, epochs see different
    samples: after t of them, a sample was used at least once with probability :math:`1 - (1 - k / n)^t`.

    Takes the options of every downsampling but ``period``: a new subset every epoch; ``mode`` is
    ``sample_then_batch``.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> Rs2(ratio=0.1).share.of(50)
        5

    Reference:
        Okanovic et al., Repeated Random Sampling for Minimizing the Time-to-Accuracy of Learning, ICLR 2024, section 3
        (RS2 with replacement).
    """

    name = "rs2"
    needs = ()

    def __init__(self, *, ratio: float = 0.25, size: int | None = None, **options: Unpack[SharedOptions]) -> None:
        super().__init__(ratio=ratio, size=size, period=1, **options)

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose the epoch's subset."""
        import torch

        positions = np.sort(self.subset(len(labels), budget, turn.epoch, turn.random))
        return Choice(torch.from_numpy(positions).to(labels.device))

    def subset(self, num_samples: int, budget: int, epoch: int, random: Random) -> IntArray:
        """Return the positions of an epoch's subset, shape (k,)."""
        return random("subset", epoch).choice(num_samples, budget, replace=False)
