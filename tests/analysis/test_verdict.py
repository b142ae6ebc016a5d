"""What a comparison comes to: from runs that were really made, in the report as from Python."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import run_small, small_store

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


@pytest.mark.parametrize(
    ("values", "refusal", "said"),
    [
        ([0.01, 0.02], "", "is shown to be better than all 2 others"),
        ([0.2, 0.01], "", "is not shown to be better than x in other periods"),
        ([0.2, 0.1], "", "is not shown to be better than x, y in other periods"),
        ([0.2] * 4 + [0.01], "", "is not shown to be better than v, w, x, y in other periods"),
        ([0.2] * 5 + [0.01], "", "is shown to be better than 1 of 6 others in other periods"),
        ([None, None], "too few", "cannot be told: too few"),
    ],
)
def test_the_headline_says_what_is_shown(values: list[float | None], refusal: str, said: str, verdict: Verdict) -> None:
    assert ALPHA == 0.05
    found = [
        replace(verdict.over_periods[0], b=name, p_value=p, refusal=refusal)
        for name, p in zip("xy" if len(values) == 2 else "vwxyzu", values, strict=False)
    ]
    assert said in replace(verdict, over_periods=tuple(found)).headline


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
