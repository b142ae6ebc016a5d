"""One row per run, over the windows that all runs share."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import synthetic_runs as synthetic

from modyn_bench.analysis.points import points
from modyn_bench.errors import RequestError
from modyn_bench.runs.load import Runs, load_runs


@pytest.mark.parametrize("variant", ["currently_active", "currently_trained"])
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_values_are_means_over_the_windows_in_which_all_have_one(runs: Runs, metric: str, variant: str) -> None:
    rows, left_out = points(runs, metric=metric, variant=variant)
    cells = runs.evaluations[(runs.evaluations["metric"] == metric) & runs.evaluations[variant]]
    table = cells.pivot(index="window_id", columns="run_id", values="value").dropna()
    assert left_out == []
    assert len(rows) == len(runs)
    assert set(rows["num_windows"]) == {len(table)}
    assert rows.set_index("run_id")["value"].to_dict() == pytest.approx(table.mean().to_dict())
    assert set(rows["metric"]) == {metric}
    assert set(rows["variant"]) == {variant}
    assert set(rows["aggregate"]) == {"mean"}
    assert rows.set_index("run_id")["policy"].to_dict() == {run: runs.policies[run] for run in rows["run_id"]}


def test_triggers_are_counted_from_the_first_common_window_on(runs: Runs) -> None:
    rows, _ = points(runs, metric="accuracy", variant="currently_active")
    cells = runs.evaluations.query("metric == 'accuracy' and currently_active")
    first = cells.groupby("run_id")["anchor"].min().max()
    for row in rows.itertuples():
        own = runs.models[runs.models["run_id"] == row.run_id]
        serving = own[own["available_at"] < first]["model_id"].max()
        assert row.num_triggers == (own["model_id"] >= serving).sum()


def test_what_covers_too_little_is_set_aside_by_name(runs: Runs) -> None:
    coverage = runs.composite.query("metric == 'accuracy' and variant == 'currently_active' and aggregate == 'mean'")
    coverage = coverage.set_index("run_id")["coverage"]
    most = float(coverage.max())
    rows, left_out = points(runs, metric="accuracy", variant="currently_active", min_coverage=most)
    assert set(rows["run_id"]) == set(coverage[coverage == most].index)
    assert len(left_out) == (coverage < most).sum() > 0
    assert all("is set aside" in text for text in left_out)


def test_runs_without_a_model_or_these_windows_are_named_and_others_are_not(tmp_path: Path) -> None:
    write = partial(synthetic.write_run, tmp_path, num_models=5, num_windows=12)
    compared, elsewhere, untrained = (write(seed=seed).name for seed in (0, 1, 2))
    frames = {name: pd.read_parquet(tmp_path / name / "evaluations.parquet") for name in (elsewhere, untrained)}
    synthetic.replace(tmp_path / elsewhere, evaluations=frames[elsewhere].assign(window_set="monthly"))
    synthetic.replace(tmp_path / untrained, evaluations=frames[untrained].iloc[:0])
    other = write(seed=3, fingerprint="beef")  # of another dataset, on windows of another name, and not asked for
    frame = pd.read_parquet(other / "evaluations.parquet")
    synthetic.replace(other, evaluations=frame.assign(window_set="weekly"))
    runs = load_runs(tmp_path)
    rows, left_out = points(runs, metric="accuracy", variant="currently_active", window_set="sliced")
    assert list(rows["run_id"]) == [compared]
    assert left_out == [
        f"arxiv data=f00d: {runs.names[elsewhere]} ({elsewhere}) was not evaluated on windows named sliced",
        f"{runs.names[untrained]} ({untrained}) has no model",
    ]


def test_runs_whose_windows_are_their_own_are_told_of(tmp_path: Path) -> None:
    evaluation = {"metrics": ["accuracy"], "windows": {"sliced": {"kind": "between_triggers"}}}
    kept = synthetic.write_run(tmp_path, seed=0).name
    synthetic.write_run(tmp_path, seed=1, config={"evaluation": evaluation})
    rows, left_out = points(load_runs(tmp_path), metric="accuracy", variant="currently_active")
    assert list(rows["run_id"]) == [kept]
    assert len(left_out) == 1
    assert left_out[0].startswith("sliced: windows of kind between_triggers depend on the triggers of each run")


def test_wrong_requests_are_answered(runs: Runs) -> None:
    wanted = {"metric": "accuracy", "variant": "currently_active"}
    with pytest.raises(RequestError, match="there is no metric 'ece' in these runs; there is accuracy, loss"):
        points(runs, **wanted | {"metric": "ece"})
    with pytest.raises(RequestError, match="there is no variant 'best'"):
        points(runs, **wanted | {"variant": "best"})
    with pytest.raises(RequestError, match="there is no aggregate 'median'"):
        points(runs, **wanted, aggregate="median")
    with pytest.raises(RequestError, match=r"window_set='years' must name one set.*there is small: sliced"):
        points(runs, **wanted, window_set="years")
    other = {name: pd.concat([frame, frame.assign(window_set="other")]) for name, frame in _evaluated(runs).items()}
    with pytest.raises(RequestError, match="there is small: sliced, small: other"):
        points(replace(runs, **other), **wanted)


def _evaluated(runs: Runs) -> dict[str, pd.DataFrame]:
    return {"evaluations": runs.evaluations, "composite": runs.composite}
