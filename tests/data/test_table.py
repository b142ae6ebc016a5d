import bz2
import gzip
import json
import lzma
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modyn_bench.data import fingerprint
from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.data.sources import delimited, json_lines
from modyn_bench.errors import DataError, RequestError


def frame(n=80):
    index = np.arange(n)
    return pd.DataFrame(
        {
            "ts": (pd.Timestamp("2020-01-01") + pd.to_timedelta(index * 7919 % 50, "D")).strftime("%Y-%m-%d"),
            "x": index * 0.5,
            "n": index % 7,
            "c": np.where(index % 3 == 0, "red", "blue, or so"),
            "flag": index % 2 == 0,
            "title": [f'Title {i} of\n"many"' for i in index],
            "y": np.where(index % 5 == 0, "yes", "no"),
        }
    )


def csv(folder, text, name="toy.csv"):
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def table(path, **options):
    return TableRecipe(path=str(path), **{"timestamp": "ts", "label": "y", **options})


def prepare(path, folder=None, **options):
    return table(path, **options).prepare(folder or path.parent / "data")


def all_rows(store):
    """Every sample with the names of its values, sorted: what a store holds, whatever the split."""
    out = []
    for split in store.splits.values():
        for key in range(len(split)):
            row = [int(split.timestamps[key]), store.schema.classes[split.labels[key]]]
            for column in store.schema.columns:
                if column.kind == "blob":
                    row.append(split.blobs[column.name][key].decode())
                elif column.kind == "categorical":
                    codes = split.columns["categorical"][key]
                    row += [values[code] for values, code in zip(column.categories, codes, strict=True)]
                elif column.kind == "numeric":
                    row += [None if np.isnan(v) else float(v) for v in split.columns["numeric"][key]]
            out.append(tuple(row))
    return sorted(out, key=str)


def expected_rows(data, columns):
    seconds = pd.to_datetime(data["ts"]).to_numpy().astype("datetime64[s]").astype(int)
    values = [[float(v) if name != "c" else v for v in data[name]] for name in columns]
    return sorted(zip(seconds.tolist(), data["y"], *values, strict=True), key=str)


