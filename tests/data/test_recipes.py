"""What every recipe must keep, the bundled dataset, and real tables."""

import dataclasses
import importlib
import subprocess
import sys
import zipfile
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from modyn_bench.data.recipes import arxiv
from modyn_bench.data.recipes.arxiv import ArxivRecipe
from modyn_bench.data.recipes.base import Recipe
from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.data.store import SampleStore
from tests.conftest import ROOT

OPTIONS = sorted((ROOT / "conf" / "dataset").glob("*.yaml"), key=lambda file: file.name)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    return ArxivRecipe(max_tokens=48).prepare(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("file", OPTIONS, ids=lambda file: file.stem)
def test_every_option_names_a_recipe_and_all_of_its_fields(file):
    options = yaml.safe_load(file.read_text())
    module, _, name = options.pop("_target_").rpartition(".")
    recipe = getattr(importlib.import_module(module), name)
    assert issubclass(recipe, Recipe)
    fields = {field.name: field for field in dataclasses.fields(recipe)}
    assert set(options) == set(fields)
    for key, value in options.items():
        field = fields[key]
        default = (
            field.default_factory()
            if field.default is dataclasses.MISSING and callable(field.default_factory)
            else field.default
        )
        assert (value == default) if value != "???" else (default is dataclasses.MISSING), key


def test_recipes_and_their_checks_import_nothing_heavy(tmp_path):
    (tmp_path / "toy.csv").write_text("ts,x,y\n1,2,3\n")
    (tmp_path / "clicks.bin").write_bytes(bytes(320))
    code = f"""
import sys
from modyn_bench.data.recipes.arxiv import ArxivRecipe
from modyn_bench.data.recipes.huggingface import HuggingFaceRecipe
from modyn_bench.data.recipes.records import RecordsRecipe
from modyn_bench.data.recipes.table import TableRecipe
ArxivRecipe().check()
RecordsRecipe(path={str(tmp_path / "clicks.bin")!r}).check()
TableRecipe(path={str(tmp_path / "toy.csv")!r}, timestamp="ts", label="y").check()
HuggingFaceRecipe(path="someone/news", timestamp="ts", label="y").check()
heavy = sorted(set(sys.modules) & {{"torch", "pandas", "pyarrow", "datasets"}})
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_an_open_store_imports_nothing_heavy(bundled):
    code = f"""
import sys
from pathlib import Path
from modyn_bench.data.recipes.arxiv import ArxivRecipe
assert ArxivRecipe().prepare(Path({str(bundled.path.parent.parent)!r})).path == Path({str(bundled.path)!r})
heavy = sorted(set(sys.modules) & {{"torch", "pandas", "pyarrow", "datasets"}})
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_bundled_sample_keeps_every_year_and_stays_small(bundled):
    assert arxiv.SAMPLE.stat().st_size <= 6_000_000
    table = pq.read_table(arxiv.SAMPLE)
    years = np.array([day.year for day in table["created"].to_pylist()])
    assert np.unique(years).tolist() == list(range(1993, 2020))
    assert np.bincount(years)[1993:].min() >= 850
    assert table["title"].null_count == table["primary_cat"].null_count == 0
    assert len(set(table["arxiv_id"].to_pylist())) == len(table) == sum(map(len, bundled.splits.values()))


def test_the_bundled_dataset(bundled):
    assert bundled.name == "arxiv"
    assert bundled.schema.num_classes == 172
    assert bundled.schema.classes == tuple(sorted(bundled.schema.classes))
    (tokens,) = bundled.schema.inputs
    assert (tokens.name, tokens.dtype, tokens.shape, tokens.num_values) == ("tokens", "uint16", (48,), 65_535)
    train, test = bundled.splits["train"], bundled.splits["test"]
    assert 104_000 < len(train) < 107_000
    assert abs(len(test) / (len(train) + len(test)) - 0.25) < 0.005
    for split in (train, test):
        assert (np.diff(split.timestamps) >= 0).all()
        assert (split.timestamps % 86_400 == 0).all()
        assert (split.columns["tokens"][:, 0] > 0).all()
        years = split.timestamps.astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
        assert np.unique(years).tolist() == list(range(1993, 2020))
    rare = (np.concatenate([train.columns["tokens"], test.columns["tokens"]])[:, -1] > 0).mean()
    assert rare < 0.005, "titles are cut too short"


def test_rows_of_one_day_keep_the_order_of_the_source(bundled):
    table = pq.read_table(arxiv.SAMPLE, columns=["created", "title"])
    titles = table["title"].to_pylist()
    place = {title: position for position, title in reversed(list(enumerate(titles)))}
    assert len(place) > 0.99 * len(titles)
    for split in bundled.splits.values():
        positions = [place[title.decode()] for title in split.blobs["text"].take(np.arange(5000))]
        inversions = sum(later < earlier for earlier, later in pairwise(positions))
        assert inversions <= 2 * (len(titles) - len(place))


def test_what_datasets_cached_is_deleted(bundled):
    assert {entry.name for entry in bundled.path.parent.parent.iterdir()} <= {
        "stores",
        "locks",
        "fingerprints.json",
        "fingerprints.json.lock",
    }


# ---------------------------------------------------------------- real tables


def sorted_source(store):
    for split in store.splits.values():
        assert (np.diff(split.timestamps) >= 0).all()
    return sum(map(len, store.splits.values()))


@pytest.mark.shared_data
def test_bank_marketing(shared_data, tmp_path):
    with zipfile.ZipFile(shared_data / "bank_marketing" / "bank-additional.zip") as archive:
        file = archive.extract("bank-additional/bank-additional-full.csv", tmp_path)
    recipe = TableRecipe(path=file, timestamp=None, label="y", drop=["duration"])
    recipe.check()
    store = recipe.prepare(tmp_path / "data")
    assert sorted_source(store) == 41_188
    assert store.schema.classes == ("no", "yes")
    assert len(store.schema["numeric"].names) == 9
    assert len(store.schema["categorical"].names) == 10
    assert "unknown" in store.schema["categorical"].categories[0]
    assert sum(int(split.labels.sum()) for split in store.splits.values()) == 4640
    assert SampleStore.open(store.path, verify=True).fingerprint == recipe.source_fingerprint()


@pytest.mark.shared_data
def test_elec2(shared_data, tmp_path):
    recipe = TableRecipe(
        path=str(shared_data / "elec2" / "elec.csv"),
        timestamp=None,
        label="class",
        test_split="block",
        test_block=336,  # a week of half-hours
    )
    store = recipe.prepare(tmp_path)
    assert sorted_source(store) == 45_312
    test = store.splits["test"]
    assert np.flatnonzero(np.diff(test.timestamps) != 1).size + 1 == round(45_312 / 336 / 4)
    assert abs(len(test) / 45_312 - 0.25) < 0.01


@pytest.mark.shared_data
def test_flights(shared_data, tmp_path):
    store = TableRecipe(
        path=str(shared_data / "flights" / "nycflights13.parquet"),
        timestamp=["year", "month", "day", "hour"],
        label="arr_delay",
        label_threshold=15,
        drop=["dep_time", "dep_delay", "arr_time", "air_time", "tailnum"],
        invalid_rows="drop",
    ).prepare(tmp_path)
    table = pq.read_table(shared_data / "flights" / "nycflights13.parquet").to_pandas()
    usable = table.dropna(subset=["arr_delay", "hour"])
    assert sorted_source(store) == len(usable)
    assert sum(int(split.labels.sum()) for split in store.splits.values()) == (usable["arr_delay"] > 15).sum()
    assert store.schema.classes == ("arr_delay<=15", "arr_delay>15")
    assert store.splits["train"].timestamps[0] // 86_400 == 15_706  # 2013-01-01
    assert sum("left out" in note for note in store.notes) == 2


@pytest.mark.shared_data
def test_huffpost(shared_data, tmp_path):
    for name, num_rows, num_classes in (("v2.head4782", 4782, 19), ("v3.head9999", 9999, 29)):
        store = TableRecipe(
            path=str(shared_data / "huffpost" / f"News_Category_Dataset_{name}.json"),
            timestamp="date",
            label="category",
            text="headline",
        ).prepare(tmp_path)
        assert sorted_source(store) == num_rows
        assert store.schema.num_classes == num_classes
        assert any("sorted by time" in note for note in store.notes)


@pytest.mark.shared_data
def test_the_bundled_sample_is_what_its_script_makes(shared_data, tmp_path):
    script, source = ROOT / "scripts" / "make_arxiv_sample.py", shared_data / "arxiv_titles_1993_2019.tsv.xz"
    made = tmp_path / "made.parquet"
    subprocess.run([sys.executable, script, source, "--output", made], check=True, cwd=ROOT, capture_output=True)
    assert pq.read_table(made).equals(pq.read_table(arxiv.SAMPLE))


@pytest.mark.shared_data
def test_the_whole_arxiv_file_as_a_table(shared_data, tmp_path):
    file = shared_data / "arxiv_titles_1993_2019.tsv.xz"
    options = {"timestamp": "created", "label": "primary_cat", "text": "title"}
    store = TableRecipe(path=str(file), quote=None, max_tokens=8, **options).prepare(tmp_path)
    assert sorted_source(store) == 527_053
    assert store.schema.num_classes == 172
