"""Preprocessing learns from the samples it is fitted on, and from nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import StandardScaler

from modyn_bench.data.preprocessing import CLIP, Preprocessor
from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.errors import DataError

WORDS = ("ash", "birch", "cedar", "<missing>")


def schema_of(num_features: int, num_categorical: int = 0, words: tuple[str, ...] = WORDS) -> Schema:
    columns = []
    if num_features:
        names = tuple(f"x{i}" for i in range(num_features))
        columns.append(Column("numeric", "numeric", "float64", (num_features,), names))
    if num_categorical:
        names = tuple(f"c{i}" for i in range(num_categorical))
        columns.append(
            Column("categorical", "categorical", "int32", (num_categorical,), names, (words,) * num_categorical)
        )
    return Schema(tuple(columns), ("no", "yes"))


def split_of(**columns: np.ndarray) -> Split:
    size = len(next(iter(columns.values())))
    return Split("train", np.arange(size), np.zeros(size, dtype=np.int64), columns)


values = st.one_of(st.floats(-1e6, 1e6), st.just(np.nan), st.just(np.inf))


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=values))
def test_numeric_features_are_scaled_like_scikit_learn_does(array):
    schema, keys = schema_of(array.shape[1]), np.arange(len(array))
    scaled = Preprocessor.fit(schema, split_of(numeric=array), keys).transform({"numeric": array})["numeric"]
    known = np.where(np.isfinite(array), array, np.nan)
    known[:, np.isnan(known).all(axis=0)] = 0  # missing throughout: scaled by 1
    constant = np.nanmax(known, axis=0) == np.nanmin(known, axis=0)
    judge = np.where(constant, 0.0, np.nan_to_num(StandardScaler().fit_transform(known)).clip(-CLIP, CLIP))
    tiny = np.nanstd(known, axis=0) < 1e-9 * np.abs(known[~np.isnan(known)]).max(initial=1.0)  # rounding decides there
    assert scaled.dtype == np.float32
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled[:, ~tiny], judge[:, ~tiny], atol=1e-5, rtol=1e-5)


@given(st.data())
def test_what_lies_outside_the_fitted_keys_changes_nothing(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    size = data.draw(st.integers(2, 60))
    keys = np.sort(rng.choice(size, size=data.draw(st.integers(1, size - 1)), replace=False))
    numeric, codes = rng.normal(size=(size, 2)), rng.integers(0, 4, (size, 2)).astype(np.int32)
    before = Preprocessor.fit(schema_of(2, 2), split_of(numeric=numeric, categorical=codes), keys).to_json()
    others = np.setdiff1d(np.arange(size), keys)
    numeric[others] = data.draw(values)
    codes[others] = data.draw(st.integers(0, 3))
    assert Preprocessor.fit(schema_of(2, 2), split_of(numeric=numeric, categorical=codes), keys).to_json() == before


def test_a_feature_whose_scale_leaks_the_future_has_no_way_in():
    """A feature that grows a thousandfold tells the time to whoever scales it with all of the data."""
    rng = np.random.default_rng(0)
    time = np.arange(1000)
    leaky = (rng.normal(size=1000) * np.where(time < 100, 1, 1000))[:, None]
    early = np.arange(100)
    fitted = Preprocessor.fit(schema_of(1), split_of(numeric=leaky), early)
    seen = fitted.transform({"numeric": leaky[:100]})["numeric"]
    assert abs(seen.std() - 1) < 1e-5  # nothing of the later scale is in it
    assert Preprocessor.fit(schema_of(1), split_of(numeric=leaky[:100]), early).to_json() == fitted.to_json()
    looked_ahead = Preprocessor.fit(schema_of(1), split_of(numeric=leaky), time)
    assert looked_ahead.transform({"numeric": leaky[:100]})["numeric"].std() < 0.01


def test_categories_get_ids_by_their_names_and_the_unknown_one_has_its_own():
    codes = np.array([[2], [0], [2], [1]], dtype=np.int32)
    fitted = Preprocessor.fit(schema_of(0, 1), split_of(categorical=codes), np.array([0, 1]))
    assert fitted.vocabularies == (("ash", "cedar"),)
    assert fitted.inputs.cardinalities == (3,)
    assert fitted.transform({"categorical": codes})["categorical"].ravel().tolist() == [2, 1, 2, 0]


def test_ids_outlive_the_codes_of_a_store():
    codes = np.array([[0, 3], [1, 2]], dtype=np.int32)
    fitted = Preprocessor.fit(schema_of(1, 2), split_of(numeric=np.ones((2, 1)), categorical=codes), np.arange(2))
    other = ("new", *reversed(WORDS))  # another coding of the same column
    loaded = Preprocessor.from_json(json.loads(json.dumps(fitted.to_json())), schema_of(1, 2, other))
    recoded = np.array([[other.index(WORDS[code]) for code in row] for row in codes], dtype=np.int32)
    np.testing.assert_array_equal(
        loaded.transform({"categorical": recoded})["categorical"],
        fitted.transform({"categorical": codes})["categorical"],
    )
    assert loaded.transform({"categorical": np.zeros((1, 2), np.int32)})["categorical"].tolist() == [[0, 0]]
    assert loaded.to_json() == fitted.to_json()


def schema_of_ids(num_categorical: int) -> Schema:
    names = tuple(f"c{i}" for i in range(num_categorical))
    return Schema((Column("categorical", "categorical", "int32", (num_categorical,), names),), ("no", "yes"))


def test_ids_of_the_source_get_ids_in_their_order_and_unseen_ones_the_unknown():
    ids = np.array([[7, 0], [0, 1], [7, 2], [3, 3], [10, 2], [9_000_000, 9_000_000]], dtype=np.int32)
    fitted = Preprocessor.fit(schema_of_ids(2), split_of(categorical=ids), np.array([0, 1, 2]))
    assert fitted.inputs.cardinalities == (3, 4)
    known = fitted.transform({"categorical": ids})["categorical"]
    assert known.tolist() == [[2, 1], [1, 2], [2, 3], [0, 0], [0, 3], [0, 0]]


@given(hnp.arrays(np.int32, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.integers(0, 40)), st.data())
def test_ids_of_the_source_become_those_that_a_dictionary_of_them_gives(ids, data):
    """Judged by what is done with strings, which as three digits each sort like the numbers."""
    words = tuple(f"{number:03}" for number in range(41))
    keys = np.array(data.draw(st.lists(st.integers(0, len(ids) - 1), min_size=1)), dtype=np.int64)
    by_ids = Preprocessor.fit(schema_of_ids(ids.shape[1]), split_of(categorical=ids), keys)
    by_words = Preprocessor.fit(schema_of(0, ids.shape[1], words), split_of(categorical=ids), keys)
    loaded = Preprocessor.from_json(json.loads(json.dumps(by_ids.to_json())), schema_of_ids(ids.shape[1]))
    assert by_ids.inputs == by_words.inputs == loaded.inputs
    assert loaded.to_json() == by_ids.to_json()
    for fitted in (by_ids, loaded):
        np.testing.assert_array_equal(
            fitted.transform({"categorical": ids})["categorical"],
            by_words.transform({"categorical": ids})["categorical"],
        )


def test_a_million_ids_are_known_by_a_bit_each():
    ids = np.arange(0, 2_000_000, 2, dtype=np.int32)[:, None]
    fitted = Preprocessor.fit(schema_of_ids(1), split_of(categorical=ids), np.arange(len(ids)))
    assert fitted.inputs.cardinalities == (1_000_001,)
    assert len(json.dumps(fitted.to_json())) < 2_000_000 / 8 * 4 / 3 + 100


def test_tokens_pass_through_and_images_are_scaled_to_one():
    columns = (
        Column("tokens", "tokens", "int32", (3,), num_values=10),
        Column("image", "image", "uint8", (1, 2, 2)),
    )
    tokens, image = np.array([[1, 10, 0]], dtype=np.int32), np.array([[[[0, 51], [102, 255]]]], dtype=np.uint8)
    fitted = Preprocessor.fit(Schema(columns, ("a",)), split_of(tokens=tokens, image=image), np.array([0]))
    result = fitted.transform({"tokens": tokens, "image": image})
    assert result["tokens"].dtype == np.int64
    assert result["tokens"].tolist() == tokens.tolist()
    np.testing.assert_allclose(result["image"].ravel(), [0, 0.2, 0.4, 1])
    assert (fitted.inputs.num_buckets, fitted.inputs.num_tokens, fitted.inputs.image_shape) == (10, 3, (1, 2, 2))


def test_a_value_beyond_float32_is_cut_like_any_other_large_one():
    array = np.array([[0.0], [1.0], [1e200], [-1e200], [np.inf]])
    fitted = Preprocessor.fit(schema_of(1), split_of(numeric=array), np.arange(2))
    assert fitted.transform({"numeric": array})["numeric"].ravel().tolist() == [-1, 1, CLIP, -CLIP, 0]


def test_it_refuses_to_learn_from_nothing_and_to_serve_another_dataset():
    with pytest.raises(DataError, match="no sample"):
        Preprocessor.fit(schema_of(1), split_of(numeric=np.ones((2, 1))), np.array([], dtype=np.int64))
    fitted = Preprocessor.fit(schema_of(1), split_of(numeric=np.ones((2, 1))), np.arange(2))
    with pytest.raises(DataError, match="another dataset"):
        Preprocessor.from_json(fitted.to_json(), schema_of(2))


@given(st.integers(1, 50), st.integers(0, 2**32))
def test_a_sample_comes_out_the_same_whatever_its_neighbours(size, seed):
    rng = np.random.default_rng(seed)
    numeric, codes = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 4, (50, 2)).astype(np.int32)
    fitted = Preprocessor.fit(schema_of(3, 2), split_of(numeric=numeric, categorical=codes), np.arange(20))
    whole = fitted.transform({"numeric": numeric, "categorical": codes})
    part = fitted.transform({"numeric": numeric[:size], "categorical": codes[:size]})
    for name, array in part.items():
        assert array.tobytes() == whole[name][:size].tobytes()


@pytest.mark.parametrize("size", [1e160, 1e300, 1.6e308])
def test_numbers_whose_squares_are_beyond_floats_are_scaled_too(size):
    plain = np.array([[1.0, 3.0], [-0.5, np.nan], [0.25, 4.5], [np.nan, 9.0]])
    array = plain * np.array([size / 2, 1.0])
    keys = np.arange(len(array))
    expected = Preprocessor.fit(schema_of(2), split_of(numeric=plain), keys).transform({"numeric": plain})["numeric"]
    fitted = Preprocessor.fit(schema_of(2), split_of(numeric=array), keys)
    np.testing.assert_allclose(fitted.transform({"numeric": array})["numeric"], expected, rtol=1e-6)
    json.dumps(fitted.to_json(), allow_nan=False)
