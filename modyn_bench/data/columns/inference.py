"""Columns of text to the types that their values write."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from modyn_bench.data.columns.common import is_number, joined, note_if_blurred, row_numbers, text_as_numbers

if TYPE_CHECKING:
    import pyarrow as pa

_FEW = 0.05
"""Share of the numbers: where fewer values are none, the column was probably meant to hold numbers."""


def infer_types(columns: dict[str, pa.ChunkedArray | pa.Array], names: Collection[str]) -> list[str]:
    """Replace columns of text by what all of their values write: numbers (``inf`` among them), else truth, else text.

    Args:
        columns: All columns; changed in place, so that a column of text goes when its numbers are there.
        names: Those of text whose types are to be found.

    Returns:
        What is to be told of it.
    """
    notes = []
    for name in [name for name in columns if name in names]:
        text = joined(columns[name])
        columns[name] = _typed(text)
        if columns[name] is text:
            notes += _nearly_numbers(name, text)
        if is_number(columns[name].type):
            numbers = columns[name].fill_null(float("nan")).to_numpy(zero_copy_only=False)
            notes += [note for note in [note_if_blurred(name, text, numbers)] if note is not None]
    return notes


def _nearly_numbers(name: str, values: pa.Array) -> list[str]:
    """Tell of a column that stays text for few values: who meant numbers would hardly notice."""
    import numpy as np

    numbers = text_as_numbers(values)
    wrong = np.asarray(numbers.is_null(), dtype=bool) & ~np.asarray(values.is_null(), dtype=bool)
    num_numbers = len(numbers) - numbers.null_count
    if np.count_nonzero(wrong) >= _FEW * num_numbers:
        return []
    example = values[int(np.flatnonzero(wrong)[0])].as_py()
    return [
        f"column {name!r} is a category, for it is no number in {row_numbers(wrong)}, for instance {example!r}; if "
        "numbers are meant, mend these, or name in dataset.missing_values what is written where one is missing"
    ]


def _typed(values: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = text_as_numbers(values)
    if numbers.null_count == values.null_count:
        return numbers
    lowered = pc.utf8_lower(values)
    if pc.all(pc.is_in(lowered, value_set=pa.array(["true", "false", None], pa.large_string()))).as_py():
        return pc.equal(lowered, "true")
    return values