WRITERS = {
    "toy.csv": lambda data, file: data.to_csv(file, index=False),
    "toy.tsv": lambda data, file: data.to_csv(file, index=False, sep="\t"),
    "toy.txt": lambda data, file: data.to_csv(file, index=False, sep="|"),
    "semicolons.csv": lambda data, file: data.to_csv(file, index=False, sep=";"),
    "bom.csv": lambda data, file: data.to_csv(file, index=False, encoding="utf-8-sig"),
    "crlf.csv": lambda data, file: data.to_csv(file, index=False, lineterminator="\r\n"),
    "toy.csv.gz": lambda data, file: file.write_bytes(gzip.compress(data.to_csv(index=False).encode())),
    "toy.csv.bz2": lambda data, file: file.write_bytes(bz2.compress(data.to_csv(index=False).encode())),
    "toy.csv.xz": lambda data, file: file.write_bytes(lzma.compress(data.to_csv(index=False).encode())),
    "toy.parquet": lambda data, file: data.to_parquet(file),
    "toy.jsonl": lambda data, file: data.to_json(file, orient="records", lines=True),
    "toy.json": lambda data, file: data.to_json(file, orient="records", lines=True),
    "toy.jsonl.gz": lambda data, file: data.to_json(file, orient="records", lines=True, compression="gzip"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows_and_the_same_split(tmp_path, name):
    data = frame()
    WRITERS[name](data, tmp_path / name)
    store = prepare(tmp_path / name, drop=["title"])
    assert store.schema["numeric"].names == ("x", "n", "flag")
    assert store.schema["categorical"].names == ("c",)
    assert store.schema.classes == ("no", "yes")
    assert all_rows(store) == expected_rows(data, ["x", "n", "flag", "c"])
    data.to_csv(tmp_path / "reference.csv", index=False)
    reference = prepare(tmp_path / "reference.csv", drop=["title"])
    for split in ("train", "test"):
        for mine, theirs in ((store, reference),):
            assert (mine.splits[split].timestamps == theirs.splits[split].timestamps).all()
            assert (mine.splits[split].columns["numeric"] == theirs.splits[split].columns["numeric"]).all()


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_texts(tmp_path, name):
    data = frame()
    WRITERS[name](data, tmp_path / name)
    store = prepare(tmp_path / name, text="title", max_tokens=8)
    texts = [split.blobs["text"][key].decode() for split in store.splits.values() for key in range(len(split))]
    assert sorted(texts) == sorted(data["title"])
    assert store.schema["tokens"].shape == (8,)
    assert all((split.columns["tokens"][:, :3] > 0).all() for split in store.splits.values())


def test_a_folder_of_files_is_one_table_in_the_order_of_names(tmp_path):
    data = frame()
    parts = tmp_path / "parts"
    parts.mkdir()
    for i in range(4):
        data[i * 20 : (i + 1) * 20].to_parquet(parts / f"part{i}.parquet")
    data.to_parquet(tmp_path / "whole.parquet")
    ours, whole = (
        prepare(parts, tmp_path, drop=["title"]),
        prepare(tmp_path / "whole.parquet", tmp_path, drop=["title"]),
    )
    for name, split in whole.splits.items():
        assert (split.columns["numeric"] == ours.splits[name].columns["numeric"]).all()
    data[:20].drop(columns="x").to_parquet(parts / "part9.parquet")
    with pytest.raises(DataError, match=r"part9\.parquet: its columns are not those of part0\.parquet; differing: 'x'"):
        prepare(parts, tmp_path, drop=["title"])
    (parts / "part9.parquet").rename(parts / "part9.csv")
    with pytest.raises(RequestError, match="files of several kinds"):
        prepare(parts, tmp_path)


# ---------------------------------------------------------------- identity


def test_identity_is_content_and_options_not_place(tmp_path):
    one = csv(tmp_path, frame().to_csv(index=False))
    (tmp_path / "b").mkdir()
    moved = csv(tmp_path / "b", frame().to_csv(index=False))
    fingerprint = table(one).source_fingerprint()
    assert table(moved).source_fingerprint() == fingerprint
    assert table(one).source_fingerprint(tmp_path) == fingerprint
    assert prepare(one).fingerprint == fingerprint
    for change in (
        {"split_seed": 1},
        {"test_fraction": 0.5},
        {"test_split": "block"},
        {"drop": ["x"]},
        {"label": "c"},
        {"classes": ["yes", "no"]},
        {"categorical": ["n"]},
    ):
        assert table(one, **change).source_fingerprint() != fingerprint, change
    assert table(one, test_block=7).source_fingerprint() == fingerprint, "a block's length is nothing to a hash split"
    csv(tmp_path / "b", frame(81).to_csv(index=False))
    assert table(moved).source_fingerprint() != fingerprint


def test_an_edited_file_gets_another_store_and_the_old_one_stays(tmp_path):
    file = csv(tmp_path, frame().to_csv(index=False))
    old = prepare(file)
    csv(tmp_path, frame(90).to_csv(index=False))
    new = prepare(file)
    assert old.path != new.path
    assert sum(map(len, new.splits.values())) == 90
    csv(tmp_path, frame().to_csv(index=False))
    assert prepare(file).path == old.path


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path, monkeypatch):
    file = csv(tmp_path, frame().to_csv(index=False))
    recipe = table(file)
    read = TableRecipe.read

    def slow_read(self, data_dir):
        rows = read(self, data_dir)
        csv(tmp_path, frame(90).to_csv(index=False))
        return rows

    monkeypatch.setattr(TableRecipe, "read", slow_read)
    with pytest.raises(DataError, match="changed while it was read"):
        recipe.prepare(tmp_path / "data")


# ---------------------------------------------------------------- order and split


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=12, max_size=40), st.randoms())
@settings(max_examples=30, deadline=None)
def test_a_source_shuffled_without_reordering_ties_gives_the_same_store(tmp_path_factory, rows, random):
    tmp_path = tmp_path_factory.mktemp("shuffled")
    by_time = {}
    for day, value in rows:
        by_time.setdefault(day, []).append(value)
    ordered = [(day, value, i % 2) for day in sorted(by_time) for i, value in enumerate(by_time[day])]
    queues = {day: [row for row in ordered if row[0] == day] for day in by_time}
    shuffled = []
    while queues:
        day = random.choice(sorted(queues))
        shuffled.append(queues[day].pop(0))
        queues = {key: queue for key, queue in queues.items() if queue}
    stores = []
    for name, content in (("a.csv", ordered), ("b.csv", shuffled)):
        lines = ["ts,x,y", *(f"2020-01-0{day + 1},{value},{label}" for day, value, label in content)]
        try:
            stores.append(prepare(csv(tmp_path, "\n".join(lines), name), classes=[0, 1]))
        except DataError as error:  # few different rows may all fall into one split
            assert "split is empty" in str(error)  # noqa: PT017
            stores.append(None)
    if None in stores:
        assert stores == [None, None]
        return
    for name, split in stores[0].splits.items():
        other = stores[1].splits[name]
        assert (split.timestamps == other.timestamps).all()
        assert (split.labels == other.labels).all()
        assert (split.columns["numeric"] == other.columns["numeric"]).all()


