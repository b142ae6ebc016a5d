"""Folders of files: the rows of all files together are one table, whatever each file for itself looks like."""

from __future__ import annotations

import json
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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


def num_rows(store):
    return sum(map(len, store.splits.values()))


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


def write_rows(column, file):
    """Write a column beside a time, a number and a label, one for each of its rows."""
    n = len(column)
    table = pa.table({"ts": range(n), "x": column, "key": range(n), "y": ["a", "b"] * (n // 2)})
    if file.suffix == ".parquet":
        pq.write_table(table, file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


NUMBERS, WORDS = [*range(20)] * 2, ["red", "green"] * 20
NOTHING = [None] * 40
DAYS = [date(2020, 1, 1 + day % 28) for day in range(40)]
NOONS = [datetime(2020, 1, 1 + day % 28, 12) for day in range(40)]
MIDNIGHTS = [datetime(day.year, day.month, day.day) for day in DAYS]
LIMA = [moment.replace(tzinfo=ZoneInfo("America/Lima")) for moment in NOONS]
AFTERWARDS = [moment.replace(year=9999) for moment in NOONS]
AFTERNOONS = [moment.replace(hour=17) for moment in NOONS]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pa.array(WORDS).dictionary_encode(), pa.array(WORDS), WORDS + WORDS),
        (pa.array(WORDS, pa.large_string()), pa.array(WORDS).dictionary_encode(), WORDS + WORDS),
        (pa.array(WORDS, pa.string_view()), pa.array(WORDS), WORDS + WORDS),
        (pa.array(NUMBERS, pa.int32()), pa.array(NUMBERS, pa.int64()), NUMBERS + NUMBERS),
        (pa.array(NUMBERS, pa.uint8()), pa.array(NUMBERS, pa.int8()), NUMBERS + NUMBERS),
        (pa.array(NUMBERS, pa.uint64()), pa.array(NUMBERS, pa.int8()), NUMBERS + NUMBERS),
        (pa.array(NUMBERS), pa.array(NUMBERS, pa.float32()), NUMBERS + NUMBERS),
        (pa.array([2**60 + 1] * 40), pa.array([0.5, 1.0] * 20), [2.0**60] * 40 + [0.5, 1.0] * 20),
        (pa.array(NUMBERS, pa.int32()).dictionary_encode(), pa.array(NUMBERS), NUMBERS + NUMBERS),
        (pa.array(NUMBERS, pa.decimal128(9, 2)), pa.array(NUMBERS), NUMBERS + NUMBERS),
        (pa.array(NUMBERS, pa.decimal128(9, 2)), pa.array(NUMBERS, pa.decimal128(12, 4)), NUMBERS + NUMBERS),
        (pa.array(NUMBERS, pa.decimal128(9, 2)), pa.array(NUMBERS, pa.float64()), NUMBERS + NUMBERS),
        (pa.array(NOTHING), pa.array(WORDS), NOTHING + WORDS),
        (pa.array(NOTHING, pa.float64()), pa.array(WORDS), NOTHING + WORDS),
        (pa.array([np.nan] * 40), pa.array(WORDS), NOTHING + WORDS),
        (pa.array(NOTHING, pa.string()), pa.array(NUMBERS), NOTHING + NUMBERS),
        (pa.array(NOTHING, pa.string()), pa.array(NOTHING, pa.int8()), NOTHING + NOTHING),
        (pa.array(NOTHING), pa.array([True, False] * 20), NOTHING + [True, False] * 20),
        (pa.array(NOONS, pa.timestamp("s")), pa.array(NOONS, pa.timestamp("ns")), NOONS + NOONS),
        (pa.array(NOONS, pa.timestamp("us")), pa.array(NOONS, pa.timestamp("ms", "UTC")), NOONS + NOONS),
        (pa.array(LIMA, pa.timestamp("us", "America/Lima")), pa.array(NOONS), AFTERNOONS + NOONS),
        (pa.array(DAYS), pa.array(NOONS), MIDNIGHTS + NOONS),
        (pa.array(NOONS, pa.timestamp("ns")), pa.array(AFTERWARDS), NOONS + AFTERWARDS),
        (pa.array(DAYS), pa.array(NOONS, pa.timestamp("ns", "UTC")), MIDNIGHTS + NOONS),
        (pa.array(DAYS, pa.date64()), pa.array(DAYS), DAYS + DAYS),
    ],
)
def test_types_of_parquet_files_that_differ_without_harm_are_one(tmp_path, one, other, both):
    parts = folder(tmp_path, [one, other], write_rows, "parquet")
    first, second = (pq.read_table(file) for file in sorted(parts.iterdir()))
    rest = pa.concat_tables([first.drop_columns(["x"]), second.drop_columns(["x"])])
    pq.write_table(rest.add_column(1, "x", pa.array(both)), tmp_path / "whole.parquet")
    assert_same(prepare(parts), prepare(tmp_path / "whole.parquet"))
    pq.write_table(second.select(second.column_names[::-1]), parts / "p1.parquet")
    assert_same(prepare(parts), prepare(tmp_path / "whole.parquet"))


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (
            WORDS,
            NUMBERS,
            r"p2\.parquet: column 'x' is of type int64, but in p0\.parquet of type string; write",
        ),
        (NUMBERS, [True, False] * 20, r"is of type bool, but in p0\.parquet of type int64"),
        (WORDS, NOONS, r"is of type timestamp\[us\], but in p0\.parquet of type string"),
        ([["a"]] * 40, WORDS, r"is of type string, but in p0\.parquet of type list"),
        (pa.array([2**64 - 1] * 40, pa.uint64()), NUMBERS, r"p0\.parquet: column 'x' is of type uint64 .* fit int64"),
    ],
)
def test_types_of_parquet_files_that_cannot_be_one_are_told(tmp_path, one, other, message):
    parts = folder(tmp_path, [one, NOTHING, other], write_rows, "parquet")
    with pytest.raises(DataError, match=message):
        prepare(parts)


