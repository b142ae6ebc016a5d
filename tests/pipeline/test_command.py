"""The real command, in a process of its own: a file of one's own, killed and resumed, run again, edited."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import result_bytes

from modyn_bench.seeding import derive

OPTIONS = [
    "dataset=table",
    "dataset.timestamp=when",
    "dataset.label=kind",
    "trigger=amount",
    "trigger.num_samples=150",
    "training.epochs=2",
]


def write_table(path: Path, num_rows: int = 900, seed: int = 0) -> Path:
    generator = derive(seed, "table")
    kind = generator.choice(["a", "b"], num_rows)
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2020-01-01", periods=num_rows, freq="6h").strftime("%Y-%m-%d %H:%M"),
            "x": generator.normal(size=num_rows) + (kind == "a"),
            "colour": np.where(generator.random(num_rows) < 0.8, np.where(kind == "a", "red", "blue"), "green"),
            "kind": kind,
        }
    )
    frame.to_csv(path, index=False)
    return path


def command(folder: Path, *overrides: str) -> list[str]:
    places = [f"dataset.path={folder / 'table.csv'}", f"root={folder / 'outputs'}", f"data_dir={folder / 'stores'}"]
    return [sys.executable, "-m", "modyn_bench.cli", "run", *OPTIONS, *places, *overrides]


def call(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120"}
    return subprocess.run(command(folder, *overrides), capture_output=True, text=True, cwd=folder, env=environment)


def runs_of(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "outputs").glob("*/manifest.json"))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and one finished run."""
    folder = tmp_path_factory.mktemp("straight")
    write_table(folder / "table.csv")
    done = call(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_it_writes_tables_figures_and_a_summary(straight: Path) -> None:
    (run,) = runs_of(straight)
    tables = {path.name for path in run.glob("*.parquet")}
    assert tables >= {f"{name}.parquet" for name in ("triggers", "models", "decisions", "evaluations", "composite")}
    assert len(list((run / "figures").glob("*.png"))) == 3
    assert (run / "DONE").exists()
    assert len(list((run / "wandb").glob("offline-run-*"))) == 1
    composite = pd.read_parquet(run / "composite.parquet")
    assert composite.query("metric == 'accuracy'").value.between(0.6, 1.0).all()


def test_the_same_command_again_shows_the_summary_and_changes_nothing(straight: Path) -> None:
    (run,) = runs_of(straight)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and "lock" not in path.name}
    again = call(straight)
    assert again.returncode == 0, again.stderr
    assert "currently" in again.stdout
    assert ".png" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("commits", [1, 3])
def test_killed_it_resumes_to_the_same_bytes(commits: int, straight: Path, tmp_path: Path) -> None:
    """Killed as soon as so many triggers are committed; W&B then holds every trigger once."""
    write_table(tmp_path / "table.csv")
    with subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob(f"outputs/*/triggers/{commits - 1:05d}"))) == 0:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    (run,) = runs_of(tmp_path)
    assert not (run / "DONE").exists()
    done = call(tmp_path)
    assert done.returncode == 0, done.stderr
    (expected,) = runs_of(straight)
    assert run.name == expected.name  # the same content under another path is the same run
    assert result_bytes(run) == result_bytes(expected)
    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    wandb = Path(sys.executable).parent / "wandb"
    printed = subprocess.run([wandb, "leet", "inspect", "--json", file], check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    history = [row["history"]["item"] for row in rows if row["type"] == "history"]
    steps = [item["trigger/num_selected"] for item in history if "trigger/num_selected" in item]
    assert steps == pd.read_parquet(run / "triggers.parquet").num_selected.tolist()


def test_interrupted_it_says_so_and_resumes(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", 2000)
    with subprocess.Popen(
        command(tmp_path, "trigger.num_samples=50"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("outputs/*/triggers/00001")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "resume" in stderr
    assert "Traceback" not in stderr
    assert call(tmp_path, "trigger.num_samples=50").returncode == 0


def test_an_edited_file_is_another_run(straight: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv")
    first = call(tmp_path, "logger=none")
    write_table(tmp_path / "table.csv", seed=1)
    second = call(tmp_path, "logger=none")
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert len(runs_of(tmp_path)) == 2


def test_other_windows_are_evaluated_without_a_model(straight: Path) -> None:
    (run,) = runs_of(straight)
    before = result_bytes(run)
    options = ["evaluation.windows.sliced.every=13w", "evaluation.metrics=[accuracy,f1_macro,ece,roc_auc]"]
    done = subprocess.run(
        [sys.executable, "-m", "modyn_bench.cli", "evaluate", str(run), *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (run / "evaluations").iterdir()
    evaluations = pd.read_parquet(folder / "evaluations.parquet")
    assert set(evaluations.metric) == {"accuracy", "f1_macro", "ece", "roc_auc"}
    assert evaluations.window_id.nunique() == 3
    after = result_bytes(run)
    assert {name: after[name] for name in before} == before


def test_a_broken_table_is_named_and_nothing_stays(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv")
    text = (tmp_path / "table.csv").read_text().splitlines()
    text[5] = text[5].replace("2020", "soon")
    (tmp_path / "table.csv").write_text("\n".join(text) + "\n")
    done = call(tmp_path)
    assert done.returncode == 1
    assert "table.csv" in done.stderr
    assert "when" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "outputs").exists()
