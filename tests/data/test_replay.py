"""Replay: what is handed out, how it is cut, and when labels arrive, by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.config import ReplayConfig
from modyn_bench.data.replay import Replay
from modyn_bench.data.store import Split
from modyn_bench.errors import RequestError
from modyn_bench.types import UNLABELLED

times = st.lists(st.integers(0, 30), min_size=1, max_size=30).map(sorted)


def split_of(timestamps: list[int]) -> Split:
    n = len(timestamps)
    return Split("train", np.array(timestamps), np.arange(n) % 4, {"numeric": np.zeros((n, 1), np.float32)})


def replay_of(timestamps: list[int], **options: object) -> Replay:
    return Replay(split_of(timestamps), ReplayConfig(**options))  # type: ignore[arg-type]


@given(times=times, chunk_size=st.integers(1, 12), start=st.integers(0, 12), stop=st.integers(18, 40))
def test_every_sample_between_start_and_stop_comes_once(
    times: list[int], chunk_size: int, start: int, stop: int
) -> None:
    wanted = [key for key, time in enumerate(times) if start <= time < stop]
    if not wanted:
        with pytest.raises(RequestError, match=r"replay\.start"):
            replay_of(times, start=start, stop=stop)
        return
    replay = replay_of(times, start=start, stop=stop, chunk_size=chunk_size)
    chunks = list(replay.chunks(0))
    assert np.concatenate([chunk.keys for chunk in chunks]).tolist() == wanted
    assert np.concatenate([chunk.timestamps for chunk in chunks]).tolist() == [times[key] for key in wanted]
    assert max(map(len, chunks)) <= chunk_size
    assert len(replay) == len(wanted)
    middle = wanted[len(wanted) // 2]
    assert [key for chunk in replay.chunks(middle) for key in chunk.keys] == list(range(middle, wanted[-1] + 1))


@given(times=times, delay=st.integers(0, 12), chunk_size=st.integers(1, 9), data=st.data())
def test_labels_arrive_after_their_delay_and_after_their_sample(
    times: list[int], delay: int, chunk_size: int, data: st.DataObject
) -> None:
    replay = replay_of(times, label_delay=delay, chunk_size=chunk_size)
    for chunk in replay.chunks(0):
        position = data.draw(st.integers(0, len(chunk)))
        for part in chunk.split(position):
            if not len(part):
                continue
            now, arrived = int(part.timestamps[-1]), int(part.keys[-1]) + 1
            known = [key for key in range(arrived) if times[key] + delay <= now]
            assert part.num_labelled == len(known)
            assert replay.num_labelled(now, arrived) == len(known)
            expected = [key % 4 if key in known else UNLABELLED for key in part.keys.tolist()]
            assert part.labels.tolist() == expected


def test_labels_before_the_start_are_not_counted_anew() -> None:
    replay = replay_of([0, 10, 20, 30], start=15, label_delay=100)
    assert [chunk.num_labelled for chunk in replay.chunks(0)] == [2]


def test_an_empty_span_names_what_there_is() -> None:
    with pytest.raises(RequestError, match=r"1970-01-01 00:00:03 to 1970-01-01 00:00:05"):
        replay_of([3, 5], start=9)


def test_iso_dates_bound_the_replay() -> None:
    replay = replay_of([0, 86_400, 2 * 86_400], start="1970-01-02", stop="1970-01-03")
    assert (replay.first_key, replay.stop_key) == (1, 2)
