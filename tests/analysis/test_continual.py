"""Measures of continual learning against small matrices by hand, definitions in loops, and real runs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_runs as synthetic
from small import drifting_split, run_small, small_store

from modyn_bench.analysis.continual.aging import drift_sensitivity, temporal_generalisation
from modyn_bench.analysis.continual.calibration import calibration_over_time
from modyn_bench.analysis.continual.classes import accuracy_by_class, new_classes_over_time
from modyn_bench.analysis.continual.periods import matrix_of, period_matrix
from modyn_bench.analysis.continual.summary import summarise
from modyn_bench.analysis.continual.transfer import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    learning_accuracy,
)
from modyn_bench.analysis.frames import composite_series
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.composite import assign
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.seeding import derive
from modyn_bench.selectors.new_data import NewData
from modyn_bench.triggers.never import Never
from modyn_bench.triggers.time import Time

R = np.array([[0.8, 0.5, 0.4], [0.6, 0.9, 0.7], [0.5, 0.6, 1.0]])  # models by periods
MEASURES = [average_accuracy, learning_accuracy, backward_transfer, forward_transfer, forgetting]


def models_at(*data: tuple[int | None, int | None]) -> pd.DataFrame:
    first, last = zip(*data, strict=True)
    return pd.DataFrame(
        {
            "model_id": range(len(data)),
            "data_first_timestamp": pd.array(first, dtype="Int64"),
            "data_last_timestamp": pd.array(last, dtype="Int64"),
        }
    )


def evaluations_of(values: np.ndarray, length: int = 10, metric: str = "accuracy") -> pd.DataFrame:
    """Windows one after another, so long each."""
    models, windows = (axis.ravel() for axis in np.indices(values.shape))
    return pd.DataFrame(
        {
            "window_set": "sliced",
            "window_id": windows,
            "window_start": windows * length,
            "window_end": (windows + 1) * length,
            "model_id": models,
            "metric": metric,
            "value": values.ravel(),
        }
    )


MODELS = models_at((0, 9), (10, 19), (20, 29))
EVALUATIONS = evaluations_of(R)
MATRIX = matrix_of(EVALUATIONS, MODELS)


def random_world(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Five models, one of them without data of its own, and windows that cut across their data; some are undefined."""
    values = derive(seed, "matrix").random((5, 9))
    values[derive(seed, "holes").random(values.shape) < 0.2] = np.nan
    models = models_at((0, 13), (14, 30), (None, None), (31, 44), (45, 71))
    return evaluations_of(values), models, values


def gain_of(metric: str) -> Callable[[float, float], float]:
    return (lambda a, b: a - b) if metric == "accuracy" else (lambda a, b: b - a)


def mean(terms: list[float]) -> float:
    known = [term for term in terms if not np.isnan(term)]
    return sum(known) / len(known) if known else np.nan


def periods_in_loops(models: pd.DataFrame, values: np.ndarray, length: int = 10) -> np.ndarray:
    made = np.full((len(models), len(models)), np.nan)
    for i, j in product(range(len(models)), repeat=2):
        first, last = models.loc[j, ["data_first_timestamp", "data_last_timestamp"]]
        if first is not pd.NA:
            own = [
                w
                for w in range(values.shape[1])
                if any(first <= t <= last for t in range(w * length, (w + 1) * length))
            ]
            made[i, j] = mean([values[i, w] for w in own])
    return made


