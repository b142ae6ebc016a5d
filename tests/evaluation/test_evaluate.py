"""Tables against a reading of their definitions by loops, with scikit-learn for the metric."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from modyn_bench.errors import DataError, RequestError, RunError
from modyn_bench.evaluation.evaluate import (
    COMPOSITE_SCHEMA,
    EVALUATIONS_SCHEMA,
    assemble,
    check_evaluation,
    evaluate,
    model_values,
)
from modyn_bench.evaluation.windows import build_window_sets
from modyn_bench.seeding import derive
from modyn_bench.types import Predictions
from tests.evaluation.making import config_of, predictions_by_model, trigger, triggers_at
from tests.evaluation.test_composite import by_definition

SETS = {
    "between": {"kind": "between_triggers"},
    "offset": {"kind": "offset", "offsets": [-10, 0, 10]},
    "sliced": {"kind": "sliced", "every": 10},
    "sliding": {"kind": "sliding", "every": 10, "radius": 12},
    "static": {"kind": "static", "intervals": [[5, 40], [90, None], [500, 600]]},
}


def a_split(seed: int = 0, n: int = 150, num_classes: int = 4):
    """Return timestamps with a long gap and many ties, and labels."""
    generator = derive(seed, "split")
    timestamps = np.sort(generator.choice(np.r_[0:45, 70:120], n))
    return timestamps.astype(np.int64), generator.integers(0, num_classes, n)


def run(config, triggers, *, seed: int = 0, predictions=None):
    timestamps, labels = a_split(seed)
    return evaluate(
        config,
        timestamps=timestamps,
        labels=labels,
        num_classes=4,
        triggers=triggers,
        predictions=predictions or predictions_by_model(labels, 4, seed=seed),
    )


def expected_rows(config, triggers, seed: int):
    """Go through sets, models, windows and metrics by loops."""
    timestamps, labels = a_split(seed)
    predictions = predictions_by_model(labels, 4, seed=seed)
    models = [record.model for record in triggers if record.model is not None]
    available = [model.available_at for model in models]
    judges = {
        "accuracy": accuracy_score,
        "f1_macro": lambda y, p: f1_score(y, p, labels=np.union1d(y, p), average="macro", zero_division=0),
    }
    for windows in build_window_sets(config, timestamps, triggers):
        for index, model in enumerate(models):
            predicted = predictions(model.model_id).predicted
            for place in range(len(windows)):
                if windows.model_ids is not None and windows.model_ids[place] != model.model_id:
                    continue
                start, end, anchor = (int(a[place]) for a in (windows.starts, windows.ends, windows.anchors))
                flags = [index == serving for serving in by_definition(available, anchor)]
                if windows.model_ids is not None:
                    flags = [False, False]
                elif config.models == "composite" and not any(flags):
                    continue
                inside = (timestamps >= start) & (timestamps < end)
                for metric in config.metrics:
                    value = None
                    if inside.sum() >= config.min_window_samples and inside.any():
                        value = judges[metric](labels[inside], predicted[inside])
                    yield {
                        "window_set": windows.name,
                        "window_id": int(windows.ids[place]),
                        "window_start": start,
                        "window_end": end,
                        "anchor": anchor,
                        "split": "test",
                        "model_id": model.model_id,
                        "metric": metric,
                        "value": value if value is None else pytest.approx(value, abs=1e-12),
                        "num_samples": int(inside.sum()),
                        "currently_active": flags[0],
                        "currently_trained": flags[1],
                    }


@settings(deadline=None, max_examples=25)
@given(
    fired=st.lists(st.integers(0, 120), max_size=6).map(sorted),
    delays=st.lists(st.integers(0, 60), min_size=6, max_size=6),
    models=st.sampled_from(["all", "composite"]),
    min_window_samples=st.sampled_from([1, 15]),
    seed=st.integers(0, 3),
)
def test_the_matrix_by_loops(fired, delays, models, min_window_samples, seed):
    config = replace(config_of(("f1_macro", "accuracy"), **SETS), models=models, min_window_samples=min_window_samples)
    triggers = triggers_at(fired, [time + delay for time, delay in zip(fired, delays, strict=False)])
    tables = run(config, triggers, seed=seed)
    assert tables.evaluations.schema == EVALUATIONS_SCHEMA
    tables.evaluations.validate(full=True)
    assert tables.evaluations.to_pylist() == list(expected_rows(config, triggers, seed))


@settings(deadline=None, max_examples=25)
@given(
    fired=st.lists(st.integers(0, 120), max_size=6).map(sorted),
    delays=st.lists(st.integers(0, 60), min_size=6, max_size=6),
    models=st.sampled_from(["all", "composite"]),
    seed=st.integers(0, 3),
)
def test_composites_from_the_matrix_by_loops(fired, delays, models, seed):
    config = replace(config_of(("accuracy", "loss"), **SETS), models=models, min_window_samples=3)
    triggers = triggers_at(fired, [time + delay for time, delay in zip(fired, delays, strict=False)])
    tables = run(config, triggers, seed=seed)
    assert tables.composite.schema == COMPOSITE_SCHEMA
    timestamps, _ = a_split(seed)
    sizes = {w.name: len(w) for w in build_window_sets(config, timestamps, triggers) if w.name != "offset"}
    cells = tables.evaluations.to_pylist()
    expected = []
    for name, num_windows in sorted(sizes.items()):
        for variant in ("currently_active", "currently_trained"):
            for metric in config.metrics:
                served = [c for c in cells if c["window_set"] == name and c["metric"] == metric and c[variant]]
                assert len({c["window_id"] for c in served}) == len(served) <= num_windows
                served = [c for c in served if c["value"] is not None]
                for aggregate in config.aggregates:
                    weights = {
                        "mean": [1 for _ in served],
                        "time_weighted": [c["window_end"] - c["window_start"] for c in served],
                        "sample_weighted": [c["num_samples"] for c in served],
                    }[aggregate]
                    value = None
                    if served:
                        value = pytest.approx(np.average([c["value"] for c in served], weights=weights))
                    expected.append(
                        {
                            "window_set": name,
                            "variant": variant,
                            "metric": metric,
                            "aggregate": aggregate,
                            "value": value,
                            "coverage": pytest.approx(len(served) / num_windows),
                            "num_windows": num_windows,
                            "num_triggers": len(fired),
                        }
                    )
    assert tables.composite.to_pylist() == expected


def test_cells_of_composites_are_the_same_bits_in_both_modes():
    config = config_of(("accuracy", "loss", "ece"), **SETS)
    triggers = triggers_at([20, 44, 90], [30, 44, 99])
    every = run(config, triggers).evaluations.to_pylist()
    served = run(replace(config, models="composite"), triggers).evaluations.to_pylist()
    kept = [
        row for row in every if row["currently_active"] or row["currently_trained"] or row["window_set"] == "offset"
    ]
    assert served == kept
    assert len(served) < len(every)
    again = run(replace(config, models="composite"), triggers)
    assert again.composite.equals(run(config, triggers).composite)


def test_an_empty_window_is_null_and_lowers_coverage():
    config = config_of(sliced={"kind": "sliced", "every": 10, "start": 0})
    tables = run(config, triggers_at([9, 45]))
    cells = [row for row in tables.evaluations.to_pylist() if row["model_id"] == 0]
    empty = [row["window_id"] for row in cells if row["num_samples"] == 0]
    assert empty == [5, 6]
    assert [row["window_id"] for row in cells if row["value"] is None] == empty
    coverage = {row["variant"]: row["coverage"] for row in tables.composite.to_pylist()}
    assert coverage == {"currently_active": 9 / 12, "currently_trained": 10 / 12}  # window 0 precedes the first model


def test_no_models_and_triggers_that_trained_nothing():
    config = config_of(("accuracy", "loss"), **SETS)
    for triggers in ([], [trigger(0, 5, model_id=None), trigger(1, 50, model_id=None)]):
        tables = run(config, triggers)
        assert tables.evaluations.equals(EVALUATIONS_SCHEMA.empty_table())
        rows = tables.composite.to_pylist()
        assert len(rows) == 4 * 2 * 2 * 3
        assert {(row["value"], row["coverage"], row["num_triggers"]) for row in rows} == {(None, 0.0, 0)}


def test_model_ids_follow_the_triggers_that_trained():
    config = config_of(sliced={"kind": "sliced", "every": 10})
    triggers = [
        trigger(0, 10, model_id=0),
        trigger(1, 30, model_id=None),
        trigger(2, 40, model_id=1, available_at=80),
        trigger(3, 60, model_id=2),
    ]
    rows = run(config, triggers).evaluations.to_pylist()
    active = {row["anchor"]: row["model_id"] for row in rows if row["currently_active"]}
    trained = {row["anchor"]: row["model_id"] for row in rows if row["currently_trained"]}
    first = rows[0]["anchor"]
    anchors = [first + 10 * i for i in range(12)]
    assert [active.get(a) for a in anchors] == [0 if 10 < a <= 60 else 2 if a > 60 else None for a in anchors]
    assert [trained[a] for a in anchors] == [0 if a <= 10 else 1 if a <= 60 else 2 for a in anchors]


def test_a_diverged_model_is_null_where_its_loss_is_not_a_number_and_infinite_where_it_is():
    config = config_of(("loss",), all={"kind": "static", "intervals": [[None, None]]})
    _, labels = a_split()

    def predictions(model_id: int) -> Predictions:
        made = predictions_by_model(labels, 4)(model_id)
        loss = made.loss.copy()
        loss[3] = [np.nan, np.inf][model_id]
        return replace(made, loss=loss)

    rows = run(config, triggers_at([1, 2]), predictions=predictions).evaluations.to_pylist()
    assert [row["value"] for row in rows] == [None, np.inf]


def test_predictions_of_a_part_of_the_split():
    timestamps, labels = a_split()
    whole = predictions_by_model(labels, 4)
    low, high = np.searchsorted(timestamps, [30, 100])

    def part(model_id: int) -> Predictions:
        made = whole(model_id)
        fields = {name: getattr(made, name)[low:high] for name in vars_of(made)}
        return replace(made, first_key=int(low), **fields)

    late = {"kind": "static", "intervals": [[30, 100], [50, 60], [40, 80], [200, 300]]}
    config = config_of(("accuracy", "ece"), late=late)
    triggers = triggers_at([10, 40])
    given_part = run(config, triggers, predictions=part)
    assert given_part.evaluations.equals(run(config, triggers).evaluations)
    with pytest.raises(RunError, match=r"model 0 cover the test samples .* windows of early ask for"):
        run(config_of(early={"kind": "sliced", "every": 10}), triggers, predictions=part)


def vars_of(made: Predictions) -> list[str]:
    return [name for name in made.__slots__ if name not in ("first_key", "probabilities")]


def test_predictions_of_another_split_are_refused():
    _, labels = a_split(n=200)
    with pytest.raises(RunError, match="made for another"):
        run(config_of(w={"kind": "sliced"}), triggers_at([10]), predictions=predictions_by_model(labels, 4))


def test_each_model_is_asked_for_once():
    asked = []
    _, labels = a_split()
    source = predictions_by_model(labels, 4)

    def predictions(model_id: int) -> Predictions:
        asked.append(model_id)
        return source(model_id)

    run(config_of(("accuracy", "loss", "ece"), **SETS), triggers_at([10, 20, 30]), predictions=predictions)
    assert asked == [0, 1, 2]


def test_the_tables_need_each_models_metrics_alone():
    """So a model's predictions can be dropped once its metrics are computed, before the next trigger."""
    config = config_of(("accuracy", "loss"), sliced=SETS["sliced"], sliding=SETS["sliding"])
    timestamps, labels = a_split()
    triggers = triggers_at([10, 40, 80])
    windows = build_window_sets(config, timestamps, ())
    source = predictions_by_model(labels, 4)
    kept = [model_values(config, windows, source(m), labels=labels, num_classes=4, model_id=m) for m in range(3)]
    made = assemble(config, windows, triggers=triggers, values=kept.__getitem__)
    expected = run(config, triggers)
    assert made.evaluations.equals(expected.evaluations)
    assert made.composite.equals(expected.composite)


