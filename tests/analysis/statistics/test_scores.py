"""Scores and pairs from runs that were really made."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import run_small, small_store

from modyn_bench.analysis.statistics.front_shares import front_shares
from modyn_bench.analysis.statistics.paired import pair
from modyn_bench.analysis.statistics.periods import over_periods
from modyn_bench.analysis.statistics.samples import over_samples
from modyn_bench.analysis.statistics.scores import CompositeScores, composite_scores
from modyn_bench.analysis.statistics.seeds import over_seeds
from modyn_bench.config import WindowsConfig
from modyn_bench.errors import RequestError, RunError
from modyn_bench.evaluation.costs import policy_costs
from modyn_bench.triggers.never import Never
from modyn_bench.triggers.time import Time

TENS = WindowsConfig(every="10s")
SPAN = 600
EVALUATION = {"metrics": ["accuracy", "loss", "top_2_accuracy"]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Two policies, two seeds of each; no test sample lies between 100 and 130 s."""
    root = tmp_path_factory.mktemp("runs")
    store = small_store(range(SPAN), [time for time in range(0, SPAN, 2) if not 100 <= time < 130])
    return {
        every: [
            run_small(root / every, store, Time(every), training={"epochs": 1}, evaluation=EVALUATION, seed=seed)
            for seed in (0, 1)
        ]
        for every in ("30s", "150s")
    }


@pytest.fixture(scope="module")
def scores(runs: dict[str, list[Path]]) -> dict[str, CompositeScores]:
    return {every: composite_scores(paths, name=every, windows=TENS) for every, paths in runs.items()}


@pytest.mark.parametrize("variant", ["currently_active", "currently_trained"])
@pytest.mark.parametrize("metric", ["accuracy", "loss", "top_2_accuracy"])
def test_averages_are_those_of_the_tables(runs: dict[str, list[Path]], metric: str, variant: str) -> None:
    scores = composite_scores(runs["30s"], name="30s", windows=TENS, metric=metric, variant=variant)
    assert scores.seeds == (0, 1)
    for path, values in zip(runs["30s"], scores.values, strict=True):
        table = pd.read_parquet(path / "evaluations.parquet")
        table = table[table[variant] & (table["metric"] == metric)].sort_values("window_id")
        scored = ~np.isnan(values)
        own = pd.Series(values[scored]).groupby(scores.periods[scored]).mean()
        expected = table.set_index("window_id")["value"].dropna()
        np.testing.assert_allclose(own, expected, rtol=1e-6)
        assert own.index.tolist() == expected.index.tolist()
        assert len(own) < len(scores.starts)  # the gap, and where no model is active yet


def test_costs_are_those_of_the_report(runs: dict[str, list[Path]], scores: dict[str, CompositeScores]) -> None:
    for path, cost in zip(runs["150s"], scores["150s"].costs, strict=True):
        stages = pd.read_parquet(path / "stages.parquet").assign(run_id="own")
        assert cost == policy_costs(stages)["sample_passes"].item()


def test_samples_of_overlapping_windows_enter_once(runs: dict[str, list[Path]]) -> None:
    sliding = WindowsConfig(kind="sliding", every="10s", radius="10s")
    scores = composite_scores(runs["30s"], name="30s", windows=sliding)
    assert scores.every == "20s"
    assert np.diff(scores.starts).tolist() == [20] * 29
    times = scores.timestamps
    assert (scores.starts[scores.periods] <= times).all()
    assert (times < scores.starts[scores.periods] + 20).all()


def test_periods_by_name_by_calendar_and_by_hand(runs: dict[str, list[Path]], tmp_path: Path) -> None:
    monthly = composite_scores(runs["30s"], name="30s", windows=WindowsConfig(calendar="month"))
    assert (len(monthly.starts), monthly.every) == (1, "1 month")
    static = WindowsConfig(kind="static", intervals=[[300, 600], [0, 100]])
    scores = composite_scores(runs["30s"], name="30s", windows=static)
    assert (scores.starts.tolist(), scores.every) == ([0, 300], "1 window")
    assert set(scores.periods[(scores.timestamps >= 130) & (scores.timestamps < 300)]) == {-1}
    with pytest.raises(RequestError, match="evaluated on no windows named yearly; there is"):
        composite_scores(runs["30s"], name="30s", windows="yearly")
    copied = Path(shutil.copytree(runs["30s"][0], tmp_path / "copied"))
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["config"]["evaluation"] = {"windows": {"fine": {"kind": "sliced", "every": "20s"}}}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    assert composite_scores([copied], name="30s", windows="fine").every == "20s"


