"""Histograms and shares are counts of the samples."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import legend_texts

from modyn_bench.analysis.figures.class_shares import class_shares
from modyn_bench.analysis.figures.samples_over_time import samples_over_time
from modyn_bench.errors import RequestError

DAY = 86_400
GENERATOR = np.random.Generator(np.random.PCG64(0))
TIMES = np.sort(GENERATOR.integers(0, 100 * DAY, 900))
LABELS = np.minimum(GENERATOR.geometric(0.4, 900) - 1, 5)


def test_bars_stack_to_all_samples_of_a_period() -> None:
    ax = samples_over_time({"train": TIMES[::-1], "test": TIMES[::3]}, every="10d")
    train, test = [np.array([bar.get_height() for bar in bars]) for bars in ax.containers]
    expected = np.bincount((TIMES - TIMES[0]) // (10 * DAY))
    np.testing.assert_array_equal(train, expected)
    assert test.sum() == 300
    np.testing.assert_array_equal([bar.get_y() for bar in ax.containers[1]], train)
    assert legend_texts(ax) == ["train (900)", "test (300)"]
    assert ax.get_ylabel() == "Samples per 10 days"


def test_periods_are_chosen_by_what_the_samples_span() -> None:
    ax = samples_over_time({"train": TIMES})
    assert len(ax.containers[0]) == 100
    assert ax.get_ylabel() == "Samples per day"


def edges_of(band) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of a class by period."""
    vertices = np.concatenate([path.vertices for path in band.get_paths()])
    return vertices[:, 1].min(), vertices[:, 1].max()


def test_shares_are_stacked_most_frequent_first_and_the_rest_is_one() -> None:
    names = [f"c{number}" for number in range(6)]
    ax = class_shares(TIMES, LABELS, classes=names, most=3, every="100d")
    counts = np.bincount(LABELS, minlength=6) / len(LABELS)
    ends = np.concatenate([[0.0], np.cumsum(counts[:3]), [1.0]])
    assert np.all(np.diff(counts[:4]) < 0)
    for band, low, high in zip(ax.collections, ends[:-1], ends[1:], strict=True):
        assert edges_of(band) == (pytest.approx(low), pytest.approx(high))
    rest = counts[3:].sum()
    assert legend_texts(ax) == [*(f"c{n} ({counts[n]:.0%})" for n in range(3)), f"3 other classes ({rest:.0%})"]


def test_a_period_without_samples_is_a_gap() -> None:
    ax = class_shares([0, DAY, 5 * DAY], ["a", "b", "a"], every="1d")
    assert len(ax.collections) == 2
    assert len(ax.collections[0].get_paths()) == 2
    assert legend_texts(ax) == ["a (67%)", "b (33%)"]


def test_wrong_requests_are_answered() -> None:
    with pytest.raises(RequestError, match="there are no samples"):
        samples_over_time({"train": [], "test": []})
    with pytest.raises(RequestError, match="there are no samples"):
        class_shares([], [])
    with pytest.raises(RequestError, match="timestamps has 2 entries and labels 1"):
        class_shares([0, 1], [0])
    with pytest.raises(RequestError, match=r"labels has 0\.\.5, but classes names 0\.\.1"):
        class_shares(TIMES, LABELS, classes=["a", "b"])
    with pytest.raises(RequestError, match="most=9 must lie in"):
        class_shares(TIMES, LABELS, most=9)
    with pytest.raises(RequestError, match="intervals, more than 100,000"):
        samples_over_time({"train": TIMES}, every="1s")
