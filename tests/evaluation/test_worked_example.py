"""The numbers in docs/composite-models.md are what the code computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modyn_bench.config import EvaluationConfig
from modyn_bench.evaluation.compare import compare
from modyn_bench.evaluation.evaluate import EvaluationTables, evaluate
from modyn_bench.types import Predictions
from tests.evaluation.making import config_of, triggers_at

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "composite-models.md"
TIMESTAMPS = np.array([1, 9, 10, 11, 15, 19, 30, 40, 41, 49])
CORRECT = [
    np.array([1, 0, 1, 1, 1, 0, 0, 1, 0, 0], dtype=bool),
    np.array([0, 1, 1, 1, 0, 0, 1, 1, 1, 0], dtype=bool),
]


def table(first_column: str) -> list[dict[str, str]]:
    """Return the rows of the document's table whose first column has this head."""
    lines = DOCUMENT.read_text().splitlines()
    top = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[top:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def run(config: EvaluationConfig, fired: list[int], available: list[int]) -> EvaluationTables:
    def predictions(model_id: int) -> Predictions:
        filler = np.full(len(TIMESTAMPS), 0.5, dtype=np.float32)
        wrong = (~CORRECT[model_id]).astype(np.int32)
        return Predictions(0, wrong, filler, wrong, filler, filler)

    return evaluate(
        config,
        timestamps=TIMESTAMPS,
        labels=np.zeros(len(TIMESTAMPS), dtype=np.int64),
        num_classes=2,
        triggers=triggers_at(fired, available),
        predictions=predictions,
    )


CONFIG = config_of(sliced={"kind": "sliced", "every": "10s", "start": 0})


def number(text: str) -> float | None:
    return None if text == "–" else pytest.approx(float(text), abs=5e-4)


def test_matrix_and_assignment():
    cells = run(CONFIG, [10, 25], [10, 35]).evaluations.to_pylist()
    rows = table("window")
    assert len(rows) == 5
    for window_id, row in enumerate(rows):
        of_window = [cell for cell in cells if cell["window_id"] == window_id]
        assert row["window"] == f"[{of_window[0]['window_start']}, {of_window[0]['window_end']})"
        assert int(row["samples"]) == of_window[0]["num_samples"]
        assert of_window[0]["value"] == number(row["accuracy of model 0 (available at 10)"])
        assert of_window[1]["value"] == number(row["accuracy of model 1 (available at 35)"])
        for name in ("active", "trained"):
            serving = [str(cell["model_id"]) for cell in of_window if cell[f"currently_{name}"]]
            assert (serving or ["–"]) == [row[name]]


def test_aggregates_and_coverage():
    made = run(CONFIG, [10, 25], [10, 35]).composite.to_pylist()
    rows = table("composite model")
    assert [row["composite model"] for row in rows] == ["currently_active", "currently_trained"]
    for row in rows:
        of_variant = {each["aggregate"]: each for each in made if each["variant"] == row["composite model"]}
        for aggregate in CONFIG.aggregates:
            assert of_variant[aggregate]["value"] == number(row[aggregate])
        assert {each["coverage"] for each in of_variant.values()} == {float(row["coverage"])}


def test_comparison():
    runs = {"two": ([10, 25], [10, 35]), "one": ([5], [5])}
    evaluations = pd.concat(run(CONFIG, *times).evaluations.to_pandas().assign(run_id=n) for n, times in runs.items())
    models = pd.DataFrame({"run_id": ["two", "two", "one"], "model_id": [0, 1, 0]})
    made = compare(evaluations, models, window_set="sliced", metric="accuracy", min_coverage=0.3)
    rows = table("pipeline")
    assert [row["pipeline"] for row in rows] == made.table["run_id"].tolist()
    for row, (_, compared) in zip(rows, made.table.iterrows(), strict=True):
        assert int(row["windows"]) == compared["num_windows"]
        assert number(row["currently_active, mean"]) == compared["value"]
        assert int(row["triggers counted"]) == compared["num_triggers"]
        assert int(row["triggers in all"]) == (models["run_id"] == row["pipeline"]).sum()
