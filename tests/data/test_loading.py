"""Every key's own row comes out, in order, whatever the super-batches; buffers are never overwritten too soon."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modyn_bench.data.loading import DEPTH, Gather, super_batch_rows, super_batches
from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.errors import ContractError


def loader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "modyn_bench-prefetch"]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 20), st.integers(1, 5), st.integers(1, 3), st.booleans(), st.integers(0, 2**32)
)
def test_rows_come_in_the_asked_order_from_any_super_batch(size, batch_size, factor, epochs, prefetch, seed):
    rng = np.random.default_rng(seed)
    columns = {"x": rng.normal(size=(300, 2)), "y": np.arange(300)}
    keys = rng.integers(0, 300, size)
    orders = [rng.permutation(size) for _ in range(epochs)]
    groups = super_batches(
        columns, keys, iter(orders), batch_size=batch_size, rows=batch_size * factor, prefetch=prefetch
    )
    rows, positions, sizes = [], [], []
    for group in groups:
        rows.append((group.arrays["x"].copy(), group.arrays["y"].copy()))
        positions.append(group.positions)
        sizes.append(len(group))
    expected = keys[np.concatenate(orders)]
    np.testing.assert_array_equal(np.concatenate([y for _, y in rows]), expected)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in rows]), columns["x"][expected])
    np.testing.assert_array_equal(np.concatenate(positions), np.concatenate(orders))
    assert all(count % batch_size == 0 for count in sizes if count != size % (batch_size * factor))


def test_views_stay_valid_until_the_next_super_batch_is_asked_for():
    columns = {"y": np.arange(1000)}
    order = np.random.default_rng(0).permutation(1000)
    start = 0
    for group in super_batches(columns, np.arange(1000), [order], batch_size=10, rows=50, prefetch=True):
        for _ in range(20):  # the thread has time to fill whatever it may
            threading.Event().wait(0.0005)
        np.testing.assert_array_equal(group.arrays["y"], order[start : start + 50])
        start += 50
    assert start == 1000


def test_buffers_are_reused():
    groups = super_batches({"y": np.arange(1000)}, np.arange(1000), [np.arange(1000)], batch_size=10, rows=50)
    addresses = {group.arrays["y"].ctypes.data for group in groups}
    assert len(addresses) <= DEPTH


@pytest.mark.parametrize("bad", [[-1], [10], [0, 3, 2**40]])
@pytest.mark.parametrize("prefetch", [False, True])
def test_a_key_outside_the_split_is_refused_rather_than_clipped(bad, prefetch):
    with pytest.raises(ContractError, match=r"0\.\.9"):
        list(super_batches({"y": np.arange(10)}, np.array(bad), [np.arange(len(bad))], batch_size=1, prefetch=prefetch))


def test_an_error_in_the_thread_reaches_the_consumer():
    def orders():
        yield np.arange(5)
        raise RuntimeError("no more orders")

    groups = super_batches({"y": np.arange(5)}, np.arange(5), orders(), batch_size=1, rows=5, prefetch=True)
    assert len(next(groups)) == 5
    with pytest.raises(RuntimeError, match="no more orders"):
        next(groups)
    assert not loader_threads()


def test_the_thread_ends_when_its_consumer_does():
    groups = super_batches({"y": np.arange(100)}, np.arange(100), [np.arange(100)], batch_size=1, rows=5, prefetch=True)
    next(groups)
    assert loader_threads()
    groups.close()
    assert not loader_threads()


def test_a_single_super_batch_needs_no_thread():
    groups = super_batches({"y": np.arange(100)}, np.arange(100), [np.arange(100)], batch_size=10)
    next(groups)
    assert not loader_threads()


def test_super_batches_are_bounded_by_rows_and_by_bytes():
    assert super_batch_rows(8, 128) == 65_536
    assert super_batch_rows(3072 * 5, 256) * 3072 * 5 <= 8 << 20
    assert super_batch_rows(1 << 30, 64) == 64


def test_model_inputs_are_made_in_place():
    schema = Schema((Column("numeric", "numeric", "float32", (2,), ("a", "b")),), ("c",))
    array = np.arange(20, dtype=np.float32).reshape(10, 2)
    split = Split("train", np.arange(10), np.zeros(10, np.int64), {"numeric": array})
    preprocessor = Preprocessor.fit(schema, split, np.arange(10))
    gather = Gather({"numeric": array, "labels": split.labels}, preprocessor, max_rows=4)
    first = gather(np.array([3, 1]))
    np.testing.assert_array_equal(first["numeric"], preprocessor.transform({"numeric": array[[3, 1]]})["numeric"])
    assert gather(np.array([5, 6]))["numeric"].ctypes.data == first["numeric"].ctypes.data
