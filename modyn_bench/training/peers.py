"""The processes that train one model together, one on each device, and what they tell each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import distributed


class Peers:
    """What one process knows of the others. Alone, nothing is told to anyone, and tensors stay as they are.

    Every method but ``batches_of`` must be called by all of them, in the same order.

    Args:
        rank: Which of them this is.
        size: Number of them.
        device: Where they exchange tensors.

    Example:
        >>> Peers().counts(3), Peers().batches_of(5)
        ([3], range(0, 5))
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank = rank
        self.size = size
        self._device = device

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum of everyone's tensor; where all but one hold zeros, that one's, to the bit."""
        return self._reduced(tensor, distributed.ReduceOp.SUM)

    def highest(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the element-wise maximum of everyone's tensor."""
        return self._reduced(tensor, distributed.ReduceOp.MAX)

    def counts(self, count: int) -> list[int]:
        """Return everyone's count."""
        if self.size == 1:
            return [count]
        counts = torch.zeros(self.size, dtype=torch.int64)
        counts[self.rank] = count
        return [int(value) for value in self.total(counts).tolist()]

    def share(self, tensors: Sequence[torch.Tensor]) -> None:
        """Overwrite everyone's tensors by those of the first."""
        if self.size == 1:
            return
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            alike = [tensor for tensor in tensors if tensor.dtype == dtype and not _overlaps(tensor)]
            if not alike:
                continue
            flat = torch.cat([tensor.detach().flatten() for tensor in alike]).to(self._device)
            distributed.broadcast(flat, 0)
            for tensor, values in zip(alike, torch.split(flat, [tensor.numel() for tensor in alike]), strict=True):
                tensor.detach().copy_(values.view_as(tensor))

    def batches_of(self, num_batches: int) -> range:
        """Return which of some batches this one does; all of them where there are fewer than processes."""
        if num_batches < self.size:
            return range(num_batches)
        return range(num_batches * self.rank // self.size, num_batches * (self.rank + 1) // self.size)

    def _reduced(self, tensor: torch.Tensor, operation: distributed.ReduceOp.RedOpType) -> torch.Tensor:
        if self.size == 1:
            return tensor
        reduced = tensor.to(self._device, copy=True).contiguous()
        distributed.all_reduce(reduced, operation)
        return reduced.to(tensor.device)


def _overlaps(tensor: torch.Tensor) -> bool:
    """Return whether one element stands for several, which cannot be written to."""
    return any(step == 0 and length > 1 for step, length in zip(tensor.stride(), tensor.shape, strict=True))
