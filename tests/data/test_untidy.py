"""Tables as they come: blanks, gaps, leftovers of other programs, files cut off. Nothing is lost without a word."""

from __future__ import annotations

import gzip
import json
import lzma
import os
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from modyn_bench.data.columns.common import text_as_numbers
from modyn_bench.data.recipes.huggingface import HuggingFaceRecipe
from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.data.sources.base import TextFormat
from modyn_bench.data.sources.delimited import DelimitedSource
from modyn_bench.errors import DataError, RequestError

ROWS = [f"2020-01-{day:02},{day},{'ab'[day % 2]}" for day in range(1, 29)]


def prepare(path, **options):
    options = {"timestamp": "ts", "label": "y", **options}
    return TableRecipe(path=str(path), **options).prepare(path.parent / "stores")


def write(path, lines, *, head="ts,x,y"):
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def num_rows(store):
    return sum(map(len, store.splits.values()))


def test_blank_lines_before_the_header_change_nothing(tmp_path):
    plain = prepare(write(tmp_path / "plain.csv", ROWS))
    (tmp_path / "blank.csv").write_text("\n\r\n" + (tmp_path / "plain.csv").read_text())
    store = prepare(tmp_path / "blank.csv")
    assert num_rows(store) == num_rows(plain) == 28
    assert store.schema == plain.schema


def test_blanks_around_values_are_no_part_of_them(tmp_path):
    lines = [f"2020-01-{day:02}, {day} , {'ab'[day % 2]}{' ' * (day % 3)}" for day in range(1, 28)]
    store = prepare(write(tmp_path / "t.csv", [*lines, "2020-01-28, NA ,a"], head="ts, x, y"))
    assert store.schema.classes == ("a", "b")
    assert store.schema["numeric"].names == ("x",)


def test_labels_that_are_whole_numbers_are_so_whatever_their_file_wrote(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder / "p0.csv", [f"2020-01-{day:02},{day},{day % 2}" for day in range(1, 20)])
    write(folder / "p1.csv", [f"2020-02-{day:02},{day},{day % 2}.0" for day in range(1, 20)])
    assert prepare(folder).schema.classes == ("0", "1")
    assert prepare(folder, classes=[1.0, 0]).schema.classes == ("1", "0")
    write(folder / "p1.csv", [f"2020-02-{day:02},{day},{day % 2}.5" for day in range(1, 20)])
    assert prepare(folder).schema.classes == ("0", "0.5", "1", "1.5")


