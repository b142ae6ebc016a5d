"""What a comparison comes to: from runs that were really made, in the report as from Python."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import run_small, small_store

from modyn_bench.analysis.common_ground import common_ground
from modyn_bench.analysis.report.write import write_report
from modyn_bench.analysis.statistics.many import correct, holm
from modyn_bench.analysis.statistics.paired import pair
from modyn_bench.analysis.statistics.periods import over_periods
from modyn_bench.analysis.statistics.scores import composite_scores
from modyn_bench.analysis.verdict import ALPHA, Verdict, judge
from modyn_bench.config import WindowsConfig
from modyn_bench.errors import RequestError
from modyn_bench.triggers.time import Time

TENS = WindowsConfig(every="10s")
SPAN = 600
POLICIES = ("30s", "150s", "200s")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Three policies, two seeds of each."""
    root = tmp_path_factory.mktemp("runs")
    store = small_store(range(SPAN), range(0, SPAN, 2))
    evaluation = {"windows": {"sliced": {"kind": "sliced", "every": "10s"}}}
    return {
        every: [
            run_small(
                root,
                store,
                Time(every),
                training={"epochs": 1},
                seed=seed,
                config={"trigger": {"_target_": "time", "every": every}, "evaluation": evaluation},
            )
            for seed in (0, 1)
        ]
        for every in POLICIES
    }


@pytest.fixture(scope="module")
def verdict(runs: dict[str, list[Path]]) -> Verdict:
    return judge(runs, windows=TENS, metric="loss", variant="currently_trained", aggregate="mean")


def means(runs: dict[str, list[Path]]) -> pd.Series:
    """The mean loss over the windows in which all have a model: here all, as the trained model is never missing."""
    values = {}
    for every, paths in runs.items():
        tables = [pd.read_parquet(path / "evaluations.parquet") for path in paths]
        cells = pd.concat([table[table.currently_trained & (table.metric == "loss")] for table in tables])
        values[every] = cells.value.mean()
    return pd.Series(values)


def test_the_best_has_the_best_mean_and_meets_the_nearest_first(runs: dict[str, list[Path]], verdict: Verdict) -> None:
    order = means(runs).sort_values()
    assert [verdict.best, *(each.b for each in verdict.over_periods)] == order.index.tolist()
    for each in verdict.over_periods:
        assert each.value == pytest.approx(order[verdict.best] - order[each.b], rel=1e-5)
    assert verdict.over_seeds.b == verdict.over_samples.b == order.index[1]


def test_p_values_are_corrected_for_all_pairs(runs: dict[str, list[Path]], verdict: Verdict) -> None:
    scores = {
        name: composite_scores(own, name=name, windows=TENS, metric="loss", variant="currently_trained")
        for name, own in runs.items()
    }
    alone = [over_periods(pair(scores[verdict.best], scores[each.b]).by_period()) for each in verdict.over_periods]
    values = [each.p_value for each in alone]
    assert None not in values
    assert [each.p_value for each in verdict.over_periods] == holm([*values, 1.0]).tolist()[:2]
    assert {each.num_tests for each in verdict.over_periods} == {3}
    assert [(each.low, each.high) for each in verdict.over_periods] == [(each.low, each.high) for each in alone]


def test_picked_comparisons_are_corrected_no_less_than_all_of_them_would_be(verdict: Verdict) -> None:
    found = [replace(verdict.over_periods[0], p_value=p, num_tests=1) for p in (0.01, 0.04, 0.03)]
    whole = [each.p_value for each in correct(found)]
    picked = [correct([each], among=3)[0].p_value for each in found]
    assert all(one is not None and other is not None and one >= other for one, other in zip(picked, whole, strict=True))


SHOWN, OPEN = {"p_value": 0.01}, {"p_value": 0.2}
UNTOLD = {"p_value": None, "refusal": "no interval and no p-value: too few blocks"}
HOPELESS = {"p_value": 0.0781, "least_p": 2.0**-7, "num_tests": 10}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([SHOWN, SHOWN], "it is shown to be better than all 2 others."),
        ([OPEN, SHOWN], "it is shown to be better than b, and it is not shown to be better than a."),
        ([OPEN, OPEN], "it is not shown to be better than any of the 2 others."),
        ([UNTOLD, SHOWN], "it is shown to be better than b, and whether it is better than a cannot be told: too few"),
        ([SHOWN, UNTOLD], "it is shown to be better than a, and whether it is better than b cannot be told: too few"),
        (
            [OPEN, SHOWN, UNTOLD],
            "it is shown to be better than b, it is not shown to be better than a, and whether it is better than c "
            "cannot be told: too few",
        ),
        ([OPEN] * 4 + [SHOWN], "shown to be better than e, and it is not shown to be better than a, b, c and d."),
        ([OPEN] * 5 + [SHOWN], "shown to be better than f, and it is not shown to be better than 5 of 6 others."),
        ([UNTOLD, UNTOLD], "; whether it is better than any of the 2 others in other periods cannot be told: too few"),
        (
            [HOPELESS, HOPELESS],
            "cannot be told: of 8 blocks, corrected for 10 tests, no p-value can be below 0.078.",
        ),
        ([HOPELESS | {"least_p": 2.0**-9}, SHOWN], "it is not shown to be better than a."),
    ],
)
def test_the_headline_says_what_is_shown(found: list[dict[str, object]], said: str, verdict: Verdict) -> None:
    assert ALPHA == 0.05
    plain = replace(verdict.over_periods[0], units="8 blocks", refusal="", num_tests=1, least_p=0.001)
    differences = tuple(replace(plain, b=name, **each) for name, each in zip("abcdef", found, strict=False))
    headline = replace(verdict, over_periods=differences).headline
    assert said in headline
    assert headline.count("in other periods") == 1


