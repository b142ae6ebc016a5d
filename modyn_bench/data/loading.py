"""Batches of arbitrary keys: one gather per super-batch into reused buffers, prefetched by a thread where it pays.

A super-batch is a run of whole batches, gathered and transformed at once, because one large gather is many times faster
per row than many small ones beside a busy interpreter. Batches are views into it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.errors import ContractError
from modyn_bench.types import IntArray

Arrays = dict[str, NDArray[Any]]

SUPER_BATCH_ROWS = 65_536
SUPER_BATCH_BYTES = 8 << 20
"""Larger buffers fall out of the caches, and three of them cost as much to fault in as a short training takes."""

DEPTH = 3
"""Buffers in the ring when a thread prefetches: one being read, one ready, one being filled."""


def super_batch_rows(row_bytes: int, batch_size: int) -> int:
    """Return how many rows to gather at once: whole batches, about 64 k rows, about 8 MiB, at least one batch.

    Args:
        row_bytes: Bytes of one sample, as stored and as transformed.
        batch_size: Samples of a batch.

    Example:
        >>> super_batch_rows(160, 1000), super_batch_rows(16_000, 256), super_batch_rows(10**9, 8)
        (52000, 512, 8)
    """
    rows = min(SUPER_BATCH_ROWS, SUPER_BATCH_BYTES // max(row_bytes, 1))
    return max(rows // batch_size, 1) * batch_size


def check_keys(keys: IntArray, num_samples: int) -> None:
    """Check that keys lie in a split, once per training: the gather clips, and would return a wrong row for a bad one.

    Raises:
        ContractError: If one does not.
    """
    if len(keys) and (int(keys.min()) < 0 or int(keys.max()) >= num_samples):
        raise ContractError(
            f"keys {int(keys.min())}..{int(keys.max())} were asked for, but the split has {num_samples} samples, "
            f"0..{num_samples - 1}"
        )


class Gather:
    """Gathers rows of columns into a ring of buffers and turns them into model inputs there.

    Args:
        columns: Arrays to gather from, each of shape (N, ...), plain or memory-mapped.
        preprocessor: Turns the columns it knows into model inputs; the others are handed out as they are stored.
        max_rows: Rows of a buffer.
        depth: Number of buffers.
    """

    def __init__(
        self,
        columns: Mapping[str, NDArray[Any]],
        preprocessor: Preprocessor | None = None,
        *,
        max_rows: int,
        depth: int = 1,
    ) -> None:
        self._columns = {name: array.view(np.ndarray) for name, array in columns.items()}
        self._preprocessor = preprocessor
        outputs = {} if preprocessor is None else preprocessor.outputs
        self._transformed = tuple(name for name in columns if name in outputs)
        self._stored = [_buffers(self._columns, max_rows) for _ in range(depth)]
        self._outputs: list[Arrays] = [
            {name: np.empty((max_rows, *outputs[name].shape), outputs[name].dtype) for name in self._transformed}
            for _ in range(depth)
        ]

    @staticmethod
    def row_bytes(columns: Mapping[str, NDArray[Any]], preprocessor: Preprocessor | None = None) -> int:
        """Return the bytes that one row takes in a buffer."""
        stored = sum(array.dtype.itemsize * int(np.prod(array.shape[1:])) for array in columns.values())
        if preprocessor is None:
            return stored
        outputs = (spec for name, spec in preprocessor.outputs.items() if name in columns)
        return stored + sum(spec.dtype.itemsize * int(np.prod(spec.shape)) for spec in outputs)

    def __call__(self, keys: IntArray, slot: int = 0) -> Arrays:
        """Fill a buffer with the rows of some keys and return views of it, valid until the slot is used again.

        The keys are trusted: ``check_keys`` before. At most ``max_rows`` of them.
        """
        arrays: Arrays = {}
        for name, column in self._columns.items():
            view = self._stored[slot][name][: len(keys)]
            np.take(column, keys, axis=0, out=view, mode="clip")
            arrays[name] = view
        if self._preprocessor is not None and self._transformed:
            stored = {name: arrays[name] for name in self._transformed}
            out = {name: self._outputs[slot][name][: len(keys)] for name in self._transformed}
            arrays |= self._preprocessor.transform(stored, out)
        return arrays


def _buffers(columns: Mapping[str, NDArray[Any]], rows: int) -> Arrays:
    return {name: np.empty((rows, *array.shape[1:]), dtype=array.dtype) for name, array in columns.items()}


@dataclass(frozen=True, slots=True)
class SuperBatch:
    """Rows in a buffer, valid until the next super-batch is asked for.

    Attributes:
        positions: Where in the selection the rows stand, shape (n,).
        arrays: Columns by name, each of shape (n, ...).
    """

    positions: IntArray
    arrays: Arrays

    def __len__(self) -> int:
        return len(self.positions)


def super_batches(
    columns: Mapping[str, NDArray[Any]],
    keys: IntArray,
    orders: Iterable[IntArray],
    *,
    batch_size: int,
    preprocessor: Preprocessor | None = None,
    rows: int | None = None,
    prefetch: bool | None = None,
) -> Iterator[SuperBatch]:
    """Yield the samples of a selection in given orders, gathered in large pieces.

    The buffers of a super-batch are reused as soon as the next one is asked for. No super-batch spans two orders.

    Args:
        columns: Arrays to gather from, each of shape (N, ...).
        keys: The selection, shape (n,); checked here, once.
        orders: Positions in the selection, one array for every pass over it, made lazily.
        batch_size: A super-batch holds whole batches of this size; only an order's last one may be smaller.
        preprocessor: Turns the columns it knows into model inputs.
        rows: Rows of a super-batch; by default what ``super_batch_rows`` says.
        prefetch: Whether a thread gathers ahead; by default if one pass takes more than one super-batch.

    Raises:
        ContractError: If a key lies outside the columns.
    """
    check_keys(keys, min(len(array) for array in columns.values()))
    if rows is None:
        rows = super_batch_rows(Gather.row_bytes(columns, preprocessor), batch_size)
    prefetch = len(keys) > rows if prefetch is None else prefetch
    gather = Gather(columns, preprocessor, max_rows=min(rows, max(len(keys), 1)), depth=DEPTH if prefetch else 1)

    def pieces() -> Iterator[IntArray]:
        for order in orders:
            for start in range(0, len(order), rows):
                yield order[start : start + rows]

    def fill(positions: IntArray, slot: int) -> SuperBatch:
        return SuperBatch(positions, gather(keys[positions], slot))

    if prefetch:
        return _prefetched(pieces(), fill)
    return (fill(positions, 0) for positions in pieces())


class _Failure:
    """What a prefetching thread died of; raised where the batches are consumed."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _prefetched(pieces: Iterator[IntArray], fill: Callable[[IntArray, int], SuperBatch]) -> Iterator[SuperBatch]:
    """Fill the ring's buffers in a thread; a buffer is free again when its consumer asks for the next one."""
    free: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    ready: queue.SimpleQueue[tuple[int, SuperBatch] | _Failure | None] = queue.SimpleQueue()
    for slot in range(DEPTH):
        free.put(slot)

    def work() -> None:
        try:
            for positions in pieces:
                slot = free.get()
                if slot is None:
                    return
                ready.put((slot, fill(positions, slot)))
            ready.put(None)
        except BaseException as error:  # whatever it is, it must not vanish with the thread
            ready.put(_Failure(error))

    thread = threading.Thread(target=work, name="modyn_bench-prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, _Failure):
                raise item.error
            slot, batch = item
            yield batch
            free.put(slot)
    finally:
        free.put(None)
        thread.join()
