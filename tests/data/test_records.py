"""Binary records: what is written comes back, in the order of time, and what is none is refused by its place."""

from __future__ import annotations

import os
import struct
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.data.recipes.records import CRITEO, RecordsRecipe
from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.data.sources.records import RecordLayout
from modyn_bench.errors import DataError, RequestError

SMALL = ["label uint8", "numeric 2 float32", "categorical int32"]
CODES = {
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
}
CODES |= {"float16": "e", "float32": "f", "float64": "d"}


def small(count: int, **changed: object) -> bytes:
    """Return records of ``SMALL``; the one in the middle may hold something else."""
    rows = [{"label": i % 2, "first": i / 8, "second": -i / 8, "shop": i} for i in range(count)]
    rows[count // 2] |= changed
    return b"".join(struct.pack("<Bffi", *row.values()) for row in rows)


def prepared(path, folder, fields=SMALL, **options):
    return RecordsRecipe(path=str(path), fields=fields, **options).prepare(folder)


def merged(store):
    """Return times, labels and columns of all samples, in the order of time and then of the first column's values."""
    parts = list(store.splits.values())
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    times = np.concatenate([part.timestamps for part in parts])
    order = np.lexsort((next(iter(columns.values()))[:, 0], times))
    labels = np.concatenate([part.labels for part in parts])
    return times[order], labels[order], {name: values[order] for name, values in columns.items()}


def test_records_of_criteo_by_hand(tmp_path):
    numbers, ids = [i / 4 for i in range(13)], list(range(100, 126))
    for day in range(3):
        rows = [struct.pack("<i13f26i", i % 2, *[10 * day + i, *numbers[1:]], *ids) for i in range(8)]
        (tmp_path / f"day_{day}").write_bytes(b"".join(rows))
    recipe = RecordsRecipe(path=str(tmp_path), file_duration="1d", start="2014-01-01")
    assert (recipe.layout.num_bytes, recipe.fields) == (160, list(CRITEO))
    store = recipe.prepare(tmp_path.parent / "stores")
    times, labels, columns = merged(store)
    first = 1_388_534_400
    assert times.tolist() == [first + 86_400 * day for day in range(3) for _ in range(8)]
    assert labels.tolist() == [0, 1] * 12
    assert columns["numeric"][:, 0].tolist() == [10 * day + i for day in range(3) for i in range(8)]
    assert (columns["numeric"][:, 1:] == numbers[1:]).all()
    assert (columns["categorical"] == ids).all()
    assert [column.names[-1] for column in store.schema.columns] == ["numeric_13", "categorical_26"]
    assert store.schema.classes == ("0", "1")
    assert store.notes[:2] == (
        "24 records of 160 bytes in 3 file(s)",
        "no timestamp: every file is 1d long, and its records share the time of its start",
    )


def bounds(kind: str, role: str) -> st.SearchStrategy[float]:
    """Return values of a type that are such for a role."""
    if kind.startswith("f"):
        return st.floats(-1000, 1000, width=int(kind[5:]))
    limits = np.iinfo(kind)
    return st.integers(0, min(limits.max, 99_999_999)) if role == "categorical" else st.integers(limits.min, limits.max)


@st.composite
def layouts(draw):
    """Fields in any order, and rows of values for them; the last number is the row's, so that no two are equal."""
    fields = [("label", 1, draw(st.sampled_from(["int8", "uint16", "int64"])))]
    if draw(st.booleans()):
        fields.append(("timestamp", 1, draw(st.sampled_from(["int32", "uint32"]))))
    fields += draw(
        st.lists(
            st.tuples(st.just("numeric"), st.integers(1, 3), st.sampled_from(["int8", "uint16", "float16", "float32"])),
            min_size=1,
            max_size=2,
        )
    )
    fields += draw(
        st.lists(
            st.tuples(st.just("categorical"), st.integers(1, 3), st.sampled_from(["int8", "int32", "uint32", "int64"])),
            max_size=2,
        )
    )
    fields += draw(st.lists(st.tuples(st.just("skip"), st.integers(1, 5), st.just("uint8")), max_size=2))
    fields = [*draw(st.permutations(fields)), ("numeric", 1, "float32")]
    rows = st.tuples(
        *(
            st.lists(st.integers(0, 1) if role == "label" else bounds(kind, role), min_size=count, max_size=count)
            for role, count, kind in fields[:-1]
        )
    )
    drawn = draw(st.lists(rows, min_size=30, max_size=60))
    return fields, [(*row, [float(place)]) for place, row in enumerate(drawn)]


@settings(max_examples=40)
@given(layouts(), st.sampled_from(["little", "big"]), st.integers(0, 9), st.integers(1, 29))
def test_what_is_written_as_records_comes_back_as_it_does_from_a_table(tmp_path_factory, drawn, order, header, cut):
    """Judged by the recipe of tables on a table of the same values: samples, their split, their order."""
    fields, rows = drawn
    folder = tmp_path_factory.mktemp("round")
    mark = ">" if order == "big" else "<"
    packing = mark + "".join(f"{count}{CODES[kind]}" for _, count, kind in fields)
    packed = [struct.pack(packing, *(value for values in row for value in values)) for row in rows]
    (folder / "records").mkdir()
    for name, part in (("part-9.bin", packed[:cut]), ("part-10.bin", packed[cut:])):
        (folder / "records" / name).write_bytes(b"\xff" * header + b"".join(part))
    columns: dict[str, list[float]] = {}
    for place, (role, count, _) in enumerate(fields):
        for value in range(count if role != "skip" else 0):
            taken = sum(name.startswith(role) for name in columns)
            name = role if role in ("label", "timestamp") else f"{role}_{taken + 1}"
            columns[name] = [row[place][value] for row in rows]
    pd.DataFrame(columns).to_parquet(folder / "table.parquet")
    timed = "timestamp" in columns
    options = {"test_fraction": 0.4, "split_seed": 3}
    table = TableRecipe(
        path=str(folder / "table.parquet"),
        timestamp="timestamp" if timed else None,
        timestamp_unit="s",
        label="label",
        classes=[0, 1],
        categorical=[name for name in columns if name.startswith("categorical")],
        **options,
    ).prepare(folder)
    written = [" ".join(map(str, field)) for field in fields]
    store = prepared(folder / "records", folder, written, byte_order=order, header_bytes=header, **options)
    assert store.schema.classes == table.schema.classes
    for name, split in table.splits.items():
        mine = store.splits[name]
        assert mine.timestamps.tolist() == split.timestamps.tolist()
        assert mine.labels.tolist() == split.labels.tolist()
        np.testing.assert_array_equal(mine.columns["numeric"], split.columns["numeric"])
        if "categorical" in split.columns:
            words = table.schema["categorical"].categories
            read = [
                [int(words[c][code]) for c, code in enumerate(row)] for row in split.columns["categorical"].tolist()
            ]
            assert mine.columns["categorical"].tolist() == read


def test_files_are_read_in_the_order_of_the_numbers_in_their_names(tmp_path):
    for day in range(12):
        (tmp_path / f"day_{day}.bin").write_bytes(small(4, shop=day))
    times, _, columns = merged(prepared(tmp_path, tmp_path / ".stores", file_duration=10, start=5))
    shops = columns["categorical"].ravel()
    assert times[shops > 3].tolist() == [5 + 10 * day for day in range(4, 12)]
    assert shops[shops > 3].tolist() == list(range(4, 12))


def test_without_times_the_order_of_the_records_is_time(tmp_path):
    (tmp_path / "a.bin").write_bytes(small(10))
    store = prepared(tmp_path / "a.bin", tmp_path, start=100)
    assert merged(store)[0].tolist() == list(range(100, 110))
    assert store.name == "a"


@pytest.mark.parametrize(
    ("unit", "ticks", "second"),
    [
        ("s", 86_400, 86_400),
        ("ms", 86_400_999, 86_400),
        ("us", -1, -1),
        ("ns", 1_700_000_000_999_999_999, 1_700_000_000),
    ],
)
def test_timestamps_of_records_are_seconds_cut_downwards(tmp_path, unit, ticks, second):
    rows = [struct.pack("<qBf", ticks, i % 2, i) for i in range(20)]
    (tmp_path / "a.bin").write_bytes(b"".join(rows))
    store = prepared(
        tmp_path / "a.bin", tmp_path, ["timestamp int64", "label uint8", "numeric float32"], timestamp_unit=unit
    )
    assert set(merged(store)[0].tolist()) == {second}


def test_a_moved_source_is_the_same_one_and_an_edited_or_reordered_one_is_not(tmp_path):
    for place in ("here", "there", "elsewhere"):
        (tmp_path / place).mkdir()
    (tmp_path / "here" / "a_2").write_bytes(small(10))
    (tmp_path / "here" / "a_10").write_bytes(small(12))
    (tmp_path / "there" / "x").write_bytes(small(10))
    (tmp_path / "there" / "y").write_bytes(small(12))
    (tmp_path / "elsewhere" / "x").write_bytes(small(12))
    (tmp_path / "elsewhere" / "y").write_bytes(small(10))

    def fingerprint(place, **options):
        return RecordsRecipe(path=str(tmp_path / place), **{"fields": SMALL, **options}).source_fingerprint()

    assert fingerprint("here") == fingerprint("there")
    others = [
        fingerprint("elsewhere"),
        fingerprint("here", fields=["label uint8", "numeric 2 float32", "skip int32"]),
        fingerprint("here", max_ids=5),
        fingerprint("here", file_duration="1d"),
    ]
    assert len({fingerprint("here"), *others}) == 5


@pytest.mark.parametrize(("kind", "code"), [("int8", "b"), ("uint8", "B"), ("int16", "h"), ("uint64", "Q")])
def test_a_modulus_may_be_larger_than_any_id(tmp_path, kind, code):
    ids = [i - 5 if code.islower() else i for i in range(20)]
    (tmp_path / "a.bin").write_bytes(b"".join(struct.pack(f"<B{code}", i % 2, own) for i, own in enumerate(ids)))
    store = prepared(tmp_path / "a.bin", tmp_path, ["label uint8", f"categorical {kind}"], max_ids=1_000_000)
    assert sorted(merged(store)[2]["categorical"].ravel().tolist()) == sorted(own % 1_000_000 for own in ids)


def test_ids_that_are_hashes_are_taken_modulo_a_number(tmp_path):
    rows = [struct.pack("<BI", i % 2, 4_294_967_295 - i) for i in range(20)]
    (tmp_path / "a.bin").write_bytes(b"".join(rows))
    fields = ["label uint8", "categorical uint32"]
    with pytest.raises(DataError, match=r"record 1 .* the category id 4294967295, and 19 of .* dataset\.max_ids"):
        prepared(tmp_path / "a.bin", tmp_path, fields)
    store = prepared(tmp_path / "a.bin", tmp_path, fields, max_ids=1000)
    assert sorted(merged(store)[2]["categorical"].ravel().tolist()) == sorted(
        (4_294_967_295 - i) % 1000 for i in range(20)
    )


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_missing_numbers_are_refused_unless_they_are_to_be_imputed(tmp_path, odd):
    (tmp_path / "a.bin").write_bytes(small(21, second=odd))
    with pytest.raises(DataError, match=rf"a\.bin: record 11 \(from byte 130 on\) has the number {odd}; correct"):
        prepared(tmp_path / "a.bin", tmp_path)
    store = prepared(tmp_path / "a.bin", tmp_path, missing_numbers="impute")
    assert "1 number(s) are missing, for the preprocessor to impute" in store.notes
    for split in store.splits.values():
        fitted = Preprocessor.fit(store.schema, split, np.arange(len(split)))
        assert np.isfinite(fitted.transform({"numeric": split.columns["numeric"]})["numeric"]).all()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            small(3)[:-5],
            {},
            "a.bin: 34 bytes are 2 records of 13 bytes, and 8 bytes more, from byte 26 on",
        ),
        (small(3), {"header_bytes": 3}, "39 bytes are 3 of header, 2 records of 13 bytes, and 10 bytes more"),
        (b"", {}, "0 bytes, but 13 of one record are the least"),
        (small(21, label=2), {}, r"record 11 \(from byte 130 on\) has the label 2; labels are 0 to 1: correct dataset"),
        (small(21, shop=-1), {}, r"has the category id -1; ids are 0 to 99,999,999"),
        (small(21), {"fields": ["label int8", "timestamp 1 uint64", "skip uint32"]}, "nothing to learn from"),
        (
            small(21),
            {"fields": ["label uint8", "timestamp int64", "numeric 4 int8"]},
            "the timestamp .* years",
        ),
    ],
)
def test_a_source_that_is_none_is_told_by_its_place(tmp_path, content, options, message):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises((DataError, RequestError), match=message):
        prepared(tmp_path / "a.bin", tmp_path / "stores", **options)
    assert not list((tmp_path / "stores").glob("stores/*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"fields": ["lable int32", "numeric float32"]},
            r"fields\[0\]='lable int32': 'lable' is no role; did you mean 'label'",
        ),
        (
            {"fields": ["label int32", "numeric flaot32"]},
            r"fields\[1\]=.*'flaot32' is no type of numeric; did you mean 'float32'",
        ),
        ({"fields": ["label float32", "numeric float32"]}, "'float32' is no type of label"),
        ({"fields": ["label int32", "numeric 0 float32"]}, "the count '0' must be a whole number, at least 1"),
        ({"fields": ["label int32", "numeric"]}, "must be a role, a count unless it is 1, and a type"),
        ({"fields": ["numeric float32"]}, "a record needs a label"),
        ({"fields": ["label int32", "label int32", "numeric int8"]}, "one label at most, not 2"),
        ({"fields": ["label 2 int32", "numeric int8"]}, "one label at most, not 2"),
        ({"fields": ["label int8", "categorical int64", "categorical uint64"]}, "int64 and uint64 ids"),
        ({"fields": ["label int8", "timestamp int32", "numeric float64"], "file_duration": "1d"}, "has a timestamp"),
        ({"byte_order": "middle"}, "byte_order='middle' must be one of little, big"),
        ({"header_bytes": -1}, "header_bytes=-1"),
        ({"num_classes": 1}, "num_classes=1"),
        ({"max_ids": 0}, "max_ids=0"),
        ({"missing_numbers": "drop"}, "missing_numbers='drop'"),
        ({"timestamp_unit": "h"}, "timestamp_unit='h'"),
        ({"file_duration": "soon"}, "file_duration"),
        ({"start": "then"}, "start"),
        ({"start": "9999-12-31", "file_duration": "1w"}, "years 1 to 9999"),
        ({"path": "elsewhere"}, "there is no such file or folder"),
    ],
)
def test_wrong_options_are_told_before_anything_is_read(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.bin").write_bytes(small(10))
    with pytest.raises(RequestError, match=message):
        RecordsRecipe(**{"path": "a.bin", "fields": SMALL, **options}).check()


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path):
    (tmp_path / "a.bin").write_bytes(small(10))
    rows = RecordsRecipe(path=str(tmp_path / "a.bin"), fields=SMALL).read(tmp_path)
    assert rows.columns["categorical"](np.array([3])).tolist() == [[3]]
    with (tmp_path / "a.bin").open("ab") as stream:
        stream.write(small(1))
    with pytest.raises(DataError, match=r"a\.bin changed while it was read"):
        rows.columns["categorical"](np.array([3]))


