"""Shares of groups against brute force, and draws from groups by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.selectors.groups import (
    draw_from_groups,
    equal_shares,
    fair_shares,
    proportional_shares,
    systematic_shares,
)

sizes = st.lists(st.integers(0, 30), min_size=1, max_size=8).map(np.array)


def poured(counts: np.ndarray, budget: int) -> list[int]:
    """Water-filling by its definition: one sample to each group that has more, round after round."""
    shares = np.zeros_like(counts)
    while shares.sum() < min(budget, counts.sum()):
        open_groups = np.flatnonzero(shares < counts)
        left = budget - shares.sum()
        shares[open_groups[:left]] += 1
    return shares.tolist()


@given(sizes, st.integers(0, 200), st.integers(0, 9))
def test_fair_shares_are_poured(counts: np.ndarray, budget: int, seed: int) -> None:
    shares = fair_shares(counts, budget, np.random.default_rng(seed))
    assert shares.sum() == min(budget, counts.sum())
    assert (shares <= counts).all()
    assert sorted(shares) == sorted(poured(counts, budget))
    still_open = shares[shares < counts]
    assert not len(still_open) or np.ptp(still_open) <= 1


@pytest.mark.parametrize(
    ("counts", "budget", "shares"), [([10, 10, 100], 60, [10, 10, 40]), ([200, 10, 10, 10], 100, [70, 10, 10, 10])]
)
def test_groups_of_one_size_are_counted_each(counts: list[int], budget: int, shares: list[int]) -> None:
    assert fair_shares(np.array(counts), budget, np.random.default_rng(0)).tolist() == shares


def test_what_is_left_goes_to_groups_that_are_drawn() -> None:
    generator = np.random.default_rng(0)
    extra = sum(fair_shares(np.array([9, 9, 9, 2]), 10, generator) == 3 for _ in range(3000))
    assert extra[3] == 0
    assert abs(extra[:3] - 2000).max() < 5 * np.sqrt(3000 * 2 / 9)  # five standard deviations of a binomial


@given(sizes, st.integers(0, 200))
def test_equal_shares_are_the_largest_that_all_can_give(counts: np.ndarray, budget: int) -> None:
    shares = equal_shares(counts, budget, np.random.default_rng(0))
    present = counts > 0
    if budget < present.sum():
        assert shares.sum() == budget
        assert shares.max() <= 1
        return
    fitting = [n for n in range(31) if (n <= counts[present]).all() and n * present.sum() <= budget]
    assert (shares[present] == max(fitting)).all() if present.any() else not shares.any()
    assert not shares[~present].any()


@given(sizes, st.floats(0, 1))
def test_proportional_shares_are_quotas_rounded(counts: np.ndarray, part: float) -> None:
    budget = int(part * counts.sum())
    shares = proportional_shares(counts, budget)
    assert shares.sum() == budget
    assert (shares <= counts).all()
    present, quotas = counts > 0, counts * (budget / max(counts.sum(), 1))
    if budget >= present.sum():
        assert (shares[present] >= 1).all()
    if budget < present.sum() or (quotas[present] >= 1).all():
        assert (abs(shares - quotas) < 1).all()
    order = np.argsort(counts, kind="stable")
    assert (np.diff(shares[order]) >= -1).all()  # of groups alike one may get one more


@given(sizes.filter(np.any), st.floats(0, 1))
def test_systematic_shares_are_quotas_over_all_offsets(counts: np.ndarray, part: float) -> None:
    total = int(counts.sum())
    budget = int(part * total)
    shares = np.array([systematic_shares(counts, budget, offset) for offset in range(total)])
    assert (shares.sum(axis=1) == budget).all()
    assert (abs(shares * total - counts * budget) < total).all()
    assert shares.sum(axis=0).tolist() == (counts * budget).tolist()
    assert (shares >= 1).sum(axis=0).tolist() == np.minimum(counts * budget, total).tolist()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60).map(np.array), st.data())
def test_a_draw_has_each_groups_share(groups: np.ndarray, data: st.DataObject) -> None:
    counts = np.bincount(groups, minlength=7)
    shares = np.array([data.draw(st.integers(0, int(count))) for count in counts])
    chosen = draw_from_groups(groups, shares, np.random.default_rng(0))
    assert (np.diff(chosen) > 0).all()
    assert np.bincount(groups[chosen], minlength=7).tolist() == shares.tolist()


def test_a_draw_is_uniform_over_pairs() -> None:
    groups = np.array([0, 1, 0, 1, 0, 1, 0, 1, 1])
    pairs = np.zeros((9, 9))
    generator = np.random.default_rng(0)
    for _ in range(6000):
        chosen = draw_from_groups(groups, np.array([2, 3]), generator)
        pairs[np.ix_(chosen, chosen)] += 1
    first = pairs[np.ix_(groups == 0, groups == 0)][np.triu_indices(4, 1)]
    second = pairs[np.ix_(groups == 1, groups == 1)][np.triu_indices(5, 1)]
    for counts, chance in ((first, 1 / 6), (second, 3 / 10)):
        assert abs(counts - 6000 * chance).max() < 5 * np.sqrt(6000 * chance * (1 - chance))  # standard deviations


def test_more_groups_than_sixteen_bits_hold() -> None:
    generator = np.random.default_rng(0)
    groups = generator.permutation(np.repeat(np.arange(70_000), 3))
    chosen = draw_from_groups(groups, np.arange(70_000) % 4, generator)
    assert (np.bincount(groups[chosen], minlength=70_000) == np.arange(70_000) % 4).all()
