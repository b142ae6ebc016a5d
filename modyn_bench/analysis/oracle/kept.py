"""What runs keep that schedules are chosen and scored by: their trainings, and what each model costs on test samples.

Shapes: n test samples.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modyn_bench.analysis.finished import whole_predictions
from modyn_bench.analysis.sample_values import SAMPLE_METRICS, has_sample_values, sample_values
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.composite import VARIANTS
from modyn_bench.metrics import find_metric
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.seeding import priorities
from modyn_bench.types import FloatArray, IntArray

_HALF = np.uint64(1 << 63)


def trainings(run: RunDirectory) -> pd.DataFrame:
    """Return the triggers of a run that trained a model, in order.

    Returns:
        One row per model: trigger_index, model_id, fired_at, labelled_until (keys below this were labelled),
        available_at; times are in UTC seconds.

    Raises:
        RequestError: If there is none, or one gets into service before an older one.
    """
    columns = ["trigger_index", "model_id", "fired_at", "labelled_until", "available_at"]
    records = [(part.record, part.record.model) for part in run.parts()]
    rows = [
        (record.trigger_index, model.model_id, record.fired_at, record.labelled_until, model.available_at)
        for record, model in records
        if model is not None
    ]
    if not rows:
        raise RequestError(f"{run.path} trained no model, so there is nothing to choose from: give it another trigger")
    frame = pd.DataFrame(rows, columns=columns)
    overtaking = np.flatnonzero(np.diff(frame["available_at"]) < 0)
    if len(overtaking):
        model = int(frame["model_id"].iloc[overtaking[0] + 1])
        raise RequestError(
            f"{run.path}: model {model} gets into service before the older model {model - 1}, so what a model serves "
            "does not depend on the next one alone: take a replay.activation_delay under which none overtakes"
        )
    return frame


def check_objective(metric: str, variant: str) -> None:
    """Check that a metric is a sum over samples, so that a schedule's is one over its models.

    Raises:
        RequestError: If it is not, or there is no such metric or variant.
    """
    if not has_sample_values(metric):
        raise RequestError(
            f"metric={metric!r} is no sum over samples, by which schedules are chosen: take {SAMPLE_METRICS}"
        )
    if variant not in VARIANTS:
        raise RequestError(f"variant={variant!r} must be one of {', '.join(VARIANTS)}")


def costs_of(run: RunDirectory, model_id: int, metric: str, labels: IntArray) -> FloatArray:
    """Return a model's error, 0 or 1, or its loss on each test sample, shape (n,).

    Args:
        run: The run.
        model_id: The model's id.
        metric: ``accuracy``, ``top_<k>_accuracy`` or ``loss``.
        labels: Class indices, shape (n,).

    Raises:
        RunError: If the predictions do not cover the test split.
        RequestError: If a loss is no finite number.
    """
    predictions = whole_predictions(run, model_id, len(labels))
    values = sample_values(metric, predictions, labels)
    if find_metric(metric).higher_is_better:
        return 1.0 - values
    strange = np.flatnonzero(~np.isfinite(values))
    if len(strange):
        raise RequestError(
            f"model {model_id} of {run.path} has no finite loss on test sample {strange[0]}, which no sum survives: "
            "take accuracy"
        )
    return values


def halves(num_samples: int, seed: int) -> NDArray[np.bool_]:
    """Return the half of each test sample, shape (2, n): first what schedules are chosen on, then what scores them.

    A seeded hash of the key decides. A run keeps no content of samples, so equal rows may be in different halves.
    """
    keys = np.arange(num_samples, dtype=np.int64)
    choosing = priorities(keys, seed, "oracle", "half") < _HALF
    return np.stack([choosing, ~choosing])


def in_service(times: IntArray, first_available: int, variant: str) -> NDArray[np.bool_]:
    """Return which test samples a composite model answers, shape (n,): active ones those after its first model is."""
    return times > first_available if variant == "currently_active" else np.ones(len(times), dtype=bool)


def as_value(metric: str, cost: FloatArray, num_samples: IntArray) -> FloatArray:
    """Return the metric of so many samples that cost so much."""
    mean: FloatArray = np.asarray(cost, dtype=np.float64) / num_samples
    return 1.0 - mean if find_metric(metric).higher_is_better else mean