@pytest.mark.parametrize("method", ["hash", "block"])
def test_appended_rows_leave_the_split_of_the_old_ones_alone(tmp_path, method):
    data = frame(300).sort_values("ts", kind="stable").reset_index(drop=True)
    data.insert(0, "number", np.arange(300))
    # Appending turns a column of integers into one of fractions, adds categories and makes another value missing.
    later = data[-50:].assign(x=0.25, n=1.5, c="green", ts="2021-01-01", number=np.arange(300, 350))
    later.loc[later.index[0], "x"] = np.nan
    old = csv(tmp_path, data.to_csv(index=False), "old.csv")
    new = csv(tmp_path, pd.concat([data, later]).to_csv(index=False), "new.csv")
    options = {"test_split": method, "test_block": 20, "drop": ["title"]}
    before, after = prepare(old, **options), prepare(new, **options)
    for name, split in before.splits.items():
        numbers = split.columns["numeric"][:, 0]
        assert (after.splits[name].columns["numeric"][: len(numbers), 0] == numbers).all()
    assert sum(map(len, after.splits.values())) == 350


def test_duplicates_stay_together_also_where_row_order_is_time(tmp_path):
    lines = ["x,c,y"] + [f"{i % 40},{'ab'[i % 2]},{i % 2}" for i in range(400)]
    store = prepare(csv(tmp_path, "\n".join(lines)), timestamp=None)
    values = {name: set(split.columns["numeric"][:, 0].tolist()) for name, split in store.splits.items()}
    assert not values["train"] & values["test"]
    assert sum(map(len, store.splits.values())) == 400


def test_columns_in_another_order_give_the_same_split(tmp_path):
    data = frame(200)
    one = prepare(csv(tmp_path, data.to_csv(index=False), "a.csv"), drop=["title"])
    other = prepare(csv(tmp_path, data[data.columns[::-1]].to_csv(index=False), "b.csv"), drop=["title"])
    assert (one.splits["test"].timestamps == other.splits["test"].timestamps).all()


# ---------------------------------------------------------------- types


def test_types_are_inferred_from_all_values(tmp_path):
    n = 60
    data = pd.DataFrame(
        {
            "ts": range(n),
            "late_fraction": ["1"] * (n - 1) + ["1.5"],
            "late_word": ["1"] * (n - 1) + ["one"],
            "infinite": ["2"] * (n - 2) + ["inf", "-Infinity"],
            "signed": ["+1", " -2.5e3 ", ".5"] * 20,
            "truth": ["TRUE", "false", ""] * 20,
            "gaps": ["NA", "1", "nan"] * 20,
            "hex": ["0x1F", "1_000"] * 30,
            "y": ["0", "1"] * 30,
        }
    )
    store = prepare(csv(tmp_path, data.to_csv(index=False)))
    numeric, categorical = store.schema["numeric"], store.schema["categorical"]
    assert numeric.names == ("late_fraction", "infinite", "signed", "truth", "gaps")
    assert categorical.names == ("late_word", "hex")
    assert categorical.categories == (("1", "one"), ("0x1F", "1_000"))
    values = np.concatenate([split.columns["numeric"] for split in store.splits.values()])
    assert sorted(set(values[:, 2].tolist())) == [-2500, 0.5, 1]
    assert np.isnan(values[:, 3]).sum() == 20
    assert np.isnan(values[:, 4]).sum() == 40
    assert np.isnan(values[:, 1]).sum() == 2
    notes = "\n".join(store.notes)
    assert "feature 'infinite': infinite in 2 of 60 rows (rows 59, 60), taken as missing" in notes
    assert "missing numbers are NaN, for the preprocessor to impute: infinite 2, truth 20, gaps 40" in notes


