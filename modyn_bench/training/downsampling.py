"""A downsampling policy at work in one training: whom it asks, what it chose, and what becomes of each sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.errors import ContractError
from modyn_bench.seeding import derive
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Random, Turn
from modyn_bench.training.peers import Peers
from modyn_bench.training.records import SampleRecords
from modyn_bench.training.scoring import Scorer
from modyn_bench.training.sweep import BATCH_SIZE, num_batches, sweep
from modyn_bench.types import IntArray, Selection


@dataclass(frozen=True, slots=True)
class Rows:
    """Samples, all on one device.

    Attributes:
        inputs: Input columns by name, each of shape (n, ...).
        labels: Class indices, shape (n,).
        weights: Shape (n,), float32; ``None`` if all are 1.
        positions: Where they stand in the trigger training set, shape (n,), int64.
    """

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor
    weights: torch.Tensor | None
    positions: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, at: torch.Tensor | slice) -> Rows:
        """Return some of them."""
        return Rows(
            {name: column[at] for name, column in self.inputs.items()},
            self.labels[at],
            None if self.weights is None else self.weights[at],
            self.positions[at],
        )

    def to(self, device: torch.device) -> Rows:
        """Return them on a device."""
        return Rows(
            {name: column.to(device, non_blocking=True) for name, column in self.inputs.items()},
            self.labels.to(device),
            None if self.weights is None else self.weights.to(device),
            self.positions.to(device),
        )

    def and_then(self, others: Rows) -> Rows:
        """Return these and others after them."""
        weights = None
        if self.weights is not None or others.weights is not None:
            weights = torch.cat([rows.all_weights() for rows in (self, others)])
        return Rows(
            {name: torch.cat([column, others.inputs[name]]) for name, column in self.inputs.items()},
            torch.cat([self.labels, others.labels]),
            weights,
            torch.cat([self.positions, others.positions]),
        )

    def weightless(self) -> Rows:
        """Return the same samples with weights of 0."""
        return Rows(self.inputs, self.labels, torch.zeros(len(self), device=self.labels.device), self.positions)

    def all_weights(self) -> torch.Tensor:
        """Return the weights, ones where there are none."""
        return torch.ones(len(self), device=self.labels.device) if self.weights is None else self.weights


class Downsampling:
    """Chooses among a trigger training set while a model is trained on it.

    Args:
        policy: Says what it needs, and chooses.
        scorer: Asks the model.
        selection: The trigger training set, of n samples.
        columns: The split's input columns, each of shape (N, ...).
        labels: The split's labels, shape (N,).
        preprocessor: Turns stored columns into model inputs.
        num_epochs: Epochs of the training.
        device: Where the model is trained.
        seed: The run's seed.
        last_key: The data's last key, which randomness derives from.
        continues: Whether the model goes on from the last one, rather than starting anew.
        records: What the policy's recorder kept of earlier trainings.
        peers: Whom the set is shared with.
    """

    def __init__(
        self,
        policy: Downsampler,
        scorer: Scorer,
        selection: Selection,
        *,
        columns: Mapping[str, NDArray[Any]],
        labels: IntArray,
        preprocessor: Preprocessor,
        num_epochs: int,
        device: torch.device,
        seed: int,
        last_key: int,
        continues: bool,
        records: SampleRecords | None = None,
        peers: Peers | None = None,
    ) -> None:
        self.policy = policy
        self.scorer = scorer
        self._selection = selection
        self._split_columns = columns
        self._split_labels = labels
        self._preprocessor = preprocessor
        self._num_epochs = num_epochs
        self._device = device
        self._peers = Peers() if peers is None else peers
        self._random: Random = partial(derive, seed, "training", last_key, "downsampling")
        self._known = {name: torch.from_numpy(values).to(device) for name, values in selection.columns.items()}
        self._labels = torch.from_numpy(np.array(labels[selection.keys], dtype=np.int64)).to(device)
        self._uses = torch.zeros(len(selection), dtype=torch.int64, device=device)
        self._sums = torch.zeros(len(selection), dtype=torch.float64, device=device)
        self._chosen: tuple[IntArray, NDArray[np.float32] | None] | None = None
        self._num_pools = 0
        self._records: torch.Tensor | None = None  # shape (n, record_size)
        self._known_uses = self._uses.clone()  # when records were last brought together
        self._recorder = policy.recorder
        needs = self._recorder.needs
        if "history" in needs and len(needs) > 1:
            raise ContractError(
                f"selector {self._recorder.name} needs {', '.join(needs)}: what chooses by records is told nothing else"
            )
        width = self._recorder.record_size
        if records is not None and records.values.shape[1] != width:
            raise ContractError(
                f"selector {self._recorder.name} keeps {width} numbers of each sample, but records of this name have "
                f"{records.values.shape[1]}: give a policy that records otherwise a name of its own"
            )
        if self._recorder.record_size:
            before = SampleRecords.empty(self._recorder.record_size) if records is None else records
            known = torch.from_numpy(before.of(selection.keys)).to(device)
            self._records = self._recorder.begin(known, continues=continues)

    def subset(self, epoch: int) -> tuple[IntArray, NDArray[np.float32] | None]:
        """Return the positions to train on in an epoch, in order, and their weights; ``None`` if all are 1.

        Where the policy's period has come, the whole set is scored and chosen from anew.
        """
        self._bring_records_together()
        period = self.policy.period
        if self._chosen is None or (period and epoch % period == 0):
            with self.scorer.timed():
                self._chosen = self._choose_subset(epoch)
        return self._chosen

    def best_of(self, pool: Rows, epoch: int, budget: int) -> Rows:
        """Return those of a pool, which may lie elsewhere, that are to be trained on, on the training device.

        As many are passed forward at once as where a whole set is scored, however large the pool is.
        """
        with self.scorer.timed():
            if len(pool) <= BATCH_SIZE:
                pool = pool.to(self._device)
            parts = [pool.take(slice(start, start + BATCH_SIZE)) for start in range(0, len(pool), BATCH_SIZE)]
            description = torch.cat([self._describe(part.to(self._device)) for part in parts])
            number, self._num_pools = self._num_pools, self._num_pools + 1
            choice = self.policy.downsample(
                description,
                pool.labels.to(self._device),
                budget,
                Turn(
                    epoch,
                    self._num_epochs,
                    partial(self._random, "pool", number * self._peers.size + self._peers.rank),
                ),
            )
            best = pool.take(choice.positions.to(pool.positions.device)).to(self._device)
            if choice.weights is None:
                return best
            return Rows(best.inputs, best.labels, best.all_weights() * choice.weights, best.positions)

    def note(self, rows: Rows, logits: torch.Tensor) -> None:
        """Count samples that are trained on, and let the policy record what the model said of them."""
        self._uses.index_add_(0, rows.positions, torch.ones_like(rows.positions))
        self._sums.index_add_(0, rows.positions, rows.all_weights().double())
        if self._records is not None:
            columns = self._columns_of(rows.positions)
            outputs = self.scorer.outputs(logits, rows.labels, None, columns)
            recorded = self._recorder.record(outputs, self._records[rows.positions])
            self._records[rows.positions] = recorded.to(self._records.dtype)

    def uses(self) -> dict[str, NDArray[Any]]:
        """Return how often each sample was trained on and the sum of its weights, each of shape (n,)."""
        uses, sums = self._peers.total(self._uses), self._peers.total(self._sums)
        return {"num_uses": uses.cpu().numpy(), "sum_of_weights": sums.cpu().numpy()}

    def recorded(self) -> NDArray[np.float32] | None:
        """Return what is recorded of each sample, shape (n, d); ``None`` where the policy records nothing."""
        self._bring_records_together()
        return None if self._records is None else self._records.cpu().numpy()

    def _bring_records_together(self) -> None:
        """Let every device know what others recorded since the last time; of several records, that of the last one."""
        if self._records is None or self._peers.size == 1:
            return
        own = self._peers.rank + 1
        changed = self._uses != self._known_uses
        owner = self._peers.highest(changed * own)[:, None]
        theirs = self._peers.total(torch.where(owner == own, self._records, 0.0))
        self._records = torch.where(owner > 0, theirs, self._records)
        self._known_uses = self._uses.clone()

    def _choose_subset(self, epoch: int) -> tuple[IntArray, NDArray[np.float32] | None]:
        num_samples = len(self._selection)
        choice = self.policy.downsample(
            self._describe_all(),
            self._labels,
            num_samples if self.policy.own_budget else self.policy.share.of(num_samples),
            Turn(epoch, self._num_epochs, self._random),
        )
        order = torch.argsort(choice.positions)
        choice = Choice(choice.positions[order], None if choice.weights is None else choice.weights[order])
        weights = None if choice.weights is None else choice.weights.cpu().numpy()
        return choice.positions.cpu().numpy(), weights

    def _describe_all(self) -> torch.Tensor:
        """Return the description of every sample of the set, shape (n, d), in one pass over the data."""
        if "history" in self.policy.needs:
            assert self._records is not None
            return self._records
        if not self.policy.needs:
            return torch.empty(len(self._selection), 0, device=self._device)
        keys, peers = self._selection.keys, self._peers
        peers.share(self.scorer.buffers)
        described: list[torch.Tensor] = []
        own = peers.batches_of(num_batches(len(keys)))
        for batch in sweep(self._split_columns, self._split_labels, keys, self._preprocessor, own):
            columns = self._columns_of(batch.positions.to(self._device))
            described.append(self.policy.describe(self.scorer.ask(batch.inputs, batch.labels, columns)))
        return self._of_all(torch.cat(described))

    def _of_all(self, own: torch.Tensor) -> torch.Tensor:
        """Return the descriptions of all samples from those of every device's part, in order."""
        peers, num_samples = self._peers, len(self._selection)
        if peers.size == 1:
            return own
        if len(own) == num_samples:  # every device scored all of them, which counts once
            self.scorer.num_samples -= num_samples if peers.rank else 0
            return own
        start = sum(peers.counts(len(own))[: peers.rank])
        described = own.new_zeros(num_samples, *own.shape[1:])
        described[start : start + len(own)] = own
        return peers.total(described)

    def _describe(self, rows: Rows) -> torch.Tensor:
        return self.policy.describe(self.scorer.ask(rows.inputs, rows.labels, self._columns_of(rows.positions)))

    def _columns_of(self, positions: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: column[positions] for name, column in self._known.items()}
