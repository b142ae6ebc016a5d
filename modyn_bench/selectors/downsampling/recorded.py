"""What policies share that score samples by what was recorded when they were last trained on."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Choice, Outputs, Turn
from modyn_bench.selectors.downsampling.each_epoch import EachEpoch, highest_at_random

if TYPE_CHECKING:
    import torch


class Recorded(EachEpoch):
    """Chooses the samples whose first recorded number is the highest, of equal ones at random; all stand for as many.

    Samples that the policy never trained on come before all others, so that with a period of 1 the first epochs pass
    over the whole set.

    Takes the options of every downsampling; ``mode`` is ``sample_then_batch``.

    Raises:
        RequestError: If an option is out of range.
    """

    needs = ("history",)
    record_size = 1

    @abstractmethod
    def record(self, outputs: Outputs, before: torch.Tensor) -> torch.Tensor:
        """Return what is kept of samples that were just passed forward in training, the score first."""

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose those never trained on, then the highest."""
        import torch

        positions = highest_at_random(description[:, 0].cpu().double().numpy(), budget, turn.random("ties", turn.epoch))
        return Choice(torch.from_numpy(positions).to(description.device))
