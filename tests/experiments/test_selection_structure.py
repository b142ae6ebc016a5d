"""The experiment with planted structure as a program: its streams hold what they should, and one of them suffices."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from scripts import ROOT, call, check_refused

NAME = "selection_structure"
SCRIPT = ROOT / "experiments" / NAME / "run.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(NAME, SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "0"], "argument --seeds: '0' must be a whole number from 1 to 1000"),
        (["--seeds", "1001"], "argument --seeds: '1001' must be"),
        (["--epochs", "-1"], "argument --epochs: '-1' must be"),
        (["--workers", "many"], "argument --workers: 'many' must be"),
        (["--out", "file"], "argument --out: 'file' is or lies in a file"),
        (["--out", "file/inside"], "argument --out: 'file/inside' is or lies in a file"),
    ],
)
def test_a_wrong_option_is_refused_in_a_line(words: list[str], said: str, tmp_path: Path):
    check_refused(NAME, tmp_path, words, said)


def test_every_option_is_explained(tmp_path: Path):
    text = " ".join(call(NAME, tmp_path, "--help").stdout.split())
    assert "streams for each policy (default: 5)" in text
    assert "of every training (default: 8)" in text
    assert "results.csv and shares.png are written, over those that are there" in text


def test_a_stream_holds_the_structure_in_its_shares(script: ModuleType):
    store, kinds = script.stream(0)
    train = store.splits["train"]
    assert (np.bincount(kinds) / len(kinds)).tolist() == [0.2, 0.3, 0.5]
    redundant = kinds == script.KINDS.index("redundant")
    assert set(train.labels[redundant].tolist()) == set(range(script.NUM_CLASSES))
    rows = train.columns["numeric"][redundant]
    distances = np.linalg.norm(rows - rows[0], axis=1)
    same = distances < 1
    assert len(rows) / script.NUM_SOURCES * 0.7 < same.sum() < len(rows) / script.NUM_SOURCES * 1.3
    assert distances[same].max() < 0.12
    assert len(set(train.labels[redundant][same].tolist())) == 1


def test_wrong_labels_are_wrong(script: ModuleType):
    store, kinds = script.stream(0)
    train, test = store.splits["train"], store.splits["test"]

    def agreement(kind: str) -> float:
        """The share of samples with the label of the nearest test sample."""
        at = np.flatnonzero(kinds == script.KINDS.index(kind))[:200]
        gaps = train.columns["numeric"][at][:, None] - test.columns["numeric"][None]
        return float((test.labels[(gaps**2).sum(axis=2).argmin(axis=1)] == train.labels[at]).mean())

    assert agreement("clean") > 0.85
    assert agreement("mislabelled") < 0.05


@pytest.mark.parametrize(
    ("expected", "ratio", "clean", "is_met"),
    [
        ("more", 1.2, 1.0, True),
        ("more", 1.05, 1.0, False),
        ("less", 0.8, 1.0, True),
        ("less", 0.95, 1.0, False),
        ("share", 0.95, 1.0, True),
        ("share", 1.2, 1.2, False),
        ("as clean", 1.3, 1.25, True),
        ("as clean", 1.0, 1.3, False),
        (None, 3.0, 0.1, True),
    ],
)
def test_an_expectation_is_met_or_not(
    script: ModuleType, expected: str | None, ratio: float, clean: float, is_met: bool
):
    assert script.met(expected, "mislabelled", pd.Series({"mislabelled": ratio, "clean": clean})) is is_met


def test_a_single_stream_gives_table_and_files(tmp_path: Path, script: ModuleType):
    done = call(NAME, tmp_path, "--seeds", "1", "--epochs", "1", "--out", "new/folder")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["results.csv", "shares.png"]
    results = pd.read_csv(tmp_path / "new" / "folder" / "results.csv").set_index("policy")
    assert list(results.index) == list(script.POLICIES)
    for column in ("uses", "weight"):
        parts = results[[f"{column}_{kind}" for kind in script.KINDS]] @ script.SHARES
        assert parts.to_numpy() == pytest.approx(1.0, abs=1e-5)
    assert results.loc["loss", "weight_mislabelled"] == pytest.approx(1.0, abs=0.1)
    assert results.loc["loss", "uses_mislabelled"] > 1.05
    assert "| loss, top_k |" in done.stdout
