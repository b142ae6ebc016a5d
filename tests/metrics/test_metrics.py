"""Undefined values, ties, hostile numbers, and the names of metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings

from modyn_bench.errors import RequestError
from modyn_bench.metrics import (
    HIGHER_IS_BETTER,
    METRIC_NAMES,
    axis_label,
    check_metric,
    compute,
    find_metric,
    needs_probabilities,
)
from modyn_bench.metrics.windowed import Windowed
from modyn_bench.seeding import derive
from tests.metrics.making import cases, predictions_of, random_case

NAMES = ["accuracy", "top_2_accuracy", "f1_macro", "f1_micro", "f1_weighted", "roc_auc", "loss", "ece"]


@settings(deadline=None, max_examples=40)
@given(cases)
@example(random_case(seed=0, n=31, num_classes=3, levels=2, num_windows=3))
def test_a_cell_does_not_depend_on_the_other_windows_to_the_last_bit(case):
    predictions, labels, bounds = case
    num_classes = predictions.probabilities.shape[1]
    for name in NAMES:
        together = compute(name, predictions, labels, bounds, num_classes=num_classes)
        for value, window in zip(together, bounds, strict=True):
            alone = compute(name, predictions, labels, window[None], num_classes=num_classes)
            np.testing.assert_array_equal(alone, [value])


@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_windows_change_nothing(name, monkeypatch):
    predictions, labels, bounds = random_case(5, 300, 6, 4, 50)
    whole = compute(name, predictions, labels, bounds, num_classes=6)
    monkeypatch.setattr("modyn_bench.metrics._MAX_CELLS", 40)
    np.testing.assert_array_equal(compute(name, predictions, labels, bounds, num_classes=6), whole)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_window_is_undefined_and_no_windows_give_no_values(name):
    predictions, labels, _ = random_case(1, 20, 3, 4, 0)
    values = compute(name, predictions, labels, np.array([[0, 0], [20, 20], [7, 7]]), num_classes=3)
    assert np.isnan(values).all()
    assert compute(name, predictions, labels, np.zeros((0, 2)), num_classes=3).shape == (0,)


def test_an_auc_of_one_class_is_undefined():
    predictions, labels, _ = random_case(1, 20, 3, 4, 0)
    labels[5:9] = 2
    assert np.isnan(compute("roc_auc", predictions, labels, np.array([[5, 9]]), num_classes=3)[0])


def test_binary_f1_of_an_absent_class_is_undefined_and_of_a_missed_one_is_0():
    labels = np.array([0, 0, 0, 1])
    predictions = predictions_of(np.array([[0.9, 0.1]] * 4), labels)
    values = compute("f1_binary", predictions, labels, np.array([[0, 3], [0, 4]]), num_classes=2)
    np.testing.assert_array_equal(values, [np.nan, 0.0])


def test_ties_of_rank_go_to_the_lower_class():
    labels = np.array([0, 1, 2])
    predictions = predictions_of(np.full((3, 3), 1 / 3), labels)
    window = np.array([[0, 3]])
    values = [compute(f"top_{k}_accuracy", predictions, labels, window, num_classes=3)[0] for k in (1, 2, 3)]
    assert values == pytest.approx([1 / 3, 2 / 3, 1])
    assert compute("accuracy", predictions, labels, window, num_classes=3)[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_a_hostile_loss_stays_in_its_windows(bad):
    predictions, labels, _ = random_case(2, 30, 3, 1000, 0)
    loss = predictions.loss.copy()
    loss[10] = bad
    bounds = np.array([[0, 10], [0, 11], [5, 20], [11, 30], [10, 11]])
    clean = compute("loss", predictions, labels, bounds, num_classes=3)
    values = compute("loss", replace(predictions, loss=loss), labels, bounds, num_classes=3)
    np.testing.assert_array_equal(values[[0, 3]], clean[[0, 3]])
    if np.isfinite(bad):
        assert values[4] == np.float32(bad)
    else:
        np.testing.assert_array_equal(values[[1, 2, 4]], [bad] * 3)


def test_scores_that_are_not_numbers_are_undefined_in_their_windows_only():
    predictions, labels, _ = random_case(4, 40, 3, 1000, 0)
    labels[:6] = labels[20:26] = [0, 1, 2, 0, 1, 2]
    probabilities, confidence = predictions.probabilities.copy(), predictions.confidence.copy()
    probabilities[3], confidence[3] = np.nan, np.nan
    broken = replace(predictions, probabilities=probabilities, confidence=confidence)
    bounds = np.array([[0, 20], [20, 40]])
    for name in ("roc_auc", "ece"):
        clean = compute(name, predictions, labels, bounds, num_classes=3)
        np.testing.assert_array_equal(compute(name, broken, labels, bounds, num_classes=3), [np.nan, clean[1]])
    two = replace(predictions, confidence=confidence, predicted=np.minimum(predictions.predicted, 1))
    values = compute("roc_auc", two, np.minimum(labels, 1), bounds, num_classes=2)
    assert np.isnan(values[0])
    assert not np.isnan(values[1])


def test_confidences_on_an_edge_belong_to_the_bin_below():
    # Gaps of +.5 and -.75: they add up in two bins, (0, .5] and (.5, 1], and would cancel in one.
    labels = np.array([0, 1])
    made = predictions_of(np.array([[0.5, 0.5], [0.75, 0.25]]), labels)
    values = compute("ece", made, labels, np.array([[0, 2]]), num_classes=2, ece_bins=2)
    assert values[0] == pytest.approx((0.5 + 0.75) / 2)


def test_roc_auc_says_what_it_lacks():
    predictions, labels, bounds = random_case(1, 20, 3, 4, 2)
    with pytest.raises(RequestError, match="were not kept"):
        compute("roc_auc", replace(predictions, probabilities=None), labels, bounds, num_classes=3)


def test_what_cannot_be_right_is_refused():
    predictions, labels, bounds = random_case(1, 20, 3, 4, 2)
    with pytest.raises(ValueError, match="19 labels for 20"):
        compute("accuracy", predictions, labels[1:], bounds, num_classes=3)
    with pytest.raises(ValueError, match="there are 2 classes"):
        compute("accuracy", predictions, labels, bounds, num_classes=2)
    for bad in ([[3, 2]], [[0, 21]], [[-1, 2]], [3, 4]):
        with pytest.raises(ValueError, match="bounds must"):
            compute("accuracy", predictions, labels, np.array(bad), num_classes=3)
    with pytest.raises(RequestError, match="two classes"):
        compute("f1_binary", predictions, labels, bounds, num_classes=3)


@pytest.mark.parametrize(
    ("name", "near"),
    [("acuracy", "accuracy"), ("f1_makro", "f1_macro"), ("top_0_accuracy", "top_._accuracy"), ("rocauc", "roc_auc")],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(name, near):
    with pytest.raises(RequestError, match=f"did you mean '{near}'"):
        check_metric(name)


@pytest.mark.parametrize("name", ["top_01_accuracy", "top_-1_accuracy", "top__accuracy", "", "zzz", "top_k_accuracy"])
def test_names_are_spelled_one_way(name):
    with pytest.raises(RequestError, match="there is no metric"):
        check_metric(name)


def test_what_a_metric_asks_of_the_classes_is_checked_ahead():
    for name in [*NAMES, "f1_binary", "top_7_accuracy"]:
        check_metric(name)
    with pytest.raises(RequestError, match="f1_macro"):
        check_metric("f1_binary", num_classes=3)
    check_metric("roc_auc", num_classes=20)
    with pytest.raises(RequestError, match="roc_auc_max_classes=21"):
        check_metric("roc_auc", num_classes=21)
    check_metric("roc_auc", num_classes=172, roc_auc_max_classes=172)


def test_facts_by_name():
    assert {name for name in METRIC_NAMES if "<" not in name and not HIGHER_IS_BETTER[name]} == {"loss", "ece"}
    assert HIGHER_IS_BETTER["top_9_accuracy"]
    assert "nonsense" not in HIGHER_IS_BETTER
    assert HIGHER_IS_BETTER.get("loss", True) is False
    assert [needs_probabilities(name) for name in NAMES] == [name == "roc_auc" for name in NAMES]
    assert not needs_probabilities("roc_auc", num_classes=2)
    assert axis_label("f1_binary") == "F1 of the second class"
    assert len({find_metric(name).label for name in HIGHER_IS_BETTER}) == len(HIGHER_IS_BETTER)


@settings(deadline=None, max_examples=60)
@given(cases)
def test_sums_and_counts_equal_their_definitions(case):
    _, labels, bounds = case
    n = len(labels)
    windows = Windowed(bounds, n)
    values = derive(1, "values").normal(size=n)
    mask = values > 0
    parts = [slice(low, high) for low, high in bounds]
    np.testing.assert_array_equal(windows.count_true(mask), np.array([mask[p].sum() for p in parts], dtype=np.int64))
    np.testing.assert_allclose(windows.sum(values), [values[p].sum() for p in parts], atol=1e-12)
    counts, masked, sums = (
        windows.count(labels, 9),
        windows.count(labels, 9, mask),
        windows.grouped_sum(values, labels, 9),
    )
    assert counts.shape == masked.shape == sums.shape == (len(bounds), 9)
    for row, part in enumerate(parts):
        np.testing.assert_array_equal(counts[row], np.bincount(labels[part], minlength=9))
        np.testing.assert_array_equal(masked[row], np.bincount(labels[part][mask[part]], minlength=9))
        np.testing.assert_allclose(sums[row], np.bincount(labels[part], values[part], minlength=9), atol=1e-12)
