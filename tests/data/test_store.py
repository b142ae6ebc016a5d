import json
import multiprocessing
import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modyn_bench.data.ingest import Rows, array_gather, build_store
from modyn_bench.data.splits import SplitRule
from modyn_bench.data.store import Blob, Column, SampleStore, Schema, Split
from modyn_bench.errors import DataError

CLASSES = ("a", "b", "c")
IMAGE = Column("image", "image", "uint8", (2, 3, 1))
NUMERIC = Column("numeric", "numeric", "float32", (2,), ("x", "y"))
CATEGORICAL = Column("categorical", "categorical", "int32", (1,), ("z",), (("<missing>", "é", "ß"),))
TOKENS = Column("tokens", "tokens", "uint16", (4,), ("t",), num_values=10)
JPEG = Column("jpeg", "blob", "uint8", ())
TEXT = Column("text", "blob", "uint8", ())


def payload(row):
    return bytes([row % 251]) * (row % 5)


def gather_payload(rows):
    payloads = [payload(int(row)) for row in rows]
    return np.frombuffer(b"".join(payloads), np.uint8), np.array([len(p) for p in payloads], np.int64)


def gather_nothing(rows):
    return np.zeros(0, np.uint8), np.zeros(len(rows), np.int64)


def rows(n=50, times=None):
    index = np.arange(n)
    times = (index * 7919 % 13) * 1_000_000 + index % 2 if times is None else np.asarray(times)
    return Rows(
        schema=Schema((IMAGE, NUMERIC, CATEGORICAL, TOKENS, JPEG, TEXT), CLASSES),
        times=times.astype(np.int64),
        labels=index % 3,
        content=index.astype(np.uint64),
        columns={
            "image": array_gather(np.repeat(index % 256, 6).reshape(n, 2, 3, 1).astype(np.uint8)),
            "numeric": array_gather(np.stack([index, -index], axis=1).astype(np.float32)),
            "categorical": array_gather((index % 3).astype(np.int32)[:, None]),
            "tokens": array_gather(np.repeat(index % 11, 4).reshape(n, 4).astype(np.uint16)),
        },
        blobs={"jpeg": gather_payload, "text": gather_nothing},
        notes=["a note, with umlauts: äöü"],
    )


def build(folder, read=rows, *, fingerprint="f" * 32, rule=None):
    return build_store(
        folder, name="toy", fingerprint=fingerprint, rule=rule or SplitRule(), read=read, origin="toy source"
    )


@pytest.fixture
def store(tmp_path):
    return build(tmp_path)


def test_a_store_holds_what_was_written_in_time_order(store):
    given_rows = rows()
    reopened = SampleStore.open(store.path, verify=True)
    assert reopened.schema == given_rows.schema
    assert reopened.notes[0] == "a note, with umlauts: äöü"
    source = []
    for split in reopened.splits.values():
        numbers = split.columns["numeric"][:, 0].astype(int)
        source += numbers.tolist()
        # Sorted at the source's resolution, ties in source order, and stored by whole second.
        expected = sorted(numbers.tolist(), key=lambda row: (given_rows.times[row], row))
        assert numbers.tolist() == expected
        assert split.timestamps.tolist() == [int(given_rows.times[row]) // 1_000_000 for row in numbers]
        assert split.labels.tolist() == [row % 3 for row in numbers]
        assert split.columns["image"][:, 1, 2, 0].tolist() == numbers.tolist()
        assert [split.blobs["jpeg"][key] for key in range(len(split))] == [payload(row) for row in numbers]
        assert set(split.blobs["text"].take(np.arange(len(split)))) == {b""}
    assert sorted(source) == list(range(50))


def test_columns_are_mapped_read_only_and_plain(store):
    for split in store.splits.values():
        for array in (split.timestamps, split.labels, *split.columns.values()):
            assert type(array) is np.ndarray
            assert not array.flags.writeable
            assert isinstance(array.base, np.memmap | np.ndarray)
            assert split.timestamps.dtype == split.labels.dtype == np.int64


def test_a_store_is_built_once(tmp_path, store):
    def never():
        raise AssertionError("read again")

    assert build(tmp_path, never).path == store.path
    assert build(tmp_path, fingerprint="0" * 32).path != store.path


def test_a_failed_build_leaves_nothing_behind(tmp_path):
    def failing():
        broken = rows()
        broken.columns = {**broken.columns, "tokens": lambda part: (_ for _ in ()).throw(OSError("disk full"))}
        return broken

    with pytest.raises(OSError, match="disk full"):
        build(tmp_path, failing)
    assert list((tmp_path / "stores").iterdir()) == []


def test_what_a_killed_build_left_is_replaced(tmp_path):
    left = tmp_path / "stores" / f".tmp-toy-{'f' * 16}" / "train"
    left.mkdir(parents=True)
    (left / "half.npy").write_bytes(b"x")
    store = build(tmp_path)
    assert {entry.name for entry in store.path.iterdir()} == {"manifest.json", "train", "test"}
    assert [entry.name for entry in store.path.parent.iterdir()] == [store.path.name]


def _build_and_count(folder, queue):
    def counted():
        queue.put(os.getpid())
        return rows(2000)

    queue.put(-len(build(folder, counted).splits["train"]))


def test_of_processes_that_need_a_store_one_builds_it(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_build_and_count, args=(tmp_path, queue)) for _ in range(4)]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=60) for _ in range(5)]
    for worker in workers:
        worker.join()
    assert sum(answer > 0 for answer in answers) == 1
    assert len({answer for answer in answers if answer < 0}) == 1