class TestPeriods:
    def test_windows_on_the_edge_belong_to_both(self) -> None:
        made = period_matrix(matrix_of(evaluations_of(R), models_at((0, 10), (11, 20), (20, 29))))
        made = made[made["model_id"] == 0].set_index("period")
        assert made["num_windows"].tolist() == [2, 2, 1]
        assert made["value"].tolist() == pytest.approx([0.65, 0.45, 0.4])

    @pytest.mark.parametrize("seed", range(3))
    def test_is_a_mean_over_defined_windows(self, seed: int) -> None:
        evaluations, models, values = random_world(seed)
        made = period_matrix(matrix_of(evaluations.sample(frac=1, random_state=np.random.RandomState(0)), models))
        expected = periods_in_loops(models, values)
        np.testing.assert_allclose(made["value"].to_numpy().reshape(5, 5), expected)
        assert (made["value"].isna() == (made["num_defined"] == 0)).all()
        assert (made.loc[made["period"] == 2, "num_windows"] == 0).all()
        assert (made["num_defined"] <= made["num_windows"]).all()

    def test_cells_that_were_not_evaluated_are_undefined(self) -> None:
        made = period_matrix(matrix_of(EVALUATIONS[EVALUATIONS["model_id"] != 1], MODELS))
        assert made.loc[made["model_id"] == 1, "value"].isna().all()
        assert (made.loc[made["model_id"] == 1, "num_windows"] == 1).all()

    def test_rows_of_several_runs_are_refused(self) -> None:
        with pytest.raises(RequestError, match="several runs"):
            matrix_of(pd.concat([EVALUATIONS, EVALUATIONS]), MODELS)
        named = pd.concat([EVALUATIONS.assign(run_id=name) for name in ("a", "b")])
        with pytest.raises(RequestError, match="rows of several runs"):
            matrix_of(named, MODELS)
        with pytest.raises(RequestError, match="there is no metric 'loss'"):
            matrix_of(EVALUATIONS, MODELS, metric="loss")


class TestTransfer:
    @pytest.mark.parametrize(
        ("measure", "values", "num_terms"),
        [
            (average_accuracy, [0.8, 0.75, 0.7], [1, 2, 3]),
            (learning_accuracy, [0.8, 0.85, 0.9], [1, 2, 3]),
            (backward_transfer, [np.nan, -0.2, (0.5 - 0.8 + 0.6 - 0.9) / 2], [0, 1, 2]),
            (forgetting, [np.nan, 0.2, (0.8 - 0.5 + 0.9 - 0.6) / 2], [0, 1, 2]),
            (forward_transfer, [np.nan, np.nan, 0.7 - 0.4], [0, 0, 1]),
        ],
    )
    def test_by_hand(self, measure, values: list[float], num_terms: list[int]) -> None:
        made = measure(MATRIX)
        assert made["model_id"].tolist() == [0, 1, 2]
        assert made["value"].tolist() == pytest.approx(values, nan_ok=True)
        assert made["num_terms"].tolist() == made["num_defined"].tolist() == num_terms

    def test_forward_transfer_over_guessing(self) -> None:
        made = forward_transfer(MATRIX, baseline=1 / 3)
        assert made["value"].tolist() == pytest.approx([np.nan, 0.5 - 1 / 3, (0.5 + 0.7) / 2 - 1 / 3], nan_ok=True)
        assert made["num_terms"].tolist() == [0, 1, 2]

    def test_where_lower_is_better_gains_turn_around(self) -> None:
        for measure in MEASURES:
            plain, loss = measure(MATRIX), measure(matrix_of(evaluations_of(-R, metric="loss"), MODELS))
            sign = -1 if measure in (average_accuracy, learning_accuracy) else 1
            np.testing.assert_allclose(loss["value"], sign * plain["value"])

    @pytest.mark.parametrize("metric", ["accuracy", "loss"])
    @pytest.mark.parametrize("seed", range(3))
    def test_against_the_definitions(self, seed: int, metric: str) -> None:
        evaluations, models, values = random_world(seed)
        evaluations["metric"] = metric
        made, gain = periods_in_loops(models, values), gain_of(metric)
        for t in range(5):
            best = [
                max((gain(made[b, j], 0) for b in range(t) if not np.isnan(made[b, j])), default=np.nan)
                for j in range(t)
            ]
            expected = {
                average_accuracy: [made[t, i] for i in range(t + 1)],
                learning_accuracy: [made[i, i] for i in range(t + 1)],
                backward_transfer: [gain(made[t, i], made[i, i]) for i in range(t)],
                forward_transfer: [gain(made[i - 1, i], made[0, i]) for i in range(2, t + 1)],
                forgetting: [best[j] - gain(made[t, j], 0) for j in range(t)],
            }
            for measure, terms in expected.items():
                row = measure(matrix_of(evaluations, models)).iloc[t]
                assert row["value"] == pytest.approx(mean(terms), nan_ok=True), measure.__name__
                assert row["num_terms"] == len(terms)
                assert row["num_defined"] == len(terms) - np.isnan(terms).sum()


