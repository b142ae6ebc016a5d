"""What policies share that score every sample and train on the highest."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Outputs, Turn, highest

if TYPE_CHECKING:
    import torch


class Scored(Downsampler):
    """Chooses the samples with the highest scores, of equal ones the first; all stand for as many.

    Takes the options of every downsampling.

    Raises:
        RequestError: If an option is out of range.
    """

    @abstractmethod
    def score(self, outputs: Outputs) -> torch.Tensor:
        """Return a number for each sample, shape (n,): higher means train on it first. Pure."""

    def describe(self, outputs: Outputs) -> torch.Tensor:
        """Return the scores, shape (n, 1)."""
        return self.score(outputs)[:, None]

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose the highest scores."""
        return Choice(highest(description[:, 0], budget))
