import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.data.hashing import combine, hash_numbers, hash_text, hash_texts, mix
from modyn_bench.data.splits import SplitRule, content_hash
from modyn_bench.errors import RequestError

contents = st.lists(st.integers(0, 2**64 - 1), max_size=60).map(lambda values: np.array(values, dtype=np.uint64))


def times_of(n):
    return np.arange(n, dtype=np.int64)


@given(contents, contents, st.floats(0.01, 0.99), st.integers(0, 5))
def test_rows_appended_or_reordered_leave_a_hash_split_alone(old, new, fraction, seed):
    rule = SplitRule("hash", fraction, seed)
    before = rule.held_out(old, times_of(len(old)))
    both = np.concatenate([old, new])
    assert (rule.held_out(both, times_of(len(both)))[: len(old)] == before).all()
    assert (rule.held_out(old[::-1], times_of(len(old)))[::-1] == before).all()
    twice = rule.held_out(np.concatenate([old, old]), times_of(2 * len(old)))
    assert (twice[: len(old)] == twice[len(old) :]).all(), "duplicates were torn apart"


@given(
    st.lists(st.integers(-200, 200), max_size=60),
    st.lists(st.integers(201, 400), max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
    st.sampled_from([1, 2, 7, "10s", "1m"]),
)
def test_rows_appended_leave_a_block_split_alone(old, new, fraction, seed, block):
    rule = SplitRule("block", fraction, seed, block)
    rule.check()
    both = np.array(sorted(old) + sorted(new), dtype=np.int64)
    nothing = np.zeros(len(both), dtype=np.uint64)
    before = rule.held_out(nothing[: len(old)], both[: len(old)])
    assert (rule.held_out(nothing, both)[: len(old)] == before).all()


@pytest.mark.parametrize("fraction", [0.1, 0.25, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_blocks_alternate_evenly(fraction, seed):
    rule = SplitRule("block", fraction, seed, 10)
    held_out = rule.held_out(np.zeros(10_000, dtype=np.uint64), times_of(10_000)).reshape(-1, 10)
    assert (held_out.all(axis=1) == held_out.any(axis=1)).all(), "a block was cut"
    for num_blocks in (10, 100, 1000):
        assert abs(held_out[:num_blocks, 0].sum() - num_blocks * fraction) <= 1


def test_time_blocks_follow_the_calendar_of_seconds():
    rule = SplitRule("block", 0.5, 0, "1d")
    times = np.sort(np.concatenate([np.arange(-3, 9) * 86_400, np.arange(-3, 9) * 86_400 + 86_399]))
    held_out = rule.held_out(np.zeros(len(times), dtype=np.uint64), times).reshape(-1, 2)
    assert (held_out[:, 0] == held_out[:, 1]).all()
    assert (held_out[1:, 0] != held_out[:-1, 0]).all()


@pytest.mark.parametrize("fraction", [0.05, 0.25, 0.7])
def test_a_hash_split_holds_out_its_share_independently_of_the_content_and_of_other_seeds(fraction):
    n = 20_000
    content = content_hash(n, [("x", hash_numbers(np.arange(n)))])
    first, second = (SplitRule("hash", fraction, seed).held_out(content, times_of(n)) for seed in (0, 1))
    tolerance = 5 * np.sqrt(n * fraction * (1 - fraction))
    assert abs(first.sum() - n * fraction) < tolerance
    assert abs((first & second).sum() - n * fraction**2) < tolerance
    assert abs(first[::2].sum() - first[1::2].sum()) < 2 * tolerance


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (SplitRule(used=0), r"dataset.used_fraction=0"),
        (SplitRule(used=1.5), r"dataset.used_fraction=1.5"),
        (SplitRule(method="random"), "test_split='random' must be one of hash, block"),
        (SplitRule(fraction=0.0), "test_fraction=0.0"),
        (SplitRule(fraction=1.0), "test_fraction=1.0"),
        (SplitRule(block=0), "test_block=0"),
        (SplitRule(block=True), "test_block=True"),
        (SplitRule(block="1x"), "test_block='1x'"),
    ],
)
def test_a_wrong_rule_is_told(rule, message):
    with pytest.raises(RequestError, match=message):
        rule.check()


def test_hashes_are_pinned():
    """These numbers decide which rows are held out: they must never change."""
    assert hash_text("drift") == 18_124_956_161_497_798_937
    assert mix(np.array([0, 1, 2**64 - 1], dtype=np.uint64)).tolist() == [0, 6238072747940578789, 13029008266876403067]
    held_out = SplitRule().held_out(content_hash(12, [("x", hash_numbers(np.arange(12)))]), times_of(12))
    assert np.flatnonzero(held_out).tolist() == [4, 5, 11]


@given(st.lists(st.floats(allow_nan=True), max_size=20), st.lists(st.text(max_size=5), max_size=20))
def test_equal_values_have_equal_hashes_and_different_ones_different_hashes(numbers, texts):
    hashes = hash_numbers(np.array(numbers, dtype=np.float64)).tolist()
    distinct = {("nan" if number != number else number + 0.0) for number in numbers}
    assert len(set(hashes)) == len(distinct)
    assert len(set(hash_texts(texts).tolist())) == len(set(texts))
    whole = np.arange(-20, 20)
    assert (hash_numbers(whole) == hash_numbers(whole.astype(np.float32))).all()


def test_pairs_are_ordered_and_parts_are_named():
    a, b = (mix(np.array([value], dtype=np.uint64)) for value in (1, 2))
    assert combine(a, b) != combine(b, a)
    assert content_hash(1, [("x", a), ("y", b)]) == content_hash(1, [("y", b), ("x", a)])
    assert content_hash(1, [("x", a), ("y", b)]) != content_hash(1, [("x", b), ("y", a)])


def test_a_block_longer_than_any_number():
    times = np.arange(10)
    assert len(set(SplitRule("block", 0.5, block=10**30).held_out(times.astype(np.uint64), times).tolist())) == 1


@given(contents, st.floats(0.05, 1.0), st.integers(0, 5))
def test_what_is_used_is_decided_row_by_row(rows, used, seed):
    rule = SplitRule(seed=seed, used=used)
    assert (rule.kept(rows[::-1])[::-1] == rule.kept(rows)).all()
    assert SplitRule(seed=seed).kept(rows).all()


def test_what_is_used_has_nothing_to_do_with_what_is_held_out():
    content = mix(np.arange(40_000, dtype=np.uint64))
    rule = SplitRule(fraction=0.25, used=0.2)
    kept, held_out = rule.kept(content), rule.held_out(content, times_of(len(content)))
    assert abs(kept.mean() - 0.2) < 0.01  # five standard deviations of a binomial
    assert abs(held_out[kept].mean() - 0.25) < 0.025
