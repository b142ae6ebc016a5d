"""REPRODUCTION.md and the grids' tables are made of the results that are committed, and say what was not run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from scripts import ROOT

sys.path += [str(ROOT / "scripts"), str(ROOT / "experiments")]
import make_reproduction as made
from summarise import KEYS, replace

PAPER = yaml.safe_load((ROOT / "experiments" / "paper.yaml").read_text())
GRIDS = sorted(PAPER["grids"])


def test_what_is_committed_is_what_the_results_say():
    stale = [str(path.relative_to(ROOT)) for path, text in made.files().items() if path.read_text() != text]
    assert stale == [], "run python scripts/make_reproduction.py"


def test_the_program_tells_so():
    program = [sys.executable, str(ROOT / "scripts" / "make_reproduction.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_program_finds_a_file_that_was_changed(tmp_path: Path):
    for path in ("scripts/make_reproduction.py", "experiments/paper.yaml", *map(str, made.files())):
        source = ROOT / path
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
        if source.name == "README.md":
            shutil.copy(source.parent / "results.csv", copy.parent)
    program = [sys.executable, str(tmp_path / "scripts" / "make_reproduction.py")]

    def call(*words: str) -> tuple[int, str, str]:
        done = subprocess.run([*program, *words], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert call("--check") == (0, "", "")
    changed = tmp_path / "experiments" / "yearbook_triggering" / "README.md"
    right = changed.read_text()
    wrong = right.replace("| `time 1y` | 3 |", "| `time 1y` | 4 |")
    assert wrong != right
    changed.write_text(wrong)
    assert call("--check") == (1, "experiments/yearbook_triggering/README.md: is out of date\n", "")
    assert changed.read_text() == wrong, "nothing is written"
    assert call() == (0, "experiments/yearbook_triggering/README.md: written\n", "")
    assert changed.read_text() == right


def test_only_runs_on_the_papers_datasets_are_counted():
    told = {"g": {"title": "G", "datasets": {"Yearbook": "yearbook"}, "jobs": 4, "here": 3, "missing": "nothing"}}

    def row(*frames: pd.DataFrame) -> str:
        return made.overview(told, {"g": pd.concat(frames)}).splitlines()[-1]

    link = "| [G](experiments/g/README.md) | 4 | 3"
    assert row(runs(dataset="Yearbook_2"), runs(dataset="arxiv")) == f"{link} | 2 | not run | nothing |"
    assert row(runs(dataset="titles"), runs(scale="small")) == f"{link} | not run | 2 runs | nothing |"


def test_models_are_not_pooled():
    frame = runs(accuracy_active=[0.5, 0.7], triggers=1, coverage=1.0, sample_passes=10.0)
    assert made.small_table(frame).splitlines()[2:] == ["| `p` | 2 | 0.600 ± 0.141 | 100% | 1.0 | 10 |"]
    assert made.small_table(frame.assign(model=["m", "n"])).splitlines()[2:] == [
        "| `p`, n | 1 | 0.700 | 100% | 1.0 | 10 |",
        "| `p`, m | 1 | 0.500 | 100% | 1.0 | 10 |",
    ]


def test_speeds_are_compared_by_pairs_without_the_warm_up():
    orders = [runs(policy=order, seed=[0, 1, 2], training_passes=100.0) for order in ("in order", "shuffled")]
    frame = pd.concat(orders).assign(training_seconds=[50.0, 1.0, 2.0, 90.0, 2.0, 2.0])
    assert made.speed_table(frame).splitlines()[2:] == [
        "| in order | 100 | 2 | 75 ± 35 |",
        "| shuffled | 100 | 2 | 50 ± 0 |",
        "| shuffled / in order, by pairs | 100 | 2 | 0.75 ± 0.35 |",
    ]


@pytest.mark.parametrize("grid", GRIDS)
def test_every_job_of_the_small_version_was_run_and_is_one_row(grid: str):
    table = made.results(grid)
    assert (table.scale == "small").sum() == PAPER["grids"][grid]["small"]
    assert not table.duplicated(KEYS).any()
    for column in table.columns[table.columns.str.contains("accuracy|f1|coverage|share")]:
        assert table[column].dropna().between(0, 1).all()


def test_every_policy_of_the_paper_has_a_row_for_each_of_its_datasets():
    text = (ROOT / "REPRODUCTION.md").read_text()
    for told in PAPER["grids"].values():
        for policy in told["policies"]:
            rows = [line for line in text.splitlines() if line.startswith(f"| `{policy}` |")]
            without = {dataset for dataset, policies in told.get("without", {}).items() if policy in policies}
            assert {line.split(" | ")[1] for line in rows} >= set(told["datasets"]) - without
    for claim in PAPER["claims"]:
        assert claim["source"]
        assert f"{claim['paper']} ({claim['source']})" in text


def runs(**columns: Any) -> pd.DataFrame:
    frame = {"scale": "paper", "dataset": "yearbook", "model": "m", "policy": "p", "seed": [1, 2]} | columns
    return pd.DataFrame(frame)


TOLD = {
    "g": {"policies": ["p", "q"], "datasets": {"Yearbook": "yearbook", "CGLM": "cglm"}, "metric": "accuracy_active"}
}


def test_only_runs_at_the_papers_scale_and_on_its_dataset_stand_beside_it():
    told = made.by_policy(TOLD, {"g": runs(accuracy_active=[0.5, 0.7])}).splitlines()[2:]
    assert told == [
        "| `p` | Yearbook | accuracy_active 0.600 ± 0.141, model m | not stated | no (nothing stated) |",
        "| `p` | CGLM | not run | not stated | not run |",
        "| `q` | Yearbook | not run | not stated | not run |",
        "| `q` | CGLM | not run | not stated | not run |",
    ]
    for other in ({"scale": "small"}, {"dataset": "arxiv"}):
        rows = made.by_policy(TOLD, {"g": runs(accuracy_active=[0.5, 0.7], **other)}).splitlines()[2:]
        assert all(row.endswith("| not run | not stated | not run |") for row in rows)


@pytest.mark.parametrize(
    ("scale", "share", "verified"),
    [
        ("paper", 0.95, "yes"),
        ("paper", 0.9, "yes"),
        ("paper", 0.5, "no"),
        ("small", 0.9, "holds in the small version"),
        ("small", 0.5, "does not hold in the small version"),
    ],
)
def test_a_claim_holds_where_its_check_does(scale: str, share: float, verified: str):
    check = {"scale": scale, "policy": "p", "column": "share_fired", "at_least": 0.9}
    table = runs(scale=scale, share_fired=[share, share])
    assert made.judged(check, table) == (f"share fired: {share:.1%}", verified)
    assert made.judged(check | {"policy": "q"}, table) == ("not run", "not run")
    assert made.judged(None, table) == ("not run", "not run")


def test_rows_of_the_same_scale_and_dataset_are_replaced_and_others_stay(tmp_path: Path):
    path = tmp_path / "results.csv"
    replace(path, runs(value=[1, 2]), "paper")
    replace(path, runs(scale="small", value=[3, 4]), "small")
    replace(path, runs(dataset="cglm", value=[5, 6]), "paper")
    replace(path, runs(seed=[1, 3], value=[7, 8]), "paper")
    table = pd.read_csv(path)
    assert table[["scale", "dataset", "seed", "value"]].to_numpy().tolist() == [
        ["paper", "cglm", 1, 5],
        ["paper", "cglm", 2, 6],
        ["paper", "yearbook", 1, 7],
        ["paper", "yearbook", 3, 8],
        ["small", "yearbook", 1, 3],
        ["small", "yearbook", 2, 4],
    ]
