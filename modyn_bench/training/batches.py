"""Batches of a training as Lightning wants them: an iterable of known length, gathered by the loader."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modyn_bench.data.loading import SuperBatch, super_batches
from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.types import IntArray

_LABELS = "labels"

Subset = Callable[[int], tuple[IntArray, "NDArray[np.float32] | None"]]
"""Maps an epoch to the positions that are trained on in it and their weights."""


class Batch:
    """One batch: views into the loader's buffer, valid until the next one is asked for.

    Attributes:
        inputs: The input columns by name, each of shape (B, ...).
        labels: Class indices, shape (B,), int64.
        weights: Sample weights, shape (B,), float32; ``None`` if all are 1.
        positions: Where the samples stand in the trigger training set, shape (B,).
        num_chosen: How many of them are trained on; all, unless they are a pool.
        scale: What the sum of weighted losses is multiplied with.
        steps: Whether the optimiser steps after it.
        ends_epoch: Whether no other batch of the epoch follows.
        stands_in: Whether its one sample, of weight 0, only stands in for a device that is left without one.
    """

    __slots__ = ("ends_epoch", "inputs", "labels", "num_chosen", "positions", "scale", "stands_in", "steps", "weights")

    def __init__(
        self,
        inputs: dict[str, torch.Tensor],
        labels: torch.Tensor,
        weights: torch.Tensor | None,
        positions: IntArray,
        *,
        num_chosen: int,
        scale: float,
        steps: bool,
        ends_epoch: bool,
        stands_in: bool = False,
    ) -> None:
        self.inputs = inputs
        self.labels = labels
        self.weights = weights
        self.positions = positions
        self.num_chosen = num_chosen
        self.scale = scale
        self.steps = steps
        self.ends_epoch = ends_epoch
        self.stands_in = stands_in

    def __len__(self) -> int:
        return len(self.labels)


class TrainingBatches:
    """The batches of one device: iterating yields the next epoch's.

    Where every epoch gathers the whole set, one loader runs through all of them, so its buffers, and its thread where
    there is one, last for the whole training. A subset is known only when its epoch begins.

    Args:
        columns: The split's input columns and nothing else, each of shape (N, ...).
        labels: The split's labels, shape (N,).
        keys: The selection, shape (n,).
        weights: Its weights, shape (n,), float32.
        plan: Which positions make which batch.
        preprocessor: Turns stored columns into model inputs.
        subset: What is trained on in an epoch; ``None`` for the whole set.
    """

    def __init__(
        self,
        columns: Mapping[str, NDArray[Any]],
        labels: IntArray,
        keys: IntArray,
        weights: NDArray[np.float32],
        *,
        plan: TrainingPlan,
        preprocessor: Preprocessor,
        subset: Subset | None = None,
    ) -> None:
        self._plan = plan
        self._weights = None if (weights == 1).all() else np.ascontiguousarray(weights, dtype=np.float32)
        self._columns = {**columns, _LABELS: labels}
        self._keys = keys
        self._preprocessor = preprocessor
        self._subset = subset
        self._loader: Iterator[SuperBatch] | None = None
        if subset is None:
            self._loader = self._load(plan)
        self._epoch = 0
        self._rest = plan.config.num_samples  # that may still be trained on; None: as many as the epochs have

    def __len__(self) -> int:
        if self._subset is not None:  # at most: an epoch may end before
            return math.ceil(len(self._keys) / self._plan.global_batch_size)
        return self._plan.num_batches(min(self._epoch, self._plan.num_epochs - 1))

    def __iter__(self) -> Iterator[Batch]:
        epoch, self._epoch = self._epoch, self._epoch + 1
        if self._subset is None:
            assert self._loader is not None
            yield from self._batches(self._loader, self._plan, epoch, self._weights)
        else:
            yield from self._of_subset(epoch)

    def close(self) -> None:
        """Stop the loader's thread, if it has one."""
        close = getattr(self._loader, "close", None)
        if close is not None:
            close()

    def _load(self, plan: TrainingPlan) -> Iterator[SuperBatch]:
        """Gather what every epoch of a plan needs; pools, whose sizes differ, are gathered one by one."""
        orders = (plan.order(epoch) for epoch in range(plan.num_epochs))
        if plan.num_pooled is None:
            return self._gather(orders)
        pools = (
            order[batch.start : batch.start + batch.size]
            for epoch, order in enumerate(orders)
            for batch in plan.batches(epoch)
        )
        return self._gather(pools, rows=plan.largest_batch)

    def _gather(self, orders: Iterator[IntArray], rows: int | None = None) -> Iterator[SuperBatch]:
        return super_batches(
            self._columns,
            self._keys,
            orders,
            batch_size=self._plan.config.batch_size,
            preprocessor=self._preprocessor,
            rows=rows,
        )

    def _of_subset(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch's subset, of which no more is taken than may still be trained on."""
        assert self._subset is not None
        if self._rest is not None and self._rest <= 0:
            return
        positions, chosen = self._subset(epoch)
        weights = self._weights
        if chosen is not None:
            weights = np.ones(len(self._keys), dtype=np.float32) if weights is None else weights.copy()
            weights[positions] *= chosen
        plan = self._plan.of_epoch(len(positions), self._rest)
        order = positions[self._plan.permutation(epoch, len(positions))][: plan.num_trained]
        if self._rest is not None:
            self._rest -= len(order)
        self._loader = self._gather(iter([plan.share(order, 0)]))
        yield from self._batches(self._loader, plan, 0, weights)

    def _batches(
        self,
        loader: Iterator[SuperBatch],
        plan: TrainingPlan,
        epoch: int,
        all_weights: NDArray[np.float32] | None,
    ) -> Iterator[Batch]:
        group: SuperBatch | None = None
        tensors: dict[str, torch.Tensor] = {}
        weights = labels = None
        base = 0  # where the super-batch starts among the device's samples of the epoch
        num_batches = plan.num_batches(epoch)
        for index, batch in enumerate(plan.batches(epoch)):
            if group is None or batch.start >= base + len(group):
                base += 0 if group is None else len(group)
                group = next(loader)
                tensors = {name: torch.from_numpy(array) for name, array in group.arrays.items()}
                labels = tensors.pop(_LABELS)
                weights = None if all_weights is None else torch.from_numpy(all_weights[group.positions])
            assert labels is not None
            rows = slice(batch.start - base, batch.start - base + batch.size)
            part = None if weights is None else weights[rows]
            if batch.padded:
                part = torch.zeros(batch.size)
            inputs = {name: tensor[rows] for name, tensor in tensors.items()}
            yield Batch(
                inputs,
                labels[rows],
                part,
                group.positions[rows],
                num_chosen=batch.num_chosen,
                scale=batch.scale,
                steps=batch.steps,
                ends_epoch=index + 1 == num_batches,
                stands_in=batch.padded,
            )
