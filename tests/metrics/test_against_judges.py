"""Every metric in every window equals what scikit-learn says of the window's samples alone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as judge
from sklearn.calibration import calibration_curve

from modyn_bench.metrics import compute
from modyn_bench.seeding import derive
from modyn_bench.types import Predictions
from tests.metrics.making import cases, predictions_of, random_case, softmax

EXACT = 1e-12
UNDEFINED = float("nan")


def in_every_window(name: str, case, judged, *, binary: bool = False, **options) -> None:
    """Compare a metric with ``judged(predictions' arrays, labels)`` of every window that has samples."""
    predictions, labels, bounds = case
    num_classes = 2 if binary else predictions.probabilities.shape[1]
    values = compute(name, predictions, labels, bounds, num_classes=num_classes, **options)
    assert values.shape == (len(bounds),)
    assert values.dtype == np.float64
    for value, (low, high) in zip(values, bounds, strict=True):
        part = slice(low, high)
        expected = judged(predictions, labels[part], part) if high > low else UNDEFINED
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=EXACT)


@settings(deadline=None, max_examples=60)
@given(cases)
def test_accuracy(case):
    in_every_window("accuracy", case, lambda p, y, part: judge.accuracy_score(y, p.predicted[part]))


@settings(deadline=None, max_examples=60)
@given(cases)
def test_top_k_accuracy_without_ties(case):
    """scikit-learn ranks ties the other way round, so scores are made distinct, the lower class first."""
    predictions, labels, bounds = case
    num_classes = predictions.probabilities.shape[1]
    scores = predictions.probabilities.astype(np.float64) - 1e-9 * np.arange(num_classes)
    scores /= scores.sum(axis=1, keepdims=True)
    distinct = predictions_of_float64(scores, labels)
    for k in (1, 2, 3, num_classes + 1):
        values = compute(f"top_{k}_accuracy", distinct, labels, bounds, num_classes=num_classes)
        for value, (low, high) in zip(values, bounds, strict=True):
            if high == low:
                assert np.isnan(value)
            elif k >= num_classes:
                assert value == 1
            elif num_classes == 2:
                assert value == pytest.approx(judge.accuracy_score(labels[low:high], distinct.predicted[low:high]))
            else:
                expected = judge.top_k_accuracy_score(
                    labels[low:high], scores[low:high], k=k, labels=range(num_classes)
                )
                assert value == pytest.approx(expected, abs=EXACT)


def predictions_of_float64(scores: np.ndarray, labels: np.ndarray) -> Predictions:
    ranks = (scores > scores[np.arange(len(labels)), labels][:, None]).sum(axis=1)
    made = predictions_of(scores, labels)
    return Predictions(
        0,
        scores.argmax(axis=1).astype(np.int32),
        made.confidence,
        ranks.astype(np.int32),
        made.label_probability,
        made.loss,
    )


@settings(deadline=None, max_examples=60)
@given(cases)
@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
@pytest.mark.parametrize("classes", ["present", "all"])
def test_f1(average, classes, case):
    def judged(p, y, part):
        labels = np.arange(p.probabilities.shape[1]) if classes == "all" else np.union1d(y, p.predicted[part])
        return judge.f1_score(y, p.predicted[part], labels=labels, average=average, zero_division=0)

    in_every_window(f"f1_{average}", case, judged, f1_classes=classes)


@settings(deadline=None, max_examples=60)
@given(cases)
def test_f1_binary(case):
    predictions, labels, bounds = case
    labels = np.minimum(labels, 1)
    two = predictions_of(predictions.probabilities[:, :2].astype(np.float32) + 1e-3, labels)

    def judged(p, y, part):
        return judge.f1_score(y, p.predicted[part], zero_division=np.nan)

    in_every_window("f1_binary", (two, labels, bounds), judged, binary=True)


