"""States survive the disk: types, every bit of a float, arrays of any kind."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modyn_bench.runs.files import json_bytes, npz_bytes, read_npz
from modyn_bench.runs.state_files import decode_states, encode_states

dtypes = (
    hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes()
    | hnp.floating_dtypes(endianness="?")
    | hnp.boolean_dtypes()
    | hnp.unicode_string_dtypes(max_len=4)
    | hnp.datetime64_dtypes()
)
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6)
keys = st.text(max_size=4) | st.sampled_from(["$array", "$float", "$items", "$"]) | st.integers()
values = st.recursive(
    scalars | arrays, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
states = st.dictionaries(st.sampled_from(["trigger", "selector", "$cursor"]), st.dictionaries(st.text(), values))


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        assert [type(key) for key in one] == [type(key) for key in other]
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
    elif isinstance(one, float):
        assert math.isnan(one) == math.isnan(other)
        assert math.isnan(one) or one.hex() == other.hex()
    else:
        assert one == other


@given(states)
def test_round_trip(tmp_path_factory, states):
    path = tmp_path_factory.getbasetemp() / "states.npz"
    encoded, arrays = encode_states(states)
    path.write_bytes(npz_bytes(arrays))
    text = json_bytes(encoded)
    assert_same(decode_states(json.loads(text), read_npz(path)), states)
    again, more = encode_states(states)
    assert (json_bytes(again), npz_bytes(more)) == (text, path.read_bytes())  # deterministic bytes


def test_numpy_scalars_become_pythons():
    encoded, _ = encode_states({"t": {"count": np.int64(3), "mean": np.float64(0.1), "on": np.bool_(True)}})
    assert_same(decode_states(json.loads(json_bytes(encoded)), {}), {"t": {"count": 3, "mean": 0.1, "on": True}})


@pytest.mark.parametrize(
    "value",
    [(1, 2), {1, 2}, object(), b"x", {None: 1}, {1.5: 1}, {True: 1}, np.array([object()])],
    ids=["tuple", "set", "object", "bytes", "null key", "float key", "boolean key", "array of objects"],
)
def test_what_cannot_be_given_back_is_refused_by_its_place(value):
    with pytest.raises(TypeError, match=r"trigger\.votes\[1\]\.x"):
        encode_states({"trigger": {"votes": [0, {"x": value}]}})


def test_an_array_of_objects_never_reaches_a_file():
    with pytest.raises(TypeError, match="pickle"):
        npz_bytes({"a": np.array([object()])})
