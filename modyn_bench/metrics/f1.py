"""F1: the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Literal

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.metrics.base import Inputs, Metric
from modyn_bench.types import FloatArray, IntArray

Average = Literal["macro", "micro", "weighted", "binary"]
_LABELS = {"macro": "Macro F1", "micro": "Micro F1", "weighted": "Weighted F1", "binary": "F1 of the second class"}


class F1(Metric):
    r"""F1, averaged over classes.

    .. math:: F_c = \frac{2 \, TP_c}{\#\{\hat y = c\} + \#\{y = c\}}

    A class that is neither among a window's labels nor among its predictions has no F1 there. ``macro`` is the mean
    over the classes that have one, or, with ``f1_classes: all``, over all classes, such a class counting as 0.
    ``weighted`` is the mean weighted by the classes' number of samples. ``micro`` counts over all classes, which is
    accuracy where every sample has one label. ``binary`` is F1 of the class with index 1, of two.

    Shape: (W,). Undefined in a window without samples; ``binary`` also where the class is neither among the labels nor
    among the predictions.

    Deviation:
        The reference's ``macro`` is over all classes.

    Args:
        average: How classes are averaged.
    """

    def __init__(self, average: Average) -> None:
        self.average = average
        self.name = f"f1_{average}"
        self.label = _LABELS[average]

    def __call__(self, inputs: Inputs) -> FloatArray:
        """Compute the metric in every window.

        Raises:
            RequestError: If ``binary`` is asked for with another number of classes than two.
        """
        predicted, labels, windows = inputs.predictions.predicted, inputs.labels, inputs.windows
        correct = predicted == labels
        if self.average == "micro":
            return windows.count_true(correct) / inputs.num_samples
        if self.average == "binary":
            if inputs.num_classes != 2:
                raise RequestError(
                    f"f1_binary needs two classes, but the dataset has {inputs.num_classes}: use f1_macro"
                )
            positive = labels == 1
            either: IntArray = windows.count_true(positive) + windows.count_true(predicted == 1)
            return _f1(windows.count_true(correct & positive), either)
        true = windows.count(labels, inputs.num_classes)
        support: IntArray = true + windows.count(predicted, inputs.num_classes)
        scores = np.nan_to_num(_f1(windows.count(labels, inputs.num_classes, correct), support))  # (W, C)
        total: FloatArray
        if self.average == "weighted":
            total = (scores * true).sum(axis=1)
            return total / inputs.num_samples
        total = scores.sum(axis=1)
        if inputs.f1_classes == "all":
            return total / np.where(windows.sizes > 0, float(inputs.num_classes), np.nan)
        present = (support > 0).sum(axis=1)
        return total / np.where(present > 0, present, np.nan)


def _f1(true_positives: IntArray, support: IntArray) -> FloatArray:
    """Return 2 TP / (number predicted + number true), NaN where the denominator is 0."""
    return 2 * true_positives / np.where(support > 0, support, np.nan)