def test_memory_grows_with_the_rows_by_what_times_labels_and_hashes_take(tmp_path):
    def peak(count: int) -> int:
        generator = np.random.default_rng(count)
        records = np.zeros(count, dtype=RecordLayout(CRITEO).dtype)
        records["f1"] = generator.standard_normal((count, 13))
        folder = tmp_path / str(count)
        folder.mkdir()
        records.tofile(folder / "day_0")
        del records
        tracemalloc.start()
        RecordsRecipe(path=str(folder), file_duration="1d", test_fraction=0.1).prepare(folder / ".stores")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert (peak(400_000) - peak(200_000)) / 200_000 < 100


def test_clicks_of_criteo_as_text_and_as_records_are_the_same_samples(shared_data, tmp_path):
    """The usual preprocessing, in small: a gap is 0, numbers are logarithms, categories are numbered by feature."""
    text = pd.read_csv(shared_data / "criteo_samples" / "criteo_kaggle_train_tiny.csv").rename(columns=str)
    numbers = np.log1p(text[[f"I{i}" for i in range(1, 14)]].fillna(0).clip(lower=0)).to_numpy(np.float32)
    codes = [pd.factorize(text[f"C{i}"].fillna("").astype(str), sort=True)[0] for i in range(1, 27)]
    ids = np.stack(codes, axis=1).astype(np.int32)
    labels = text["Label"].to_numpy(np.int32)
    records = b"".join(
        label.tobytes() + row.tobytes() + categories.tobytes()
        for label, row, categories in zip(labels, numbers, ids, strict=True)
    )
    (tmp_path / "criteo.bin").write_bytes(records)
    assert os.stat(tmp_path / "criteo.bin").st_size == 160 * len(text)
    store = RecordsRecipe(path=str(tmp_path / "criteo.bin")).prepare(tmp_path)
    times, stored, columns = merged(store)
    assert times.tolist() == list(range(len(text)))
    np.testing.assert_array_equal(stored, labels)
    np.testing.assert_array_equal(columns["numeric"], numbers)
    np.testing.assert_array_equal(columns["categorical"], ids)
    train = store.splits["train"]
    fitted = Preprocessor.fit(store.schema, train, np.arange(len(train)))
    seen = [len(np.unique(train.columns["categorical"][:, feature])) for feature in range(26)]
    assert fitted.inputs.cardinalities == tuple(count + 1 for count in seen)
    assert store.name == "criteo"
