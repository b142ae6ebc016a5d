"""Notebooks are stored as they were executed: in order, without errors, and without what one machine or day differs by.

That they run is checked by ``make notebooks``.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from modyn_bench.analysis.points import points
from modyn_bench.runs.load import load_runs
from modyn_bench.runs.manifest import MANIFEST
from modyn_bench.runs.tables import TABLES
from scripts import load_script

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RESULTS = ROOT / "notebooks" / "results"
SETS = sorted(path for path in RESULTS.iterdir() if path.is_dir())
PLACES = re.compile(r"/(?:tmp|home|root|Users|work|var|opt|usr)/|[A-Z]:\\\\|site-packages")
TIMES = re.compile(r"\d:\d\d:\d\d\b|^seconds +[\d.]+$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")

each_notebook = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)


def read(file: Path) -> list[dict[str, Any]]:
    notebook = json.loads(file.read_text(encoding="utf-8"))
    nbformat.validate(notebook)
    return notebook["cells"]


def code_cells(file: Path) -> list[dict[str, Any]]:
    return [cell for cell in read(file) if cell["cell_type"] == "code"]


def texts_of(output: dict[str, Any]) -> list[str]:
    kinds = output.get("data", {})
    return ["".join(output.get("text", "")), *("".join(kinds[kind]) for kind in kinds if kind.startswith("text/"))]


@each_notebook
def test_cells_were_executed_in_order_without_errors(file: Path) -> None:
    cells = code_cells(file)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert not [
        output
        for cell in cells
        for output in cell["outputs"]
        if output.get("name") == "stderr" and "nothing was started" not in "".join(output["text"])
    ]


@each_notebook
def test_outputs_are_stored_figures_among_them(file: Path) -> None:
    outputs = [output for cell in code_cells(file) for output in cell["outputs"]]
    figures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert figures
    assert all(base64.b64decode(figure).startswith(b"\x89PNG") for figure in figures)
    assert file.stat().st_size < 500_000


@each_notebook
def test_nothing_stored_tells_of_one_machine_or_execution(file: Path) -> None:
    for cell in read(file):
        assert cell["metadata"] == {}, "scripts/run_notebooks.py --write leaves times of execution out"
        for text in [text for output in cell.get("outputs", []) for text in texts_of(output)]:
            assert not PLACES.search(text), text
            assert not TIMES.search(text), text
            assert str(ROOT) not in text


@each_notebook
def test_links_lead_somewhere(file: Path) -> None:
    prose = "\n".join("".join(cell["source"]) for cell in read(file) if cell["cell_type"] == "markdown")
    links = [link for link in LINK.findall(prose) if "://" not in link]
    assert [link for link in links if not (file.parent / link).exists()] == []


@each_notebook
def test_the_readme_lists_it(file: Path) -> None:
    assert f"({file.name})" in (ROOT / "notebooks" / "README.md").read_text()


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
def test_results_are_whole_runs_and_small(folder: Path) -> None:
    runs = load_runs(folder)
    assert len(runs) == len(list(folder.iterdir()))
    assert not runs.unfinished
    assert not runs.skipped
    names = {MANIFEST, "DONE", *(f"{table}.parquet" for table in TABLES)}
    for run in folder.iterdir():
        assert {file.name for file in run.iterdir()} == names
        assert sum(file.stat().st_size for file in run.iterdir()) < 300_000
        assert not PLACES.search((run / MANIFEST).read_text())


def test_results_are_those_of_the_script() -> None:
    script = load_script("make_notebook_results")
    assert {folder.name for folder in SETS} == set(script.SETS)
    rows, left_out = points(load_runs(RESULTS / "selection"), metric="accuracy", variant="currently_trained")
    assert not left_out
    assert set(rows["policy"]) == {"new_data", *script.SELECTORS.split(",")}
    assert rows.groupby("policy").size().tolist() == [3] * 10
    rows, _ = points(
        load_runs(RESULTS / "triggering"), metric="accuracy", variant="currently_active", window_set="years"
    )
    assert set(rows["policy"]) == set(script.TRIGGERING.split(","))


def test_copies_leave_models_and_predictions_behind_and_replace_what_was_there(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    for name in ("a", "b"):
        (runs / name / "triggers" / "00000").mkdir(parents=True)
        for file in (MANIFEST, *(f"{table}.parquet" for table in TABLES), "test_split.npz", "triggers/00000/model"):
            (runs / name / file).write_text('{"run_id": "x"}')
    (runs / "a" / "DONE").touch()  # b is not done
    (out / "old").mkdir(parents=True)
    copies = load_script("make_notebook_results").copy_tables(runs, out)
    assert [copy.name for copy in copies] == ["a"]
    assert [path.name for path in out.iterdir()] == ["a"]
    assert {file.name for file in (out / "a").iterdir()} == {MANIFEST, "DONE", *(f"{name}.parquet" for name in TABLES)}


NOTEBOOK = """{"cells": [{"cell_type": "code", "id": "a", "execution_count": null, "metadata": {}, "outputs": [],
"source": "%s"}], "metadata": {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
"nbformat": 4, "nbformat_minor": 5}"""


@pytest.mark.slow
def test_what_is_stored_of_a_notebook_is_what_it_said_without_times(tmp_path: Path) -> None:
    run = load_script("run_notebooks").execute
    good = tmp_path / "good.ipynb"
    good.write_text(NOTEBOOK % "print('done in 0:00:07')")
    assert run(good, write=False) == ""
    assert code_cells(good)[0]["outputs"] == []
    assert run(good, write=True) == ""
    (cell,) = code_cells(good)
    assert "".join(cell["outputs"][0]["text"]) == "done in …\n"
    assert cell["metadata"] == {}


@pytest.mark.slow
def test_failing_notebooks_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    sources = {"dead": "import os; os._exit(1)", "bad": "1 / 0", "good": "print('fine')"}
    files = {name: tmp_path / f"{name}.ipynb" for name in sources}
    for name, file in files.items():
        file.write_text(NOTEBOOK % sources[name])
    before = {name: files[name].read_bytes() for name in ("dead", "bad")}
    script = ROOT / "scripts" / "run_notebooks.py"
    done = subprocess.run(
        [sys.executable, script, "--write", *files.values()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert {line.split(" in ")[0] for line in done.stdout.splitlines()} == {
        "dead.ipynb: FAILED",
        "bad.ipynb: FAILED",
        "good.ipynb: done",
    }
    assert f"{files['dead']} failed:\ncell 0: DeadKernelError: " in done.stderr
    assert f"{files['bad']} failed:\ncell 0: CellExecutionError: " in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert f"{files['good']} failed" not in done.stderr
    assert {name: files[name].read_bytes() for name in before} == before
    assert "".join(code_cells(files["good"])[0]["outputs"][0]["text"]) == "fine\n"


def test_measured_times_are_left_out_of_what_is_stored() -> None:
    steady = load_script("run_notebooks").steady
    summary = "samples arrived   24,364\nseconds              5.0\n  train              3.3\naccuracy           26.3%\n"
    assert steady(summary) == summary.replace("5.0", "…").replace("3.3", "…")
    assert steady("2011-12-31 100%  8 triggers  done in 0:00:06") == "2011-12-31 100%  8 triggers  done in …"
