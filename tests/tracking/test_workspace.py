"""The workspace: its panels ask for what runs really log, and it is saved by W&B's own client."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import synthetic_runs as synthetic
from observed import drive
from wandb_server import ENTITY, PROJECT, ServedRun, files_of, log_in, serving

from modyn_bench.cli import main
from modyn_bench.config import LoggerConfig
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.composite import VARIANTS
from modyn_bench.runs.load import load_runs
from modyn_bench.tracking.wandb import WandbObserver
from modyn_bench.tracking.workspace import MAX_AXES, Shown, build_workspace

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")  # of wandb-workspaces itself

SHOWN = Shown("stream_time", (("sliced", "accuracy", "mean"),), ("train",), (), (), 1)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was logged offline, alone in its root."""
    return drive(tmp_path_factory.mktemp("root"), [WandbObserver(LoggerConfig())])


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of runs that differ in trigger, learning rate and seed."""
    root = tmp_path_factory.mktemp("swept")
    for every in (synthetic.YEAR, synthetic.YEAR // 2):
        for seed in (0, 1):
            synthetic.write_run(root, every=every, seed=seed, config={"training": {"lr": 0.1 * seed, "sizes": [seed]}})
    return root


def spec(shown: Shown) -> dict[str, Any]:
    """What is sent to the server."""
    view = build_workspace(ENTITY, PROJECT, "comparison", shown)._to_model()
    return json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True))["section"]


def panels(sent: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The panels by section."""
    return {section["name"]: section["panels"] for section in sent["panelBankConfig"]["sections"]}


