"""REPRODUCTION.md and the grids' tables are made of the results that are committed, and say what was not run."""

from __future__ import annotations

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


@pytest.mark.parametrize(("share", "verified"), [(0.95, "yes"), (0.9, "yes"), (0.5, "no")])
def test_a_claim_holds_where_its_check_does(share: float, verified: str):
    check = {"scale": "paper", "policy": "p", "column": "share_fired", "at_least": 0.9}
    table = runs(share_fired=[share, share])
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
