"""Boxes hold the windows that all runs share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from modyn_bench.analysis.figures.value_by_window import value_by_window, window_means
from modyn_bench.analysis.frames import cells
from modyn_bench.errors import RequestError


def medians(ax) -> list[float]:
    """The medians that are drawn, from the top."""
    found = [item for item in ax.lines if item.get_color() == "black" and len(item.get_xdata()) == 2]
    return [float(item.get_xdata()[0]) for item in found if item.get_xdata()[0] == item.get_xdata()[1]]


def expected(tables: dict[str, pd.DataFrame], metric: str) -> pd.DataFrame:
    """Values by window and pipeline, of windows in which all five runs have one."""
    rows = tables["evaluations"]
    rows = rows[(rows["metric"] == metric) & rows["currently_active"]].dropna(subset="value")
    table = rows.pivot(index="window_id", columns="run_id", values="value").dropna()
    pipelines = rows.drop_duplicates("run_id").set_index("run_id")["pipeline"]
    return table.T.groupby(pipelines, sort=False).mean().T


def test_boxes_are_of_the_windows_in_which_all_runs_have_a_value(tables: dict[str, pd.DataFrame]) -> None:
    ax = value_by_window(tables["evaluations"], by="pipeline")
    table = expected(tables, "accuracy")
    assert 10 < len(table) < tables["evaluations"]["window_id"].nunique()
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["amount", "drift", "ensemble", "time (n = 2)"]
    np.testing.assert_allclose(medians(ax), table[["amount", "drift", "ensemble", "time"]].median())
    assert ax.get_xlabel() == f"Accuracy\n(currently active, {len(table)} windows)"
    points = [item for item in ax.lines if item.get_marker() == "."]
    assert sum(len(item.get_xdata()) for item in points) == table.size


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_differences_are_paired_and_say_who_is_better_where(tables: dict[str, pd.DataFrame], metric: str) -> None:
    ax = value_by_window(tables["evaluations"], by="pipeline", metric=metric, reference="time")
    table = expected(tables, metric)
    names = ["amount", "drift", "ensemble"]
    differences = table[names].sub(table["time"], axis=0)
    np.testing.assert_allclose(medians(ax), [*differences.median(), 0.0])
    better = (differences > 0 if metric == "accuracy" else differences < 0).mean()
    assert [text.get_text() for text in ax.texts] == [*(f"{share:.0%}" for share in better), "better in"]
    assert "difference to time" in ax.get_xlabel()


def test_one_window_is_a_point_under_its_median(tables: dict[str, pd.DataFrame]) -> None:
    rows = tables["evaluations"]
    ax = value_by_window(rows[rows["window_id"] == 20], by="pipeline")
    assert ax.get_xlabel().endswith("(currently active, 1 window)")
    assert len(medians(ax)) == 4


def test_rows_without_a_value_are_no_window(tables: dict[str, pd.DataFrame]) -> None:
    rows = cells(tables["evaluations"], metric="accuracy")
    rows.loc[(rows["window_id"] == 20) & (rows["pipeline"] == "drift"), "value"] = np.nan
    table = window_means(rows, by="pipeline", variant="currently_active")
    assert 20 not in table.index.get_level_values("window_id")


def test_wrong_requests_are_answered(tables: dict[str, pd.DataFrame]) -> None:
    rows = tables["evaluations"]
    with pytest.raises(RequestError, match="nothing to draw"):
        value_by_window(rows.iloc[:0], by="pipeline")
    with pytest.raises(RequestError, match="reference='never' is none of the pipelines amount, drift"):
        value_by_window(rows, by="pipeline", reference="never")
    with pytest.raises(RequestError, match="no pipeline beside the reference time"):
        value_by_window(rows[rows["pipeline"] == "time"], by="pipeline", reference="time")
    with pytest.raises(RequestError, match="in no window has every run a currently active model"):
        value_by_window(rows[rows["window_id"] < 3], by="pipeline")
    with pytest.raises(RequestError, match="variant='best' must be one of currently_active, currently_trained"):
        value_by_window(rows, by="pipeline", variant="best")
