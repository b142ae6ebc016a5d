"""Replaying a split as a stream: consecutive samples in time order, and when their labels arrive."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modyn_bench.config import ReplayConfig
from modyn_bench.data.store import Split
from modyn_bench.errors import ContractError, RequestError
from modyn_bench.timespan import format_time, parse_time
from modyn_bench.types import Arrivals, IntArray


class Replay:
    """The part of a split that a run replays.

    A label arrives ``label_delay`` after its sample, and never before the sample itself. Labels arrive in key order, so
    what is labelled is a cursor: all keys below it.

    Args:
        split: The split to replay.
        config: Start, stop, chunk size and label delay.

    Raises:
        RequestError: If no sample lies between start and stop.
    """

    def __init__(self, split: Split, config: ReplayConfig) -> None:
        self._split = split
        self._chunk_size = config.chunk_size
        self.label_delay = config.label_delay_seconds
        start = None if config.start is None else parse_time(config.start, "replay.start")
        stop = None if config.stop is None else parse_time(config.stop, "replay.stop")
        timestamps = split.timestamps
        self.first_key = 0 if start is None else int(np.searchsorted(timestamps, start, side="left"))
        self.stop_key = len(split) if stop is None else int(np.searchsorted(timestamps, stop, side="left"))
        if self.first_key >= self.stop_key:
            raise RequestError(
                f"no sample lies between replay.start={config.start} and replay.stop={config.stop}: "
                f"the {split.name} split spans {format_time(int(timestamps[0]), seconds=True)} to "
                f"{format_time(int(timestamps[-1]), seconds=True)}"
            )
        self.first_time = int(timestamps[self.first_key])
        self.last_time = int(timestamps[self.stop_key - 1])

    def __len__(self) -> int:
        return self.stop_key - self.first_key

    def chunks(self, from_key: int) -> Iterator[Arrivals]:
        """Yield the samples from a key on, in chunks. How they are cut changes no result."""
        for start in range(max(from_key, self.first_key), self.stop_key, self._chunk_size):
            stop = min(start + self._chunk_size, self.stop_key)
            keys = np.arange(start, stop, dtype=np.int64)
            timestamps = np.array(self._split.timestamps[start:stop], dtype=np.int64)
            labels = np.array(self._split.labels[start:stop], dtype=np.int64)
            yield Arrivals(keys, timestamps, labels, self._label_cursors(timestamps, keys + 1))

    def num_labelled(self, time: int, num_arrived: int) -> int:
        """Return how many leading samples are labelled at a time at which ``num_arrived`` leading ones have arrived."""
        return int(self._label_cursors(np.array([time]), np.array([num_arrived]))[0])

    def timestamps_of(self, keys: IntArray) -> IntArray:
        """Return the timestamps of keys, shape (n,)."""
        return np.asarray(self._split.timestamps[keys], dtype=np.int64)

    def labels_of(self, keys: IntArray, *, num_labelled: int) -> IntArray:
        """Return the labels of keys, shape (n,), which must lie in the replay and below ``num_labelled``.

        Raises:
            ContractError: If one does not.
        """
        if len(keys) and (int(np.min(keys)) < self.first_key or int(np.max(keys)) >= num_labelled):
            raise ContractError(
                f"a policy asked for the labels of keys {int(np.min(keys))}..{int(np.max(keys))}, but only "
                f"{self.first_key}..{num_labelled - 1} are labelled"
            )
        return np.asarray(self._split.labels[keys], dtype=np.int64)

    def _label_cursors(self, times: IntArray, num_arrived: IntArray) -> IntArray:
        if self.label_delay == 0:
            return num_arrived
        due = np.searchsorted(self._split.timestamps, times - self.label_delay, side="right")
        return np.clip(due, self.first_key, num_arrived).astype(np.int64)
