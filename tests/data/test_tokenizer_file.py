"""Tokenizers from files, against transformers' own use of the same files; as a dataset's option."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st
from language import SPECIAL, titles, write_tokenizer

from modyn_bench.data import tokenizer_file as module
from modyn_bench.data.recipes.arxiv import ArxivRecipe
from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.data.tokenizer_file import TokenizerFile
from modyn_bench.errors import RequestError

PAD_SECOND = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]  # as RoBERTa's, whose first id is that of the first token


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def pad_second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("pad_second"), special=PAD_SECOND)


def judged(folder: Path, texts: list[str], max_tokens: int) -> list[list[int]]:
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    judge = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **names)
    return judge(texts, padding="max_length", truncation=True, max_length=max_tokens)["input_ids"]


texts = st.lists(st.text(alphabet="abAB é\n-_1ß漢 [PAD]", max_size=30), min_size=1, max_size=5)


@given(batch=texts, max_tokens=st.integers(3, 12))
def test_against_transformers(batch, max_tokens, folder):
    tokens = TokenizerFile(str(folder), max_tokens)
    assert tokens.encode(batch).tolist() == judged(folder, batch, max_tokens)


def test_titles_against_transformers(folder, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 7)
    tokens = TokenizerFile(str(folder / "tokenizer.json"), 16)
    ids = tokens.encode(titles())
    assert ids.tolist() == judged(folder, titles(), 16)
    assert ids.dtype == tokens.column("title").dtype == "uint16"
    assert (ids[:, 0] == SPECIAL.index("[CLS]")).all()
    assert ids.max() <= tokens.column("title").num_values
    assert (ids == 0).any(), "some titles are shorter"
    assert (ids[:, -1] == SPECIAL.index("[SEP]")).any(), "some are cut, and end as all do"


def test_padding_of_another_id_changes_places_with_0(pad_second):
    tokens = TokenizerFile(str(pad_second), 16)
    ids = tokens.encode(titles())
    expected = np.array(judged(pad_second, titles(), 16))
    assert tokens.column("title").pad_id == 1
    assert (ids[:, 0] == 1).all(), "the first token, whose id is 0"
    assert ((ids == 0) == (expected == 1)).all()
    others = expected > 1
    assert (ids[others] == expected[others]).all()


def test_padding_that_a_file_sets_itself_is_what_counts(folder, tmp_path):
    values = json.loads((folder / "tokenizer.json").read_text())
    values["padding"] = {
        "strategy": {"Fixed": 40}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 4, "pad_type_id": 0,
        "pad_token": "[MASK]",
    }  # fmt: skip
    values["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    tokens = TokenizerFile(str(tmp_path), 20)
    assert tokens.column("title").pad_id == 4
    plain, own = (TokenizerFile(str(place), 20).encode(titles()) for place in (folder, tmp_path))
    assert (plain == own).all(), "width and side are ours, and no title holds a [MASK]"


@pytest.mark.parametrize("own", [{"pad_id": 4, "pad_token": "[MASK]"}, {"pad_id": 4, "pad_token": "[EMPTY]"}])
def test_a_text_has_the_same_ids_whenever_it_is_encoded(own, folder, tmp_path):
    values = json.loads((folder / "tokenizer.json").read_text())
    common = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_type_id": 0}
    values["padding"] = common | own
    if own["pad_token"] == "[EMPTY]":  # nothing else says what padding is
        for place in (values["model"]["vocab"], *values["added_tokens"]):
            if place is values["model"]["vocab"]:
                place["[EMPTY]"] = place.pop("[PAD]")
            elif place["content"] == "[PAD]":
                place["content"] = "[EMPTY]"
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    tokens = TokenizerFile(str(tmp_path), 12)
    first, again = (tokens.encode(["a good [MASK] model", "short"]) for _ in range(2))
    assert (first == again).all()
    assert tokens.column("title").pad_id == 4


def test_padding_beyond_the_vocabulary_is_refused(folder, tmp_path):
    values = json.loads((folder / "tokenizer.json").read_text())
    values["padding"] = {
        "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 70_000,
        "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(RequestError, match=r"pads with the id 70000, but its ids end with \d+"):
        TokenizerFile(str(tmp_path), 12).check()


def test_two_vocabularies_differ(folder, pad_second, tmp_path):
    shutil.copy(folder / "tokenizer.json", tmp_path)
    one, moved, other = (
        TokenizerFile(str(place), 9).column("t").vocabulary_hash for place in (folder, tmp_path, pad_second)
    )
    assert one == moved != other


def write_titles(path: Path) -> Path:
    days = np.datetime64("2001-01-01") + np.arange(60)
    lines = [
        "created\ttitle\tlabel",
        *(f"{day}\t{title}\t{len(title) % 2}" for day, title in zip(days, titles(60), strict=True)),
    ]
    path.write_text("\n".join(lines))
    return path


def recipe(folder: Path, tokenizer: Path | str | None, **options) -> TableRecipe:
    return TableRecipe(
        path=str(folder / "titles.tsv"), timestamp="created", label="label", text="title", quote=None,
        tokenizer=None if tokenizer is None else str(tokenizer), **options,
    )  # fmt: skip


def test_a_dataset_holds_the_tokenizers_ids(folder, tmp_path):
    write_titles(tmp_path / "titles.tsv")
    store = recipe(tmp_path, folder, max_tokens=12).prepare(tmp_path)
    for split in store.splits.values():
        held = [text.decode() for text in split.blobs["text"].take(np.arange(len(split)))]
        assert split.columns["tokens"].tolist() == judged(folder, held, 12)
    column = store.schema["tokens"]
    assert (column.pad_id, column.shape) == (0, (12,))
    assert column.vocabulary_hash
    hashed = recipe(tmp_path, None).prepare(tmp_path)
    assert hashed.schema["tokens"].vocabulary_hash == ""


def test_the_tokenizers_content_counts_and_not_its_place(folder, tmp_path):
    write_titles(tmp_path / "titles.tsv")
    moved, edited = tmp_path / "moved", tmp_path / "edited"
    for place in (moved, edited):
        shutil.copytree(folder, place)
    values = json.loads((edited / "tokenizer.json").read_text())
    values["normalizer"]["lowercase"] = False
    (edited / "tokenizer.json").write_text(json.dumps(values))
    one, same, other, none = (
        recipe(tmp_path, place).source_fingerprint() for place in (folder, moved / "tokenizer.json", edited, None)
    )
    assert one == same
    assert len({one, other, none}) == 3


def refusal(**options) -> str:
    with pytest.raises(RequestError) as caught:
        ArxivRecipe(**options).check()
    return str(caught.value)


def test_what_is_no_tokenizer_is_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.json").write_text("{}")
    assert "hf download" in refusal(tokenizer="distilbert/distilbert-base-uncased")
    assert "holds no tokenizer.json" in refusal(tokenizer=str(tmp_path / "empty"))
    assert "is no tokenizer.json of" in refusal(tokenizer=str(tmp_path / "x.json"))
    unpadded = write_tokenizer(tmp_path / "unpadded", special=["[CLS]", "[SEP]", "[UNK]"])
    assert "has no token for padding" in refusal(tokenizer=str(unpadded))
    assert "dataset.max_tokens=2 must be above 2" in refusal(tokenizer=str(folder), max_tokens=2)


@pytest.mark.parametrize("option", ["ngrams", "num_buckets"])
def test_options_of_ngrams_are_refused_beside_a_tokenizer(option, folder):
    assert f"dataset.{option}=3" in refusal(tokenizer=str(folder), **{option: 3})


def test_a_tokenizer_without_text_is_refused(folder, tmp_path):
    write_titles(tmp_path / "titles.tsv")
    table = TableRecipe(path=str(tmp_path / "titles.tsv"), timestamp="created", label="label", tokenizer=str(folder))
    with pytest.raises(RequestError, match=r"dataset\.text"):
        table.check()


def test_what_to_install_is_told_and_torch_is_not_imported(folder):
    script = f"""
import sys
from modyn_bench.data.tokenizer_file import TokenizerFile
assert TokenizerFile({str(folder)!r}, 9).encode(["dark matter"]).shape == (1, 9)
assert not {{"torch", "transformers"}} & set(sys.modules)
sys.modules["tokenizers"] = None
try:
    TokenizerFile({str(folder)!r}, 9).check()
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "needs tokenizers: pip install 'modyn_bench[text]'" in done.stdout