@pytest.mark.parametrize("file", ["train/tokens.npy", "test/jpeg.bin", "train/timestamps.npy", "test/jpeg.offsets.npy"])
@pytest.mark.parametrize("damage", ["truncated", "gone", "flipped", "flipped, time kept"])
def test_a_damaged_file_is_named_and_nothing_is_overwritten(tmp_path, store, file, damage):
    target = store.path / file
    status, data = target.stat(), target.read_bytes()
    if damage == "gone":
        target.unlink()
    elif damage == "truncated":
        target.write_bytes(data[:-1])
    else:
        target.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    if damage == "flipped, time kept":
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        SampleStore.open(store.path)  # neither size nor time tell
        with pytest.raises(DataError, match="checksum"):
            SampleStore.open(store.path, verify=True)
        return
    with pytest.raises(DataError, match="damaged: delete the folder") as error:
        build(tmp_path)
    assert str(target) in str(error.value)
    assert str(store.path) in str(error.value)
    assert (store.path / "manifest.json").exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', '{"format": "something else"}', "\x00\x01", '{"format": "modyn_bench sample store"}']
)
def test_a_foreign_manifest_is_told_from_a_store(store, text):
    (store.path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json"):
        SampleStore.open(store.path)


@pytest.mark.parametrize("key", ["schema", "files", "splits", "notes", "name", "fingerprint"])
@pytest.mark.parametrize("value", [None, 3, "text", {"train": 7}, ["a"]])
def test_a_manifest_with_a_garbled_entry_is_an_error_of_ours(store, key, value):
    file = store.path / "manifest.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | {key: value}))
    with pytest.raises(DataError, match=r"manifest\.json"):
        SampleStore.open(store.path)


def test_an_empty_or_missing_folder_is_no_store(tmp_path, store):
    shutil.rmtree(store.path)
    with pytest.raises(DataError, match="no folder"):
        SampleStore.open(store.path)
    store.path.mkdir()
    with pytest.raises(DataError, match=r"manifest\.json is missing"):
        build(tmp_path)
    (store.path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="nothing in it was touched"):
        build(tmp_path)
    assert (store.path / "thesis.txt").read_text() == "mine"


def test_a_copied_store_is_verified_and_opens(tmp_path, store):
    shutil.copytree(store.path, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    copied = SampleStore.open(tmp_path / "elsewhere")
    assert copied.fingerprint == store.fingerprint


def test_another_format_version_is_refused(store):
    file = store.path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format_version": 99}))
    with pytest.raises(DataError, match="format version 99"):
        SampleStore.open(store.path)


def test_no_rows_and_empty_splits_are_errors(tmp_path):
    with pytest.raises(DataError, match="toy source: no usable row"):
        build(tmp_path, lambda: rows(0))
    with pytest.raises(DataError, match=r"test split is empty.*test_fraction=1e-06"):
        build(tmp_path, rule=SplitRule(fraction=1e-6))
    with pytest.raises(DataError, match="train split is empty"):
        build(tmp_path, rule=SplitRule(fraction=1 - 1e-6))


def test_a_label_only_in_test_is_noted_with_its_count(tmp_path):
    def read():
        many = rows(400)
        held_out = SplitRule().held_out(many.content, many.times)
        many.labels = np.where(held_out, 2, many.labels % 2)
        return many

    store = build(tmp_path, read)
    (note,) = [note for note in store.notes if "test split only" in note]
    assert "1 class(es)" in note
    assert f"{len(store.splits['test'])} rows" in note
    assert "'c'" in note


def test_unsorted_rows_are_noted_with_their_count(tmp_path):
    store = build(tmp_path, lambda: rows(8, times=np.array([0, 5, 4, 5, 5, 1, 9, 9]) * 1_000_000))
    assert any(note.startswith("sorted by time: 2 of 8 rows") for note in store.notes)
    store = build(tmp_path, lambda: rows(30, times=np.arange(30)), fingerprint="1" * 32)
    assert not any("sorted" in note for note in store.notes)


@given(st.lists(st.integers(-5, 5)), st.integers(-7, 7), st.integers(-7, 7))
def test_time_range_against_brute_force(times, start, end):
    split = Split("test", np.array(sorted(times), dtype=np.int64), np.zeros(len(times), dtype=np.int64), {})
    lo, hi = split.time_range(start, end)
    inside = [position for position, time in enumerate(sorted(times)) if start <= time < end]
    assert list(range(lo, hi)) == inside


@given(st.lists(st.binary(max_size=6), min_size=1), st.data())
@settings(max_examples=50)
def test_a_blob_gives_every_payload_back(payloads, data):
    offsets = np.cumsum([0, *map(len, payloads)])
    blob = Blob(np.frombuffer(b"".join(payloads), np.uint8), offsets)
    keys = data.draw(st.lists(st.integers(0, len(payloads) - 1)))
    assert blob.take(np.array(keys, dtype=np.int64)) == [payloads[key] for key in keys]
    with pytest.raises(IndexError):
        blob[len(payloads)]
    with pytest.raises(IndexError):
        blob[-1]
