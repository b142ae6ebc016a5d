"""Lines rise at every trigger by what was used for it, to the run's total."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import legend_texts

from modyn_bench.analysis import style
from modyn_bench.analysis.figures.cumulative_costs import cumulative_costs, spent
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.costs import policy_costs


def steps(ax) -> list:
    return [item for item in ax.lines if item.get_drawstyle() == "steps-post"]


@pytest.mark.parametrize("quantity", ["sample_passes", "seconds"])
def test_lines_end_at_what_each_pipeline_cost(tables: dict[str, pd.DataFrame], quantity: str) -> None:
    ax = cumulative_costs(tables["stages"], tables["triggers"], quantity=quantity, by="pipeline")
    pipelines = tables["stages"].drop_duplicates("run_id").set_index("run_id")["pipeline"]
    costs = policy_costs(tables["stages"]).set_index("run_id")[quantity].groupby(pipelines, sort=False).mean()
    assert legend_texts(ax) == ["amount", "drift", "ensemble", "time (n = 2)"]
    np.testing.assert_allclose(
        [item.get_ydata()[-1] for item in steps(ax)], costs[["amount", "drift", "ensemble", "time"]]
    )
    for item in steps(ax):
        assert np.all(np.diff(item.get_ydata()) >= 0)


def test_marks_stand_on_the_line_at_every_training(tables: dict[str, pd.DataFrame]) -> None:
    frames = [tables[name][tables[name]["pipeline"] == "amount"] for name in ("stages", "triggers")]
    ax = cumulative_costs(*frames)
    (marks,) = [item for item in ax.lines if item.get_markevery() is not None and len(item.get_xdata())]
    times = marks.get_xdata()[marks.get_markevery()]
    np.testing.assert_allclose(times, style.dates(frames[1]["fired_at"]))


def test_a_step_holds_what_was_used_since_the_trigger_before(tables: dict[str, pd.DataFrame]) -> None:
    triggers = tables["triggers"][tables["triggers"]["pipeline"] == "drift"]
    stages = tables["stages"][tables["stages"]["pipeline"] == "drift"]
    rows = spent(stages, triggers, quantity="sample_passes", end=300)
    train = tables["models"][tables["models"]["pipeline"] == "drift"]
    np.testing.assert_allclose(
        np.diff([0.0, *rows["total"]])[:-1], train["forward_passes"] + 2 * train["backward_passes"]
    )
    assert rows["at"].tolist() == [*triggers["fired_at"], 300]
    assert rows["trained"].tolist() == [True] * 4 + [False]


def test_wrong_requests_are_answered(tables: dict[str, pd.DataFrame]) -> None:
    stages, triggers = tables["stages"], tables["triggers"]
    with pytest.raises(RequestError, match="stages has no rows"):
        cumulative_costs(stages.iloc[:0], triggers)
    with pytest.raises(RequestError, match="triggers has no rows"):
        cumulative_costs(stages, triggers.iloc[:0])
    with pytest.raises(RequestError, match="quantity='euros' must be one of sample_passes, seconds"):
        cumulative_costs(stages, triggers, quantity="euros")
    with pytest.raises(RequestError, match="triggers lacks some of the triggers in stages"):
        cumulative_costs(stages, triggers[triggers["trigger_index"] > 0], by="pipeline")
