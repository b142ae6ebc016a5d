"""What a triggering policy may look at: the newest model's outputs on samples that have arrived."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from modyn_bench.data.loading import Gather, super_batch_rows
from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.data.store import Split
from modyn_bench.errors import ContractError
from modyn_bench.inference.cache import KeyedRows
from modyn_bench.inference.forward import Forward, evaluating, to_numpy
from modyn_bench.seeding import forked_global_state, seed_global_state
from modyn_bench.types import IntArray

_BOTH_BYTES = 4096  # class probabilities of a sample that are cached along with its embedding, at most


class ModelView:
    """The newest model, read-only, and the samples that have arrived; implements ``triggers.base.View``.

    Key k is computed at row k mod B of a batch of B rows whose absent rows are zero: the bits of a row depend on batch
    shape and position, not on the other rows, so a cold cache, a warm one and any chunking give the same bits. What
    was computed is cached until the view is replaced, which happens at every commit.

    Args:
        split: The split that is replayed.
        model_id: The newest model's id, ``None`` before the first training.
        module: The newest model.
        preprocessor: What its training fitted.
        first_key: The first key of the replay; what lies before it never arrives.
        batch_size: B; changes bits and so possibly results.
        device: Where the model runs.
        precision: Lightning's name of the precision.
        first: A view of the run's first model, where a policy uses it.
        seed: The run's seed. What a model draws that is random even in eval mode derives from it and the batch.
    """

    def __init__(
        self,
        split: Split,
        *,
        model_id: int | None = None,
        module: nn.Module | None = None,
        preprocessor: Preprocessor | None = None,
        first_key: int = 0,
        batch_size: int = 1024,
        device: str = "cpu",
        precision: str = "32-true",
        first: ModelView | None = None,
        seed: int = 0,
    ) -> None:
        self._split = split
        self._model_id = model_id
        self._module = module
        self._preprocessor = preprocessor
        self._first_key = first_key
        self._batch_size = batch_size
        self._device = device
        self._precision = precision
        self._first = first
        self._seed = seed
        self._embeddings = KeyedRows()
        self._probabilities = KeyedRows()
        self._time = 0
        self._num_arrived = 0
        self._num_labelled = 0
        self._num_passes = 0

    @property
    def model_id(self) -> int | None:
        """The newest model's id; ``None`` before the first training."""
        return self._model_id

    @property
    def time(self) -> int:
        """Stream time of the decision, in UTC seconds."""
        return self._time

    @property
    def num_arrived(self) -> int:
        """Keys below this have arrived."""
        return self._num_arrived

    @property
    def num_labelled(self) -> int:
        """The labels of keys below this have arrived."""
        return self._num_labelled

    @property
    def first_key(self) -> int:
        """The first key of the replay."""
        return self._first_key

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self._seed

    @property
    def device(self) -> str:
        """Torch's name of the device that models run on."""
        return self._device

    @property
    def forward_passes(self) -> float:
        """Sample passes through models since the view was made: keys that were not cached, each once."""
        return float(self._num_passes) + (0.0 if self._first is None else self._first.forward_passes)

    def move_to(self, *, time: int, num_arrived: int, num_labelled: int) -> None:
        """Move on to a point of the stream.

        Args:
            time: Stream time in UTC seconds.
            num_arrived: Keys below this have arrived.
            num_labelled: The labels of keys below this have arrived.
        """
        self._time, self._num_arrived, self._num_labelled = time, num_arrived, num_labelled
        if self._first is not None:
            self._first.move_to(time=time, num_arrived=num_arrived, num_labelled=num_labelled)

    def embed(self, keys: IntArray, *, model: Literal["newest", "first"] = "newest") -> NDArray[np.float32]:
        """Return embeddings (the input of a model's last layer), shape (n, d).

        Raises:
            ContractError: If there is no model yet, it has no embedding, a key has not arrived, or the first model is
                asked for by a policy that has not said that it uses it.
        """
        if model == "first":
            if self._first is None:
                raise ContractError(
                    "a policy asked for embeddings of the first model, which was not kept: its uses_first_model must "
                    "be true, and there must be a model"
                )
            return self._first.embed(keys)
        keys = self._check(keys, self._num_arrived, "samples")
        self._compute(self._embeddings.missing(keys), embeddings=True)
        return self._embeddings.get(keys)

    def predict(self, keys: IntArray) -> NDArray[np.float32]:
        """Return the newest model's class probabilities, shape (n, C).

        Raises:
            ContractError: If there is no model yet, or a key has not arrived.
        """
        keys = self._check(keys, self._num_arrived, "samples")
        self._compute(self._probabilities.missing(keys), embeddings=False)
        return self._probabilities.get(keys)

    def features(self, keys: IntArray) -> dict[str, NDArray[Any]]:
        """Return the samples' input columns as stored, each of shape (n, ...). Needs no model.

        Raises:
            ContractError: If a key has not arrived.
        """
        keys = self._check(keys, self._num_arrived, "samples")
        return {name: np.asarray(column[keys]) for name, column in self._split.columns.items()}

    def labels(self, keys: IntArray) -> IntArray:
        """Return the samples' class indices, shape (n,).

        Raises:
            ContractError: If the label of a key has not arrived.
        """
        keys = self._check(keys, self._num_labelled, "labels")
        return np.asarray(self._split.labels[keys], dtype=np.int64)

    def timestamps(self, keys: IntArray) -> IntArray:
        """Return the samples' timestamps, in UTC seconds, shape (n,).

        Raises:
            ContractError: If a key has not arrived.
        """
        keys = self._check(keys, self._num_arrived, "timestamps")
        return np.asarray(self._split.timestamps[keys], dtype=np.int64)

    def first_key_since(self, time: int) -> int:
        """Return the first key that arrived at a time or later; ``num_arrived`` if none has."""
        arrived = self._split.timestamps[self._first_key : self._num_arrived]
        return self._first_key + int(np.searchsorted(arrived, time, side="left"))

    def _check(self, keys: IntArray, limit: int, what: str) -> IntArray:
        keys = np.asarray(keys)
        if len(keys) and not np.issubdtype(keys.dtype, np.integer):
            raise ContractError(f"a policy asked for the {what} with keys of type {keys.dtype}: keys are whole numbers")
        keys = keys.astype(np.int64, copy=False)
        if len(keys) and (int(keys.min()) < self._first_key or int(keys.max()) >= limit):
            raise ContractError(
                f"a policy asked for the {what} with keys {int(keys.min())}..{int(keys.max())}, but only "
                f"{self._first_key}..{limit - 1} have arrived"
            )
        return keys

    def _compute(self, keys: IntArray, *, embeddings: bool) -> None:
        """Run the model on keys whose rows are missing, and cache what comes of it."""
        if self._module is None or self._preprocessor is None:
            raise ContractError("a policy asked for a model's outputs before the first training: check view.model_id")
        num_classes = self._preprocessor.inputs.num_classes
        columns = {name: self._split.columns[name] for name in self._preprocessor.outputs}
        rows = super_batch_rows(Gather.row_bytes(columns, self._preprocessor), self._batch_size)
        gather = Gather(columns, self._preprocessor, max_rows=min(rows, max(len(keys), 1)))
        forward = Forward(self._module, num_classes=num_classes, device=self._device, precision=self._precision)
        keep_both = embeddings and 4 * num_classes <= _BOTH_BYTES
        with evaluating(self._module), forked_global_state(self._seed, "view"):
            for piece in _pieces(keys, self._batch_size, rows):
                arrays = gather(piece)
                for lo, hi in _same_batch(piece, self._batch_size):
                    at = piece[lo:hi] % self._batch_size
                    seed_global_state(self._seed, "view", int(piece[lo]) // self._batch_size)
                    batch = {name: _spread(array[lo:hi], at, self._batch_size) for name, array in arrays.items()}
                    if embeddings:
                        embedded, logits = forward.embed(batch)
                        self._embeddings.add(piece[lo:hi], to_numpy(embedded)[at])
                    else:
                        logits = forward(batch)
                    if keep_both or not embeddings:
                        self._cache_probabilities(piece[lo:hi], to_numpy(logits.softmax(dim=1))[at])
        self._num_passes += len(keys)

    def _cache_probabilities(self, keys: IntArray, rows: NDArray[np.float32]) -> None:
        missing = self._probabilities.missing(keys)
        self._probabilities.add(missing, rows[np.searchsorted(keys, missing)])


def _pieces(keys: IntArray, batch_size: int, max_rows: int) -> Iterator[IntArray]:
    """Cut sorted keys into pieces of at most ``max_rows``, none of which splits a batch of the grid."""
    start = 0
    while start < len(keys):
        end = min(start + max_rows, len(keys))
        if end < len(keys):
            boundary = int(keys[end]) // batch_size * batch_size
            end = int(np.searchsorted(keys, boundary))
        yield keys[start:end]
        start = end


def _same_batch(keys: IntArray, batch_size: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of the runs of sorted keys that share a batch of the grid."""
    cuts = np.flatnonzero(np.diff(keys // batch_size)) + 1
    bounds = [0, *cuts.tolist(), len(keys)]
    yield from pairwise(bounds)


def _spread(rows: NDArray[Any], at: IntArray, batch_size: int) -> NDArray[Any]:
    """Return a batch with the rows at their places, and zeros elsewhere."""
    batch = np.zeros((batch_size, *rows.shape[1:]), dtype=rows.dtype)
    batch[at] = rows
    return batch
