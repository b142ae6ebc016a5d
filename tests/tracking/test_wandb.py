"""What Weights & Biases was given, read back from the offline file by W&B's own reader."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import synthetic_runs as synthetic
from observed import CONFIG, FIRED, drive, records

from modyn_bench.config import LoggerConfig
from modyn_bench.errors import RunError
from modyn_bench.preflight import check_jobs
from modyn_bench.runs.identity import pipeline_id
from modyn_bench.runs.manifest import new_manifest, read_manifest
from modyn_bench.tracking.console import read_rows, total
from modyn_bench.tracking.wandb import EXIT_CODES, WandbObserver
from modyn_bench.tracking.wandb_rows import MAX_TABLE_ROWS, matrix_rows, run_config, stream_axes

WANDB = Path(sys.executable).parent / "wandb"
NAMES = ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR")


def inspect(run: Path, *options: str) -> str:
    """The run's only offline file, as W&B's own reader prints it."""
    (file,) = (run / "wandb").glob("offline-run-*/*.wandb")
    command = [str(WANDB), "leet", "inspect", "--json", *options, str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@functools.lru_cache
def read_finished(run: Path) -> tuple[dict, list[dict]]:
    """What ``read_back`` says of a run that is not written to any more."""
    return read_back(run)


def read_back(run: Path) -> tuple[dict, list[dict]]:
    """The summary of the run's only offline file, and its history."""
    lines = [json.loads(line) for line in inspect(run).splitlines()]
    history = [line["history"]["item"] for line in lines if line["type"] == "history"]
    return json.loads(inspect(run, "--summary")), history


