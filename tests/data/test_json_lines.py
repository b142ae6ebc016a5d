"""JSON lines: what is written is what is kept."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.data.sources import json_lines
from modyn_bench.data.sources.base import TextFormat
from modyn_bench.errors import DataError


def prepare(path, **options):
    return TableRecipe(path=str(path), **{"timestamp": "ts", "label": "y", **options}).prepare(path.parent / "stores")


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows(n=40, **columns):
    columns = {"ts": range(n), "x": range(n), "y": [i % 2 for i in range(n)], **columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def as_csv(path, of):
    names = list(of[0])
    lines = [",".join("" if row[name] is None else str(row[name]) for name in names) for row in of]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


DATES = ["2020-01-01", "2020-01-02 10:00", "2020-01-03T00:00:00+02:00", "2020-01-04T00:00:00.120Z"]


def test_strings_that_look_like_dates_are_strings(tmp_path):
    table = rows(ts=DATES * 10, c=DATES * 10, y=["2019-01-01", "2019-06-01"] * 20)
    store = prepare(write(tmp_path / "t.jsonl", table))
    assert store.schema["categorical"].categories == (tuple(sorted(DATES)),)
    assert store.schema.classes == ("2019-01-01", "2019-06-01")
    from_csv = prepare(
        as_csv(tmp_path / "t.csv", rows(ts=DATES * 10, c=DATES * 10, y=["2019-01-01", "2019-06-01"] * 20))
    )
    assert from_csv.schema == store.schema
    for name, split in store.splits.items():
        assert split.timestamps.tolist() == from_csv.splits[name].timestamps.tolist()


def test_a_text_of_dates_is_text(tmp_path):
    store = prepare(write(tmp_path / "t.jsonl", rows(c=DATES * 10)), text="c")
    assert {store.splits["train"].blobs["text"][key].decode() for key in range(20)} <= set(DATES)


@pytest.mark.parametrize("head", [1, 1000])
def test_dates_that_come_late_are_strings_and_columns_keep_their_order(tmp_path, monkeypatch, head):
    monkeypatch.setattr(json_lines, "_HEAD_ROWS", head)
    table = rows(a=[None] * 20 + ["2020-01-01"] * 20, b=[1] * 40, c=DATES * 10)
    for row in table[30:]:
        row["d"] = "2020-01-05"
    path = write(tmp_path / "t.jsonl", table)
    source = json_lines.JsonLinesSource(path, TextFormat())
    assert source.all_column_names() == ["ts", "x", "y", "a", "b", "c", "d"]
    read, _ = source.read(["a", "c", "d"])
    assert read.schema.types == [pa.string()] * 3
    assert read["d"].to_pylist()[-1] == "2020-01-05"


@pytest.mark.parametrize(
    "values", [[2**63, 2**63 + 1], [2**53, 2**53 + 1, 2**64, None], [10**30, 10**30 + 1], [10**60, 10**60 + 1]]
)
def test_whole_numbers_beyond_64_bits_keep_their_digits_where_they_are_names(tmp_path, values):
    table = rows(c=[values[i % len(values)] for i in range(40)])
    ours, csvs = write(tmp_path / "t.jsonl", table), as_csv(tmp_path / "t.csv", table)
    store = prepare(ours, categorical=["c"])
    assert store.schema["categorical"].categories == prepare(csvs, categorical=["c"]).schema["categorical"].categories
    labels = {"label": "c", "invalid_rows": "drop"}
    assert prepare(ours, **labels).schema.classes == prepare(csvs, **labels).schema.classes
    assert set(prepare(ours, **labels).schema.classes) == {str(value) for value in values if value is not None}
    assert prepare(ours).schema == prepare(csvs).schema, "as a number it is as near as floats are"


def test_whole_numbers_beyond_64_bits_in_one_file_of_a_folder(tmp_path):
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts" / "p0.jsonl", rows(y=[1, 2] * 20))
    write(tmp_path / "parts" / "p1.jsonl", rows(y=[2**63, 2**63 + 1, 2**63, float("nan")] * 10))
    assert prepare(tmp_path / "parts", invalid_rows="drop").schema.classes == ("1", "2", str(2**63), str(2**63 + 1))


def test_large_names_beside_fractions_and_nan(tmp_path):
    store = prepare(write(tmp_path / "t.jsonl", rows(c=[2**60 + 1, 2**60, 0.5, float("nan")] * 10)), categorical=["c"])
    assert store.schema["categorical"].categories == (("0.5", str(2**60), str(2**60 + 1), "<missing>"),)


def test_objects_that_share_a_line_with_large_names_are_told(tmp_path):
    text = "".join(json.dumps(row) + " " + json.dumps(row) + "\n" for row in rows(y=[2**63, 2**63 + 1] * 20))
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"t\.jsonl, line 1: no JSON"):
        prepare(tmp_path / "t.jsonl")


def test_a_column_of_numbers_and_text_is_told(tmp_path):
    table = rows(x=[None, 1, 1.5, *[2] * 36, "1"])
    with pytest.raises(DataError, match=r"t\.jsonl, line 40: column 'x' is a string, but in line 2 a number; write"):
        prepare(write(tmp_path / "t.jsonl", table))


def test_lists_of_nothing_are_told(tmp_path):
    (tmp_path / "parts").mkdir()
    for name in ("t.jsonl", "parts/p0.jsonl", "parts/p1.jsonl"):
        write(tmp_path / name, rows(x=[[None, None]] * 40))
    with pytest.raises(DataError, match=r"t\.jsonl: feature 'x' is of type list<item: null>"):
        prepare(tmp_path / "t.jsonl")
    with pytest.raises(DataError, match="parts: "):
        prepare(tmp_path / "parts")


def test_lists_in_lists_without_end_are_told(tmp_path):
    deep = '{"ts": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
    (tmp_path / "t.jsonl").write_text(deep)
    with pytest.raises(DataError, match=r"t\.jsonl, line 1: no JSON \(maximum recursion"):
        prepare(tmp_path / "t.jsonl")
    write(tmp_path / "t.jsonl", rows(2000))
    with (tmp_path / "t.jsonl").open("a") as file:
        file.write(deep)
    with pytest.raises(DataError, match=r"t\.jsonl"):
        prepare(tmp_path / "t.jsonl")
