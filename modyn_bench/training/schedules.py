"""Learning-rate schedules that torch does not have."""

from __future__ import annotations

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from modyn_bench.errors import RequestError


class WarmupPolynomialDecay(LRScheduler):
    """Linear warm-up, a constant stretch, polynomial decay, and the end factor for ever after.

    With t steps done, w warm-up steps, a start s and a length d of the decay, power p and end factor e, the learning
    rate is multiplied by::

        f + (1 − f) · (t + 1) / w            t < w          f = warmup_factor
        1                                    w ≤ t < s
        max(((s + d − t) / d) ** p, e)       s ≤ t < s + d
        e                                    s + d ≤ t

    Args:
        optimizer: Whose learning rates are scheduled.
        total_steps: Steps of the training; filled in by the trainer.
        warmup: Steps of warm-up, or, as a number below 1, their share of the total.
        decay_start: Step at which the decay starts, or its share of the total; ``None``: right after the warm-up.
        decay_steps: Length of the decay, or its share of the total; ``None``: until the end.
        power: Of the polynomial.
        end_factor: The least factor after the decay started.
        warmup_factor: Where the warm-up comes from.

    Raises:
        RequestError: If the decay starts within the warm-up, or a value is out of range.

    Example:
        >>> import torch
        >>> sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> schedule = WarmupPolynomialDecay(sgd, total_steps=8, warmup=2, decay_start=4, power=1.0)
        >>> rates = []
        >>> for _ in range(9):
        ...     rates.append(schedule.get_last_lr()[0])
        ...     sgd.step()
        ...     schedule.step()
        >>> rates
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]

    Reference:
        NVIDIA's DLRM training recipe, which the reference system ships as ``DLRMScheduler``.
        Deviation: the warm-up starts at ``warmup_factor`` and counts from the first step.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        warmup: float = 0.1,
        decay_start: float | None = None,
        decay_steps: float | None = None,
        power: float = 2.0,
        end_factor: float = 0.0,
        warmup_factor: float = 0.0,
    ) -> None:
        key = "training.schedule"
        self.warmup_steps = _steps(warmup, total_steps, f"{key}.warmup")
        start = self.warmup_steps if decay_start is None else _steps(decay_start, total_steps, f"{key}.decay_start")
        if start < self.warmup_steps:
            raise RequestError(
                f"{key}.decay_start={decay_start} (step {start}) lies within the warm-up of {self.warmup_steps} steps"
            )
        length = max(total_steps - start, 1) if decay_steps is None else _steps(decay_steps, total_steps, key)
        if power <= 0 or not 0 <= end_factor <= 1 or not 0 <= warmup_factor <= 1:
            raise RequestError(f"{key}: power must be above 0, end_factor and warmup_factor within [0, 1]")
        self.decay_start, self.decay_length = start, max(length, 1)
        self.power, self.end_factor, self.warmup_factor = power, end_factor, warmup_factor
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        """Return what the learning rate is multiplied with after so many steps."""
        if step < self.warmup_steps:
            return self.warmup_factor + (1 - self.warmup_factor) * (step + 1) / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        left = self.decay_start + self.decay_length - step
        return max(float((max(left, 0) / self.decay_length) ** self.power), self.end_factor)

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the learning rate of each parameter group."""
        return [float(base) * self.factor(self.last_epoch) for base in self.base_lrs]


def _steps(value: float, total_steps: int, key: str) -> int:
    if value < 0:
        raise RequestError(f"{key}={value} must be at least 0: steps, or a share of them below 1")
    return round(value * total_steps) if value < 1 else round(value)