class TestAging:
    def test_by_hand(self) -> None:
        made = temporal_generalisation(MATRIX, every="10s")  # windows start 1 and 11 seconds after data
        assert made["age_from"].tolist() == [0, 10]
        assert made["age_to"].tolist() == [10, 20]
        assert made["value"].tolist() == pytest.approx([0.6, 0.4])
        assert made["change"].tolist() == pytest.approx([(0.5 - 0.8 + 0.7 - 0.9) / 2, 0.4 - 0.8])
        assert made["num_models"].tolist() == made["num_defined"].tolist() == made["num_cells"].tolist() == [2, 1]

    @pytest.mark.parametrize("seed", range(3))
    def test_against_the_definitions(self, seed: int) -> None:
        evaluations, models, values = random_world(seed)
        own = np.diagonal(periods_in_loops(models, values))
        binned: dict[int, list[tuple[int, float]]] = {}
        for i, w in product(range(5), range(9)):
            last = models.loc[i, "data_last_timestamp"]
            if last is not pd.NA and w * 10 > last:
                binned.setdefault(int(-(-(w * 10 - last) // 15)) - 1, []).append((i, values[i, w]))
        made = temporal_generalisation(matrix_of(evaluations, models), every=15)
        assert len(made) == max(binned) + 1
        for place, row in enumerate(made.itertuples()):
            found = binned.get(place, [])
            known = [(i, value) for i, value in found if not np.isnan(value)]
            assert (row.num_cells, row.num_defined, row.num_models) == (len(found), len(known), len(dict(known)))
            assert row.value == pytest.approx(mean([value for _, value in known]), nan_ok=True)
            assert row.change == pytest.approx(mean([value - own[i] for i, value in known]), nan_ok=True)

    def test_no_model_that_gets_old_makes_no_row(self) -> None:
        assert temporal_generalisation(matrix_of(EVALUATIONS, models_at((0, 99), (0, 99), (0, 99)))).empty

    @pytest.mark.parametrize("metric", ["accuracy", "loss"])
    def test_sensitivity_is_the_slope_of_a_line(self, metric: str) -> None:
        evaluations, models, values = random_world(1)
        evaluations["metric"] = metric
        made = drift_sensitivity(matrix_of(evaluations, models), per="1m")
        assert made["window_start"].tolist() == list(range(0, 90, 10))
        last = models["data_last_timestamp"].to_numpy(dtype=float, na_value=np.nan)
        for w, row in enumerate(made.itertuples()):
            used = (w * 10 > last) & ~np.isnan(values[:, w])
            assert row.num_models == used.sum()
            expected = np.nan
            if used.sum() > 1:
                sign = -1 if metric == "accuracy" else 1
                expected = sign * np.polyfit((w * 10 - last[used]) / 60, values[used, w], 1)[0]
            assert row.value == pytest.approx(expected, nan_ok=True)

    def test_models_of_one_age_make_no_line(self) -> None:
        made = drift_sensitivity(matrix_of(EVALUATIONS, models_at((0, 3), (0, 3), (0, 3))))
        assert made["value"].isna().all()
        assert made["num_models"].tolist() == [0, 3, 3]

    def test_no_duration(self) -> None:
        with pytest.raises(RequestError, match="every='soon' is not a duration"):
            temporal_generalisation(MATRIX, every="soon")
        with pytest.raises(RequestError, match="per='soon' is not a duration"):
            drift_sensitivity(MATRIX, per="soon")


def test_tables_as_runs_write_them() -> None:
    models = synthetic.models(synthetic.triggers(6))
    evaluations = synthetic.evaluations(models)
    for measure in MEASURES:
        made = measure(matrix_of(evaluations, models, metric="loss"))
        assert made["model_id"].tolist() == list(range(6))
        assert made["value"].notna().tolist()[-1]
    assert temporal_generalisation(matrix_of(evaluations, models))["value"].head(10).is_monotonic_decreasing
    assert drift_sensitivity(matrix_of(evaluations, models))["value"].iloc[-1] > 0


def test_several_runs_are_summarised_in_their_order() -> None:
    """The second run has one model alone, so that nothing could be transferred, forgotten or compared in age."""
    of_one = evaluations_of(R[:1])
    evaluations = pd.concat([EVALUATIONS.assign(run_id="b"), of_one.assign(run_id="a")])
    models = pd.concat([MODELS[:1].assign(run_id="a"), MODELS.assign(run_id="b")])
    made = summarise(evaluations, models).set_index("run_id")
    assert made.index.tolist() == ["b", "a"]
    assert made.loc["b", ["learning_accuracy", "average_accuracy"]].tolist() == pytest.approx([0.9, 0.7])
    assert made.loc["b", ["backward_transfer", "forgetting", "forward_transfer"]].tolist() == pytest.approx(
        [-0.3, 0.3, 0.3]
    )
    assert made.loc["b", "drift_sensitivity"] == pytest.approx((0.7 - 0.4) / 10 * 365 * 86400)
    assert made.loc["a"].notna().tolist() == [True, True, False, False, False, False]


EVALUATION = {
    "windows": {"tens": {"every": "10s"}, "own": {"kind": "offset", "offsets": [0]}},
    "metrics": ["ece", "loss"],
}


@pytest.fixture(scope="module")
def store():
    """Class 2 is there from 30 s on in the train split, and at all times in the test split."""
    made = small_store(np.repeat(np.arange(100), 4), np.repeat(np.arange(100), 3))
    train = drifting_split("train", np.repeat(np.arange(100), 4))
    late = np.where((train.labels == 2) & (train.timestamps < 30), 0, train.labels)
    train.labels = late.astype(np.int64)
    made.splits["train"] = train
    return made


@pytest.fixture(scope="module")
def run(store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_small(
        tmp_path_factory.mktemp("run"),
        store,
        Time("20s"),
        NewData(),
        evaluation=EVALUATION,
        replay={"start": 5},
        config={"evaluation": EVALUATION},
    )


class TestCalibration:
    @pytest.mark.parametrize("variant", ["currently_active", "currently_trained"])
    def test_is_that_of_the_composite_model(self, run: Path, variant: str) -> None:
        made = calibration_over_time(run, variant=variant)
        table = pd.read_parquet(run / "evaluations.parquet")
        series = composite_series(table[(table["metric"] == "ece") & (table["window_set"] == "tens")], variant)
        assert made["window_id"].tolist() == series["window_id"].tolist()
        np.testing.assert_allclose(made["ece"], series["value"])
        np.testing.assert_allclose(made["overconfidence"], made["confidence"] - made["accuracy"])
        assert (made["ece"].dropna() >= made["overconfidence"].abs().dropna() - 1e-12).all()
        assert made["model_id"].isna().tolist() == made["ece"].isna().tolist()

    def test_one_bin_has_the_size_of_the_overconfidence(self, run: Path) -> None:
        made = calibration_over_time(run, ece_bins=1)
        np.testing.assert_allclose(made["ece"], made["overconfidence"].abs())

    def test_what_cannot_be_had(self, run: Path) -> None:
        for window_set in ("own", "none"):
            with pytest.raises(RequestError, match=rf"window_set='{window_set}' is none .* there is tens"):
                calibration_over_time(run, window_set=window_set)
        with pytest.raises(RequestError, match="variant='newest' must be one of"):
            calibration_over_time(run, variant="newest")
        with pytest.raises(RequestError, match="ece_bins=0 must be at least 1"):
            calibration_over_time(run, ece_bins=0)


class TestClasses:
    @pytest.mark.parametrize("variant", ["currently_active", "currently_trained"])
    def test_against_the_definition(self, run: Path, store, variant: str) -> None:
        with RunDirectory.reopen(run) as opened:
            times, labels = opened.test_split()
            records = [part.record for part in opened.parts()]
            predicted = [opened.predictions(record.model_id).predicted for record in records]
        serving = assign([record.model.available_at for record in records], times).of(variant)
        train = store.splits["train"]
        first_key = int(np.searchsorted(train.timestamps, 5))
        rows = []
        for time, label, model, *said in zip(times, labels, serving, *predicted, strict=True):
            seen = train.labels[first_key : records[model].labelled_until] if model >= 0 else []
            rows.append((time, label, model >= 0, label in seen, model >= 0 and said[model] == label))
        table = pd.DataFrame(rows, columns=["time", "label", "served", "known", "correct"])
        made = accuracy_by_class(run, store, variant=variant)
        for row in made.itertuples():
            own = table[table["label"] == row.class_id]
            known, new = own[own["served"] & own["known"]], own[own["served"] & ~own["known"]]
            assert (row.num_known, row.num_new) == (len(known), len(new))
            assert row.num_unserved == (~own["served"]).sum()
            assert row.accuracy_known == pytest.approx(known["correct"].mean(), nan_ok=True)
            assert row.accuracy_new == pytest.approx(new["correct"].mean(), nan_ok=True)
        assert made["class_name"].tolist() == ["a", "b", "c"]
        assert made["first_seen"].tolist()[0] == 5
        assert 30 <= made["first_seen"].tolist()[2] <= 33
        assert made["num_new"].tolist()[:2] == [0, 0]
        assert made["num_new"].tolist()[2] > 0
        over_time = new_classes_over_time(run, store, every="25s", variant=variant)
        assert over_time["start"].tolist() == [0, 25, 50, 75]
        for row in over_time.itertuples():
            own = table[(table["time"] >= row.start) & (table["time"] < row.end)]
            served = own[own["served"]]
            known = served[served["known"]]
            assert (row.num_samples, row.num_served) == (len(own), len(served))
            assert row.share_new == pytest.approx((~served["known"]).mean(), nan_ok=True)
            assert row.accuracy == pytest.approx(served["correct"].mean(), nan_ok=True)
            assert row.accuracy_known == pytest.approx(known["correct"].mean(), nan_ok=True)
            assert row.accuracy_new == pytest.approx(served[~served["known"]]["correct"].mean(), nan_ok=True)
            macro = known.groupby("label")["correct"].mean().mean()
            assert row.macro_accuracy_known == pytest.approx(macro, nan_ok=True)

    def test_without_a_model_nothing_is_served(self, store, tmp_path: Path) -> None:
        made = accuracy_by_class(run_small(tmp_path, store, Never(), replay={"flush": False}), store)
        assert made["first_seen"].isna().all()
        assert made["num_unserved"].sum() == len(store.splits["test"])
        assert made[["num_known", "num_new"]].to_numpy().sum() == 0

    def test_another_store_is_refused(self, run: Path, store) -> None:
        other = small_store(range(9), seed=1)
        with pytest.raises(RequestError, match="is not the sample store of"):
            accuracy_by_class(run, other)
        with pytest.raises(RequestError, match="variant='newest' must be one of"):
            new_classes_over_time(run, store, variant="newest")


def test_measures_of_a_real_run(run: Path) -> None:
    evaluations, models = (pd.read_parquet(run / f"{name}.parquet") for name in ("evaluations", "models"))
    matrix = matrix_of(evaluations, models, metric="loss", window_set="tens")
    made = period_matrix(matrix)
    assert made["value"].notna().all()
    assert backward_transfer(matrix)["value"].notna().sum() == 4
