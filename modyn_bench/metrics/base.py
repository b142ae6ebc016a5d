"""What a metric is, and what it is computed from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from modyn_bench.metrics.windowed import Windowed
from modyn_bench.types import FloatArray, IntArray, Predictions

F1Classes = Literal["present", "all"]


@dataclass(frozen=True)
class Inputs:
    """One model's predictions, the true labels, and the windows they are cut into.

    Attributes:
        predictions: Of n consecutive test samples.
        labels: Their class indices, shape (n,).
        windows: W windows over these n samples.
        num_classes: C.
        f1_classes: Classes that F1 is averaged over: ``present`` in labels or predictions, or ``all``.
        ece_bins: Number of equal-width confidence bins.
    """

    predictions: Predictions
    labels: IntArray
    windows: Windowed
    num_classes: int
    f1_classes: F1Classes = "present"
    ece_bins: int = 15

    @cached_property
    def num_samples(self) -> FloatArray:
        """Samples in each window as floats, NaN where there is none: dividing by it gives undefined, never 0."""
        sizes = self.windows.sizes.astype(np.float64)
        return np.where(sizes > 0, sizes, np.nan)


class Metric(ABC):
    """One number for the predictions of one model in one window; NaN where it is undefined.

    Attributes:
        name: What it is called in configuration and tables.
        label: What it is called on an axis.
        higher_is_better: Whether a higher value is a better one.
    """

    name: str
    label: str
    higher_is_better: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, inputs: Inputs) -> FloatArray:
        """Compute the metric in every window, shape (W,), float64."""

    def needs_probabilities(self, num_classes: int | None) -> bool:
        """Say whether all class probabilities are needed, for so many classes (``None``: unknown)."""
        return False
