"""How fast the evaluation matrix is computed, beside scikit-learn computing the same cells one by one.

    python benchmarks/evaluation.py [--samples 25000] [--classes 172]

34 models × 50 windows = 1,700 cells × 5 metrics, the size of the bundled arXiv run; then sliding windows that overlap
four times, and ROC AUC. Target: the 1,700 cells × 5 metrics within a second. scikit-learn does more than we do: it
checks its input, encodes labels, and takes weights and several averages; it computes a share of the cells here, and its
time is scaled up. What we do that it does not: every window at once. It is given the class probabilities as they are
kept, in float16, whereas ranks and losses are kept from float32: hence the differences in top-2 accuracy and loss.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn import metrics as judge
from sklearn.calibration import calibration_curve

from modyn_bench.metrics import compute
from modyn_bench.seeding import derive
from modyn_bench.types import FloatArray, IntArray, Predictions

NUM_MODELS, NUM_WINDOWS, NUM_JUDGED = 34, 50, 20
METRICS = ("accuracy", "top_2_accuracy", "f1_macro", "loss", "ece")


def make_predictions(labels: IntArray, num_classes: int, model: int) -> Predictions:
    """Make one model's predictions from random scores in which the true class stands out."""
    generator = derive(0, "benchmark", model)
    n = len(labels)
    scores = generator.exponential(size=(n, num_classes)).astype(np.float32)
    scores[np.arange(n), labels] *= 6
    scores /= scores.sum(axis=1, keepdims=True)
    true = scores[np.arange(n), labels]
    return Predictions(
        first_key=0,
        predicted=scores.argmax(axis=1).astype(np.int32),
        confidence=scores.max(axis=1),
        label_rank=(scores > true[:, None]).sum(axis=1).astype(np.int32),
        label_probability=true,
        loss=-np.log(true),
        probabilities=scores.astype(np.float16),
    )


def judge_cell(name: str, made: Predictions, labels: IntArray, part: slice, num_classes: int) -> float:
    """Compute one cell by scikit-learn."""
    y, predicted = labels[part], made.predicted[part]
    if name == "accuracy":
        return float(judge.accuracy_score(y, predicted))
    if name == "f1_macro":
        return float(judge.f1_score(y, predicted, average="macro", zero_division=0))
    if name == "ece":
        confidence = made.confidence[part]
        true, mean = calibration_curve(predicted == y, confidence, n_bins=15, pos_label=True)
        counts = np.bincount(np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence))
        return float((np.abs(true - mean) * counts[counts > 0]).sum() / len(y))
    assert made.probabilities is not None
    scores = made.probabilities[part].astype(np.float64)
    if name == "top_2_accuracy":
        return float(judge.top_k_accuracy_score(y, scores, k=2, labels=range(num_classes)))
    if name == "loss":
        return float(judge.log_loss(y, scores / scores.sum(axis=1, keepdims=True), labels=range(num_classes)))
    return float(np.mean([judge.roc_auc_score(y == label, scores[:, label]) for label in np.unique(y)]))


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the median seconds of a few runs."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def compare(name: str, made: list[Predictions], labels: IntArray, bounds: IntArray, num_classes: int) -> float:
    """Print one metric's line and return our seconds for all cells."""
    repeats = 1 if name == "roc_auc" else 5
    values: list[FloatArray] = []

    def ours() -> None:
        values[:] = [compute(name, each, labels, bounds, num_classes=num_classes) for each in made]

    our_seconds = seconds(ours, repeats)
    num_judged = 2 if name == "roc_auc" else NUM_JUDGED
    chosen = derive(0, "cells").choice(len(bounds), num_judged, replace=False)
    started = time.perf_counter()
    expected = [judge_cell(name, made[0], labels, slice(*bounds[window]), num_classes) for window in chosen]
    judged = (time.perf_counter() - started) / num_judged * len(bounds) * len(made)
    apart = float(np.abs(values[0][chosen] - expected).max())
    print(f"  {name:<16}{our_seconds:>9.3f} s{judged:>12.2f} s{judged / our_seconds:>11.0f}×   differ by {apart:.0e}")
    return our_seconds


def main() -> None:
    """Print the seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=25_000)
    parser.add_argument("--classes", type=int, default=172)
    arguments = parser.parse_args()
    n, num_classes = arguments.samples, arguments.classes
    labels = np.minimum(derive(0, "labels").geometric(0.02, n) - 1, num_classes - 1).astype(np.int64)
    made = [make_predictions(labels, num_classes, model) for model in range(NUM_MODELS)]
    edges = np.linspace(0, n, NUM_WINDOWS + 1).astype(np.int64)
    sliced = np.stack([edges[:-1], edges[1:]], axis=1)
    sliding = np.stack([edges[np.maximum(np.arange(50) - 2, 0)], edges[np.minimum(np.arange(50) + 2, 50)]], axis=1)
    warnings.simplefilter("ignore")
    for title, bounds in (("sliced", sliced), ("sliding, four times overlapping", sliding)):
        print(f"{title}: {NUM_MODELS * NUM_WINDOWS:,} cells, {n:,} samples, {num_classes} classes")
        print(f"  {'metric':<16}{'modyn_bench':>11}{'scikit-learn':>14}{'ratio':>12}")
        total = sum(compare(name, made, labels, bounds, num_classes) for name in METRICS)
        print(f"  all five        {total:>9.3f} s   (target: 1 s)")
    print("ROC AUC, one against the rest, on the sliced windows")
    compare("roc_auc", made, labels, sliced, num_classes)


if __name__ == "__main__":
    main()
