"""One row per run, over the windows that all runs share."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from modyn_bench.analysis.points import points
from modyn_bench.errors import RequestError
from modyn_bench.runs.load import Runs


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