def test_a_key_that_comes_late_is_a_column(tmp_path):
    rows = [{"ts": i, "x": i, "y": i % 2} | ({"late": 1.5} if i > 1500 else {}) for i in range(2000)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert prepare(tmp_path / "t.jsonl").schema["numeric"].names == ("x", "late")
    assert prepare(tmp_path / "t.jsonl", features=["late"]).schema["numeric"].names == ("late",)
    with pytest.raises(RequestError, match=r"'latest' is no column .* did you mean 'late'"):
        prepare(tmp_path / "t.jsonl", features=["latest"])


def test_the_index_of_a_saved_frame_is_no_feature(tmp_path):
    frame = pd.DataFrame({"ts": range(40), "x": range(40), "y": [0, 1] * 20}).query("x != 3")
    frame.to_parquet(tmp_path / "t.parquet")
    store = prepare(tmp_path / "t.parquet")
    assert store.schema["numeric"].names == ("x",)
    assert any("__index_level_0__ is the index of a saved data frame" in note for note in store.notes)
    named = prepare(tmp_path / "t.parquet", features=["x", "__index_level_0__"])
    assert named.schema["numeric"].names == ("x", "__index_level_0__")
    in_memory = HuggingFaceRecipe(path=Dataset.from_pandas(frame), timestamp="ts", label="y").prepare(tmp_path)
    assert in_memory.schema["numeric"].names == ("x",)
    assert any("__index_level_0__" in note for note in in_memory.notes)


@pytest.mark.parametrize("value", ["unknown", "", "maybe", "7"])
@pytest.mark.parametrize("column", ["number", "truth", "empty"])
def test_a_row_that_makes_another_type_of_a_column_leaves_the_split_alone(tmp_path, column, value):
    old = pd.DataFrame({"ts": range(400), "number": range(400), "truth": ["true", "false"] * 200, "empty": ""})
    old = old.assign(y=[0, 1] * 200, key=range(400))
    row = old[-1:].astype(object).assign(ts=400, key=400) if column != "ts" else None
    row[column] = value
    held_out = []
    for name, frame in (("old", old), ("new", pd.concat([old.astype(object), row]))):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        store = prepare(tmp_path / f"{name}.csv")
        place = store.schema["numeric"].names.index("key")
        held_out.append({int(key) for key in store.splits["test"].columns["numeric"][:, place]} - {400})
    assert held_out[0] == held_out[1]


def test_an_open_quote_that_swallows_rows_is_told(tmp_path):
    lines = [f"2020-01-{day:02}\tTitle {day}\t{'ab'[day % 2]}" for day in range(1, 29)]
    lines[3] = lines[3].replace("Title", '"Title')
    lines[9] = lines[9].replace("Title", '"Title')
    path = write(tmp_path / "t.tsv", lines, head="ts\ttitle\ty")
    with pytest.raises(DataError, match=r"look like rows, such as '2020-01-05.*dataset.quote=null"):
        prepare(path, text="title")
    assert num_rows(prepare(path, text="title", quote=None)) == 28


def test_folders_and_dangling_links_in_a_folder_are_refused(tmp_path):
    folder = tmp_path / "parts"
    (folder / "more").mkdir(parents=True)
    write(folder / "a.csv", ROWS)
    with pytest.raises(RequestError, match="holds more than files: more"):
        prepare(folder)
    (folder / "more").rmdir()
    (folder / "link.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(RequestError, match=r"holds more than files: link\.csv"):
        prepare(folder)
    (folder / "link.csv").unlink()
    (folder / "_SUCCESS").touch()
    assert num_rows(prepare(folder)) == 28


def test_rows_that_are_dropped_decide_nothing(tmp_path):
    write(tmp_path / "t.csv", [*ROWS, "bad,3,c"])
    assert prepare(tmp_path / "t.csv", invalid_rows="drop").schema.classes == ("a", "b")
    lines = [line if line.endswith("a") else line.replace("2020", "bad") for line in ROWS]
    write(tmp_path / "t.csv", lines)
    with pytest.raises(DataError, match="a single class, 'a'"):
        prepare(tmp_path / "t.csv", invalid_rows="drop")


def test_rows_that_are_dropped_decide_no_type(tmp_path):
    lines = [f"2020-01-{day:02},{day},true,{day},{'ab'[day % 2]}" for day in range(1, 29)]
    clean = prepare(write(tmp_path / "t.csv", lines, head="ts,x,truth,gap,y"))
    dirty = ["never,many,perhaps,,a", "2020-01-01,0.5,3,x,", *lines, ",few,maybe,?,b"]
    store = prepare(write(tmp_path / "t.csv", dirty, head="ts,x,truth,gap,y"), invalid_rows="drop")
    assert store.schema == clean.schema
    assert store.schema["numeric"].names == ("x", "truth", "gap")
    for name, split in clean.splits.items():
        assert (store.splits[name].timestamps == split.timestamps).all()
        assert (store.splits[name].columns["numeric"] == split.columns["numeric"]).all()


@pytest.mark.parametrize("word", ["now", "today", "NaT", "None", "nan", "null", "", "20-01-05", "2020-13-01"])
def test_words_are_no_times(tmp_path, word):
    path = write(tmp_path / "t.csv", [*ROWS[:4], f"{word},3,a", *ROWS[4:]])
    with pytest.raises(DataError, match=r"no readable time in 'ts': 1 of 29 rows \(row 5\)"):
        prepare(path)
    assert num_rows(prepare(path, invalid_rows="drop")) == 28


@pytest.mark.parametrize("options", [{}, {"categorical": ["x"]}])
def test_a_column_of_nan_alone_has_no_value(tmp_path, options):
    table = pa.table({"ts": range(28), "x": [np.nan] * 28, "z": range(28), "y": [0, 1] * 14})
    pq.write_table(table, tmp_path / "t.parquet")
    store = prepare(tmp_path / "t.parquet", **options)
    assert [column.names for column in store.schema.columns] == [("z",)]
    assert any("feature 'x' has no value at all" in note for note in store.notes)


def test_a_column_that_only_dropped_rows_fill_is_left_out(tmp_path):
    lines = [f"2020-01-{day:02},{day},,{'ab'[day % 2]}" for day in range(1, 29)]
    store = prepare(write(tmp_path / "t.csv", [*lines, "never,1,word,a"], head="ts,x,gap,y"), invalid_rows="drop")
    assert store.schema["numeric"].names == ("x",)
    assert any("feature 'gap' has no value at all" in note for note in store.notes)


@pytest.mark.parametrize(
    "bad", ["1600000000000000,3,", "2020-01-01,3,", "1e30,3,a", "-1e25,3,a", "inf,3,a", "soon,3,a"]
)
def test_rows_that_are_dropped_do_not_decide_how_times_are_read(tmp_path, bad):
    lines = [f"{1_600_000_000 + day},{day},{'ab'[day % 2]}" for day in range(40)]
    store = prepare(write(tmp_path / "t.csv", [*lines, *[bad] * 60]), invalid_rows="drop")
    assert num_rows(store) == 40
    assert min(split.timestamps.min() for split in store.splits.values()) == 1_600_000_000
    frame = pd.read_csv(tmp_path / "t.csv")
    if frame["ts"].dtype.kind in "fi":
        frame.to_parquet(tmp_path / "t.parquet")
        store = prepare(tmp_path / "t.parquet", invalid_rows="drop")
        assert min(split.timestamps.min() for split in store.splits.values()) == 1_600_000_000


@pytest.mark.parametrize("bad", ["15,3,", "20201301,3,", "soon,3,a"])
def test_rows_that_are_dropped_do_not_decide_that_numbers_are_no_dates(tmp_path, bad):
    path = write(tmp_path / "t.csv", [*(line.replace("-", "", 2) for line in ROWS), bad])
    store = prepare(path, invalid_rows="drop")
    assert min(split.timestamps.min() for split in store.splits.values()) == 1_577_836_800


def test_one_bad_number_among_times_is_one_bad_row(tmp_path):
    lines = [f"{1_600_000_000 + day},{day},{'ab'[day % 2]}" for day in range(40)]
    lines[4], lines[7] = "oops,4,a", "n.a.,7,b"
    path = write(tmp_path / "t.csv", lines)
    assert num_rows(prepare(path, invalid_rows="drop")) == 38
    with pytest.raises(DataError, match=r"2 of 40 rows \(rows 5, 8\)"):
        prepare(path)


def test_late_rows_are_counted_against_all_before_them(tmp_path):
    store = prepare(write(tmp_path / "t.csv", [f"{ts},{ts},{'ab'[ts % 2]}" for ts in [100, *range(50)]]))
    assert any("50 of 51 rows came before an earlier one's time" in note for note in store.notes)


def test_long_values_in_the_first_rows(tmp_path):
    path = write(tmp_path / "t.csv", [f"2020-01-{day:02},{'w ' * 100_000},{'ab'[day % 2]}" for day in range(1, 29)])
    assert num_rows(prepare(path, text="x")) == 28


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.xz", ".jsonl.gz", ".jsonl.xz"])
@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_packed_file_that_is_cut_off_or_damaged_is_named(tmp_path, suffix, harm):
    noise = np.random.default_rng(0).integers(0, 10**9, 60_000)
    if suffix.startswith(".csv"):
        text = "ts,x,y\n" + "".join(f"{i},{x},{i % 2}\n" for i, x in enumerate(noise))
    else:
        text = "".join(
            json.dumps({"ts": i, "x": int(x), "y": i % 2, "pad": "w" * 60}) + "\n" for i, x in enumerate(noise)
        )
    packed = (gzip if suffix.endswith("gz") else lzma).compress(text.encode())
    broken = packed[: len(packed) * 9 // 10]
    if harm == "changed":
        broken = packed[:-200] + bytes(byte ^ 0x55 for byte in packed[-200:])
    (tmp_path / f"t{suffix}").write_bytes(broken)
    with pytest.raises(DataError, match=rf"t{suffix}( cannot be read|, line \d+: no)"):
        prepare(tmp_path / f"t{suffix}")


class CountedSource(DelimitedSource):
    num_opened = 0

    def open(self):
        self.num_opened += 1
        return super().open()


def test_many_columns_do_not_open_a_file_more_often(tmp_path):
    counts = []
    for num_columns in (1, 300):
        names = [f"c{i}" for i in range(num_columns)]
        path = write(tmp_path / "t.csv", [",".join(["1"] * num_columns)] * 3, head=",".join(names))
        source = CountedSource(path, TextFormat(separator=None if num_columns > 1 else ","))
        source.separator  # noqa: B018 - found out once
        source.num_opened = 0
        source.read(names)
        counts.append(source.num_opened)
    assert counts[0] == counts[1]


def test_a_header_of_a_megabyte(tmp_path):
    names = [f"{'long' * 50}{i}" for i in range(5000)]
    lines = [f"{day},{'ab'[day % 2]},{','.join(['1', '2'] * 2500)}" for day in range(20)]
    path = write(tmp_path / "t.csv", lines, head=f"ts,y,{','.join(names)}")
    store = prepare(path)
    assert len(store.schema["numeric"].names) == 5000


@pytest.mark.parametrize("values", [[b"xy"] * 28, [2**60] * 28])
def test_categories_without_a_name_are_told(tmp_path, values):
    kind = pa.binary(2) if isinstance(values[0], bytes) else pa.timestamp("us")
    table = pa.table({"ts": range(28), "x": pa.array(values, kind), "y": [0, 1] * 14})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"feature 'x' .*leave it out with dataset.drop=\[x\]"):
        prepare(tmp_path / "t.parquet", categorical=["x"])


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_header_alone_has_no_rows(tmp_path, end):
    (tmp_path / "t.csv").write_bytes(b"ts,x,y" + end.encode())
    with pytest.raises(DataError, match=r"t\.csv: no rows, only the columns ts, x, y"):
        prepare(tmp_path / "t.csv")


def test_a_file_of_a_byte_order_mark_alone_is_empty(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(DataError, match="is empty"):
        prepare(tmp_path / "t.csv")


def test_96_bit_times_beyond_2262(tmp_path):
    times = [datetime(2020, 1, 1, tzinfo=UTC)] * 39 + [datetime(9999, 12, 31, tzinfo=UTC)]
    table = pa.table({"ts": pa.array(times, pa.timestamp("us")), "x": range(40), "y": [0, 1] * 20})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    store = prepare(tmp_path / "t.parquet")
    seconds = {int(second) for split in store.splits.values() for second in split.timestamps}
    assert seconds == {int(time.timestamp()) for time in times}


def test_a_number_has_one_sign():
    assert text_as_numbers(pa.array(["++1", "+-1", "-+1", "+1", "-1", "+.5"])).to_pylist() == [None] * 3 + [1, -1, 0.5]


def test_infinity_has_no_exponent():
    assert text_as_numbers(pa.array(["infe5", "inf", "-Infinity", "1e5"])).to_pylist() == [None, np.inf, -np.inf, 1e5]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_dir_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"data_dir=.*closed cannot be written to"):
        TableRecipe(path=str(write(tmp_path / "t.csv", ROWS)), timestamp="ts", label="y").prepare(tmp_path / "closed")


def test_a_data_dir_that_is_a_file_is_named(tmp_path):
    path = write(tmp_path / "t.csv", ROWS)
    with pytest.raises(DataError, match=r"data_dir=.*t\.csv cannot be written to"):
        TableRecipe(path=str(path), timestamp="ts", label="y").prepare(path)


@pytest.mark.parametrize("options", [{"classes": ["a", "b"]}, {"label_threshold": 1.0}])
def test_a_wrong_label_column_of_many_values_is_answered_at_once(tmp_path, options):
    path = write(tmp_path / "t.csv", [f"{i},{i},id{i}" for i in range(60_000)])
    with pytest.raises(DataError, match="60,000 of 60,000 rows"):
        prepare(path, **options)  # comparing each with each would take a minute


class TestHuggingFace:
    ROWS = {"ts": list(range(40)), "x": [0.5] * 40, "y": [0, 1] * 20}

    def recipe(self, path, **options):
        return HuggingFaceRecipe(path=path, timestamp="ts", label="y", **options)

    def test_a_folder_below_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "files").mkdir()
        pd.DataFrame(self.ROWS).to_parquet(tmp_path / "files" / "train.parquet")
        assert num_rows(self.recipe("~/files").prepare(tmp_path / "d")) == 40

    def test_a_split_that_a_single_dataset_does_not_have(self, tmp_path):
        dataset = Dataset.from_dict(self.ROWS)
        with pytest.raises(RequestError, match=r"dataset.split='validation'.* its split is train"):
            self.recipe(dataset, split="validation").check()
        dataset.save_to_disk(tmp_path / "saved")
        with pytest.raises(RequestError, match=r"dataset.split='test'"):
            self.recipe(str(tmp_path / "saved"), split="test").prepare(tmp_path / "d")

    def test_a_split_that_a_saved_dictionary_does_not_have(self, tmp_path):
        DatasetDict({"train": Dataset.from_dict(self.ROWS)}).save_to_disk(tmp_path / "saved")
        with pytest.raises(RequestError, match=r"dataset.split='test'.* has the splits train"):
            self.recipe(str(tmp_path / "saved"), split="test").prepare(tmp_path / "d")

    def test_a_class_without_a_name(self, tmp_path):
        features = Features({"ts": Value("int64"), "x": Value("float64"), "y": Value("int64")})
        dataset = Dataset.from_dict({**self.ROWS, "y": [0, 1, 2, 1] * 10}, features=features)
        named = dataset.info.features.copy()
        named["y"] = ClassLabel(names=["no", "yes"])
        dataset.info.features = named
        with pytest.raises(DataError, match="'y' holds class 2, but names 2 classes"):
            self.recipe(dataset).prepare(tmp_path)

    def test_hidden_folders_are_no_content(self, tmp_path):
        folder = tmp_path / "files"
        (folder / ".git").mkdir(parents=True)
        pd.DataFrame(self.ROWS).to_parquet(folder / "train.parquet")
        (folder / ".git" / "config").write_text("a")
        before = self.recipe(str(folder)).source_fingerprint()
        (folder / ".git" / "config").write_text("b")
        assert self.recipe(str(folder)).source_fingerprint() == before

    def test_a_broken_file_is_named(self, tmp_path):
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / "train.jsonl").write_text('{"ts": 1, "x": 2}\n{"ts": oops\n')
        with pytest.raises(DataError, match="files: datasets cannot load it"):
            self.recipe(str(tmp_path / "files")).prepare(tmp_path / "d")


