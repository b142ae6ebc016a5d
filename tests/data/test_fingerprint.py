import json
import os
import time

import pytest

from modyn_bench.data import fingerprint
from modyn_bench.data.fingerprint import CACHE, hash_file, hash_members, hash_sources, hash_values

LONG_AGO = 1_600_000_000_000_000_000


def write(file, text, when=LONG_AGO):
    file.write_text(text)
    os.utime(file, ns=(when, when))
    return file


@pytest.fixture
def read_files(monkeypatch):
    """The files that were really read."""
    read = []
    real = fingerprint.hash_file
    monkeypatch.setattr(fingerprint, "hash_file", lambda file: read.append(file) or real(file))
    return read


def test_content_counts_and_place_does_not(tmp_path):
    one, other = write(tmp_path / "a", "1\n2"), write(tmp_path / "b", "1\n2", LONG_AGO + 7)
    assert hash_sources([one]) == hash_sources([other])
    write(other, "1\n3")
    assert hash_sources([one]) != hash_sources([other])
    assert hash_sources([one, other]) != hash_sources([other, one])
    assert hash_sources([one, one]) != hash_sources([one])


def test_an_unchanged_file_is_read_once(tmp_path, read_files):
    source, data_dir = write(tmp_path / "a", "1"), tmp_path / "data"
    first = hash_sources([source], data_dir)
    assert hash_sources([source], data_dir) == first
    assert read_files == [source]
    write(source, "2", LONG_AGO + 1)
    second = hash_sources([source], data_dir)
    assert second != first
    write(source, "22", LONG_AGO + 1)
    assert hash_sources([source], data_dir) not in (first, second)
    assert len(read_files) == 3


def test_a_file_written_a_moment_ago_is_read_again(tmp_path, read_files):
    source = write(tmp_path / "a", "1", time.time_ns())
    status = source.stat()
    first = hash_sources([source], tmp_path)
    source.write_text("2")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))  # as within the grain of a file system's clock
    assert hash_sources([source], tmp_path) != first
    assert len(read_files) == 2


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"x": 3}'])
def test_a_damaged_cache_costs_reading_again(tmp_path, read_files, text):
    source = write(tmp_path / "a", "1")
    first = hash_sources([source], tmp_path)
    (tmp_path / CACHE).write_text(text)
    assert hash_sources([source], tmp_path) == first
    assert len(read_files) == 2
    assert json.loads((tmp_path / CACHE).read_text())[str(source.resolve())][-1] == hash_file(source)


def test_the_files_of_two_folders_are_not_taken_for_one_another(tmp_path, monkeypatch):
    for folder, text in (("one", "1"), ("other", "2")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "a", text)
    monkeypatch.setattr(fingerprint, "_stamp", lambda path: (1, LONG_AGO, LONG_AGO))
    first = hash_members(tmp_path / "one", ["a"], tmp_path / "data")
    assert hash_members(tmp_path / "other", ["a"], tmp_path / "data") != first
    assert hash_members(tmp_path / "one", ["a"], tmp_path / "data") == first


def test_files_that_cannot_be_read_have_an_identity(tmp_path):
    write(tmp_path / "a", "1")
    hashes = {hash_members(tmp_path, [name]) for name in ("a", "b", "a\0")}
    assert len(hashes) == 2
    write(tmp_path / "b", "2")
    assert hash_members(tmp_path, ["b"]) not in hashes
    assert hash_members(tmp_path, []) != hash_members(tmp_path, ["b"])


def test_values():
    assert hash_values(1, "1") != hash_values("1", 1)
    assert hash_values(["ab", "c"]) != hash_values(["a", "bc"])
    assert hash_values("\udc80") != hash_values("\udc81")
