"""Every trigger is a bar, as high as what it trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import legend_texts
from matplotlib.collections import LineCollection

from modyn_bench.analysis import style
from modyn_bench.analysis.figures.triggers_over_time import triggers_over_time
from modyn_bench.errors import RequestError


def lanes(ax) -> list[np.ndarray]:
    """Time and height of the bars of each lane, from the top."""
    bars = [np.array(item.get_segments()) for item in ax.collections if isinstance(item, LineCollection)]
    return [np.stack([lane[:, 0, 0], lane[:, 0, 1] - lane[:, 1, 1]], axis=1) for lane in bars]


def test_bars_stand_at_the_triggers_as_high_as_their_training_sets(tables: dict[str, pd.DataFrame]) -> None:
    triggers = tables["triggers"]
    ax = triggers_over_time(triggers, by="pipeline")
    drawn = lanes(ax)
    largest = triggers["num_selected"].max()
    for (_, run), lane in zip(triggers.groupby("run_id", sort=False), drawn, strict=True):
        np.testing.assert_allclose(lane[:, 0], style.dates(run["fired_at"]))
        np.testing.assert_allclose(lane[:, 1], 0.8 * run["num_selected"] / largest)
    assert legend_texts(ax) == [f"as high as the samples trained on, at most {largest:,}"]


def test_rows_are_pipelines_with_their_mean_number_of_trainings(tables: dict[str, pd.DataFrame]) -> None:
    order = {name: place for place, name in enumerate(("time", "ensemble", "drift", "amount"))}
    ax = triggers_over_time(tables["triggers"], by="pipeline", order=order)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["time (n = 2)", "ensemble", "drift", "amount"]
    assert [text.get_text() for text in ax.texts] == ["6", "8", "4", "4", "trainings"]
    assert ax.yaxis_inverted()


def test_a_trigger_that_trained_nothing_is_a_cross(tables: dict[str, pd.DataFrame]) -> None:
    triggers = tables["triggers"][tables["triggers"]["pipeline"] == "amount"].copy()
    triggers.loc[triggers["trigger_index"] == 2, ["model_id", "num_selected"]] = [pd.NA, 0]
    ax = triggers_over_time(triggers)
    (cross,) = [found for found in ax.lines if found.get_marker() == "x"]
    np.testing.assert_allclose(cross.get_xdata(), style.dates(triggers.loc[triggers["trigger_index"] == 2, "fired_at"]))
    assert len(lanes(ax)[0]) == 3


def test_wrong_requests_are_answered(tables: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(RequestError, match="triggers has no rows"):
        triggers_over_time(tables["triggers"].iloc[:0])
    with pytest.raises(RequestError, match="triggers lacks the columns policy: there is run_id"):
        triggers_over_time(tables["triggers"], by="policy")
    with pytest.raises(RequestError, match="order has no place for amount, drift, ensemble"):
        triggers_over_time(tables["triggers"], by="pipeline", order={"time": 0})
    with pytest.raises(RequestError, match="column='wide' must be one of single, double"):
        triggers_over_time(tables["triggers"], column="wide")
