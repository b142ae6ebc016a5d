import numpy as np
import PIL.Image
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets import Image as Picture

from modyn_bench.data.recipes.huggingface import HuggingFaceRecipe
from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.errors import DataError, RequestError


def dataset(n=60, first=0):
    index = range(first, first + n)
    return Dataset.from_dict(
        {
            "day": [f"2020-01-{i % 28 + 1:02}" for i in index],
            "headline": [f"headline {i}" for i in index],
            "x": [float(i) for i in index],
            "label": [2 * (i % 2) - (i % 15 == 0) * 3 * (i % 2) for i in index],
        },
        features=Features(
            {
                "day": Value("string"),
                "headline": Value("string"),
                "x": Value("float64"),
                "label": ClassLabel(names=["world", "sport", "art"]),
            }
        ),
    )


def recipe(path, **options):
    defaults = {"timestamp": "day", "label": "label", "features": ["x"], "invalid_rows": "drop"}
    return HuggingFaceRecipe(path=path, **{**defaults, **options})


def content(store):
    return [
        (name, split.timestamps.tolist(), split.labels.tolist(), split.columns["numeric"].tolist())
        for name, split in store.splits.items()
    ]


def test_in_memory_on_disk_and_as_files_are_the_same_rows(tmp_path):
    whole = dataset()
    in_memory = recipe(whole).prepare(tmp_path / "data")
    whole.save_to_disk(tmp_path / "saved", num_shards=3)
    on_disk = recipe(str(tmp_path / "saved")).prepare(tmp_path / "data")
    (tmp_path / "files").mkdir()
    whole.to_parquet(tmp_path / "files" / "rows.parquet")
    as_files = recipe(tmp_path / "files").prepare(tmp_path / "data")
    assert content(in_memory) == content(on_disk) == content(as_files)
    assert (in_memory.name, on_disk.name, as_files.name) == ("dataset", "saved", "files")
    assert on_disk.schema == in_memory.schema


def test_class_labels_keep_names_and_order_and_minus_one_is_missing(tmp_path):
    store = recipe(dataset()).prepare(tmp_path)
    assert store.schema.classes == ("world", "sport", "art")
    assert any("declared class(es) without a row: sport" in note for note in store.notes)
    assert any("no label in 'label': 2 of 60 rows (rows 16, 46)" in note for note in store.notes)
    for split in store.splits.values():
        assert (split.labels == split.columns["numeric"][:, 0] % 2 * 2).all()
    with pytest.raises(DataError, match="no label in 'label': 2 of 60 rows"):
        recipe(dataset(), invalid_rows="error").prepare(tmp_path)


def test_it_is_split_as_the_same_table_is(tmp_path):
    whole = dataset().filter(lambda row: row["label"] >= 0)
    names = whole.features["label"].names
    frame = whole.to_pandas()
    frame["label"] = [names[label] for label in frame["label"]]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    table = TableRecipe(
        path=str(tmp_path / "rows.csv"), timestamp="day", label="label", features=["x"], classes=names
    ).prepare(tmp_path)
    assert content(recipe(whole).prepare(tmp_path)) == content(table)


def test_identity_is_the_rows_a_dataset_has(tmp_path):
    whole = dataset()
    fingerprint = recipe(whole).source_fingerprint()
    assert recipe(dataset()).source_fingerprint() == fingerprint
    assert recipe(dataset(30)).source_fingerprint() != fingerprint
    selected = Dataset.from_dict(whole[:], features=whole.features).select(range(60))
    assert recipe(selected).source_fingerprint() == fingerprint
    assert recipe(whole.select(np.arange(59, -1, -1))).source_fingerprint() != fingerprint
    assert recipe(whole, text="headline", features=None).source_fingerprint() != fingerprint
    whole.save_to_disk(tmp_path / "saved")
    before = recipe(tmp_path / "saved").source_fingerprint(tmp_path)
    dataset(61).save_to_disk(tmp_path / "saved2")
    assert recipe(tmp_path / "saved2").source_fingerprint(tmp_path) != before


