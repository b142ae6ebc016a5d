"""The experiment with planted drift as a program: wrong options are refused in a line, and few streams suffice."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from scripts import call, check_refused

NAME = "drift_detection"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "0"], "argument --seeds: '0' must be a whole number from 1 to 1000"),
        (["--seeds", "1001"], "argument --seeds: '1001' must be"),
        (["--calibration", "-1"], "argument --calibration: '-1' must be"),
        (["--calibration", "many"], "argument --calibration: 'many' must be"),
        (["--workers", "0"], "argument --workers: '0' must be"),
        (["--out", "file"], "argument --out: 'file' is or lies in a file"),
        (["--out", "file/inside"], "argument --out: 'file/inside' is or lies in a file"),
    ],
)
def test_a_wrong_option_is_refused_in_a_line(words: list[str], said: str, tmp_path: Path):
    check_refused(NAME, tmp_path, words, said)


def test_every_option_is_explained(tmp_path: Path):
    text = call(NAME, tmp_path, "--help").stdout
    assert "streams of every kind (default: 20)" in text
    assert "results.csv and delays.png are written, over those that are there" in text


def test_a_single_stream_gives_all_tables_and_files(tmp_path: Path):
    done = call(NAME, tmp_path, "--seeds", "1", "--calibration", "1", "--out", "new/folder")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["delays.png", "results.csv"]
    results = pd.read_csv(tmp_path / "new" / "folder" / "results.csv")
    assert set(results["setting"]) == {"calibrated", "default"}
    assert set(results["drift"]) == {"sudden", "gradual", "recurring"}
    assert "| mmd | threshold |" in done.stdout
