"""Metrics of kept predictions, as array arithmetic over all windows of a model at once. NumPy only.

One file per metric; ``compute`` is the entry. Undefined is NaN (null in tables), never 0.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.metrics.accuracy import Accuracy, TopKAccuracy
from modyn_bench.metrics.base import F1Classes, Inputs, Metric
from modyn_bench.metrics.ece import ExpectedCalibrationError
from modyn_bench.metrics.f1 import F1
from modyn_bench.metrics.loss import MeanLoss
from modyn_bench.metrics.roc_auc import RocAuc
from modyn_bench.metrics.windowed import Windowed
from modyn_bench.types import FloatArray, IntArray, Predictions

__all__ = [
    "HIGHER_IS_BETTER",
    "METRIC_NAMES",
    "ROC_AUC_MAX_CLASSES",
    "Metric",
    "axis_label",
    "check_metric",
    "compute",
    "find_metric",
    "needs_probabilities",
]

ROC_AUC_MAX_CLASSES = 20
"""``roc_auc`` is refused above this many classes, unless a higher bound is asked for: it needs all probabilities."""

_FIXED: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Accuracy(),
        F1("macro"),
        F1("micro"),
        F1("weighted"),
        F1("binary"),
        RocAuc(),
        MeanLoss(),
        ExpectedCalibrationError(),
    )
}
_TOP_K = re.compile(r"top_([1-9]\d{0,8})_accuracy")
METRIC_NAMES = ("accuracy", "top_<k>_accuracy", *list(_FIXED)[1:])
"""All names, for messages and documentation."""
_MAX_CELLS = 1 << 22  # windows times classes held at once


def find_metric(name: str, *, key: str = "evaluation.metrics", others: tuple[str, ...] = ()) -> Metric:
    """Return the metric of a name.

    Args:
        name: What was asked for.
        key: What errors call it by.
        others: Names that the key takes beside metrics, for the error.

    Raises:
        RequestError: If there is none; the message names the nearest match.

    Example:
        >>> find_metric("top_3_accuracy").label
        'Top-3 accuracy'
    """
    if name in _FIXED:
        return _FIXED[name]
    match = _TOP_K.fullmatch(str(name))
    if match:
        return TopKAccuracy(int(match[1]))
    near = difflib.get_close_matches(str(name), [*_FIXED, "top_2_accuracy", "top_5_accuracy", *others], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    known = ", ".join((*METRIC_NAMES, *others))
    raise RequestError(f"{key}: there is no metric {name!r}{hint} (metrics: {known})")


def check_metric(name: str, *, num_classes: int | None = None, roc_auc_max_classes: int = ROC_AUC_MAX_CLASSES) -> None:
    """Check that a metric exists, and, where the number of classes is known, that it can be computed.

    Raises:
        RequestError: If it does not exist (with the nearest match), if ``f1_binary`` meets other than two classes, or
            ``roc_auc`` more than ``roc_auc_max_classes``.

    Example:
        >>> check_metric("acuracy")
        Traceback (most recent call last):
        ...
        modyn_bench.errors.RequestError: evaluation.metrics: there is no metric 'acuracy'; did you mean 'accuracy'? ...
    """
    metric = find_metric(name)
    if num_classes is None:
        return
    if metric.name == "f1_binary" and num_classes != 2:
        raise RequestError(
            f"evaluation.metrics: f1_binary needs two classes, but the dataset has {num_classes}; use f1_macro"
        )
    if metric.name == "roc_auc" and num_classes > roc_auc_max_classes:
        raise RequestError(
            f"evaluation.metrics: roc_auc with {num_classes} classes needs {num_classes} probabilities of every sample "
            f"and model; above {roc_auc_max_classes} classes it has to be asked for by "
            f"evaluation.roc_auc_max_classes={num_classes}"
        )


def needs_probabilities(name: str, *, num_classes: int | None = None) -> bool:
    """Say whether a metric needs all class probabilities, for so many classes (``None``: not known).

    Example:
        >>> needs_probabilities("roc_auc", num_classes=10), needs_probabilities("roc_auc", num_classes=2)
        (True, False)
    """
    return find_metric(name).needs_probabilities(num_classes)


def axis_label(name: str) -> str:
    """Return what a metric is called on an axis.

    Example:
        >>> axis_label("f1_macro"), axis_label("top_5_accuracy"), axis_label("loss")
        ('Macro F1', 'Top-5 accuracy', 'Mean loss')
    """
    return find_metric(name).label


class _Directions(Mapping[str, bool]):
    """Reads the direction of any metric, every ``top_<k>_accuracy`` included; iterates over the fixed names."""

    def __getitem__(self, name: str) -> bool:
        try:
            return find_metric(name).higher_is_better
        except RequestError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(_FIXED)

    def __len__(self) -> int:
        return len(_FIXED)


HIGHER_IS_BETTER: Mapping[str, bool] = _Directions()
"""Whether a higher value of a metric is a better one, by name."""


def compute(
    metric: str,
    predictions: Predictions,
    labels: IntArray,
    bounds: IntArray,
    *,
    num_classes: int,
    f1_classes: str = "present",
    ece_bins: int = 15,
) -> FloatArray:
    """Compute a metric of one model in all windows at once.

    A window's value does not depend on which other windows are computed, to the last bit.

    Args:
        metric: The metric's name.
        predictions: The model's, of n consecutive test samples.
        labels: The true class indices of the same n samples.
        bounds: Positions [lo, hi) among these n samples, shape (W, 2); windows may overlap and be empty.
        num_classes: Number of classes C; labels and predicted classes are below it.
        f1_classes: Classes that F1 is averaged over: ``present`` in labels or predictions, or ``all``.
        ece_bins: Number of equal-width confidence bins.

    Shape:
        (W,), float64; NaN where the metric is undefined, as in an empty window.

    Raises:
        RequestError: If there is no such metric, or it needs what the predictions lack.

    Example:
        >>> predicted = np.array([0, 1, 1, 0])
        >>> made = Predictions(0, predicted, np.full(4, 0.9), np.array([0, 0, 1, 1]), np.full(4, 0.5), np.ones(4))
        >>> compute("accuracy", made, np.array([0, 1, 0, 1]), np.array([[0, 4], [0, 2], [2, 2]]), num_classes=2)
        array([0.5, 1. , nan])
    """
    found = find_metric(metric)
    if len(labels) != len(predictions):
        raise ValueError(f"there are {len(labels)} labels for {len(predictions)} predictions")
    labels = np.asarray(labels)
    for what, classes in (("labels", labels), ("predicted classes", predictions.predicted)):
        if len(classes) and not 0 <= classes.min() <= classes.max() < num_classes:
            raise ValueError(f"{what} lie in {classes.min()}..{classes.max()}, but there are {num_classes} classes")
    bounds = np.asarray(bounds, dtype=np.int64)
    step = max(1, _MAX_CELLS // max(num_classes, ece_bins, 1))
    values = [np.zeros(0)]
    for first in range(0, len(bounds), step):
        windows = Windowed(bounds[first : first + step], len(labels))
        inputs = Inputs(predictions, labels, windows, num_classes, cast("F1Classes", f1_classes), ece_bins)
        values.append(found(inputs))
    return np.concatenate(values)