def test_the_headline_names_what_it_is_about(runs: dict[str, list[Path]], verdict: Verdict) -> None:
    value = f"{means(runs)[verdict.best]:.4g}"
    lead = f"{verdict.best} has the best mean of the currently trained model, {value} (2 seeds, 60 periods of 10s); "
    assert verdict.headline.startswith(lead)
    assert not verdict.notes
    one = {name: paths[:1] for name, paths in runs.items()}
    alone = judge(one, windows=TENS, metric="loss", variant="currently_trained", aggregate="mean")
    assert "in other periods under this seed" in alone.headline
    twins = replace(verdict, means=dict.fromkeys(verdict.means, 0.5))
    first, second = (name for name in verdict.means if name != verdict.best)
    assert twins.headline.startswith(f"{verdict.best}, {first} and {second} share the best mean")


def test_seeds_that_one_lacks_are_told_and_a_stray_policy_costs_the_others_nothing(
    runs: dict[str, list[Path]], verdict: Verdict
) -> None:
    options = {"windows": TENS, "metric": "loss", "variant": "currently_trained", "aggregate": "mean"}
    fewer = judge({**runs, "30s": runs["30s"][1:]}, **options)
    assert "1 seed, 60 periods" in fewer.headline
    assert any("the seeds that all have (1)" in note and "150s, 200s" in note for note in fewer.notes)
    scores = [composite_scores(own, name=name, windows=TENS, metric="loss") for name, own in runs.items()]
    stray = replace(scores[0], name="stray", seeds=(7, 8))
    ground = common_ground([*scores, stray])
    assert [each.name for each in ground.scores] == list(POLICIES)
    assert any("stray (seeds 7, 8)" in note for note in ground.notes)
    with pytest.raises(RequestError, match="no seed in common"):
        common_ground([scores[0], stray])


def test_what_shortens_the_comparison_is_named(runs: dict[str, list[Path]]) -> None:
    found = judge(runs, windows=TENS, metric="accuracy", variant="currently_active", aggregate="mean")
    assert "2 seeds, 40 periods of 10s" in found.ground
    assert "40 of 57 periods are compared" in found.notes[0]
    assert "the others lack that of 150s (12), 200s (17)" in found.notes[0]


def test_periods_of_too_few_samples_are_left_out_as_windows_are(runs: dict[str, list[Path]]) -> None:
    hand = WindowsConfig(kind="static", intervals=[[0, 4], [4, 300], [300, 600]])
    options = {"windows": hand, "metric": "loss", "variant": "currently_trained", "aggregate": "mean"}
    assert "3 periods" in judge(runs, **options).ground
    made = judge(runs, **options, min_window_samples=3)
    assert "2 periods" in made.ground
    scores = composite_scores(runs["30s"], name="30s", windows=hand, metric="loss", variant="currently_trained")
    of_two = [scores.values[:, scores.periods == period].mean() for period in (1, 2)]
    assert made.means["30s"] == pytest.approx(np.mean(of_two))
    with pytest.raises(RequestError, match="no period holds 1000 test samples"):
        judge(runs, **options, min_window_samples=1000)


def test_samples_that_one_lacks_a_model_for_are_left_out_for_all(runs: dict[str, list[Path]]) -> None:
    """Before 200 s one policy has no active model, so the other two are compared from there on."""
    found = judge(runs, windows=TENS, metric="accuracy", variant="currently_active", aggregate="sample_weighted")
    late = composite_scores(runs["200s"], name="200s", windows=TENS)
    num_common = int(np.isfinite(late.values).all(axis=0).sum())
    assert found.over_samples.n == num_common == (SPAN - 200) / 2
    assert {each.b for each in found.over_periods} | {found.best} == set(POLICIES)


def test_one_policy_alone_is_refused(runs: dict[str, list[Path]]) -> None:
    with pytest.raises(RequestError, match="nothing to compare it with"):
        judge({"30s": runs["30s"]}, windows=TENS, metric="accuracy", variant="currently_active", aggregate="mean")


def test_a_report_gives_the_verdict_in_words_and_as_a_table(runs: dict[str, list[Path]], tmp_path: Path) -> None:
    report = write_report([path for own in runs.values() for path in own], tmp_path / "report")
    by_metric = {judged.metric: judged for judged in report.comparisons.verdicts}
    assert sorted(by_metric) == ["accuracy", "loss"]
    page = (tmp_path / "report" / "index.html").read_text()
    for judged in report.comparisons.verdicts:
        assert judged.verdict.headline in str(report)
        for difference in judged.verdict.over_periods:
            assert str(difference) in page
    table = pd.read_csv(tmp_path / "report" / "comparisons.csv")
    assert len(table) == 2 * (2 + 2)
    assert table["interval"].isna().equals(table["low"].isna())
    assert table["test"].isna().equals(table["p_value"].isna())
    assert set(table.estimand) == {"other periods", "retraining", "these models"}
    assert tmp_path / "report" / "comparisons.csv" in report.files


def test_where_predictions_are_missing_the_report_says_that_no_test_was_made(
    runs: dict[str, list[Path]], tmp_path: Path
) -> None:
    copies = [shutil.copytree(path, tmp_path / "runs" / path.name) for own in runs.values() for path in own]
    for file in (tmp_path / "runs").glob("*/triggers/*/predictions*"):
        file.unlink()
    report = write_report(copies, tmp_path / "report")
    assert not report.comparisons.verdicts
    assert any("no test was made" in note for note in report.comparisons.notes)
    assert not (tmp_path / "report" / "comparisons.csv").exists()
