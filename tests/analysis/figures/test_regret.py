"""Regret is the distance to the curve at a policy's own number of triggers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import legend_texts, line

from modyn_bench.analysis.figures.regret import regret, regrets
from modyn_bench.errors import RequestError

ORACLE = pd.DataFrame({"num_triggers": [3, 1, 2], "value_choosing": [0.9, 0.5, 0.8], "value_scoring": [0.8, 0.4, 0.7]})
POINTS = pd.DataFrame(
    {
        "policy": ["a", "a", "b", "c"],
        "num_triggers": [2, 3, 1, 9],
        "value": [0.5, 0.7, 0.45, 0.6],
    }
)


def test_regret_is_counted_from_the_curve_on_other_data() -> None:
    table = regrets(ORACLE.sort_values("num_triggers"), POINTS, num_triggers="num_triggers", value="value", by="policy")
    assert table["best"].tolist()[:2] == pytest.approx([0.75, 0.4])
    assert table["regret"].tolist()[:2] == pytest.approx([0.15, -0.05])
    assert np.isnan(table.loc["c", "regret"])
    lower = regrets(
        ORACLE.sort_values("num_triggers"),
        POINTS,
        num_triggers="num_triggers",
        value="value",
        by="policy",
        higher_is_better=False,
    )
    assert lower["regret"].tolist()[:2] == pytest.approx([-0.15, 0.05])


def test_curves_points_and_distances_are_drawn() -> None:
    ax = regret(ORACLE, POINTS, value_label="Accuracy")
    best = line(ax, "the same, on other data")
    assert best.get_xdata().tolist() == [1, 2, 3]
    assert best.get_ydata().tolist() == [0.4, 0.7, 0.8]
    assert line(ax, "best, where it was chosen").get_ydata().tolist() == [0.5, 0.8, 0.9]
    assert legend_texts(ax)[2:] == ["a (n = 2), regret 0.15", "b (n = 1), regret -0.05", "c (n = 1)"]
    upright = [item for item in ax.lines if len(item.get_xdata()) == 2 and np.ptp(item.get_xdata()) == 0]
    spans = [item.get_ydata() for item in upright][:2]
    np.testing.assert_allclose(spans, [[0.6, 0.75], [0.45, 0.4]])
    assert [container.has_yerr for container in ax.containers] == [True, False, False]


def test_wrong_requests_are_answered() -> None:
    with pytest.raises(RequestError, match="oracle has no rows"):
        regret(ORACLE.iloc[:0], POINTS)
    with pytest.raises(RequestError, match="points has no rows"):
        regret(ORACLE, POINTS.iloc[:0])
    with pytest.raises(RequestError, match="oracle lacks the columns value_scoring"):
        regret(ORACLE.drop(columns="value_scoring"), POINTS)
    with pytest.raises(RequestError, match="one row per number of triggers"):
        regret(pd.concat([ORACLE, ORACLE]), POINTS)
