"""Labels that come a year late, on the bundled arXiv titles: nothing is judged or served before its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modyn_bench.jobs import prepare_store, run_job
from modyn_bench.preflight import check_jobs

YEAR = 365 * 86_400


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("late")
    policy = ["trigger=performance", "trigger.interval=500", "trigger.metric=top_2_accuracy", "trigger.threshold=0.5"]
    places = [f"root={folder / 'out'}", f"data_dir={folder / 'stores'}", "logger=none"]
    return [*policy, "replay.label_delay=1y", "replay.stop=1999-01-01", "training.epochs=2", *places]


@pytest.fixture(scope="module")
def run(overrides: list[str]) -> Path:
    return run_job(check_jobs(overrides)[0].config).path


def test_the_policy_judges_each_sample_when_its_label_has_come_and_none_that_was_trained_on(
    run: Path, overrides: list[str]
) -> None:
    timestamps = np.asarray(prepare_store(check_jobs(overrides)[0].config).splits["train"].timestamps)
    decisions, triggers = pd.read_parquet(run / "decisions.parquet"), pd.read_parquet(run / "triggers.parquet")
    judged_until = trained_until = 0
    has_model = False
    expected = []
    for decision in decisions.itertuples():
        arrived = timestamps[: decision.num_samples_seen]
        labelled = int(np.searchsorted(arrived, decision.at_timestamp - YEAR, side="right"))
        if has_model:
            first = max(judged_until, trained_until)
            expected.append(max(labelled - first, 0))
            judged_until = max(labelled, first)
        else:
            expected.append(0)
        if decision.fired and triggers.num_selected[int(decision.trigger_index)]:
            has_model, trained_until = True, labelled
    assert decisions.forward_passes.tolist() == expected
    assert sum(expected) > 1_000
    assert decisions.score.notna().tolist() == [count > 0 for count in expected]


def test_no_model_serves_a_window_before_it_existed_nor_knows_a_label_that_came_later(
    run: Path, overrides: list[str]
) -> None:
    timestamps = np.asarray(prepare_store(check_jobs(overrides)[0].config).splits["train"].timestamps)
    models, triggers = pd.read_parquet(run / "models.parquet"), pd.read_parquet(run / "triggers.parquet")
    cells = pd.read_parquet(run / "evaluations.parquet").merge(models, on="model_id")
    active = cells[cells.currently_active]
    assert len(models) >= 3
    assert (active.available_at < active.anchor).all()
    for trigger in triggers.itertuples():
        keys = pd.read_parquet(run / f"triggers/{trigger.trigger_index:05d}/selection.parquet").key
        assert len(keys) == trigger.num_selected
        assert (timestamps[keys] + YEAR <= trigger.fired_at).all()