def test_splits(tmp_path):
    both = DatasetDict({"train": dataset(30), "test": dataset(30, first=30)})
    joined = recipe(both, split="train+test").prepare(tmp_path / "data")
    assert content(joined) == content(recipe(dataset()).prepare(tmp_path / "data"))
    both.save_to_disk(tmp_path / "saved")
    saved = recipe(tmp_path / "saved", split="train+test").prepare(tmp_path / "data")
    assert content(saved) == content(joined)
    one = recipe(both, split="test").prepare(tmp_path / "data")
    assert min(split.columns["numeric"].min() for split in one.splits.values()) >= 30
    for path in (both, tmp_path / "saved"):
        with pytest.raises((RequestError, DataError), match=r"dataset.split='dev'.*has the splits train, test"):
            recipe(path, split="dev").prepare(tmp_path / "data")


def test_text(tmp_path):
    store = recipe(dataset(), text="headline", features=None).prepare(tmp_path)
    assert store.splits["train"].blobs["text"][0].startswith(b"headline ")


def test_wrong_columns_are_told_before_anything_is_loaded(tmp_path):
    dataset().save_to_disk(tmp_path / "saved")
    DatasetDict({"train": dataset()}).save_to_disk(tmp_path / "several")
    for path in (dataset(), tmp_path / "saved", tmp_path / "several"):
        with pytest.raises(RequestError, match=r"dataset.text='headlin' is no column .* did you mean 'headline'\?"):
            recipe(path, text="headlin", features=None).check()


def test_what_is_no_dataset_is_told(tmp_path):
    with pytest.raises(RequestError, match="is a list; expected a datasets"):
        recipe([1, 2]).check()
    with pytest.raises(RequestError, match="not streamed"):
        recipe(dataset().to_iterable_dataset()).check()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="datasets cannot load it"):
        recipe(tmp_path / "empty").prepare(tmp_path / "data")


def test_a_pinned_commit_needs_no_look_at_the_hub():
    pinned = recipe("someone/news", revision="0123456789" * 4)
    assert pinned.source_fingerprint() == recipe("someone/news", revision="0123456789" * 4).source_fingerprint()
    assert pinned.source_fingerprint() != recipe("someone/news", revision="1" * 40).source_fingerprint()
    assert pinned.name == "news"
    pinned.check()


class TestImages:
    @staticmethod
    def dataset(n=40):
        pictures = [PIL.Image.new("RGB", (12, 10), (6 * i, 0, 0)) for i in range(n)]
        index = range(n)
        columns = {"day": [f"2020-01-{i % 28 + 1:02}" for i in index], "x": [0.5] * n, "label": [i % 2 for i in index]}
        features = Features(
            {"day": Value("string"), "x": Value("float64"), "label": ClassLabel(names=["a", "b"]), "picture": Picture()}
        )
        return Dataset.from_dict({**columns, "picture": pictures}, features=features)

    @staticmethod
    def recipe(path, **options):
        defaults = {"timestamp": "day", "label": "label", "image": "picture", "size": 8}
        return HuggingFaceRecipe(path=path, **{**defaults, **options})

    def test_in_memory_and_on_disk_in_several_files(self, tmp_path):
        whole = self.dataset()
        whole.save_to_disk(tmp_path / "saved", num_shards=3)
        for path in (whole, tmp_path / "saved"):
            store = self.recipe(path).prepare(tmp_path / "data")
            assert store.schema.inputs[0].shape == (3, 8, 8)
            reds = [split.columns["image"][:, 0] for split in store.splits.values()]
            assert sorted(np.concatenate(reds)[:, 4, 4].tolist()) == [6 * i for i in range(40)]
            assert all((red == red[:, :1, :1]).all() for red in reds)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"text": "day"}, "dataset.image and dataset.text exclude one another"),
            ({"features": ["x"]}, "dataset.image and dataset.features exclude one another"),
            ({"image": "pictur"}, "did you mean 'picture'"),
            ({"size": -1}, "dataset.size=-1 must be"),
        ],
    )
    def test_wrong_options(self, options, message):
        with pytest.raises(RequestError, match=message):
            self.recipe(self.dataset(3), **options).check()

    def test_names_of_files_are_no_images(self, tmp_path):
        with pytest.raises(DataError, match=r"'day' is of type .*string; expected images as bytes"):
            self.recipe(self.dataset(), image="day", timestamp=None).prepare(tmp_path)
