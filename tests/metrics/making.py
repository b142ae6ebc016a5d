"""Predictions and windows for tests: from random logits, as inference would make them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from modyn_bench.seeding import derive
from modyn_bench.types import Predictions


def predictions_of(probabilities: np.ndarray, labels: np.ndarray) -> Predictions:
    """Make the record that inference keeps, by the definitions in its docstring."""
    n, num_classes = probabilities.shape
    confidence = probabilities.max(axis=1, initial=0.0).astype(np.float64)
    probabilities = probabilities.astype(np.float32)
    true = probabilities[np.arange(n), labels]
    higher = (probabilities > true[:, None]).sum(axis=1)
    tied_before = ((probabilities == true[:, None]) & (np.arange(num_classes) < labels[:, None])).sum(axis=1)
    return Predictions(
        first_key=0,
        predicted=probabilities.argmax(axis=1).astype(np.int32),
        confidence=confidence,
        label_rank=(higher + tied_before).astype(np.int32),
        label_probability=true,
        loss=-np.log(np.maximum(true, np.float32(1e-30))),
        probabilities=probabilities.astype(np.float16),
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def random_case(seed: int, n: int, num_classes: int, levels: int, num_windows: int):
    """Return predictions, labels and windows; few levels make ties, a skewed label distribution missing classes."""
    generator = derive(seed, "case")
    labels = np.minimum(generator.geometric(0.35, n) - 1, num_classes - 1)
    logits = generator.integers(0, levels, (n, num_classes)) * 0.7
    logits[np.arange(n), labels] += 0.7 * generator.integers(0, 2, n)
    bounds = np.sort(generator.integers(0, n + 1, (num_windows, 2)), axis=1)
    return predictions_of(softmax(logits), labels), labels, bounds


cases = st.builds(
    random_case,
    seed=st.integers(0, 2**32),
    n=st.integers(0, 60),
    num_classes=st.integers(2, 9),
    levels=st.sampled_from([1, 2, 4, 1000]),
    num_windows=st.integers(0, 12),
)