@settings(deadline=None, max_examples=60)
@given(cases)
def test_loss(case):
    predictions, labels, bounds = case
    num_classes = predictions.probabilities.shape[1]
    exact = predictions.probabilities.astype(np.float64) + 1e-3
    exact /= exact.sum(axis=1, keepdims=True)
    made = predictions_of(exact, labels)
    made = Predictions(
        0, made.predicted, made.confidence, made.label_rank, made.label_probability, losses(exact, labels)
    )
    values = compute("loss", made, labels, bounds, num_classes=num_classes)
    for value, (low, high) in zip(values, bounds, strict=True):
        if high == low:
            assert np.isnan(value)
        else:
            expected = judge.log_loss(labels[low:high], exact[low:high], labels=range(num_classes))
            assert value == pytest.approx(expected, rel=1e-6)  # losses are float32


def losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -np.log(probabilities[np.arange(len(labels)), labels]).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(cases)
@pytest.mark.parametrize("num_bins", [1, 2, 15])
def test_ece(num_bins, case):
    def judged(p, y, part):
        correct, confidence = p.predicted[part] == y, p.confidence[part]
        true, mean = calibration_curve(correct, confidence, n_bins=num_bins, pos_label=True)
        bins = np.searchsorted(np.linspace(0, 1, num_bins + 1)[1:-1], confidence)
        counts = np.bincount(bins)
        return (np.abs(true - mean) * counts[counts > 0]).sum() / len(y)

    in_every_window("ece", case, judged, ece_bins=num_bins)


@settings(deadline=None, max_examples=100)
@given(cases)
def test_roc_auc_one_vs_rest(case):
    def judged(p, y, part):
        if len(np.unique(y)) < 2:
            return UNDEFINED
        scores = p.probabilities[part].astype(np.float64)
        return np.mean([judge.roc_auc_score(y == c, scores[:, c]) for c in np.unique(y)])

    if case[0].probabilities.shape[1] > 2:
        in_every_window("roc_auc", case, judged)


@settings(deadline=None, max_examples=100)
@given(cases)
def test_roc_auc_of_two_classes_needs_no_probabilities(case):
    predictions, labels, bounds = case
    labels = np.minimum(labels, 1)
    probabilities = softmax(predictions.probabilities[:, :2].astype(np.float64) * 3)
    made = predictions_of(probabilities, labels)
    kept = Predictions(0, made.predicted, made.confidence, made.label_rank, made.label_probability, made.loss)
    values = compute("roc_auc", kept, labels, bounds, num_classes=2)
    for value, (low, high) in zip(values, bounds, strict=True):
        if len(np.unique(labels[low:high])) < 2:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(judge.roc_auc_score(labels[low:high], probabilities[low:high, 1]), abs=1e-12)


def test_roc_auc_of_many_classes_equals_scikit_learn_over_all_of_them():
    """Where all classes are present, scikit-learn's own one-vs-rest macro average is the same number."""
    predictions, labels, _ = random_case(7, 4_000, 30, 1000, 0)
    labels[:30] = np.arange(30)
    scores = predictions.probabilities.astype(np.float64)
    value = compute("roc_auc", predictions, labels, np.array([[0, 4_000]]), num_classes=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = scores / scores.sum(axis=1, keepdims=True)
    single = np.mean([judge.roc_auc_score(labels == c, scores[:, c]) for c in range(30)])
    assert value[0] == pytest.approx(single, abs=1e-12)
    assert value[0] == pytest.approx(judge.roc_auc_score(labels, rows, multi_class="ovr"), abs=2e-3)


def test_roc_auc_in_blocks_of_classes(monkeypatch):
    predictions, labels, bounds = random_case(3, 500, 9, 4, 6)
    whole = compute("roc_auc", predictions, labels, bounds, num_classes=9)
    monkeypatch.setattr("modyn_bench.metrics.roc_auc._BLOCK", 700)
    np.testing.assert_array_equal(compute("roc_auc", predictions, labels, bounds, num_classes=9), whole)


def test_constant_scores_have_half_the_area():
    labels = derive(0, "half").integers(0, 4, 100)
    predictions = predictions_of(np.full((100, 4), 0.25), labels)
    assert compute("roc_auc", predictions, labels, np.array([[0, 100]]), num_classes=4)[0] == 0.5
