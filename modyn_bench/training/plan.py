"""Which positions of the trigger training set make which batch, on which device, and what each weighs.

Every epoch is cut into global batches of ``batch_size`` samples for each of W devices; each device takes its part of
every global batch, so all take equally many steps. ``accumulate`` global batches make one optimiser step; the group
ends with the epoch.

Where batches are chosen from pools while training, pools divide the samples that are scored as batches divide those
that are trained on: k of n samples make ⌈k / batch⌉ batches, each chosen from its share of the n.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from modyn_bench.config import TrainingConfig
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive
from modyn_bench.types import IntArray


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One batch of one device.

    Attributes:
        start: Where it starts among the device's samples of the epoch.
        size: Its samples.
        num_chosen: How many of them are trained on; all, unless they are a pool.
        scale: What the sum of its weighted losses is multiplied with: W / (samples of the optimiser step on all
            devices). Summed over accumulated batches, and averaged over devices as distributed training does, the
            gradient is that of ``(1/N) Σ wᵢ lossᵢ`` over the N samples of the step, whatever the batches' sizes.
        steps: Whether the optimiser steps after it.
        padded: Whether its one sample only stands in for a device that is left without one; it has weight 0.
    """

    start: int
    size: int
    num_chosen: int
    scale: float
    steps: bool
    padded: bool = False


@dataclass(frozen=True)
class TrainingPlan:
    """All epochs of one training.

    Args:
        num_samples: Samples that an epoch trains on.
        config: Epochs or budget, batch size, accumulation, what becomes of an epoch's last batch.
        seed: The run's seed.
        last_key: The data's last key, which seeds derive from.
        rank: Which of the devices this is.
        world_size: Number of devices W.
        num_pooled: Samples that those of an epoch are chosen from, pool by pool; ``None``: they are trained on as they
            are.

    Raises:
        RequestError: If there is no sample.
    """

    num_samples: int
    config: TrainingConfig
    seed: int
    last_key: int
    rank: int = 0
    world_size: int = 1
    num_pooled: int | None = None

    def __post_init__(self) -> None:
        if self.num_samples < 1:
            raise RequestError("a model cannot be trained on no sample at all: let the selector return at least one")

    @property
    def global_batch_size(self) -> int:
        """Samples of a batch on all devices together."""
        return self.config.batch_size * self.world_size

    @property
    def epoch_samples(self) -> int:
        """Samples of a whole epoch. ``drop_last`` drops nothing where that would leave nothing."""
        whole = self.num_samples // self.global_batch_size * self.global_batch_size
        return whole if self.config.drop_last and whole else self.num_samples

    @property
    def num_epochs(self) -> int:
        """Epochs begun."""
        if self.config.num_samples is None:
            return self.config.epochs
        return math.ceil(self.config.num_samples / self.epoch_samples)

    @property
    def num_optimizer_steps(self) -> int:
        """Optimiser steps of the whole training."""
        batches = [math.ceil(self._samples_of(epoch) / self.global_batch_size) for epoch in (0, self.num_epochs - 1)]
        first, last = (math.ceil(count / self.config.accumulate) for count in batches)
        return first * (self.num_epochs - 1) + last

    @property
    def num_trained(self) -> int:
        """Samples that are trained on, on all devices together, counted once for each time."""
        return self._samples_of(0) * (self.num_epochs - 1) + self._samples_of(self.num_epochs - 1)

    @property
    def num_gathered(self) -> int:
        """Samples that are gathered: trained on, or, from pools, scored; counted as ``num_trained``."""
        usual, last = (self._pooled(self._samples_of(epoch)) for epoch in (0, self.num_epochs - 1))
        return usual * (self.num_epochs - 1) + last

    @property
    def largest_batch(self) -> int:
        """The most samples that a batch, or pool, of one device can have."""
        return -(-self.config.batch_size * (self.num_pooled or self.num_samples) // self.num_samples)

    def order(self, epoch: int) -> IntArray:
        """Return the positions that this device gathers in an epoch, in order, shape (n,)."""
        order = self.permutation(epoch, self.num_pooled or self.num_samples)
        return self.share(order[: self._pooled(self._samples_of(epoch))], epoch)

    def share(self, order: IntArray, epoch: int) -> IntArray:
        """Return what this device gathers of the order of all devices together in an epoch."""
        if self.world_size == 1:
            return order
        return np.concatenate([order[lo:hi] for lo, hi, _, _ in self._shares(epoch)])

    def permutation(self, epoch: int, num_samples: int) -> IntArray:
        """Return the order in which so many samples are trained on in an epoch, shape (n,)."""
        if not self.config.shuffle:
            return np.arange(num_samples)
        return derive(self.seed, "training", self.last_key, "shuffle", epoch).permutation(num_samples)

    def of_epoch(self, num_samples: int, budget: int | None) -> TrainingPlan:
        """Return the plan of one epoch over so many samples, of which at most the budget is trained on."""
        plan = replace(self, num_samples=num_samples, config=replace(self.config, epochs=1, num_samples=None))
        if budget is None or budget >= plan.epoch_samples:
            return plan
        return replace(plan, config=replace(plan.config, num_samples=budget))

    def batches(self, epoch: int) -> Iterator[BatchPlan]:
        """Yield this device's batches of an epoch, in order."""
        samples, size = self._samples_of(epoch), self.global_batch_size
        group = size * self.config.accumulate
        num_batches = math.ceil(samples / size)
        start = 0
        for index, (lo, hi, num_chosen, padded) in enumerate(self._shares(epoch)):
            group_samples = min(samples - index * size // group * group, group)
            steps = (index + 1) % self.config.accumulate == 0 or index + 1 == num_batches
            yield BatchPlan(start, hi - lo, num_chosen, self.world_size / group_samples, steps, padded)
            start += hi - lo

    def num_batches(self, epoch: int) -> int:
        """Return the number of this device's batches of an epoch; it is the same on every device."""
        return math.ceil(self._samples_of(epoch) / self.global_batch_size)

    def _samples_of(self, epoch: int) -> int:
        """Return the samples of an epoch on all devices; a budget ends the last one after a whole batch."""
        if self.config.num_samples is None or epoch < self.num_epochs - 1:
            return self.epoch_samples
        rest = self.config.num_samples - epoch * self.epoch_samples
        return min(math.ceil(rest / self.global_batch_size) * self.global_batch_size, self.epoch_samples)

    def _pooled(self, num_trained: int) -> int:
        """Return how many samples are gathered for the first so many that an epoch trains on."""
        return num_trained if self.num_pooled is None else num_trained * self.num_pooled // self.num_samples

    def _shares(self, epoch: int) -> Iterator[tuple[int, int, int, bool]]:
        """Yield this device's part [lo, hi) of every global batch, how many are trained on, and if it only stands in.

        Positions are those of what is gathered.
        """
        samples, size = self._samples_of(epoch), self.global_batch_size
        for start in range(0, samples, size):
            count = min(size, samples - start)
            lo = start + count * self.rank // self.world_size
            hi = start + count * (self.rank + 1) // self.world_size
            if hi > lo:
                yield self._pooled(lo), self._pooled(hi), hi - lo, False
            else:
                yield self._pooled(start), self._pooled(start) + 1, 1, True
