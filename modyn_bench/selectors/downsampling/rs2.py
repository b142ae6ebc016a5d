"""Train every epoch on another random subset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.selectors.base import History
from modyn_bench.selectors.downsampling.base import Choice, Random
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

    def __init__(
        self,
        *,
        ratio: float = 0.25,
        size: int | None = None,
        history: History = 0,
        limit: int | None = None,
        limit_by: str = "newest",
        warmup_triggers: int = 0,
        mode: str = "sample_then_batch",
        balance: bool = False,
    ) -> None:
        super().__init__(
            ratio=ratio,
            size=size,
            history=history,
            limit=limit,
            limit_by=limit_by,
            warmup_triggers=warmup_triggers,
            mode=mode,
            period=1,
            balance=balance,
        )

    def choose(
        self,
        description: torch.Tensor,
        labels: torch.Tensor,
        budget: int,
        *,
        epoch: int,
        num_epochs: int,
        random: Random,
    ) -> Choice:
        """Choose the epoch's subset."""
        import torch

        positions = np.sort(self.subset(len(labels), budget, epoch, random))
        return Choice(torch.from_numpy(positions).to(labels.device))

    def subset(self, num_samples: int, budget: int, epoch: int, random: Random) -> IntArray:
        """Return the positions of an epoch's subset, shape (k,)."""
        return random("subset", epoch).choice(num_samples, budget, replace=False)