def test_overrides_of_types(tmp_path):
    data = pd.DataFrame({"ts": range(40), "code": ["01", "1"] * 20, "x": range(40), "y": [0, 1] * 20})
    file = csv(tmp_path, data.to_csv(index=False))
    store = prepare(file, categorical=["code"])
    assert store.schema["categorical"].categories == (("01", "1"),), "a category keeps its leading zero"
    assert prepare(file, features=["x"]).schema["numeric"].names == ("x",)
    data["x"] = data["x"].astype(str)
    data.to_parquet(tmp_path / "text.parquet")
    assert prepare(tmp_path / "text.parquet").schema["categorical"].names == ("code", "x")
    assert prepare(tmp_path / "text.parquet", numeric=["x"]).schema["numeric"].names == ("x",)
    data.loc[[3, 7], "x"] = ["many", "few"]
    data.to_parquet(tmp_path / "text.parquet")
    with pytest.raises(DataError, match=r"feature 'x' is named in dataset.numeric .* 2 of 40 rows \(rows 4, 8\)"):
        prepare(tmp_path / "text.parquet", numeric=["x"])


def test_missing_categories_are_a_category(tmp_path):
    data = pd.DataFrame({"ts": range(40), "c": ["a", None, "b", ""] * 10, "y": [0, 1] * 20})
    from_csv = prepare(csv(tmp_path, data.to_csv(index=False)))
    assert from_csv.schema["categorical"].categories == (("a", "b", "<missing>"),)
    assert any("a category of their own: c 20" in note for note in from_csv.notes)
    data.to_parquet(tmp_path / "toy.parquet")
    from_parquet = prepare(tmp_path / "toy.parquet")
    assert from_parquet.schema["categorical"].categories == (("", "a", "b", "<missing>"),), "Parquet knows its nulls"


def test_numbers_that_float32_would_blur_are_kept_as_float64(tmp_path):
    fine = pd.DataFrame({"ts": range(40), "x": np.arange(40) * 0.1, "y": [0, 1] * 20})
    assert prepare(csv(tmp_path, fine.to_csv(index=False), "fine.csv")).schema["numeric"].dtype == "float32"
    blurred = fine.assign(when=1_600_000_000 + np.arange(40))
    store = prepare(csv(tmp_path, blurred.to_csv(index=False), "blurred.csv"))
    assert store.schema["numeric"].dtype == "float64"
    assert any("float32 would blur 'when'" in note for note in store.notes)
    assert max(split.columns["numeric"][:, 1].max() for split in store.splits.values()) == 1_600_000_039


def test_typed_parquet_columns(tmp_path):
    n = 40
    data = pd.DataFrame(
        {
            "ts": pd.date_range("2020-01-01", periods=n, freq="h", tz="Europe/Berlin"),
            "opened": pd.date_range("2019-01-01", periods=n),
            "kind": pd.Categorical(["u", "v"] * 20),
            "maybe": pd.array([1, None] * 20, dtype="Int64"),
            "nothing": pd.array([None] * n, dtype="Int64"),
            "y": [True, False] * 20,
        }
    )
    data.to_parquet(tmp_path / "typed.parquet")
    store = prepare(tmp_path / "typed.parquet")
    assert store.schema["numeric"].names == ("opened", "maybe")
    assert store.schema["categorical"].names == ("kind",)
    assert store.schema.classes == ("false", "true")
    assert min(split.timestamps[0] for split in store.splits.values()) == 1_577_833_200  # midnight in Berlin
    assert any("'nothing' has no value at all and is left out" in note for note in store.notes)
    data.assign(many=[[1, 2]] * n).to_parquet(tmp_path / "nested.parquet")
    with pytest.raises(DataError, match=r"'many' is of type list.*dataset.drop=\[many\]"):
        prepare(tmp_path / "nested.parquet")


# ---------------------------------------------------------------- labels


def toy(labels, **columns):
    n = len(labels)
    return pd.DataFrame({"ts": range(n), "x": range(n), **columns, "y": labels}).to_csv(index=False)


