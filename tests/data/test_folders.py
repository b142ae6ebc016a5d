"""Folders of files: the rows of all files together are one table, whatever each file for itself looks like."""

from __future__ import annotations

import numpy as np
import pytest

from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.errors import DataError


def prepare(path, **options):
    return TableRecipe(path=str(path), **{"timestamp": "ts", "label": "y", **options}).prepare(path.parent / "stores")


def folder(tmp_path, files, writer=None, suffix="csv"):
    (tmp_path / "parts").mkdir()
    for number, content in enumerate(files):
        file = tmp_path / "parts" / f"p{number}.{suffix}"
        file.write_text(content) if writer is None else writer(content, file)
    return tmp_path / "parts"


def assert_same(one, other):
    assert one.schema == other.schema
    for name, split in one.splits.items():
        mine, theirs = split, other.splits[name]
        assert mine.timestamps.tolist() == theirs.timestamps.tolist()
        assert mine.labels.tolist() == theirs.labels.tolist()
        for column, values in mine.columns.items():
            np.testing.assert_array_equal(values, theirs.columns[column])


def lines(values, *, start=0):
    return "".join(f"{start + i},{value},{i},{i % 2}\n" for i, value in enumerate(values))


@pytest.mark.parametrize(
    "others",
    [
        ["one", "two", "1"],
        ["0.5", "1.50", "2"],
        ["", "", ""],
        ["true", "false", ""],
        ["NA", "x", "null"],
        ["007", "1e3", "+5"],
    ],
)
@pytest.mark.parametrize("ones", [["1", "2", "3"], ["1.0", "2.5", "3"], ["", "", ""], ["TRUE", "false", "true"]])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_types_are_those_of_the_files_behind_one_another(tmp_path, ones, others, suffix):
    head, parts = "ts,x,key,y\n", [lines(ones * 12), lines(others * 12, start=100)]
    texts = [head + parts[0], head + parts[1], head + "".join(parts)]
    if suffix == "tsv":
        texts = [text.replace(",", "\t") for text in texts]
    (tmp_path / f"whole.{suffix}").write_text(texts[2])
    parts = folder(tmp_path, texts[:2], suffix=suffix)
    assert_same(prepare(parts), prepare(tmp_path / f"whole.{suffix}"))
    assert_same(prepare(parts, categorical=["x"]), prepare(tmp_path / f"whole.{suffix}", categorical=["x"]))


def test_files_may_have_their_columns_in_another_order_and_no_rows(tmp_path):
    rows = [f"{i},{i % 7},{i % 2}" for i in range(40)]
    turned = [",".join(reversed(row.split(","))) for row in rows]
    (tmp_path / "whole.csv").write_text("\n".join(["ts,x,y", *rows, *rows]))
    parts = folder(tmp_path, ["ts,x,y\n", "\n".join(["ts,x,y", *rows]), "\n".join(["y,x,ts", *turned])])
    assert_same(prepare(parts), prepare(tmp_path / "whole.csv"))


def test_a_later_file_that_names_a_column_twice_is_told(tmp_path):
    parts = folder(tmp_path, ["ts,x,y\n1,2,a\n", "ts,x,y,x\n1,2,b,3\n"])
    with pytest.raises(DataError, match=r"p1\.csv: the column name\(s\) 'x' occur more than once"):
        prepare(parts)
