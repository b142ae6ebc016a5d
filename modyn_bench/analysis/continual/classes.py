"""A composite model by class, classes that did not exist when the serving model was trained shown apart.

A class exists for a model if a sample of it was among the labelled arrivals from the start of the replay to the trigger
that trained the model, be it selected or not. A run keeps how far these reached; their labels come from the sample
store.

Shapes: n test samples, C classes, M models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modyn_bench.analysis.finished import finished_run, whole_predictions
from modyn_bench.analysis.intervals import Intervals
from modyn_bench.data.store import SampleStore
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.composite import NO_MODEL, VARIANTS, assign
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.types import FloatArray, IntArray


@dataclass(frozen=True)
class _Served:
    """What a composite model said of the test split.

    Attributes:
        times: UTC seconds, shape (n,).
        labels: Class indices, shape (n,).
        served: Whether a model answers, shape (n,).
        correct: Whether it does so correctly, shape (n,).
        known: Whether the sample's class existed for it, shape (n,).
        first_seen: When the first labelled sample of each class arrived; NaN if none did, shape (C,).
    """

    times: IntArray
    labels: IntArray
    served: NDArray[np.bool_]
    correct: NDArray[np.bool_]
    known: NDArray[np.bool_]
    first_seen: FloatArray


def accuracy_by_class(run: Path, store: SampleStore, *, variant: str = "currently_active") -> pd.DataFrame:
    r"""Return the accuracy of a run's composite model on each class.

    .. math:: \text{accuracy}_c = \frac{1}{n_c} \sum_{i : y_i = c} [\hat y_i = c]

    over the test samples of class c that are served, by the model that is in service at their own time.

    Args:
        run: The directory of a finished run.
        store: The sample store of its dataset, as ``SampleStore.open`` or ``jobs.prepare_store`` returns it.
        variant: ``currently_active`` or ``currently_trained``.

    Returns:
        One row per class: class_id, class_name, first_seen (arrival of its first labelled sample, in UTC seconds; null
        if the last trigger knew of none), accuracy_known and num_known (samples whose class existed for the serving
        model), accuracy_new and num_new (the others), num_unserved (before the first model). An accuracy of no sample
        is null.

    Raises:
        RequestError: If the store is of other data, or there is no such variant.
        RunError: If the run is not finished, locked or damaged.
    """
    answers = _serve(run, store, variant)
    num_classes = store.schema.num_classes

    def count(which: NDArray[np.bool_]) -> IntArray:
        return np.bincount(answers.labels[which], minlength=num_classes)

    known, new = answers.served & answers.known, answers.served & ~answers.known
    return pd.DataFrame(
        {
            "class_id": np.arange(num_classes),
            "class_name": list(store.schema.classes),
            "first_seen": pd.Series(answers.first_seen).astype("Int64"),
            "accuracy_known": _share(count(known & answers.correct), count(known)),
            "num_known": count(known),
            "accuracy_new": _share(count(new & answers.correct), count(new)),
            "num_new": count(new),
            "num_unserved": count(~answers.served),
        }
    )


def new_classes_over_time(
    run: Path, store: SampleStore, *, every: str | int = "1y", variant: str = "currently_active"
) -> pd.DataFrame:
    r"""Return how many test samples are of classes that did not exist for the serving model, and what that costs.

    .. math:: \text{accuracy} = (1 - \text{share\_new}) \, \text{accuracy\_known}
        + \text{share\_new} \, \text{accuracy\_new}

    Args:
        run: The directory of a finished run.
        store: The sample store of its dataset.
        every: Length of an interval, a duration, or ``auto``; the first begins with the first test sample.
        variant: ``currently_active`` or ``currently_trained``.

    Returns:
        One row per interval [start, end): start, end (UTC seconds), num_samples, num_served, share_new (of those
        served), accuracy, accuracy_known, accuracy_new, and macro_accuracy_known: the mean of the classes' accuracies
        on samples that were known, in which large classes do not outweigh small ones. Null where there is no sample.

    Raises:
        RequestError: If the store is of other data, there is no such variant, or ``every`` is no duration.
        RunError: If the run is not finished, locked or damaged.
    """
    answers = _serve(run, store, variant)
    intervals = Intervals.over([answers.times], every)
    interval, num_intervals = intervals.of(answers.times), len(intervals)
    num_classes = store.schema.num_classes

    def count(which: NDArray[np.bool_]) -> IntArray:
        return np.bincount(interval[which], minlength=num_intervals)

    def by_class(which: NDArray[np.bool_]) -> IntArray:
        cells = interval[which] * num_classes + answers.labels[which]
        return np.bincount(cells, minlength=num_intervals * num_classes).reshape(num_intervals, num_classes)

    served, right = answers.served, answers.correct
    known, new = served & answers.known, served & ~answers.known
    of_classes = _share(by_class(known & right), by_class(known))
    return pd.DataFrame(
        {
            "start": intervals.edges[:-1],
            "end": intervals.edges[1:],
            "num_samples": count(np.ones(len(served), dtype=bool)),
            "num_served": count(served),
            "share_new": _share(count(new), count(served)),
            "accuracy": _share(count(served & right), count(served)),
            "accuracy_known": _share(count(known & right), count(known)),
            "accuracy_new": _share(count(new & right), count(new)),
            "macro_accuracy_known": pd.DataFrame(of_classes).mean(axis=1).to_numpy(),
        }
    )


def _serve(path: Path, store: SampleStore, variant: str) -> _Served:
    """Collect what a run's composite model said, and what it could know."""
    if variant not in VARIANTS:
        raise RequestError(f"variant={variant!r} must be one of {', '.join(VARIANTS)}")
    with finished_run(path) as run:
        if run.manifest["fingerprint"] != store.fingerprint:
            raise RequestError(f"{store.path} is not the sample store of {path}: it holds other data, or another split")
        times, labels = run.test_split()
        if not len(times):
            raise RequestError(f"the test split of {path} is empty, so there is nothing to evaluate")
        models = [part.record.model for part in run.parts() if part.record.model is not None]
        serving = assign([model.available_at for model in models], times).of(variant)
        exists, first_seen = _existing(run, store)
        correct = np.zeros(len(labels), dtype=bool)
        for place in np.unique(serving[serving != NO_MODEL]).tolist():
            answered = serving == place
            predictions = whole_predictions(run, models[place].model_id, len(labels))
            correct[answered] = predictions.predicted[answered] == labels[answered]
    served = serving != NO_MODEL
    known = np.zeros(len(labels), dtype=bool)
    known[served] = exists[serving[served], labels[served]]
    return _Served(times, labels, served, correct, known, first_seen)


def _existing(run: RunDirectory, store: SampleStore) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return which classes existed for each model, shape (M, C), and when each was first seen, shape (C,)."""
    train = store.splits["train"]
    records = [part.record for part in run.parts()]
    first = records[0].labelled_until - records[0].num_labelled if records else 0
    end = records[-1].labelled_until if records else 0
    classes, places = np.unique(np.asarray(train.labels[first:end]), return_index=True)
    first_key = np.full(store.schema.num_classes, len(train), dtype=np.int64)
    first_key[classes] = first + places
    until = np.array([record.labelled_until for record in records if record.model is not None], dtype=np.int64)
    first_seen = np.full(store.schema.num_classes, np.nan)
    first_seen[classes] = train.timestamps[first_key[classes]]
    return first_key[None, :] < until[:, None], first_seen


def _share(part: IntArray, whole: IntArray) -> FloatArray:
    """Divide counts; NaN where there is nothing."""
    shares: FloatArray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return shares