def texts(value: Any) -> list[str]:
    """All texts in a nested value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else [str(value)]


@functools.lru_cache
def offline_lines(run: Path) -> list[dict[str, Any]]:
    """The run's offline file, as W&B's own reader prints it."""
    (file,) = (run / "wandb").glob("offline-run-*/*.wandb")
    command = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json"]
    printed = subprocess.run([*command, str(file)], check=True, capture_output=True, text=True).stdout
    summary = subprocess.run([*command, "--summary", str(file)], check=True, capture_output=True, text=True).stdout
    return [json.loads(summary), *map(json.loads, printed.splitlines())]


def test_every_panel_asks_for_what_a_run_logs(logged: Path):
    summary, *lines = offline_lines(logged)
    history = {key for line in lines if line["type"] == "history" for key in line["history"]["item"]}
    found = panels(spec(Shown.of(load_runs(logged.parent))))
    assert [*found] == ["Composite models over time", "Score against cost", "Costs", "Decisions", "Tables"]
    lines_of = [panel for each in found.values() for panel in each if panel["viewType"] == "Run History Line Plot"]
    asked = {metric for panel in lines_of for metric in panel["config"]["metrics"]}
    assert asked <= history
    assert {panel["config"]["xAxis"] for panel in lines_of} == {"stream_time"} <= history
    shown = {f"window/sliced/{variant}/{name}" for variant in VARIANTS for name in ("accuracy", "loss")}
    assert shown | {f"cumulative/{name}" for name in ("num_triggers", "seconds")} <= asked
    assert {"decision/ensemble/drift/score", "decision/ensemble/drift/threshold"} <= asked
    axes = [panel["config"][axis] for panel in found["Score against cost"] for axis in ("xAxis", "yAxis")]
    assert {axis.removeprefix("summary:") for axis in axes} <= set(summary["summary"])
    assert ("summary:total/num_triggers", "summary:composite/sliced/currently_active/loss/mean") in zip(
        axes[::2], axes[1::2], strict=True
    )
    bars = [panel["config"]["metrics"] for panel in found["Costs"] if panel["viewType"] == "Bar Chart"]
    assert {metric for metrics in bars for metric in metrics} <= set(summary["summary"])
    assert "total/seconds/train" in bars[0]
    tables = [key for key, value in summary["summary"].items() if isinstance(value, dict) and "nrows" in value]
    assert len(found["Tables"]) == len(tables) == 2
    assert all(name in texts(found["Tables"]) for name in tables)


def test_runs_are_grouped_by_policy_and_pipeline_and_lines_as_they_are(logged: Path):
    sent = spec(Shown.of(load_runs(logged.parent)))
    names = ["policy.value", "pipeline.value"]
    assert sent["runSets"][0]["grouping"] == [{"section": "config", "name": name} for name in names]
    found = panels(sent)
    assert all(
        "groupBy" not in panel["config"] for title in ("Composite models over time", "Costs") for panel in found[title]
    )
    assert {"policy", "pipeline"} < set(offline_lines(logged)[0]["config"])


def test_over_several_datasets_the_runs_are_grouped_by_both(logged: Path):
    sent = spec(Shown("stream_days", SHOWN.scores, SHOWN.stages, (), (), num_datasets=2))
    names = [key["name"] for key in sent["runSets"][0]["grouping"]]
    assert names == ["chosen.value.dataset", "policy.value", "pipeline.value"]
    assert "chosen" in offline_lines(logged)[0]["config"]


def test_parallel_coordinates_are_over_what_differs(swept: Path):
    shown = Shown.of(load_runs(swept))
    assert set(shown.differing) == {"trigger.every", "training.lr", "seed"}
    assert shown.policies == ("drift",)
    (panel,) = panels(spec(shown))["What differs"]
    columns = {column["accessor"]: column for column in panel["config"]["columns"]}
    assert [*columns][:3] == [f"config:{key}" for key in ("trigger.value.every", "training.value.lr", "seed.value")]
    assert {"summary:total/num_triggers", "summary:total/sample_passes", "summary:total/seconds"} < set(columns)
    assert columns["summary:composite/sliced/currently_active/loss/mean"]["inverted"] is True
    assert "inverted" not in columns["summary:composite/sliced/currently_active/accuracy/mean"]


def test_more_axes_than_can_be_read_are_cut_off():
    shown = Shown("stream_time", SHOWN.scores, (), (), tuple(f"training.k{i}" for i in range(40)), 1)
    (panel,) = panels(spec(shown))["What differs"]
    assert sum(column["accessor"].startswith("config:") for column in panel["config"]["columns"]) == MAX_AXES


def test_it_is_saved_from_the_runs_of_the_project(
    logged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (folder,) = (logged / "wandb").glob("offline-run-*")
    with serving() as server:
        log_in(monkeypatch, server.url, tmp_path / "home")
        assert main(["workspace", f"{ENTITY}/{PROJECT}"]) == 2
        assert "has no run" in capsys.readouterr().err
        server.runs.append(ServedRun("finished", files_of(folder)))
        server.runs.append(ServedRun("other", {"output.log": b""}))
        assert main(["workspace", f"wandb:{ENTITY}/{PROJECT}", "--name", "comparison"]) == 0
        out = capsys.readouterr().out
        (view,) = server.views
        assert (view["entityName"], view["projectName"], view["displayName"]) == (ENTITY, PROJECT, "comparison")
        assert view["type"] == "project-view"
        sent = json.loads(view["spec"])["section"]
        expected = spec(Shown.of(load_runs(logged.parent)))
        metrics = [[panel["config"].get("metrics") for panel in each] for each in panels(sent).values()]
        assert metrics == [[panel["config"].get("metrics") for panel in each] for each in panels(expected).values()]
        assert f"{ENTITY}/{PROJECT}?nw=" in out
        assert "left out  wandb:me/modyn_bench/other: it is a W&B run that holds no results" in out
        assert main(["workspace", f"{ENTITY}/{PROJECT}/group=grid"]) == 2
        assert "a workspace shows a whole project" in capsys.readouterr().err


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(RequestError, match=r"pip install 'modyn_bench\[workspaces\]'"):
        build_workspace(ENTITY, PROJECT, "comparison", SHOWN)
