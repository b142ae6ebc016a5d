"""A small stream that drifts, with its exact tables: a refactoring must not change them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from small import run_small, small_store

from modyn_bench.triggers.time import Time

# Accuracy of each model (row) in six windows of 20 s. The boundary that labels follow turns by a radian in 40 s, so a
# model is best where it was trained and useless a minute later.
MATRIX = [
    [0.95, 0.875, 0.625, 0.4, 0.425, 0.125],
    [0.7, 0.825, 0.85, 0.525, 0.6, 0.4],
    [0.35, 0.55, 0.675, 0.95, 0.85, 0.625],
    [0.15, 0.325, 0.375, 0.675, 0.8, 0.875],
]
# Models are available at 29, 59, 89 and 119. The windows' anchors are their starts: 0, 20, ... 100.
ACTIVE = [None, None, 0, 1, 1, 2]
TRAINED = [0, 0, 1, 2, 2, 3]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = small_store([i // 4 for i in range(480)], [i // 2 for i in range(240)])
    return run_small(
        tmp_path_factory.mktemp("golden"),
        store,
        Time("30s"),
        evaluation={"windows": {"sliced": {"every": "20s"}}, "metrics": ["accuracy", "loss"]},
        training={"epochs": 5},
    )


def test_triggers(run: Path) -> None:
    triggers = pd.read_parquet(run / "triggers.parquet")
    assert triggers.fired_at.tolist() == [29, 59, 89, 119]
    assert triggers.first_timestamp.tolist() == [0, 30, 60, 90]
    assert triggers.num_selected.tolist() == [120] * 4
    assert pd.read_parquet(run / "models.parquet").num_optimizer_steps.tolist() == [40] * 4


def test_matrix(run: Path) -> None:
    cells = pd.read_parquet(run / "evaluations.parquet").query("metric == 'accuracy'")
    matrix = cells.pivot(index="model_id", columns="window_id", values="value")
    assert matrix.to_numpy().tolist() == MATRIX
    assert (cells.num_samples == 40).all()
    for column, expected in (("currently_active", ACTIVE), ("currently_trained", TRAINED)):
        serving = cells[cells[column]].set_index("window_id").model_id
        assert [serving.get(window) for window in range(6)] == expected


def test_composites(run: Path) -> None:
    composite = pd.read_parquet(run / "composite.parquet")
    accuracy = composite.query("metric == 'accuracy' and aggregate == 'mean'").set_index("variant")
    active = [MATRIX[model][window] for window, model in enumerate(ACTIVE) if model is not None]
    trained = [MATRIX[model][window] for window, model in enumerate(TRAINED)]
    assert accuracy.value["currently_active"] == pytest.approx(sum(active) / 4, abs=1e-12)
    assert accuracy.value["currently_trained"] == pytest.approx(sum(trained) / 6, abs=1e-12)
    assert accuracy.coverage.tolist() == [4 / 6, 1.0]
    loss = composite.query("metric == 'loss' and aggregate == 'mean'").set_index("variant")
    assert loss.value["currently_active"] == pytest.approx(1.034946, abs=1e-5)
