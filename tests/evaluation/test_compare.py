"""Pipelines are compared on common windows, with the triggers that these saw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modyn_bench.errors import RequestError
from modyn_bench.evaluation.compare import compare
from modyn_bench.evaluation.evaluate import evaluate
from modyn_bench.seeding import derive
from tests.evaluation.making import config_of, predictions_by_model, triggers_at

TIMESTAMPS = np.arange(100)
LABELS = derive(0, "labels").integers(0, 3, 100)
SLICED = {"kind": "sliced", "every": 10, "start": 0}


def frames(
    runs: dict[str, list[int]],
    *,
    available=None,
    timestamps=TIMESTAMPS,
    labels=LABELS,
    models="all",
    metrics=("accuracy",),
    **windows,
):
    """Return the evaluations and models of runs whose triggers fired at these times."""
    config = config_of(metrics, **(windows or {"sliced": SLICED}))
    config.models = models
    evaluations, records = [], []
    for seed, (name, fired) in enumerate(runs.items()):
        triggers = triggers_at(fired, (available or {}).get(name))
        tables = evaluate(
            config,
            timestamps=timestamps,
            labels=labels,
            num_classes=3,
            triggers=triggers,
            predictions=predictions_by_model(labels, 3, seed=seed),
        )
        evaluations.append(tables.evaluations.to_pandas().assign(run_id=name))
        records.append(pd.DataFrame({"run_id": name, "model_id": np.arange(len(fired), dtype=np.int64)}))
    return pd.concat(evaluations, ignore_index=True), pd.concat(records, ignore_index=True)


def by_run(comparison, column):
    return dict(zip(comparison.table["run_id"], comparison.table[column], strict=True))


def test_windows_and_triggers_start_where_all_have_a_model():
    evaluations, models = frames({"early": [5, 15, 25, 60], "late": [35, 70]})
    made = compare(evaluations, models, window_set="sliced", metric="accuracy")
    assert made.point == 40
    assert made.window_ids == (4, 5, 6, 7, 8, 9)
    assert by_run(made, "num_triggers") == {"early": 2, "late": 2}  # one after the point, and the one in service
    assert by_run(made, "first_model_id") == {"early": 2, "late": 0}
    assert by_run(made, "coverage") == {"early": 0.9, "late": 0.6}
    assert (made.table["num_windows"] == 6).all()
    assert made.num_undefined == 0
    assert made.set_aside == {}
    served = evaluations[evaluations["currently_active"] & evaluations["window_id"].isin(made.window_ids)]
    assert by_run(made, "value") == pytest.approx(served.groupby("run_id")["value"].mean().to_dict())


def test_a_pipeline_with_little_coverage_is_set_aside_by_name():
    evaluations, models = frames({"early": [5, 60], "last": [85], "never": []})
    options = {"window_set": "sliced", "metric": "accuracy", "run_ids": ["never", "last", "early"]}
    made = compare(evaluations, models, **options)
    assert made.set_aside == {"never": 0.0, "last": 0.1}
    assert by_run(made, "num_triggers") == {"early": 2}
    assert made.window_ids == tuple(range(1, 10))
    tolerant = compare(evaluations, models, min_coverage=0.0, **options)
    assert tolerant.set_aside == {"never": 0.0}  # without any evaluation it has nothing to compare
    assert tolerant.window_ids == (9,)
    nobody = compare(evaluations, models, min_coverage=1.0, **options)
    assert nobody.table.empty
    assert nobody.point is None
    assert set(nobody.set_aside) == {"never", "last", "early"}


def test_empty_windows_are_left_out_for_all_and_lower_coverage():
    timestamps = np.r_[0:50, 70:120]
    evaluations, models = frames({"a": [5], "b": [15]}, timestamps=timestamps)
    made = compare(evaluations, models, window_set="sliced", metric="accuracy")
    assert made.window_ids == (2, 3, 4, 7, 8, 9, 10, 11)
    assert made.num_undefined == 2
    assert by_run(made, "coverage") == {"a": 9 / 12, "b": 8 / 12}


def test_a_window_undefined_for_one_is_left_out_for_all():
    evaluations, models = frames({"a": [5], "b": [5]}, metrics=("loss",))
    where = (evaluations["run_id"] == "b") & (evaluations["window_id"] == 3)
    evaluations.loc[where, "value"] = np.nan
    made = compare(evaluations, models, window_set="sliced", metric="loss")
    assert 3 not in made.window_ids
    assert made.num_undefined == 1


def test_coverage_at_the_bound_is_enough():
    evaluations, models = frames({"early": [5], "late": [35]})
    made = compare(evaluations, models, window_set="sliced", metric="accuracy", min_coverage=0.6)
    assert made.set_aside == {}


def test_the_point_is_the_earliest_anchor_in_whatever_order_windows_are():
    static = {"kind": "static", "intervals": [[80, 100], [20, 40], [40, 90], [0, 10]]}
    evaluations, models = frames({"a": [5, 30, 60], "b": [15]}, static=static)
    made = compare(evaluations, models, window_set="static", metric="accuracy")
    assert made.point == 20
    assert made.window_ids == (0, 1, 2)
    assert by_run(made, "num_triggers") == {"a": 3, "b": 1}


def test_the_trained_variant_covers_all_windows():
    evaluations, models = frames({"early": [5, 15, 60], "late": [35, 70]})
    made = compare(evaluations, models, window_set="sliced", metric="accuracy", variant="currently_trained")
    assert made.window_ids == tuple(range(10))
    assert by_run(made, "num_triggers") == {"early": 3, "late": 2}


def test_a_model_that_gets_into_service_late_counts_from_there():
    evaluations, models = frames({"a": [5, 15, 60], "b": [5, 15, 60]}, available={"b": [45, 30, 60]})
    made = compare(evaluations, models, window_set="sliced", metric="accuracy")
    assert made.point == 40
    assert by_run(made, "first_model_id") == {"a": 1, "b": 1}
    assert by_run(made, "num_triggers") == {"a": 2, "b": 2}


@settings(deadline=None, max_examples=25)
@given(
    runs=st.lists(st.lists(st.integers(0, 110), max_size=5).map(sorted), min_size=1, max_size=4),
    min_coverage=st.sampled_from([0.0, 0.3, 0.7]),
    aggregation=st.sampled_from(["mean", "time_weighted", "sample_weighted"]),
    models=st.sampled_from(["all", "composite"]),
)
def test_by_definition(runs, min_coverage, aggregation, models):
    timestamps = np.r_[0:20, 45:125]
    named = {f"run{i}": fired for i, fired in enumerate(runs)}
    evaluations, records = frames(named, timestamps=timestamps, models=models)
    if evaluations.empty:
        return
    made = compare(
        evaluations,
        records,
        window_set="sliced",
        metric="accuracy",
        aggregation=aggregation,
        min_coverage=min_coverage,
        run_ids=list(named),
    )
    anchors = range(0, 125, 10)
    filled = [a for a in anchors if ((timestamps >= a) & (timestamps < a + 10)).any()]
    coverage = {n: sum(any(f < a for f in fired) for a in filled) / len(anchors) for n, fired in named.items()}
    aside = {n for n in named if not any(f < anchors[-1] for f in named[n]) or coverage[n] < min_coverage}
    assert set(made.set_aside) == aside
    kept = [n for n in named if n not in aside]
    assert made.table["run_id"].tolist() == kept
    if not kept:
        return
    point = min(a for a in anchors if all(min(named[n]) < a for n in kept))
    common = [a for a in filled if a >= point]
    assert made.point == point
    assert made.window_ids == tuple(a // 10 for a in common)
    for name in kept:
        before = [f for f in named[name] if f < point]
        assert by_run(made, "num_triggers")[name] == len(named[name]) - len(before) + 1
        cells = evaluations[(evaluations["run_id"] == name) & evaluations["currently_active"]]
        cells = cells[cells["anchor"].isin(common)]
        weights = cells["num_samples"] if aggregation == "sample_weighted" else None
        if common:
            assert by_run(made, "value")[name] == pytest.approx(np.average(cells["value"], weights=weights))
        else:
            assert np.isnan(by_run(made, "value")[name])


def test_windows_that_depend_on_triggers_are_refused():
    between = {"kind": "between_triggers"}
    evaluations, models = frames({"a": [5, 50], "b": [5, 60]}, between=between)
    options = {"window_set": "between", "metric": "accuracy"}
    with pytest.raises(RequestError, match="sliced, sliding or static"):
        compare(evaluations, models, kind="between_triggers", **options)
    with pytest.raises(RequestError, match="windows of between differ between the runs a and b"):
        compare(evaluations, models, **options)


def test_runs_on_other_test_splits_are_refused():
    one, models = frames({"a": [5]})
    other, more = frames({"b": [5]}, timestamps=TIMESTAMPS + (TIMESTAMPS > 50))
    both, records = pd.concat([one, other]), pd.concat([models, more])
    with pytest.raises(RequestError, match="differ between the runs a and b"):
        compare(both, records, window_set="sliced", metric="accuracy")
    assert compare(both, records, window_set="sliced", metric="accuracy", run_ids=["b"]).table["run_id"].tolist() == [
        "b"
    ]


def test_what_was_not_evaluated_is_said():
    evaluations, models = frames({"a": [5]})
    with pytest.raises(RequestError, match="no run evaluated loss on windows named sliced"):
        compare(evaluations, models, window_set="sliced", metric="loss")
    with pytest.raises(RequestError, match="must be one of currently_active"):
        compare(evaluations, models, window_set="sliced", metric="accuracy", variant="active")