def logged(history: list[dict]) -> Counter:
    """Each value under its key and place in stream time, and how often it is there."""
    return Counter(
        (key, value, row.get("stream_time"))
        for row in history
        for key, value in row.items()
        if key.partition("/")[0] in ("decision", "trigger", "seconds", "cumulative", "window")
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where W&B would write if it were let."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.chdir(home)
        observer = WandbObserver(LoggerConfig(tags=["test"]), sweep="grid", overrides=["trigger.every=1y", "seed=0"])
        return drive(tmp_path_factory.mktemp("root"), [observer])


@pytest.mark.usefixtures("finished")
def test_it_writes_nothing_outside_the_run(home: Path) -> None:
    assert [path for path in home.rglob("*") if "wandb" in path.name] == []
    assert not any(name in os.environ for name in NAMES)


def test_the_run_is_named_grouped_and_configured(finished: Path) -> None:
    summary, _ = read_finished(finished)
    assert summary["state"] == "finished"
    assert summary["run_id"] == read_manifest(finished)["wandb_id"]
    assert summary["name"] == finished.name
    assert summary["tags"] == ["test"]
    config = summary["config"]
    assert {key: config[key] for key in CONFIG} == CONFIG
    assert (config["run_id"], config["policy"]) == (finished.name, "time every=1y / none")
    assert config["pipeline"] == pipeline_id(CONFIG | {"seed": 9}, "f00d")
    assert config["chosen"] == {"dataset": "arxiv", "model": "none", "trigger": "time", "selector": "none"}
    runs = [json.loads(line)["run"] for line in inspect(finished).splitlines() if '"type":"run"' in line]
    assert runs[0]["run_group"] == "grid"


def test_the_pipeline_is_the_same_for_those_runs_alone_that_differ_by_their_seed() -> None:
    def pipeline(*words: str) -> str:
        (job,) = check_jobs(["logger=none", *words])
        return run_config(new_manifest(job.config, "f00d", {"name": "arxiv"}), words)["pipeline"]

    asked = pipeline("trigger=time", "dataset.used_fraction=0.02")
    assert pipeline("trigger=time", "dataset.used_fraction=0.02", "seed=3") == asked
    assert pipeline("trigger=time", "dataset.used_fraction=0.02", "training.devices=1") == asked  # which is the default
    assert pipeline("trigger=time", "dataset.used_fraction=0.04") != asked
    assert pipeline("trigger=time", "dataset.used_fraction=0.02", "training.epochs=2") != asked


def test_every_trigger_and_decision_stands_on_stream_time_once(finished: Path) -> None:
    _, history = read_finished(finished)
    counts = logged(history)
    assert set(counts.values()) == {1}
    for index in range(len(FIRED)):
        decisions, record = records(index)
        at = stream_axes(record.fired_at, 0)["stream_time"]
        assert counts["trigger/num_selected", record.num_selected, at] == 1
        assert counts["seconds/train", 0.5, at] == 1
        assert counts["cumulative/seconds", 0.75 * (index + 1), at] == 1
        for _, member in decisions:
            then = stream_axes(member.at_timestamp, 0)["stream_time"]
            assert counts["decision/ensemble/drift/score", member.score, then] == 1
    steps = [row["_step"] for row in history]
    assert steps == sorted(set(steps))


def test_stream_time_is_the_axis_of_every_series(finished: Path) -> None:
    metrics = [json.loads(line) for line in inspect(finished).splitlines() if '"type":"metric"' in line]
    axes = {
        line["metric"]["glob_name"]: line["metric"]["step_metric"] for line in metrics if "glob_name" in line["metric"]
    }
    assert axes == dict.fromkeys(("decision/*", "trigger/*", "seconds/*", "cumulative/*", "window/*"), "stream_time")


def test_the_composite_models_are_series_over_the_anchors(finished: Path) -> None:
    _, history = read_finished(finished)
    key = "window/sliced/currently_active/accuracy"
    series = {row["stream_time"]: row[key] for row in history if key in row}
    cells = [
        row for row in read_rows(finished, "evaluations") if row["currently_active"] and row["metric"] == "accuracy"
    ]
    assert series == {
        stream_axes(cell["anchor"], 0)["stream_time"]: cell["value"] for cell in cells if cell["value"] is not None
    }


def test_tables_and_figures_are_files_of_the_run(finished: Path) -> None:
    summary, history = read_finished(finished)
    files = next((finished / "wandb").glob("offline-run-*")) / "files"
    media = {key: value for key, value in summary["summary"].items() if isinstance(value, dict) and "path" in value}
    assert set(media) == {
        "evaluations/sliced",
        "composite",
        "figures/evaluation_heatmap",
        "figures/composite_over_time",
        "figures/cost_by_stage",
    }
    assert sum("composite.path" in row or "composite" in row for row in history) == 1
    for entry in media.values():
        assert (files / entry["path"]).stat().st_size == entry["size"]
    matrix = json.loads((files / media["evaluations/sliced"]["path"]).read_text())
    cells = {(row["model_id"], row["window_id"]): row for row in matrix_rows(read_rows(finished, "evaluations"))}
    assert len(matrix["data"]) == len(cells) == 4 * 9
    for values in matrix["data"]:
        row = dict(zip(matrix["columns"], values, strict=True))
        assert row == cells[row["model_id"], row["window_id"]]
    composite = json.loads((files / media["composite"]["path"]).read_text())
    rows = [dict(zip(composite["columns"], values, strict=True)) for values in composite["data"]]
    assert rows == read_rows(finished, "composite")


def test_the_summary_holds_totals_and_composites(finished: Path) -> None:
    summary = read_finished(finished)[0]["summary"]
    totals = total(finished)
    assert summary["status"] == "finished"
    assert summary["total/num_triggers"] == 4
    assert summary["total/forward_passes"] == totals.forward_passes == 12_000
    assert summary["total/seconds/train"] == pytest.approx(2.0)
    assert summary["total/sample_passes"] == 4 * (3e3 + 2 * 3e3)  # the passes of predicting are the evaluation's
    for row in totals.composite:
        name = f"composite/sliced/{row['variant']}/{row['metric']}"
        assert summary[f"{name}/{row['aggregate']}"] == row["value"]
        assert summary[f"{name}/coverage"] == row["coverage"]
    assert not any(key.startswith(("trigger/", "decision/", "window/", "stream_")) for key in summary)


@pytest.mark.parametrize("end", ["interrupted", "failed", "killed"])
def test_resumed_it_logs_everything_once(tmp_path: Path, finished: Path, end: str) -> None:
    if end == "killed":
        script = (
            "import os, sys\nfrom pathlib import Path\n"
            f"sys.path[:0] = {sys.path!r}\n"
            "from observed import drive\nfrom modyn_bench.config import LoggerConfig\n"
            "from modyn_bench.observer import Observer\nfrom modyn_bench.tracking.wandb import WandbObserver\n"
            "class Killer(Observer):\n    def on_close(self, status): os.kill(os.getpid(), 9)\n"
            f"drive(Path({str(tmp_path)!r}), [Killer(), WandbObserver(LoggerConfig())], stop_before=2)\n"
        )
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
        (run,) = tmp_path.iterdir()
        _wait_until_written(run)
    else:
        run = drive(tmp_path, [WandbObserver(LoggerConfig())], stop_before=2, status=end)  # type: ignore[arg-type]
        summary, history = read_back(run)
        assert summary["state"] != "finished"
        assert summary["exit_code"] == EXIT_CODES[end]
        assert summary["summary"]["status"] == end
        assert {row["trigger/trigger_index"] for row in history if "trigger/trigger_index" in row} == {0, 1}
    drive(tmp_path, [WandbObserver(LoggerConfig())])
    summary, history = read_back(run)
    assert summary["state"] == "finished"
    assert summary["run_id"] == read_manifest(run)["wandb_id"]
    assert logged(history) == logged(read_finished(finished)[1])


class Continued(WandbObserver):
    """Goes on with a W&B run that holds rows already, as a server's run does when it is resumed."""

    def _init(self, start):  # type: ignore[no-untyped-def]
        run = super()._init(start)
        for step in range(5):
            run.log({"earlier": step}, step=step)
        run.log({}, step=5)  # completes the row before
        return run


def test_what_the_server_has_is_not_logged_again(tmp_path: Path, finished: Path) -> None:
    run = drive(tmp_path, [Continued(LoggerConfig())])
    everything, found = read_finished(finished)[1], read_back(run)[1]
    assert [row["earlier"] for row in found if "earlier" in row] == [0, 1, 2, 3, 4]
    assert logged([row for row in found if "earlier" not in row]) == logged(everything[5:])
    assert len(everything) > 12


def _wait_until_written(run: Path) -> None:
    """W&B's service outlives a killed process by a moment, and writes what it still has."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not list((run / "wandb").glob("offline-run-*/*.wandb")):
        time.sleep(0.05)
    time.sleep(0.5)


def test_models_are_logged_on_request(tmp_path: Path) -> None:
    run = drive(tmp_path, [WandbObserver(LoggerConfig(log_models=True))])
    artifacts = [json.loads(line)["artifact"] for line in inspect(run).splitlines() if '"type":"artifact"' in line]
    (model,) = [artifact for artifact in artifacts if artifact["type"] == "model"]
    assert model["name"] == f"{run.name}-model"
    assert "model-3" in model["aliases"]  # runs.keep_models=last keeps this one alone
    (entry,) = model["manifest"]["contents"]
    assert entry["path"] == "weights.safetensors"
    assert Path(entry["local_path"]).is_relative_to(run)
    assert Path(entry["local_path"]).read_bytes() == bytes([3])


def test_disabled_it_does_nothing(tmp_path: Path) -> None:
    run = drive(tmp_path, [WandbObserver(LoggerConfig(mode="disabled"))])
    assert not (run / "wandb").exists()


def test_online_without_an_account_is_an_error_that_says_what_to_do(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    observer = WandbObserver(LoggerConfig(mode="online"))
    with pytest.raises(RunError, match=r"logger\.mode=offline"):
        drive(tmp_path, [observer])
    observer.on_close("failed")
    assert not any(name in os.environ for name in NAMES)


def test_the_environment_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DIR", "/somewhere")
    observer = WandbObserver(LoggerConfig())
    run = drive(tmp_path, [observer], stop_before=0, status="interrupted")
    assert os.environ["WANDB_DIR"] == "/somewhere"
    assert (run / "wandb").is_dir()
    observer.on_close("interrupted")  # again does no harm


def test_two_runs_in_one_process_stay_apart(tmp_path: Path) -> None:
    first = drive(tmp_path / "a", [WandbObserver(LoggerConfig())], stop_before=1, status="interrupted")
    before = {path: path.stat().st_size for path in first.rglob("*")}
    second = drive(tmp_path / "b", [WandbObserver(LoggerConfig())], stop_before=1, status="interrupted")
    assert read_back(first)[0]["run_id"] != read_back(second)[0]["run_id"]
    assert {path: path.stat().st_size for path in first.rglob("*")} == before


def test_a_matrix_too_large_for_a_table_keeps_what_the_composites_are_made_of() -> None:
    cells = synthetic.evaluations(synthetic.models(synthetic.triggers(120)), num_windows=120, metrics=("accuracy",))
    assert len(cells) > MAX_TABLE_ROWS
    rows = matrix_rows(cells.to_dict("records"))
    assert len(rows) == (cells["currently_active"] | cells["currently_trained"]).sum()


def test_a_point_in_time_is_a_year_with_its_fraction() -> None:
    assert stream_axes(0, first_time=-86_400) == {"stream_time": 1970.0, "stream_days": 1.0}
    middle = stream_axes(1_183_248_000, first_time=0)  # 1 July 2007, after 181 of 365 days
    assert middle["stream_time"] == pytest.approx(2007 + 181 / 365, abs=1e-9)
