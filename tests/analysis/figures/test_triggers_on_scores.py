"""Scores, thresholds and firings are those of the decisions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import legend_texts, line

from modyn_bench.analysis import style
from modyn_bench.analysis.figures.triggers_on_scores import triggers_on_member_scores, triggers_on_scores
from modyn_bench.errors import RequestError


def decisions_of(tables: dict[str, pd.DataFrame], pipeline: str) -> pd.DataFrame:
    return tables["decisions"][tables["decisions"]["pipeline"] == pipeline]


def test_scores_thresholds_and_marks_are_the_decisions(tables: dict[str, pd.DataFrame]) -> None:
    rows = decisions_of(tables, "drift")
    ax = triggers_on_scores(rows.sample(frac=1, random_state=np.random.RandomState(0)), score_label="MMD²")
    score, threshold = line(ax, "score"), line(ax, "threshold")
    np.testing.assert_allclose(score.get_xdata(), style.dates(rows["at_timestamp"]))
    np.testing.assert_array_equal(score.get_ydata(), rows["score"])
    np.testing.assert_array_equal(threshold.get_ydata(), rows["threshold"])
    scored = rows[rows["fired"] & rows["score"].notna()]
    fired = line(ax, "fired")
    assert len(scored) == 2
    np.testing.assert_allclose(fired.get_xdata(), style.dates(scored["at_timestamp"]))
    np.testing.assert_array_equal(fired.get_ydata(), scored["score"])
    without = rows[rows["fired"] & rows["score"].isna()]
    np.testing.assert_allclose(line(ax, "fired without a score").get_xdata(), style.dates(without["at_timestamp"]))
    assert ax.get_ylabel() == "MMD²"


def test_the_warmup_is_shaded_up_to_the_first_decision_after_it(tables: dict[str, pd.DataFrame]) -> None:
    rows = decisions_of(tables, "drift")
    (patch,) = triggers_on_scores(rows).patches
    first, last = patch.get_x(), patch.get_x() + patch.get_width()
    assert first == pytest.approx(rows.loc[rows["warmup"], "at_timestamp"].min() / 86_400)
    assert last == pytest.approx(rows.loc[~rows["warmup"], "at_timestamp"].min() / 86_400)


def test_an_ensembles_members_stand_below_it_on_one_time_axis(tables: dict[str, pd.DataFrame]) -> None:
    rows = decisions_of(tables, "ensemble")
    axes = triggers_on_member_scores(rows)
    assert [ax.get_title(loc="left") for ax in axes] == ["ensemble", "ensemble/drift", "ensemble/amount"]
    assert len({ax.get_xlim() for ax in axes}) == 1
    votes, drift, amount = axes
    own = rows[rows["policy"] == "ensemble"]
    np.testing.assert_array_equal(line(votes, "score").get_ydata(), own["score"])
    member = rows[rows["policy"] == "ensemble/drift"]
    np.testing.assert_array_equal(line(drift, "score").get_ydata(), member["score"])
    np.testing.assert_array_equal(
        line(drift, "fired").get_ydata(), member.loc[member["fired"] & member["score"].notna(), "score"]
    )
    assert [found.get_label() for found in amount.lines if not found.get_label().startswith("_")] == [
        "trigger",
        "fired without a score",
    ]
    for ax in axes:
        upright = [found.get_xdata()[0] for found in ax.lines if found.get_label() in ("trigger", "_")]
        np.testing.assert_allclose(upright, style.dates(own.loc[own["fired"], "at_timestamp"]))
    assert set(legend_texts(axes[-1])) == {
        "trigger",
        "score",
        "threshold",
        "warm-up",
        "fired without a score",
        "fired, or voted to",
    }


def test_one_member_can_be_drawn_alone(tables: dict[str, pd.DataFrame]) -> None:
    rows = decisions_of(tables, "ensemble")
    drawn = line(triggers_on_scores(rows, policy="ensemble/drift"), "score")
    np.testing.assert_array_equal(drawn.get_ydata(), rows.loc[rows["policy"] == "ensemble/drift", "score"])


def test_large_scores_are_written_short(tables: dict[str, pd.DataFrame]) -> None:
    rows = decisions_of(tables, "drift")
    ax = triggers_on_scores(rows.assign(score=rows["score"] * 1e9, threshold=1e6))
    ax.figure.draw_without_rendering()
    assert "15M" in [label.get_text() for label in ax.get_yticklabels()]
    assert ax.yaxis.offsetText.get_text() == ""


def test_a_single_decision_can_be_drawn(tables: dict[str, pd.DataFrame]) -> None:
    rows = decisions_of(tables, "drift").dropna(subset="score").iloc[:1]
    ax = triggers_on_scores(rows)
    assert np.diff(ax.get_xlim()) > 0


def test_wrong_requests_are_answered(tables: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(RequestError, match="decisions has no rows"):
        triggers_on_scores(tables["decisions"].iloc[:0])
    with pytest.raises(RequestError, match="decisions holds 5 runs: give the rows of one run_id"):
        triggers_on_scores(tables["decisions"])
    times = decisions_of(tables, "time")
    with pytest.raises(RequestError, match="time decided without scores: draw triggers_over_time"):
        triggers_on_scores(times[times["run_id"] == times["run_id"].iloc[0]])
    with pytest.raises(RequestError, match="there is ensemble, ensemble/drift"):
        triggers_on_scores(decisions_of(tables, "ensemble"), policy="drift")
    with pytest.raises(RequestError, match="drift is no ensemble"):
        triggers_on_member_scores(decisions_of(tables, "drift"))
    with pytest.raises(RequestError, match="decisions lacks the columns score, threshold"):
        triggers_on_scores(tables["decisions"].drop(columns=["score", "threshold"]))