def test_numeric_labels_are_ordered_by_number(tmp_path):
    store = prepare(csv(tmp_path, toy([10, 9, 2, 1] * 10)))
    assert store.schema.classes == ("1", "2", "9", "10")


def test_a_threshold_makes_two_classes(tmp_path):
    file = csv(tmp_path, toy([-3, 15, 15.5, 1e6] * 10))
    store = prepare(file, label_threshold=15)
    assert store.schema.classes == ("y<=15", "y>15")
    for split in store.splits.values():
        assert (split.labels == (split.columns["numeric"][:, 0] % 4 >= 2)).all()
    with pytest.raises(DataError, match=r"never crosses dataset.label_threshold=1e\+07"):
        prepare(file, label_threshold=1e7)
    with pytest.raises(DataError, match=r"is no number in 10 of 20 rows \(rows 2, 4, 6, 8, 10, \.\.\.\).*'late'"):
        prepare(csv(tmp_path, toy([3, "late"] * 10)), label_threshold=15)


def test_declared_classes(tmp_path):
    file = csv(tmp_path, toy(["b", "a"] * 20))
    store = prepare(file, classes=["b", "c", "a"])
    assert store.schema.classes == ("b", "c", "a")
    assert {int(label) for split in store.splits.values() for label in split.labels} == {0, 2}
    assert any("1 declared class(es) without a row: c" in note for note in store.notes)
    with pytest.raises(DataError, match=r"holds 'a', not in dataset.classes, in 20 of 40 rows"):
        prepare(file, classes=["b", "aa"])
    with pytest.raises(DataError, match="at least two classes"):
        prepare(file, classes=["b"])
    one = csv(tmp_path, toy([1] * 40))
    assert prepare(one, classes=[0, 1]).schema.classes == ("0", "1")
    boolean = csv(
        tmp_path,
        json.dumps({"ts": 1, "x": 2, "y": True})
        + "\n"
        + "".join(json.dumps({"ts": i, "x": i, "y": i % 2 == 0}) + "\n" for i in range(40)),
        "toy.jsonl",
    )
    assert prepare(boolean, classes=[True, False]).schema.classes == ("true", "false")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 20, "single class, 'a'"),
        ([""] * 20, "every label is missing"),
        (np.arange(40) / 7, "a quantity, no class"),
        ([f"id{i}" for i in range(1100)], "an identifier or text, no class"),
    ],
)
def test_columns_that_hold_no_classes(tmp_path, labels, message):
    with pytest.raises(DataError, match=message) as error:
        prepare(csv(tmp_path, toy(labels)))
    assert "toy.csv: the label column 'y'" in str(error.value)


# ---------------------------------------------------------------- rows that are wrong


