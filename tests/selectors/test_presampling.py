"""What each presampling policy promises, against brute force and by simulation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selecting import Steps, arrivals, context, record, run, steps

from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.inclusion import draw_systematic
from modyn_bench.selectors.key_set import KeySet
from modyn_bench.selectors.presampling.class_balanced import ClassBalanced
from modyn_bench.selectors.presampling.column_balanced import ColumnBalanced, by_value, into_bins
from modyn_bench.selectors.presampling.freshness import Freshness
from modyn_bench.selectors.presampling.recency import Recency, by_age
from modyn_bench.selectors.presampling.replay import Replay
from modyn_bench.selectors.presampling.reservoir import Reservoir
from modyn_bench.selectors.presampling.trigger_balanced import TriggerBalanced
from modyn_bench.selectors.presampling.uniform_no_replacement import UniformNoReplacement
from modyn_bench.types import Selection


def frequencies(selector: Selector, num_keys: int, num_seeds: int) -> np.ndarray:
    """How often each key is selected from the same history, over seeds."""
    counts = np.zeros(num_keys)
    for seed in range(num_seeds):
        counts[selector.select(context(num_keys, seed)).keys] += 1
    return counts


def after_trainings(selector: Selector, *ends: int) -> Selector:
    """Have a selector trained at these keys, on whatever it selects."""
    start = 0
    for end in ends:
        selector.consume(arrivals(start, end))
        selector.on_trigger(record(end, trained=True), selector.select(context(end)))
        start = end
    return selector


def test_no_replacement_draws_every_key_equally_often() -> None:
    selector = UniformNoReplacement(ratio=0.25)
    selector.consume(arrivals(0, 40))
    assert abs(frequencies(selector, 40, 2000) - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)  # of a binomial


def test_the_rest_of_a_new_pass_is_uniform_over_what_was_not_just_taken() -> None:
    selector = after_trainings(UniformNoReplacement(size=7, history="all"), 12)
    used = selector.used.among(range(12))  # type: ignore[attr-defined]
    counts = frequencies(selector, 12, 2000)
    assert (counts[~used] == 2000).all()
    assert abs(counts[used] - 2000 * 2 / 7).max() < 5 * np.sqrt(2000 * 2 / 7 * 5 / 7)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(0, 9))
def test_every_key_is_used_once_per_pass(num_keys: int, size: int, num_trainings: int, seed: int) -> None:
    plan = [(num_keys, 0, True)]
    selector = UniformNoReplacement(size=min(size, num_keys), history="all")
    used: list[list[int]] = [s.keys.tolist() for s in run(selector, plan, seed=seed)]
    for _ in range(num_trainings):
        selection = selector.select(context(num_keys, seed))
        selector.on_trigger(record(num_keys, trained=True), selection)
        used.append(selection.keys.tolist())
    counts = np.bincount(np.concatenate(used), minlength=num_keys)
    assert counts.max() - counts.min() <= 1


@given(plan=steps, size=st.integers(1, 8))
def test_passes_are_the_definition(plan: Steps, size: int) -> None:
    """Whatever arrives, in a step the unused come first, and nothing comes again before all were used."""
    used: set[int] = set()
    selections = run(UniformNoReplacement(size=size, history="all"), plan)
    labelled = arrived = 0
    for (count, outstanding, trained), selection in zip(plan, selections, strict=True):
        arrived += count
        labelled = max(labelled, arrived - outstanding)
        chosen = set(selection.keys.tolist())
        unused = set(range(labelled)) - used
        assert chosen <= unused if len(unused) >= len(chosen) else unused <= chosen
        if trained and chosen:
            used = used | chosen if chosen <= unused else chosen & used


def test_a_pass_goes_on_where_another_policy_selects() -> None:
    selector = after_trainings(UniformNoReplacement(size=4, history="all"), 10)
    before = selector.used.among(range(10))  # type: ignore[attr-defined]
    other = np.flatnonzero(before)[:1].tolist() + np.flatnonzero(~before)[:2].tolist()
    selector.on_trigger(record(10, trained=True), Selection.unweighted(np.sort(other)))
    assert selector.used.among(range(10)).sum() == 6  # type: ignore[attr-defined]


@given(st.integers(0, 20), st.lists(st.booleans(), max_size=20), st.integers(0, 40), st.integers(0, 20))
def test_a_key_set_is_a_set(start: int, members: list[bool], first: int, size: int) -> None:
    keys = KeySet()
    keys.replace(start, np.array(members, dtype=bool))
    known = {start + place for place, member in enumerate(members) if member}
    assert keys.among(range(first, first + size)).tolist() == [key in known for key in range(first, first + size)]


def test_classes_are_balanced() -> None:
    selector = ClassBalanced(size=12)
    selector.consume(arrivals(0, 60))
    assert np.bincount(context(60).labels(np.arange(60))).tolist() == [12, 48]
    assert np.bincount(context(60).labels(selector.select(context(60)).keys)).tolist() == [6, 6]


def test_members_of_a_class_are_drawn_equally_often() -> None:
    selector = ClassBalanced(size=6)
    selector.consume(arrivals(0, 30))
    labels = context(30).labels(np.arange(30))
    sizes = np.bincount(labels)
    counts = frequencies(selector, 30, 2000)
    for group in np.flatnonzero(sizes):
        chance = 6 / (sizes > 0).sum() / sizes[group]
        assert abs(counts[labels == group] - 2000 * chance).max() < 5 * np.sqrt(2000 * chance * (1 - chance))


def test_an_equal_fill_holds_without_a_budget() -> None:
    selector = ClassBalanced(ratio=1, fill="equal")
    selector.consume(arrivals(0, 31))
    sizes = np.bincount(context(31).labels(np.arange(31)))
    chosen = np.bincount(context(31).labels(selector.select(context(31)).keys))
    assert chosen.tolist() == np.where(sizes > 0, sizes[sizes > 0].min(), 0).tolist()


@pytest.mark.parametrize(("history", "shares"), [("all", [5, 2, 5, 5]), (2, [2, 8, 7]), (1, [9, 8])])
def test_triggers_are_balanced(history: int | str, shares: list[int]) -> None:
    selector = after_trainings(TriggerBalanced(size=17, history=history), 20, 22, 40)  # type: ignore[arg-type]
    selector.consume(arrivals(40, 60))
    groups = np.searchsorted([20, 22, 40], selector.select(context(60)).keys, side="right")
    counts = np.bincount(groups, minlength=4)[-len(shares) :]
    assert sorted(counts) == sorted(shares)
    assert (counts == 2).any() == (2 in shares)


def test_a_trigger_that_trained_nothing_makes_no_group() -> None:
    selector = TriggerBalanced(ratio=0.5)
    selector.consume(arrivals(0, 10))
    selector.on_trigger(record(10, trained=False), Selection.unweighted(np.arange(0)))
    assert selector.groups(np.arange(10), context(10)).tolist() == [0] * 10


@given(st.lists(st.sampled_from([0.0, -1.5, 2.0, np.nan]), min_size=1, max_size=20))
def test_values_are_numbered_by_first_place(values: list[float]) -> None:
    numbers = by_value(np.array(values, dtype=np.float32))
    same = [[a == b or (a != a and b != b) for a in values] for b in values]
    assert (np.equal.outer(numbers, numbers) == same).all()
    assert list(dict.fromkeys(numbers.tolist())) == list(range(max(numbers) + 1))


@given(st.lists(st.floats(-100, 100, width=32) | st.just(np.nan), min_size=1, max_size=30), st.integers(2, 6))
def test_bins_cover_the_values_in_order(values: list[float], num_bins: int) -> None:
    numbers = np.array(values, dtype=np.float32)
    known = ~np.isnan(numbers)
    for binning in ("quantile", "width"):
        bins = into_bins(numbers, num_bins, binning)
        assert (np.diff(bins[known][np.argsort(numbers[known])]) >= 0).all()
        assert not known.any() or ((bins[known] < num_bins).all() and (bins[~known] == num_bins).all())


def test_bins_are_of_equal_size_or_of_equal_width() -> None:
    values = np.arange(100.0) ** 2
    assert np.bincount(into_bins(values, 4, "quantile")).tolist() == [25] * 4
    assert np.bincount(into_bins(values, 4, "width")).tolist() == [50, 21, 15, 14]


def test_columns_are_balanced_missing_values_apart() -> None:
    selector = ColumnBalanced("size", size=8)
    selector.consume(arrivals(0, 80))
    assert np.bincount(selector.select(context(80)).keys % 4).tolist() == [2] * 4


times = st.lists(st.integers(0, 10**6), min_size=2, max_size=40).map(lambda values: np.sort(np.array(values)))


@given(times, st.integers(1, 10**7), st.data())
def test_inclusion_is_halved_by_age_or_certain(timestamps: np.ndarray, half_life: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(timestamps) - 1))
    chances = by_age(timestamps, half_life, size)
    assert chances.sum() == pytest.approx(size)
    assert (chances <= 1 + 1e-12).all()
    assert (np.diff(chances) >= -1e-12).all()
    unsure = (chances < 1) & (chances > 1e-200)
    logs = np.log2(chances[unsure]) - timestamps[unsure] / half_life
    assert not len(logs) or np.ptp(logs) < 1e-6


def test_half_lives_far_shorter_than_the_history_take_the_newest() -> None:
    timestamps = np.arange(0, 10**8, 10**4)
    chances = by_age(timestamps, 60, 2500)
    assert chances[-2500:].tolist() == pytest.approx([1.0] * 2500)
    assert len(draw_systematic(chances, np.random.default_rng(0))) == 2500


def test_recency_selects_with_its_by_age() -> None:
    selector = Recency("30s", size=15)
    selector.consume(arrivals(0, 60))
    chances = by_age(context(60).timestamps(np.arange(60)), 30, 15)
    assert 0 < (chances == 1).sum() < 15
    counts = frequencies(selector, 60, 4000)
    assert (abs(counts - 4000 * chances) <= 5 * np.sqrt(4000 * chances * (1 - chances)) + 1e-6).all()  # of a binomial


def largest_mix(num_fresh: int, num_used: int, ratio: Fraction, limit: int | None) -> tuple[int, int]:
    """Of all pairs, the largest whose share is the ratio to half a sample, of a total that the ratio has room for."""
    pairs = [
        (fresh, used)
        for fresh in range(num_fresh + 1)
        for used in range(num_used + 1)
        if abs(fresh - ratio * (fresh + used)) <= Fraction(1, 2)
        and ratio * (fresh + used) <= num_fresh
        and (1 - ratio) * (fresh + used) <= num_used
        and (limit is None or fresh + used <= limit)
    ]
    return max(pairs, key=lambda pair: (sum(pair), pair[0]))


@given(
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(["0.5", "0.1", "0.29", "0.9", "0.3333"]) | st.integers(1, 99).map(lambda n: str(n / 100)),
    st.integers(1, 30) | st.none(),
)
def test_the_mix_is_the_largest_of_its_ratio(num_fresh: int, num_used: int, ratio: str, limit: int | None) -> None:
    policy = Freshness(float(ratio), limit=limit)
    assert policy.mix(num_fresh, num_used) == largest_mix(num_fresh, num_used, Fraction(ratio), limit)


@given(plan=steps, ratio=st.sampled_from([0.2, 0.5, 0.8]), limit=st.integers(1, 8) | st.none())
def test_freshness_counts_what_was_trained_on(plan: Steps, ratio: float, limit: int | None) -> None:
    used: set[int] = set()
    arrived = labelled = num_trained = 0
    for (count, outstanding, trained), selection in zip(plan, run(Freshness(ratio, limit=limit), plan), strict=True):
        arrived += count
        labelled = max(labelled, arrived - outstanding)
        chosen = set(selection.keys.tolist())
        mix = len(chosen - used), len(chosen & used)
        num_fresh = labelled - len(used)
        if num_trained:
            assert mix == largest_mix(num_fresh, len(used), Fraction(str(ratio)), limit)
        else:
            assert mix == (min(num_fresh, limit or num_fresh), 0)
        if trained and chosen:
            used |= chosen
            num_trained += 1


def test_freshness_draws_both_kinds_uniformly() -> None:
    selector = after_trainings(Freshness(0.4, limit=10), 20)
    selector.consume(arrivals(20, 40))
    used = selector.used.among(range(40))  # type: ignore[attr-defined]
    assert used.sum() == 10
    counts = frequencies(selector, 40, 2000)
    for kind, chance in ((~used, 4 / 30), (used, 6 / 10)):
        assert abs(counts[kind] - 2000 * chance).max() < 5 * np.sqrt(2000 * chance * (1 - chance))


def test_a_buffer_is_a_uniform_sample_of_the_history() -> None:
    selector = Reservoir(10, with_new=False)
    selector.consume(arrivals(0, 40))
    assert abs(frequencies(selector, 40, 2000) - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)  # of a binomial


def test_new_data_is_trained_on_with_a_uniform_buffer_of_what_is_older() -> None:
    selector = after_trainings(Reservoir(10), 40)
    selector.consume(arrivals(40, 45))
    counts = frequencies(selector, 45, 2000)
    assert (counts[40:] == 2000).all()
    assert abs(counts[:40] - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 12))
def test_a_buffer_depends_on_its_data_alone_and_gives_up_as_few_as_it_can(parts: list[int], size: int) -> None:
    buffers = [set(s.keys.tolist()) for s in run(Reservoir(size, with_new=False), [(n, 0, True) for n in parts])]
    (at_once,) = run(Reservoir(size, with_new=False), [(sum(parts), 0, True)])
    assert buffers[-1] == set(at_once.keys.tolist())
    for earlier, later, end in zip(buffers, buffers[1:], np.cumsum(parts), strict=False):
        assert {key for key in later if key < end} <= earlier


@given(plan=steps, ratio=st.sampled_from([0.29, 1.0, 2.5]), limit=st.integers(1, 9) | st.none())
def test_replay_adds_old_data_in_proportion(plan: Steps, ratio: float, limit: int | None) -> None:
    arrived = labelled = start = 0
    for (count, outstanding, trained), selection in zip(plan, run(Replay(ratio, limit=limit), plan), strict=True):
        arrived += count
        labelled = max(labelled, arrived - outstanding)
        num_new = labelled - start
        num_old = min(start, int(Fraction(str(ratio)) * num_new))
        counts = np.array([(selection.keys < start).sum(), (selection.keys >= start).sum()])
        if limit is None or num_new + num_old <= limit:
            assert counts.tolist() == [num_old, num_new]
        else:
            assert counts.sum() == limit
            assert abs(counts[0] - limit * num_old / (num_new + num_old)) < 1
        if trained and len(selection):
            start = labelled


def test_replay_draws_old_data_uniformly() -> None:
    selector = after_trainings(Replay(2.0), 40)
    selector.consume(arrivals(40, 45))
    counts = frequencies(selector, 45, 2000)
    assert (counts[40:] == 2000).all()
    assert abs(counts[:40] - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)