@pytest.mark.parametrize(("first", "step", "left"), [(2**63, -1, 1), (10**30, 1, 1), (2**53 + 1, 1, 100)])
def test_numbers_that_floats_cannot_tell_apart_are_told(tmp_path, first: int, step: int, left: int):
    lines = [f"{1000 + row},{first + step * row},{row % 2}" for row in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["ts,x,y", *lines]))
    store = TableRecipe(path=str(tmp_path / "t.csv"), timestamp="ts", label="y").prepare(tmp_path / "stores")
    (note,) = [note for note in store.notes if "different floats" in note]
    found = int(note.split("values are ")[1].split(" ")[0])
    assert note.startswith("feature 'x': its 200 different values are")
    assert abs(found - left) <= 2
    assert "dataset.categorical" in note


def test_large_numbers_that_floats_hold_are_not_told(tmp_path):
    lines = [f"{1000 + row},{2**53 + 2 * row},{row % 2}" for row in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["ts,x,y", *lines]))
    store = TableRecipe(path=str(tmp_path / "t.csv"), timestamp="ts", label="y").prepare(tmp_path / "stores")
    assert not [note for note in store.notes if "different floats" in note]


@pytest.mark.parametrize(("word", "told"), [("1,2x", True), ("NA", False), ("7", False)])
def test_one_word_among_numbers_is_told_with_its_row(tmp_path, word: str, told: bool):
    """It makes a category of a column that was meant to hold numbers."""
    lines = [f'2020-01-{day:02},"{word if day == 11 else 0.5 * day}",{"ab"[day % 2]}' for day in range(1, 29)]
    store = prepare(write(tmp_path / "rows.csv", lines))
    notes = [note for note in store.notes if "'x' is a category" in note]
    assert bool(notes) == told == ("categorical" in [column.name for column in store.schema.columns])
    if told:
        assert "no number in 1 of 28 rows (row 11), for instance '1,2x'" in notes[0]


def test_a_column_of_words_and_few_numbers_is_no_matter(tmp_path):
    lines = [f"2020-01-{day:02},{'red' if day % 3 else day},{'ab'[day % 2]}" for day in range(1, 29)]
    assert not [note for note in prepare(write(tmp_path / "rows.csv", lines)).notes if "is a category" in note]
