"""Single models stand beside the composite that they are parts of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import legend_texts, line
from matplotlib.colors import to_rgba

from modyn_bench.analysis.figures.models_over_time import MOST_MODELS, models_over_time
from modyn_bench.errors import RequestError

Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def run(tables: Tables) -> Tables:
    """The tables of one run, which trained every 40 seconds."""
    run_id = tables["models"].loc[tables["models"]["pipeline"] == "time", "run_id"].iloc[0]
    return {name: frame[frame["run_id"] == run_id] for name, frame in tables.items()}


def of_metric(run: Tables, metric: str) -> pd.DataFrame:
    rows = run["evaluations"]
    return rows[rows["metric"] == metric]


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_lines_are_the_models_values_in_every_window(run: Tables, metric: str) -> None:
    ax = models_over_time(run["evaluations"], run["models"], model_ids=[3, 1], metric=metric)
    for model in (1, 3):
        rows = of_metric(run, metric)
        rows = rows[rows["model_id"] == model].sort_values("anchor")
        drawn = next(item for item in ax.lines if str(item.get_label()).startswith(f"model {model},"))
        np.testing.assert_allclose(drawn.get_xdata(), rows["anchor"] / 86_400)
        np.testing.assert_allclose(drawn.get_ydata(), rows["value"].to_numpy(float, na_value=np.nan))
    assert [text.split(",")[0] for text in legend_texts(ax)] == [
        "model 3",
        "model 1",
        "currently active",
        "bar: arrivals since the previous trigger",
    ]


@pytest.mark.parametrize("variant", ["currently_active", "currently_trained"])
def test_the_composite_is_that_of_its_cells(run: Tables, variant: str) -> None:
    ax = models_over_time(run["evaluations"], run["models"], variant=variant)
    rows = of_metric(run, "accuracy")
    expected = rows[rows[variant]].set_index("anchor")["value"].reindex(sorted(rows["anchor"].unique()))
    drawn = line(ax, variant.replace("_", " "))
    np.testing.assert_allclose(drawn.get_ydata(), expected.to_numpy(float, na_value=np.nan))
    assert np.isnan(drawn.get_ydata()).any() == (variant == "currently_active")


def test_bars_span_what_arrived_for_each_model(run: Tables) -> None:
    ax = models_over_time(run["evaluations"], run["models"], model_ids=[0, 2, 4])
    bars = [item for item in ax.patches if item.get_gid() == "arrivals"]
    records = run["models"].set_index("model_id").loc[[0, 2, 4]]
    np.testing.assert_allclose([bar.get_x() * 86_400 for bar in bars], records["data_first_timestamp"].to_numpy(float))
    ends = [(bar.get_x() + bar.get_width()) * 86_400 for bar in bars]
    np.testing.assert_allclose(ends, records["data_last_timestamp"].to_numpy(float))
    lines = [item for item in ax.lines if str(item.get_label()).startswith("model")]
    assert [bar.get_facecolor() for bar in bars] == [to_rgba(item.get_color()) for item in lines]
    lowest = min(np.nanmin(item.get_ydata()) for item in ax.lines)
    low, high = ax.get_ylim()
    assert low + max(bar.get_y() + bar.get_height() for bar in bars) * (high - low) < lowest


def test_by_default_four_models_are_evenly_spaced(run: Tables) -> None:
    count = run["models"]["model_id"].nunique()
    labels = legend_texts(models_over_time(run["evaluations"], run["models"]))
    shown = [int(label.split(",")[0].removeprefix("model ")) for label in labels if label.startswith("model ")]
    assert shown == np.linspace(0, count - 1, 4).round().astype(int).tolist()


def test_cells_that_were_not_evaluated_are_gaps(run: Tables) -> None:
    rows = of_metric(run, "accuracy")
    served = rows[rows["currently_active"] | rows["currently_trained"]]
    drawn = models_over_time(served, run["models"], model_ids=[2]).lines[0].get_ydata()
    assert 0 < np.isfinite(drawn).sum() < rows["window_id"].nunique()


def test_wrong_requests_are_answered(tables: Tables, run: Tables) -> None:
    evaluations, models = run["evaluations"], run["models"]
    with pytest.raises(RequestError, match=r"there is no model 99 in these evaluations; there is 0\.\."):
        models_over_time(evaluations, models, model_ids=[0, 99])
    many = pd.concat([evaluations.assign(model_id=number) for number in range(MOST_MODELS + 1)]).drop_duplicates(
        ["window_id", "model_id", "metric"]
    )
    with pytest.raises(RequestError, match=f"names 8 models: name 1 to {MOST_MODELS}"):
        models_over_time(many, models, model_ids=range(8))
    with pytest.raises(RequestError, match="variant='best' must be one of"):
        models_over_time(evaluations, models, variant="best")
    with pytest.raises(RequestError, match="evaluations holds 5 runs: give the rows of one run_id"):
        models_over_time(tables["evaluations"], models)
    with pytest.raises(RequestError, match="models holds several runs"):
        models_over_time(evaluations, tables["models"])
    with pytest.raises(RequestError, match="models has no rows"):
        models_over_time(evaluations, models.iloc[:0])