def test_classes_that_a_float_would_blur_are_told(tmp_path):
    parts = folder(tmp_path, [[2**60, 2**60 + 1] * 20, [1.0, 2.0] * 20], write_rows, "parquet")
    with pytest.raises(DataError, match=r"p0\.parquet: column 'x' .* does not fit double, .* lose digits"):
        prepare(parts, label="x")
    assert num_rows(prepare(parts)) == 80


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_column_that_a_file_lacks_is_named(tmp_path, suffix):
    parts = folder(tmp_path, [WORDS, WORDS], write_rows, suffix)
    if suffix == "parquet":
        pq.write_table(pq.read_table(parts / "p1.parquet").drop_columns(["x"]), parts / "p1.parquet")
    else:
        rows = [json.loads(line) for line in (parts / "p1.jsonl").read_text().splitlines()]
        (parts / "p1.jsonl").write_text("".join(json.dumps({"z": row.pop("x"), **row}) + "\n" for row in rows))
    with pytest.raises(DataError, match=rf"p1\.{suffix}: its columns are not those of p0\.{suffix}; .*'x'"):
        prepare(parts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NUMBERS, [0.5, 1.0] * 20),
        (NOTHING, WORDS),
        (NUMBERS, NOTHING),
        (NOTHING, [True, False] * 20),
    ],
)
def test_types_of_json_lines_that_differ_without_harm_are_one(tmp_path, one, other):
    parts = folder(tmp_path, [one, other], write_rows, "jsonl")
    (tmp_path / "whole.jsonl").write_text("".join(file.read_text() for file in sorted(parts.iterdir())))
    assert_same(prepare(parts), prepare(tmp_path / "whole.jsonl"))


def test_types_of_json_lines_that_cannot_be_one_are_told(tmp_path):
    parts = folder(tmp_path, [WORDS, NUMBERS], write_rows, "jsonl")
    with pytest.raises(DataError, match=r"p1\.jsonl: column 'x' is of type int64, but in p0\.jsonl of type string"):
        prepare(parts)


def test_labels_that_are_lists_are_told(tmp_path):
    parts = folder(tmp_path, [[["a"], ["b"]] * 20, [["a"], None] * 10], write_rows, "jsonl")
    with pytest.raises(DataError, match="the label column 'x' is of type list"):
        prepare(parts, label="x", invalid_rows="drop")
