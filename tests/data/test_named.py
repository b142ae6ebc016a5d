"""The source's columns by their names."""

from __future__ import annotations

import numpy as np
import pytest

from modyn_bench.data.named import NamedColumns
from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.errors import RequestError


def test_columns_are_numbers_as_stored_and_codes() -> None:
    schema = Schema(
        (
            Column("numeric", "numeric", "float32", (2,), ("size", "age")),
            Column("categorical", "categorical", "int32", (1,), ("colour",), (("r", "g"),)),
            Column("tokens", "tokens", "uint16", (4,), ("title",), num_values=9),
        ),
        ("no", "yes"),
    )
    columns = {
        "numeric": np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32),
        "categorical": np.array([[0], [1], [0]], dtype=np.int32),
        "tokens": np.zeros((3, 4), dtype=np.uint16),
    }
    named = NamedColumns(schema, Split("train", np.arange(3), np.zeros(3, dtype=np.int64), columns))
    assert named.kinds == {"size": "numeric", "age": "numeric", "colour": "categorical"}
    assert named("age", np.array([2, 0])).tolist() == [6, 2]
    assert named("colour", np.array([1])).tolist() == [1]
    with pytest.raises(RequestError, match="no column 'title': it has size, age, colour"):
        named("title", np.array([0]))