def test_pairs_have_the_seeds_and_samples_of_both(scores: dict[str, CompositeScores]) -> None:
    often, rarely = scores["30s"], scores["150s"]
    paired = pair(often, rarely)
    both = ~np.isnan(often.values).any(axis=0) & ~np.isnan(rarely.values).any(axis=0)
    assert paired.values.shape == (2, both.sum())
    np.testing.assert_array_equal(paired.values, (often.values - rarely.values)[:, both])
    one = replace(rarely, seeds=(1, 7))
    np.testing.assert_array_equal(pair(often, one).values, (often.values[[1]] - rarely.values[[0]])[:, both])
    assert pair(often, one).seeds == (1,)
    with pytest.raises(RequestError, match=r"30s was run with the seeds \(0, 1\), 150s with \(7, 8\)"):
        pair(often, replace(rarely, seeds=(7, 8)))
    with pytest.raises(RequestError, match="no test sample on which both"):
        pair(often, replace(rarely, values=np.full_like(rarely.values, np.nan)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "other"}, "its dataset"),
        ({"timestamps": np.arange(3)}, "its timestamps of the test split"),
        ({"labels": np.zeros(285, dtype=np.int64)}, "its labels of the test split"),
        ({"starts": np.array([0])}, "its periods"),
        ({"metric": "loss", "variant": "currently_trained"}, "its metric and variant"),
    ],
)
def test_what_differs_between_two_is_named(scores: dict[str, CompositeScores], change: dict, said: str) -> None:
    with pytest.raises(RequestError, match=f"150s differs from 30s in {said}, so"):
        pair(scores["30s"], replace(scores["150s"], **change))


def test_runs_that_cannot_be_taken(runs: dict[str, list[Path]], tmp_path: Path) -> None:
    options = {"name": "30s", "windows": TENS}
    for bad, said in (
        ({"metric": "roc_auc"}, "no value on a single sample"),
        ({"variant": "newest"}, "currently_active, currently_trained"),
        ({"windows": WindowsConfig(kind="between_triggers")}, "depend on the triggers"),
        ({"windows": WindowsConfig(kind="static", intervals=[[0, 50], [40, 90]])}, "overlap"),
    ):
        with pytest.raises(RequestError, match=said):
            composite_scores(runs["30s"], **(options | bad))
    with pytest.raises(RequestError, match="no run"):
        composite_scores([], **options)
    with pytest.raises(RequestError, match=r"seeds \(0, 0\): name one run for each seed"):
        composite_scores([runs["30s"][0], runs["150s"][0]], **options)
    other = run_small(tmp_path / "other", small_store(range(100)), Time("50s"), seed=5)
    with pytest.raises(RequestError, match=r"a run of 30s .* differs from 30s in its timestamps"):
        composite_scores([runs["30s"][0], other], **options)
    with pytest.raises(RunError, match="no run directory"):
        composite_scores([tmp_path], **options)
    (other / "DONE").unlink()
    with pytest.raises(RunError, match="not finished"):
        composite_scores([other], **options)


def test_a_run_without_a_model_serves_nobody(tmp_path: Path, scores: dict[str, CompositeScores]) -> None:
    store = small_store(range(SPAN), scores["30s"].timestamps.tolist())
    never = composite_scores([run_small(tmp_path, store, Never(), replay={"flush": False})], name="never", windows=TENS)
    assert np.isnan(never.values).all()
    with pytest.raises(RequestError, match="no test sample"):
        pair(scores["30s"], never)


def test_from_runs_to_sentences(scores: dict[str, CompositeScores]) -> None:
    paired = pair(scores["30s"], scores["150s"])
    series = paired.by_period()
    periods, samples, seeds = over_periods(series), over_samples(paired), over_seeds(paired)
    assert periods.value == pytest.approx(samples.value) == pytest.approx(seeds.value)
    assert f"{series.sums.shape[1]} periods of 10s, 2 seeds; other periods" in str(periods)
    assert "t interval over 2 seeds; retraining); no p-value" in str(seeds)
    weighted = paired.by_period("sample_weighted")
    assert weighted.mean == pytest.approx(paired.values.mean())
    assert weighted.weights.sum() == paired.values.shape[1]


def test_shares_of_the_front(scores: dict[str, CompositeScores]) -> None:
    pipelines = [scores["30s"], replace(scores["150s"], costs=scores["150s"].costs / 2)]
    refused = front_shares(pipelines)
    assert refused.shares is None
    assert refused.on_front[1]  # the cheaper one
    assert "no shares: too few effective blocks" in str(refused)
    fine = [replace(each, periods=np.arange(285), starts=np.arange(285), every="2s") for each in pipelines]
    found = front_shares(fine, num_resamples=200)
    assert found.shares[1] == 1.0
    assert 0 <= found.shares[0] <= 1
    assert "of 200 resamples (bootstrap over" in str(found)
    np.testing.assert_array_equal(found.shares, front_shares(fine, num_resamples=200).shares)
    worse = replace(fine[1], name="worse", values=fine[1].values - 1, costs=fine[1].costs + 1)
    assert front_shares([*fine, worse], num_resamples=200).shares[2] == 0.0
    for bad, said in (([fine[0]], "two pipelines"), ([fine[0], replace(fine[1], seeds=(8, 9))], "no seed in common")):
        with pytest.raises(RequestError, match=said):
            front_shares(bad)