def test_tables_survive_parquet(tmp_path):
    tables = run(config_of(("accuracy", "loss"), **SETS), triggers_at([10, 40, 80]))
    for table in (tables.evaluations, tables.composite):
        pq.write_table(table, tmp_path / "table.parquet")
        assert pq.read_table(tmp_path / "table.parquet").equals(table)
    types = {field.type for field in tables.evaluations.schema}
    assert types == {pa.string(), pa.int64(), pa.float64(), pa.bool_()}


def test_equal_configurations_make_equal_bytes_whatever_the_order_of_their_sets():
    triggers = triggers_at([10, 40, 80])
    one = run(config_of(**SETS), triggers)
    other = run(config_of(**dict(reversed(SETS.items()))), triggers)
    assert one.evaluations.equals(other.evaluations)
    assert one.composite.equals(other.composite)


def test_what_is_checked_before_a_model_is_trained():
    timestamps, _ = a_split()

    def check(num_classes: int = 4, **options) -> None:
        check_evaluation(
            replace(config_of(sliced=SETS["sliced"]), **options), test_timestamps=timestamps, num_classes=num_classes
        )

    check()
    check(metrics=["roc_auc", "f1_binary"], num_classes=2)
    check(metrics=["roc_auc"], num_classes=30, roc_auc_max_classes=30)
    with pytest.raises(RequestError, match="did you mean 'accuracy'"):
        check(metrics=["acuracy"])
    with pytest.raises(RequestError, match="f1_binary needs two classes"):
        check(metrics=["f1_binary"])
    with pytest.raises(RequestError, match="roc_auc_max_classes=30"):
        check(metrics=["roc_auc"], num_classes=30)
    with pytest.raises(RequestError, match="max_probabilities_bytes=100"):
        check(metrics=["roc_auc"], max_probabilities_bytes=100)
    check(metrics=["roc_auc"], num_classes=2, max_probabilities_bytes=100)  # two classes need none
    with pytest.raises(RequestError, match="names one twice"):
        check(metrics=["loss", "loss"])
    with pytest.raises(RequestError, match="has no window"):
        check(windows=config_of(w={"kind": "sliced", "start": 10_000}).windows)
    with pytest.raises(DataError, match="holds no sample"):
        check_evaluation(config_of(w={"kind": "sliced"}), test_timestamps=timestamps[:0], num_classes=4)


@pytest.mark.parametrize("bad", [-1, 4])
def test_a_test_sample_without_a_class_is_refused(bad):
    timestamps, labels = a_split()
    labels[7] = bad
    with pytest.raises(DataError, match="labels of the test split"):
        evaluate(
            config_of(w={"kind": "sliced"}),
            timestamps=timestamps,
            labels=labels,
            num_classes=4,
            triggers=[],
            predictions=predictions_by_model(labels, 4),
        )
    with pytest.raises(DataError, match="150 timestamps, but 149 labels"):
        evaluate(
            config_of(w={"kind": "sliced"}),
            timestamps=timestamps,
            labels=labels[1:],
            num_classes=4,
            triggers=[],
            predictions=predictions_by_model(labels, 4),
        )
