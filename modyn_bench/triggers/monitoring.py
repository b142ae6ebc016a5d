"""How the newest model does on samples whose labels have come in since it was trained."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from modyn_bench.errors import RequestError, RunError
from modyn_bench.metrics import ROC_AUC_MAX_CLASSES, check_metric, compute, find_metric
from modyn_bench.metrics.accuracy import TopKAccuracy
from modyn_bench.state import Stateful
from modyn_bench.triggers.base import View
from modyn_bench.types import FloatArray, IntArray, Predictions, TriggerRecord

AVOIDABLE = "avoidable_misclassifications"
"""What ``trigger.metric`` takes beside the names of metrics."""


class Block(NamedTuple):
    """What a block of newly labelled samples showed.

    Attributes:
        num_samples: How many there were.
        num_correct: How many the newest model got right.
        value: The metric; NaN where it is undefined.
    """

    num_samples: int
    num_correct: int
    value: float


class Monitor(Stateful):
    """Evaluates the newest model on every sample once, when its label is there, and never on what it may have seen.

    Args:
        metric: A metric's public name.
    """

    state_fields = ("judged_until", "trained_until", "since_training")

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.judged_until = 0  # keys below this were judged
        self.trained_until = 0  # keys below this were labelled at the last training
        self.since_training: list[list[float]] = []  # of each block: samples, correct, value

    def window(self, view: View) -> tuple[int, int]:
        """Return the range of keys whose labels came in since the last block."""
        first = max(self.judged_until, self.trained_until, view.first_key)
        return first, max(view.num_labelled, first)

    def judge(self, view: View) -> Block | None:
        """Evaluate the samples whose labels came in; ``None`` where none did."""
        first, end = self.window(view)
        self.judged_until = end
        block = self.look(view, first, end)
        if block is not None:
            self.since_training = [*self.since_training, [float(number) for number in block]]
        return block

    def look(self, view: View, first: int, end: int) -> Block | None:
        """Evaluate a range of keys, what the model may have seen left out, and take no note of it."""
        keys = np.arange(max(first, self.trained_until), end, dtype=np.int64)
        if not len(keys):
            return None
        probabilities, labels = view.predict(keys), view.labels(keys)
        if not np.isfinite(probabilities).all():
            key = int(keys[~np.isfinite(probabilities).all(axis=1)][0])
            raise RunError(
                f"model {view.model_id} returned NaN for sample {key} of the train split: its training diverged; lower "
                "training.optimizer.lr or set training.clip_norm"
            )
        made = predictions_of(probabilities, labels)
        bounds = np.array([[0, len(keys)]])
        value = compute(self.metric, made, labels, bounds, num_classes=probabilities.shape[1])[0]
        return Block(len(keys), int((made.label_rank == 0).sum()), float(value))

    def values(self) -> list[float]:
        """Return the metric's values since the last training, in order; undefined ones are left out."""
        return [value for _, _, value in self.since_training if not np.isnan(value)]

    def avoidable(
        self,
        num_samples: float,
        num_correct: float,
        *,
        expected_accuracy: float | None,
        allow_reduction: bool,
        before: int | None = -1,
    ) -> float:
        """Return how many errors of a block an expected accuracy would have avoided.

        Without one it is the accuracy on the blocks since the last training up to ``before``: all but the last, which
        is the block itself, or, with ``None``, all. It is 0 where there is none.
        """
        expected = expected_accuracy
        if expected is None:
            earlier = self.since_training[:before]
            if not earlier:
                return 0.0
            expected = sum(block[1] for block in earlier) / sum(block[0] for block in earlier)
        avoidable = num_samples - num_correct - (1.0 - expected) * num_samples
        return avoidable if allow_reduction else max(avoidable, 0.0)

    def on_trigger(self, record: TriggerRecord) -> None:
        """Begin anew where a model was trained."""
        if record.model is not None:
            self.trained_until = record.labelled_until
            self.since_training = []


def predictions_of(probabilities: FloatArray | np.ndarray, labels: IntArray) -> Predictions:
    """Return what metrics need of class probabilities (n, C) and labels (n,); of equal ones the lower class is first.

    Example:
        >>> predictions_of(np.array([[0.2, 0.5, 0.3]]), np.array([2])).label_rank.tolist()
        [1]
    """
    rows = np.arange(len(labels))
    predicted = probabilities.argmax(axis=1)
    of_label = probabilities[rows, labels]
    classes = np.arange(probabilities.shape[1])
    before = (probabilities > of_label[:, None]) | (
        (probabilities == of_label[:, None]) & (classes < np.asarray(labels)[:, None])
    )
    tiny = np.finfo(np.float32).tiny
    return Predictions(
        first_key=0,
        predicted=predicted.astype(np.int32),
        confidence=probabilities[rows, predicted].astype(np.float64),
        label_rank=before.sum(axis=1).astype(np.int32),
        label_probability=of_label.astype(np.float32),
        loss=-np.log(np.maximum(of_label, tiny)).astype(np.float32),
        probabilities=probabilities.astype(np.float16),
    )


def check_trigger_metric(metric: str, *, num_classes: int | None = None) -> None:
    """Raise ``RequestError`` if there is no such metric, or it cannot be had, or says nothing, with so many classes."""
    if metric == "roc_auc" and num_classes is not None and num_classes > ROC_AUC_MAX_CLASSES:
        raise RequestError(
            f"trigger.metric: roc_auc is for at most {ROC_AUC_MAX_CLASSES} classes here, but the dataset has "
            f"{num_classes}; use f1_macro"
        )
    found = find_metric(metric, key="trigger.metric", others=(AVOIDABLE,))
    try:
        check_metric(metric, num_classes=num_classes)
    except RequestError as error:
        raise RequestError(str(error).replace("evaluation.metrics:", "trigger.metric:", 1)) from None
    if num_classes is not None and isinstance(found, TopKAccuracy) and found.k >= num_classes:
        raise RequestError(
            f"trigger.metric: {metric} is always 1, since the dataset has {num_classes} classes; use accuracy"
        )


def check_expected_accuracy(expected_accuracy: float | None) -> None:
    """Raise ``RequestError`` if an expected accuracy lies outside [0, 1]."""
    if expected_accuracy is not None and not 0 <= expected_accuracy <= 1:
        raise RequestError(f"trigger.expected_accuracy={expected_accuracy} must lie in [0, 1], or be null")