def test_missing_labels_and_times_are_counted_or_left_out_and_noted(tmp_path):
    data = frame(60)
    data.loc[[4, 9], "y"] = None
    data.loc[[9, 11, 13], "ts"] = ["soon", None, "2020-13-01"]
    file = csv(tmp_path, data.to_csv(index=False))
    with pytest.raises(DataError) as error:
        prepare(file)
    message = str(error.value)
    assert "toy.csv: no readable time in 'ts': 3 of 60 rows (rows 10, 12, 14)" in message
    assert "no label in 'y': 2 of 60 rows (rows 5, 10)" in message
    assert "dataset.invalid_rows=drop" in message
    store = prepare(file, invalid_rows="drop", drop=["title"])
    kept = data.drop(index=[4, 9, 11, 13])
    assert all_rows(store) == expected_rows(kept, ["x", "n", "flag", "c"])
    assert sum("left out (invalid_rows=drop)" in note for note in store.notes) == 2
    with pytest.raises(DataError, match="no row is left"):
        prepare(file, invalid_rows="drop", timestamp="c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"ts,x,y\n", "no rows, only the columns ts, x, y"),
        (b"ts,x,x,y\n1,2,3,4\n", r"'x' occur more than once"),
        (b"ts,x,y\n1,2,a\n2,3\n3,4,b,9\n", r"2 row\(s\) do not have the header's 3 values \(row 2: 2, row 3: 4\)"),
        (b"ts,x,y\n1,2,a\n2,caf\xe9,b\n", r"line 3: not UTF-8 .*iconv"),
        ("ts,x,y\n1,2,a\n".encode("utf-16"), "is not UTF-8 text: it holds zero bytes"),
        (b'ts,x,y\n1,"2,a\n2,3,b\n', "do not have the header's 3 values|a quote left open"),
        (b"ts y\n1 2\n", "has a single column"),
        (b"ts,y\n1,a\n2,b\n", "there is nothing to learn from"),
        (b"ts,x,y\n1,,a\n2,,b\n", "no feature is left"),
    ],
)
def test_hostile_csv(tmp_path, text, message):
    file = csv(tmp_path, text)
    with pytest.raises((DataError, RequestError), match=message) as error:
        prepare(file)
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("toy.jsonl", b"", "is empty"),
        ("toy.jsonl", b'[{"ts": 1, "x": 2, "y": 3}]', "is a JSON array; expected JSON lines"),
        ("toy.jsonl", b'{"ts": 1, "x": 2, "y": 3}\n{"ts": 2, "x"', "line 2: no JSON"),
        ("toy.jsonl", b'{"ts": 1, "x": 2, "y": 3}\n\n7\n', "line 3: a JSON int; expected an object"),
        ("toy.jsonl", b'{"ts": 1, "x": "\xe9", "y": 3}\n', "line 1: not UTF-8"),
        ("toy.jsonl", b'{"ts": 1, "x": 2, "y": 3}\n{"ts": 1, "x": [2], "y": 3}\n', "line 2: column 'x' is a list"),
        ("toy.parquet", b"PAR1 not really", "cannot be read as Parquet"),
        ("toy.csv.gz", b"not packed", "cannot be read"),
        ("toy.csv.xz", b"not packed", "cannot be read"),
    ],
)
def test_hostile_files(tmp_path, name, text, message):
    file = csv(tmp_path, text, name)
    with pytest.raises(DataError, match=message) as error:
        prepare(file)
    assert str(file) in str(error.value)


cells = st.sampled_from(
    [
        "1",
        "2",
        "-0.5",
        "1e400",
        "1e300",
        "",
        "NA",
        "a",
        "2020-01-01",
        "99999999999999999999",
        '"',
        "é",
        "\x00",
        "\r",
        "\n",
        " ",
        ";",
        "[1]",
    ]
)
lines = st.lists(st.lists(cells, min_size=3, max_size=3).map(",".join) | st.text(max_size=5), max_size=12)


@given(
    lines, st.sampled_from([{}, {"text": "x"}, {"label_threshold": 1.0}, {"invalid_rows": "drop"}, {"timestamp": None}])
)
@settings(max_examples=150, deadline=None)
def test_whatever_a_csv_holds_it_is_a_store_or_an_error_of_ours(tmp_path_factory, lines, options):
    folder = tmp_path_factory.mktemp("fuzz")
    file = csv(folder, ("\n".join(["ts,x,y", *lines])).encode("utf-8", "surrogatepass"))
    try:
        store = prepare(file, folder / "data", **options)
    except (DataError, RequestError) as error:
        assert str(file) in str(error)  # noqa: PT017
    else:
        assert 0 < sum(map(len, store.splits.values())) <= len(file.read_text().splitlines()) + 24


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["ts", "x", "y", "z"]),
            st.recursive(
                st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["2020-01-01", "a", ""]),
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["p"]), inner),
                max_leaves=2,
            ),
        ),
        max_size=10,
    )
)
@settings(max_examples=100, deadline=None)
def test_whatever_json_lines_hold_they_are_a_store_or_an_error_of_ours(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("fuzz")
    file = csv(folder, "\n".join(map(json.dumps, rows)), "toy.jsonl")
    try:
        prepare(file, folder / "data", invalid_rows="drop")
    except (DataError, RequestError) as error:
        assert str(file) in str(error)  # noqa: PT017


def test_a_bad_json_line_beyond_the_first_thousand(tmp_path):
    lines = [json.dumps({"ts": i, "x": i, "y": i % 2}) for i in range(3000)]
    lines[2500] = lines[2500][:-1]
    with pytest.raises(DataError, match="line 2501: no JSON"):
        prepare(csv(tmp_path, "\n".join(lines), "toy.jsonl"))


def test_bytes_that_are_no_utf8_beyond_the_first_thousand(tmp_path):
    lines = [json.dumps({"ts": i, "x": f"v{i % 3}", "y": i % 2}).encode() for i in range(3000)]
    lines[2500] = lines[2500].replace(b"v", b"\xe9")
    with pytest.raises(DataError, match=r"toy\.jsonl.*(column 'x' is not UTF-8|not UTF-8)"):
        prepare(csv(tmp_path, b"\n".join(lines), "toy.jsonl"))


def test_types_that_change_from_block_to_block(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 2000)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 2000)
    rows = [{"ts": i, "x": i if i < 2500 else i + 0.5, "y": i % 2} for i in range(3000)]
    from_json = prepare(csv(tmp_path, "\n".join(map(json.dumps, rows)), "toy.jsonl"))
    from_csv = prepare(csv(tmp_path, pd.DataFrame(rows).to_csv(index=False)))
    assert all_rows(from_json) == all_rows(from_csv) == sorted([(r["ts"], str(r["y"]), r["x"]) for r in rows], key=str)


