"""The metric by age is that of the cells of each age."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import legend_texts, line

from modyn_bench.analysis import style
from modyn_bench.analysis.figures.model_age import aged, model_age
from modyn_bench.analysis.frames import cells
from modyn_bench.errors import RequestError


def by_hand(tables: dict[str, pd.DataFrame], pipeline: str, step: int, column: str | None) -> pd.DataFrame:
    """The mean accuracy by class of ages, one column per run."""
    rows = tables["evaluations"][tables["evaluations"]["metric"] == "accuracy"]
    rows = rows[rows["pipeline"] == pipeline]
    rows = rows if column is None else rows[rows[column]]
    available = tables["models"].set_index(["run_id", "model_id"])["available_at"]
    ages = rows["anchor"] - [available[key] for key in zip(rows["run_id"], rows["model_id"], strict=True)]
    return rows.assign(of=ages // step).pivot_table(index="of", columns="run_id", values="value")


def test_a_line_is_the_mean_over_runs_of_the_mean_over_cells(tables: dict[str, pd.DataFrame]) -> None:
    ax = model_age(tables["evaluations"], tables["models"], metric="accuracy", every="10s", by="pipeline")
    assert legend_texts(ax) == ["amount", "drift", "ensemble", "time (n = 2)"]
    expected = by_hand(tables, "time", 10, "currently_active")
    drawn = line(ax, "time (n = 2)")
    np.testing.assert_allclose(drawn.get_xdata(), (expected.index + 0.5) * 10)
    np.testing.assert_allclose(drawn.get_ydata(), expected.mean(axis=1))
    (band,) = ax.collections
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx((expected.mean(axis=1) + expected.std(axis=1, ddof=1)).max())
    assert ax.get_legend().get_title().get_text().replace("\n", " ") == style.BAND
    assert ax.get_xlabel() == "Age at the window's anchor (seconds)"


def test_all_models_are_as_old_before_their_training_as_they_will_be_after(tables: dict[str, pd.DataFrame]) -> None:
    frames = [tables[name][tables[name]["pipeline"] == "amount"] for name in ("evaluations", "models")]
    ax = model_age(*frames, metric="loss", which="all", every="20s")
    drawn = line(ax, "all models")
    assert drawn.get_xdata()[0] == pytest.approx(-230 / 60)  # the last model, of 239 s, in the window at 0 s
    assert np.isfinite(drawn.get_ydata()).all()
    assert ax.get_legend().get_title().get_text().startswith("Band: ± one standard deviation over models")
    assert len(ax.collections) == 1


def test_differences_are_to_the_active_model_of_the_same_window(tables: dict[str, pd.DataFrame]) -> None:
    rows = cells(tables["evaluations"], metric="accuracy")
    differences = aged(rows, tables["models"], which="all", relative=True)
    assert (differences.loc[differences["currently_active"], "value"] == 0).all()
    assert set(differences["window_id"]) == set(rows.loc[rows["currently_active"], "window_id"])
    ax = model_age(tables["evaluations"], tables["models"], which="all", relative=True, by="pipeline")
    assert ax.get_ylabel() == "Accuracy, difference to\nthe currently active model"


def test_classes_are_no_narrower_than_the_windows_are_apart(tables: dict[str, pd.DataFrame]) -> None:
    ax = model_age(tables["evaluations"], tables["models"], by="pipeline")
    for drawn in ax.lines:
        assert np.all(np.diff(drawn.get_xdata()) >= 10)


def test_wrong_requests_are_answered(tables: dict[str, pd.DataFrame]) -> None:
    evaluations, models = tables["evaluations"], tables["models"]
    with pytest.raises(RequestError, match="which='active' must be one of currently_active"):
        model_age(evaluations, models, which="active")
    with pytest.raises(RequestError, match="set which='all'"):
        model_age(evaluations, models, relative=True)
    with pytest.raises(RequestError, match="models lacks some of the models"):
        model_age(evaluations, models[models["model_id"] != 1])
    with pytest.raises(RequestError, match="models holds several runs, or one twice"):
        model_age(evaluations, models.drop(columns="run_id"))
    with pytest.raises(RequestError, match="models has no rows"):
        model_age(evaluations, models.iloc[:0])
    with pytest.raises(RequestError, match="every='often' is not a duration"):
        model_age(evaluations, models, every="often")
