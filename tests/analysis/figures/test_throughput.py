"""Bars are as long as samples per second, in panels that begin at zero."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from modyn_bench.analysis.figures.throughput import samples_per_second, throughput
from modyn_bench.errors import RequestError

Tables = dict[str, pd.DataFrame]


def bars(ax) -> dict[int, float]:
    """The length of the bar in each row."""
    return {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}


def test_rates_are_samples_over_seconds_and_count_epochs(tables: Tables) -> None:
    rates = samples_per_second(tables["stages"], by="pipeline")
    assert list(dict.fromkeys(rates["stage"])) == ["select", "train", "predict"]
    for row in rates.itertuples():
        own = tables["stages"]
        own = own[(own["run_id"] == row.run_id) & (own["stage"] == row.stage)]
        handled = own["num_samples"].sum()
        if row.stage == "train":
            handled *= 2  # epochs
        assert row.samples_per_second == pytest.approx(handled / own["seconds"].sum())


def test_bars_are_means_over_runs_and_whiskers_their_deviation(tables: Tables) -> None:
    rates = samples_per_second(tables["stages"], by="pipeline")
    select, train, predict = throughput(rates, by="pipeline")
    assert [ax.get_title() for ax in (select, train, predict)] == ["select", "train", "predict"]
    names = [text.get_text() for text in select.get_yticklabels()]
    assert sorted(names) == ["amount", "drift", "ensemble", "time (n = 2)"]
    for ax, stage in ((select, "select"), (train, "train"), (predict, "predict")):
        means = rates[rates["stage"] == stage].groupby("pipeline")["samples_per_second"].mean()
        assert ax.get_xlim()[0] == 0.0
        assert bars(ax) == pytest.approx({row: means[name.split(" ")[0]] for row, name in enumerate(names)})
    (whisker,) = train.containers[names.index("time (n = 2)") + 1].lines[2]
    ends = whisker.get_segments()[0][:, 0]
    of_time = rates[(rates["stage"] == "train") & (rates["pipeline"] == "time")]["samples_per_second"]
    assert np.ptp(ends) == pytest.approx(2 * of_time.std(ddof=1))
    assert "one standard deviation over n runs" in train.figure.get_supxlabel()


def test_what_has_no_rate_has_no_bar_and_panels_are_chosen() -> None:
    rows = [("a", "train", 10.0), ("b", "train", 20.0), ("b", "score", 5.0)]
    rates = pd.DataFrame(rows, columns=["policy", "stage", "samples_per_second"])
    train, score = throughput(rates, order={"b": 0, "a": 1})
    assert bars(train) == {0: 20.0, 1: 10.0}
    assert bars(score) == {0: 5.0}
    assert train.figure.get_supxlabel() == "Samples per second"
    (only,) = throughput(rates, panels=["score"], order={"b": 0, "a": 1})
    assert bars(only) == {0: 5.0}
    assert [text.get_text() for text in only.get_yticklabels()] == ["b"]


def test_other_columns_can_name_panels_and_bars() -> None:
    rows = [("ours", "images", 10.0), ("theirs", "images", 2.0)]
    (ax,) = throughput(
        pd.DataFrame(rows, columns=["reader", "case", "samples_per_second"]), panel="case", by="reader", column="single"
    )
    assert bars(ax) == {0: 10.0, 1: 2.0}


def test_wrong_requests_are_answered(tables: Tables) -> None:
    rates = samples_per_second(tables["stages"], by="pipeline")
    with pytest.raises(RequestError, match="there is no score; there is select, train, predict"):
        throughput(rates, by="pipeline", panels=["score", "train"])
    with pytest.raises(RequestError, match="rates lacks the columns policy"):
        throughput(rates)
    with pytest.raises(RequestError, match="rates has no rows"):
        throughput(rates.iloc[:0], by="pipeline")
    with pytest.raises(RequestError, match="order has no place for amount"):
        throughput(rates, by="pipeline", order={"time": 0, "drift": 1, "ensemble": 2})