def test_repeated_names_in_parquet(tmp_path):
    pq.write_table(pa.table([[1, 2], [1, 2], [1, 2], [1, 2]], names=["ts", "x", "x", "y"]), tmp_path / "toy.parquet")
    with pytest.raises(DataError, match="'x' occur more than once"):
        table(tmp_path / "toy.parquet").check()


def test_a_part_of_the_time_can_be_a_feature(tmp_path):
    data = pd.DataFrame({"year": 2020, "month": 1, "day": np.arange(48) // 24 + 1, "hour": np.arange(48) % 24})
    data["y"] = data["hour"] % 2
    store = prepare(
        csv(tmp_path, data.to_csv(index=False)), timestamp=["year", "month", "day", "hour"], features=["hour"]
    )
    for split in store.splits.values():
        assert (split.timestamps // 3600 % 24 == split.columns["numeric"][:, 0]).all()


def test_stores_in_a_folder_that_cannot_be_written_to_are_used(tmp_path, monkeypatch):
    file = csv(tmp_path, frame().to_csv(index=False))
    os.utime(file, ns=(0, 0))
    built = prepare(file)
    (tmp_path / "data" / "fingerprints.json").unlink()
    monkeypatch.setattr(fingerprint, "_remember", lambda *_: (_ for _ in ()).throw(PermissionError("read-only")))
    assert prepare(file).path == built.path


def test_a_long_name_is_cut(tmp_path):
    file = csv(tmp_path, frame().to_csv(index=False), "n" * 240 + ".csv")
    assert len(prepare(file, tmp_path / "data").path.name) == 80 + 1 + 16


def test_rows_that_lack_a_key_miss_its_value(tmp_path):
    lines = [json.dumps({"ts": i, "y": i % 2, **({"x": i} if i % 3 else {})}) for i in range(60)]
    store = prepare(csv(tmp_path, "\n".join(lines), "toy.jsonl"))
    assert sum(np.isnan(split.columns["numeric"]).sum() for split in store.splits.values()) == 20


def test_an_index_column_without_a_name_is_left_out_and_noted(tmp_path):
    store = prepare(csv(tmp_path, frame().to_csv()), drop=["title"])
    assert store.schema["numeric"].names == ("x", "n", "flag")
    assert "toy.csv: 1 column(s) without a name are left out" in store.notes


def test_quotes_can_be_ordinary_characters(tmp_path):
    lines = ["ts\ttitle\ty"] + [f'{i}\t"{i}" is a number, is "it\t{i % 2}' for i in range(40)]
    store = prepare(csv(tmp_path, "\n".join(lines), "toy.tsv"), text="title", quote=None)
    assert store.splits["test"].blobs["text"][0].decode().startswith('"')


def test_missing_texts_are_empty_and_noted_and_text_is_never_a_missing_value(tmp_path):
    data = pd.DataFrame({"ts": range(40), "title": ["NA", "", None, "null"] * 10, "y": [0, 1] * 20})
    store = prepare(csv(tmp_path, data.to_csv(index=False)), text="title", test_split="block", test_block=4)
    assert [store.splits["test"].blobs["text"][key] for key in range(4)] == [b"NA", b"", b"", b"null"]
    data.to_parquet(tmp_path / "toy.parquet")
    store = prepare(tmp_path / "toy.parquet", text="title", test_split="block", test_block=4)
    assert any("10 missing texts are empty ones" in note for note in store.notes)
    with pytest.raises(DataError, match="text column 'ts' is of type int64, not text"):
        prepare(tmp_path / "toy.parquet", text="ts", timestamp=None)


def test_values_that_stand_for_missing_ones_can_be_chosen(tmp_path):
    file = csv(tmp_path, toy([0, 1] * 20, c=["NA", "?"] * 20))
    assert prepare(file, missing_values=["?"]).schema["categorical"].categories == (("NA", "<missing>"),)


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timestamp": "tss"}, r"dataset.timestamp='tss' is no column of .*; did you mean 'ts'\? \(columns: 'ts', 'x'"),
        ({"label": "Y"}, r"dataset.label='Y' .* did you mean 'y'\?"),
        ({"features": ["x", "nn"]}, "dataset.features='nn'"),
        ({"drop": ["titel"]}, r"dataset.drop='titel' .* did you mean 'title'\?"),
        ({"categorical": ["flags"]}, r"dataset.categorical='flags' .* did you mean 'flag'\?"),
        ({"text": "head"}, "dataset.text='head' is no column"),
        ({"label": "ts"}, "dataset.label and dataset.timestamp are both 'ts'"),
        ({"text": "title", "features": ["x"]}, "dataset.text and dataset.features exclude one another"),
        ({"text": "y"}, "dataset.text='y' is the label"),
        ({"features": ["x", "y"]}, "dataset.features names the label 'y'"),
        ({"features": "x"}, r"dataset.features='x' must be a list of column names, such as \[a,b\]"),
        ({"features": ["x", "x"]}, "names something twice"),
        ({"timestamp": 5}, "dataset.timestamp=5 must be a list"),
        ({"timestamp": []}, "dataset.timestamp must name one column"),
        ({"timestamp_unit": "min"}, "dataset.timestamp_unit='min' must be one of auto, s, ms, us, ns"),
        ({"invalid_rows": "ignore"}, "dataset.invalid_rows='ignore' must be error or drop"),
        ({"categorical": ["x"], "numeric": ["x"]}, "both name x"),
        ({"categorical": ["y"]}, "dataset.categorical names 'y', which is no feature"),
        ({"classes": ["a", "b"], "label_threshold": 3}, "exclude one another"),
        ({"separator": ",,"}, "dataset.separator=',,' must be one ASCII character"),
        ({"quote": "\n"}, r"dataset.quote='\\n' ends lines"),
        ({"separator": "'", "quote": "'"}, "dataset.separator and dataset.quote are both"),
        ({"quote": "«"}, "dataset.quote='«' must be one ASCII character"),
        ({"max_tokens": 0}, "dataset.max_tokens=0"),
        ({"test_fraction": 2}, "dataset.test_fraction=2"),
    ],
)
def test_wrong_options_are_told_by_the_check(tmp_path, options, message):
    recipe = table(csv(tmp_path, frame().to_csv(index=False)), **options)
    with pytest.raises(RequestError, match=message):
        recipe.check()


def test_wrong_paths_are_told_by_the_check(tmp_path):
    csv(tmp_path, frame().to_csv(index=False), "mine.csv")
    with pytest.raises(RequestError, match=r"no such file or folder; did you mean .*mine\.csv\?"):
        table(tmp_path / "mien.csv").check()
    with pytest.raises(RequestError, match="no such file or folder"):
        table(tmp_path / "nowhere" / "mine.csv").check()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="holds no files"):
        table(tmp_path / "empty").check()
    csv(tmp_path, b"PK", "mine.zip")
    with pytest.raises(RequestError, match=r"suffix '\.zip' is not known .*unpack it first"):
        table(tmp_path / "mine.zip").check()
    csv(tmp_path, b"x", "mine.xlsx")
    with pytest.raises(RequestError, match=r"suffix '\.xlsx' is not known \(known: \.csv, \.tsv"):
        table(tmp_path / "mine.xlsx").check()


def test_a_name_is_made_of_the_file_name():
    for path, name in (("a/b c.csv", "b-c"), ("x.csv.gz", "x"), ("folder/", "folder"), ("…csv", "csv"), (".", "table")):
        assert table(path).name == name
