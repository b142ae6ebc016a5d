"""What a grid's runs come to in results.csv, on two small runs whose numbers are known by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from small import run_small, small_store
from synthetic_runs import replace as replace_tables

from modyn_bench.errors import RequestError
from modyn_bench.runs.load import load_runs
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.ensemble import Ensemble
from scripts import ROOT

sys.path.append(str(ROOT / "experiments"))
from summarise import results_of

STORE = small_store([i // 2 for i in range(100)])  # two samples a second, at seconds 0 to 49; windows of ten seconds


def run_amount(root: Path, *, seed: int = 0, epochs: int = 2) -> Path:
    """Run a trigger every 25 samples."""
    config = {"model": {"_target_": "Linear"}, "trigger": {"_target_": "triggers.amount.Amount", "num_samples": 25}}
    training = {"epochs": epochs}
    return run_small(root, STORE, Amount(25), config=config, replay={"flush": False}, training=training, seed=seed)


def run_ensemble(root: Path) -> Path:
    """Run an ensemble that fires when both of its members did, since it last fired."""
    trigger = Ensemble({"ten": Amount(10), "fifteen": Amount(15)}, rule="all")
    members = {"ten": {"num_samples": 10}, "fifteen": {"num_samples": 15}}
    config = {"model": {"_target_": "Linear"}, "trigger": {"_target_": "ensemble", "members": members}}
    return run_small(root, STORE, trigger, config=config, replay={"flush": False})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root of two runs, in which model 0 has an accuracy of 0.1 in every window, model 1 of 0.2, and so on."""
    root = tmp_path_factory.mktemp("runs")
    for run in (run_ensemble(root), run_amount(root)):
        evaluations = pd.read_parquet(run / "evaluations.parquet")
        replace_tables(run, evaluations=evaluations.assign(value=0.1 * (evaluations.model_id + 1)))
    return root


def test_a_run_is_one_row_with_what_it_reached_and_cost(root: Path):
    table = results_of(load_runs(root), "any", "small").set_index("policy")
    assert table.index.tolist() == ["amount 25", "ensemble of fifteen, ten"]
    assert set(table.scale) == {"small"}
    assert table[["dataset", "model", "seed", "window_set"]].drop_duplicates().to_numpy().tolist() == [
        ["small", "linear", 0, "sliced"]
    ]
    ensemble = table.loc["ensemble of fifteen, ten"]
    # It fires at samples 15, 30, 45, 60, 75 and 90. Models 0, 1, 3 and 4 serve windows 1 to 4; models 0, 1, 2, 4 and 5
    # are in training in windows 0 to 4.
    assert ensemble.accuracy_active == pytest.approx((0.1 + 0.2 + 0.4 + 0.5) / 4)
    assert ensemble.accuracy_trained == pytest.approx((0.1 + 0.2 + 0.3 + 0.5 + 0.6) / 5)
    assert (ensemble.coverage, ensemble.triggers, ensemble.trainings) == (4 / 5, 6, 6)
    assert ensemble.training_passes == 6 * 15 * 2  # two epochs
    assert ensemble.sample_passes == 3 * ensemble.training_passes  # a backward pass is two; predictions are left out


def test_the_decisions_of_an_ensemble_are_its_own_and_not_its_members(root: Path):
    runs = load_runs(root)
    table = results_of(runs, "any", "small").set_index("policy")
    # At samples 10, 15, 20, 30, 40, 45, 50, 60, 70, 75, 80, 90, 100: its members fire ten and six times of their own.
    assert (runs.decisions.policy == "ensemble/ten").sum() == 10
    assert table.loc["ensemble of fifteen, ten", ["decisions", "fired"]].tolist() == [13, 6]
    assert table.loc["amount 25", ["decisions", "fired"]].tolist() == [4, 4]


def test_a_run_that_covers_too_little_is_set_aside_and_takes_no_window_from_others(root: Path):
    aside = results_of(load_runs(root), "any", "small").set_index("policy").loc["amount 25"]
    assert aside.coverage == 3 / 5  # its first model is there after 12 seconds
    assert pd.isna(aside.accuracy_active)
    assert pd.isna(aside.triggers)
    assert aside.accuracy_trained == pytest.approx((0.1 + 0.1 + 0.2 + 0.3 + 0.4) / 5)


def test_configurations_are_not_taken_for_seeds(tmp_path: Path):
    for seed in (0, 1):
        run_amount(tmp_path, seed=seed)
    assert results_of(load_runs(tmp_path), "any", "small").seed.tolist() == [0, 1]
    for seed, count in ((1, 3), (2, 4)):  # a seed that is there already, and another one
        run_amount(tmp_path, seed=seed, epochs=3)
        said = (
            rf"the {count} runs of small / linear / amount 25 differ in more than their seed: training.epochs \(2, 3\)"
        )
        with pytest.raises(RequestError, match=said):
            results_of(load_runs(tmp_path), "any", "small")


def test_the_program_writes_beside_the_runs_and_refuses_in_a_line(root: Path, tmp_path: Path):
    out = root / "results.csv"
    done = summarise(root, "--out", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{out}: 2 runs\n", "")
    assert len(pd.read_csv(out)) == 2
    assert [path.name for path in root.iterdir() if path.is_file() and path.name != ".gitignore"] == ["results.csv"]
    before = out.read_bytes()
    assert summarise(root, "--out", out).returncode == 0, "the file is none of the runs"
    assert out.read_bytes() == before
    for seed, epochs in ((0, 2), (0, 3)):
        run_amount(tmp_path, seed=seed, epochs=epochs)
    for words, said in (
        ((tmp_path, "--out", tmp_path / "x.csv"), "error: the 2 runs of small / linear / amount 25 differ in more"),
        ((tmp_path / "none",), "none"),
        ((root, "--out", tmp_path / "none" / "x.csv"), f"error: --out: there is no folder {tmp_path / 'none'}"),
    ):
        refused = summarise(*words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert said in refused.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*.csv"))


def summarise(*words: object) -> subprocess.CompletedProcess[str]:
    program = [
        sys.executable,
        str(ROOT / "experiments" / "summarise.py"),
        "yearbook_triggering",
        "small",
        *map(str, words),
    ]
    return subprocess.run(program, capture_output=True, text=True, check=False)
