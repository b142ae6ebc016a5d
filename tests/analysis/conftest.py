"""Finished runs of real pipelines, made once for all tests of figures."""

from __future__ import annotations

import pandas as pd
import pytest
from small import run_small, small_store

from modyn_bench.decisions.threshold import Threshold
from modyn_bench.drift.mmd import Mmd
from modyn_bench.runs.load import Runs, load_runs
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.drift import Drift
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.time import Time
from modyn_bench.triggers.windows import DetectionWindows

NUM_SAMPLES = 240


def drift(threshold: float) -> Drift:
    return Drift(
        distance=Mmd(),
        decision=Threshold(threshold),
        windows=DetectionWindows(reference_size=40, current_size=20),
        interval=20,
        representation="features",
        warmup_intervals=3,
        warmup_trigger=Amount(30),
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Two seeds of a time trigger, and one of each of an amount, a drift and an ensemble trigger."""
    root = tmp_path_factory.mktemp("runs")
    store = small_store(range(NUM_SAMPLES))
    for seed in (0, 1):
        run_small(root, store, Time("40s"), seed=seed)
    run_small(root, store, Amount(60))
    run_small(root, store, drift(0.0), replay={"flush": False})
    run_small(root, store, Ensemble({"amount": Amount(50), "drift": drift(0.0)}, rule="any"))
    return load_runs(root)


@pytest.fixture(scope="session")
def tables(runs: Runs) -> dict[str, pd.DataFrame]:
    """The tables of all runs, with the name of each run's trigger as ``pipeline``."""
    triggers = runs.configs.set_index("run_id")["trigger"]
    names = ("triggers", "models", "decisions", "evaluations", "stages")
    return {name: getattr(runs, name).assign(pipeline=getattr(runs, name)["run_id"].map(triggers)) for name in names}
