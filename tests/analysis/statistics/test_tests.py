"""Tests and intervals against SciPy, small cases by hand, and what must not change them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import signal, stats

from modyn_bench.analysis.statistics.blocks import cut_blocks, first_autocorrelation
from modyn_bench.analysis.statistics.bootstrap import bootstrap_interval, mean_and_error, resample
from modyn_bench.analysis.statistics.paired import PairedDifferences, PeriodSeries, sums_by_period
from modyn_bench.analysis.statistics.periods import over_periods
from modyn_bench.analysis.statistics.samples import over_samples
from modyn_bench.analysis.statistics.seeds import over_seeds, summarise_seeds
from modyn_bench.analysis.statistics.sign_flip import sign_flip_p, smallest_p
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive

finite = st.floats(-5, 5, allow_subnormal=False)


def draw(*names: int | str) -> np.random.Generator:
    return derive(0, "test", *names)


def paired(values: np.ndarray, periods: np.ndarray) -> PairedDifferences:
    return PairedDifferences("a", "b", "accuracy", tuple(range(len(values))), values, periods, "1y")


class TestSignFlip:
    @pytest.mark.parametrize("num_units", [2, 6, 9])
    def test_enumerated_as_by_scipy(self, num_units: int) -> None:
        differences = draw(num_units).normal(0.5, 1.0, num_units)
        expected = stats.permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
        assert sign_flip_p(differences, generator=draw()) == pytest.approx(expected)

    def test_drawn_near_what_scipy_draws(self) -> None:
        differences = draw("drawn").normal(0.4, 1.0, 30)
        made = sign_flip_p(differences, generator=draw())
        options = {"permutation_type": "samples", "n_resamples": 9_999, "rng": draw("scipy")}
        assert made == pytest.approx(stats.permutation_test((differences,), np.sum, **options).pvalue, abs=0.01)

    def test_drawn_is_never_zero(self) -> None:
        assert sign_flip_p(np.ones(40), generator=draw()) == 1 / 10_000

    def test_equal_sums_count_however_they_are_rounded(self) -> None:
        assert sign_flip_p(np.array([0.1, 0.2, 0.3, -0.6]), generator=draw()) == 1.0
        assert sign_flip_p(np.array([0.3]), generator=draw()) == 1.0

    def test_inflation_makes_it_more_cautious(self) -> None:
        differences = draw("inflated").normal(0.6, 1.0, 12)
        made = [sign_flip_p(differences, generator=draw(), inflation=inflation) for inflation in (1.0, 1.5, 3.0)]
        assert made == sorted(made)
        assert made[0] < made[-1]

    @pytest.mark.parametrize("inflation", [1.0, 2.5])
    def test_weighted_and_inflated_by_definition(self, inflation: float) -> None:
        generator = draw("weighted")
        weights = generator.uniform(0.2, 3.0, 8)
        sums = weights * generator.normal(0.5, 1.0, 8)

        def t(flipped: np.ndarray) -> float:
            mean = flipped.sum() / weights.sum()
            return abs(mean) / np.sqrt(((flipped - weights * mean) ** 2).sum())

        patterns = [t(np.array(signs) * sums) for signs in itertools.product([-1.0, 1.0], repeat=8)]
        expected = np.mean(np.array(patterns) >= t(sums) / np.sqrt(inflation) - 1e-12)
        made = sign_flip_p(sums, weights=weights, generator=draw(), inflation=inflation)
        assert made == pytest.approx(expected)
        assert 2**-7 < made < 1

    @pytest.mark.parametrize("inflation", [1.0, 4.0, 50.0])
    def test_a_large_difference_is_found_however_cautious_the_test(self, inflation: float) -> None:
        noise = draw("large").normal(0.0, 1.0, 10)
        made = [sign_flip_p(noise + size, generator=draw(), inflation=inflation) for size in (0.0, 1.0, 5.0, 500.0)]
        assert made == sorted(made, reverse=True)
        assert made[-1] == smallest_p(10) == 2**-9

    def test_units_without_a_difference_decide_nothing(self) -> None:
        sums = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        padded = np.concatenate([sums, np.zeros(4)])
        assert sign_flip_p(padded, generator=draw()) == sign_flip_p(sums, generator=draw()) == smallest_p(6)
        assert sign_flip_p(np.zeros(5), generator=draw()) == 1.0

    @pytest.mark.parametrize("bad", [[], [1.0, np.nan]])
    def test_nothing_and_no_number_are_refused(self, bad: list[float]) -> None:
        with pytest.raises(RequestError, match="finite differences"):
            sign_flip_p(np.array(bad), generator=draw())


class TestBlocks:
    def test_by_hand(self) -> None:
        # 1, 2, 3, 4: products of neighbours 0.75 - 0.25 + 0.75 = 1.25, squares 5, so 0.25 + (1 + 1) / 4
        assert first_autocorrelation(np.arange(1.0, 5.0)) == pytest.approx(0.75)
        assert first_autocorrelation(np.ones(9)) == first_autocorrelation(np.zeros(2)) == 0.0

    @pytest.mark.parametrize(("num_periods", "num_blocks"), [(48, 8), (59, 9), (96, 16), (500, 16)])
    def test_as_many_as_periods_allow_where_none_depend(self, num_periods: int, num_blocks: int) -> None:
        blocks = cut_blocks(np.resize([1.0, -1.0], num_periods))
        lengths = np.diff([*blocks.starts, num_periods])
        assert len(blocks) == num_blocks
        assert blocks.length == lengths.min() >= 6
        assert np.ptp(lengths) <= 1
        assert blocks.bias == 0
        assert not blocks.refusal

    def test_dependence_makes_blocks_longer_and_then_refuses(self) -> None:
        slow = np.sin(np.arange(400) / 3)
        assert 8 <= len(cut_blocks(slow)) < 16
        assert cut_blocks(slow).bias > 0
        assert "too few effective blocks, 7 of at least 8" in cut_blocks(np.resize([1.0, -1.0], 47)).refusal
        assert cut_blocks(np.arange(200.0)).refusal

    @given(arrays.arrays(float, st.integers(1, 120), elements=finite), st.floats(0.5, 100))
    def test_the_unit_does_not_matter(self, series: np.ndarray, scale: float) -> None:
        centered = series - series.mean()
        made, scaled = cut_blocks(centered), cut_blocks(-scale * centered)
        assert made.bias == pytest.approx(scaled.bias, abs=1e-6)
        assert made.starts[0] == 0
        assert (np.diff(made.starts) > 0).all()


class TestBootstrap:
    def test_the_error_is_scipys(self) -> None:
        sums = draw("sem").normal(size=12)
        mean, error = mean_and_error(sums, np.ones(12))
        assert (mean, error) == (pytest.approx(sums.mean()), pytest.approx(stats.sem(sums)))

    def test_resamples_spread_as_scipys(self) -> None:
        sums = draw("spread").normal(size=10)
        drawn, sizes = resample(sums[None], np.ones(10), generator=draw(), num_resamples=20_000)
        expected = stats.bootstrap((sums,), np.mean, n_resamples=20_000, rng=draw("scipy")).standard_error
        assert (drawn.sum(axis=1) / sizes.sum(axis=1)).std() == pytest.approx(expected, rel=0.03)

    def test_of_normal_blocks_near_the_t_interval(self) -> None:
        sums = draw("normal").normal(size=400)
        made = bootstrap_interval(sums[None], np.ones(400), generator=draw(), num_resamples=5_000)
        expected = stats.ttest_1samp(sums, 0).confidence_interval(0.95)
        np.testing.assert_allclose(made, expected, atol=0.01)

    def test_seeds_alone_spread_with_their_unbiased_variance(self) -> None:
        by_seed = np.array([1.0, 2.0, 6.0])
        sums = np.repeat(by_seed[:, None], 8, axis=1)
        drawn, sizes = resample(sums, np.ones(8), generator=draw(), num_resamples=50_000)
        assert (drawn.sum(axis=1) / sizes.sum(axis=1)).var() == pytest.approx(by_seed.var(ddof=1) / 3, rel=0.03)

    def test_pipelines_share_the_draws(self) -> None:
        sums = draw("shared").normal(size=(3, 8))
        drawn, _ = resample(np.stack([sums, 2 * sums]), np.ones(8), generator=draw(), num_resamples=50)
        np.testing.assert_allclose(drawn[1], 2 * drawn[0])

    def test_blocks_without_spread(self) -> None:
        made = bootstrap_interval(np.full((1, 8), 2.0), np.ones(8), generator=draw())
        assert made == (2.0, 2.0)


class TestOverPeriods:
    def test_both_agree_with_scipy_on_independent_blocks(self) -> None:
        drawn = (draw("blocks", seed).normal(0.15, 1.0, 96) for seed in range(1000))
        values = next(values for values in drawn if cut_blocks(values - values.mean()).bias == 0)
        blocks = values.reshape(16, 6).sum(axis=1)
        found = over_periods(PeriodSeries(values[None], np.ones(96)))
        assert (found.n, found.value) == (16, pytest.approx(values.mean()))
        expected = stats.permutation_test((blocks,), np.sum, permutation_type="samples", n_resamples=np.inf)
        assert found.p_value == pytest.approx(expected.pvalue)
        t_interval = stats.ttest_1samp(blocks / 6, 0).confidence_interval(0.95)
        np.testing.assert_allclose([found.low, found.high], t_interval, atol=0.25 * (t_interval.high - t_interval.low))

    def test_weights_are_those_of_a_ratio(self) -> None:
        weights = np.resize([1.0, 3.0], 60)
        found = over_periods(PeriodSeries((weights * 0.2)[None], weights))
        assert found.value == pytest.approx(0.2)
        assert found.low == pytest.approx(0.2)

    @given(arrays.arrays(float, st.tuples(st.integers(1, 3), st.integers(48, 70)), elements=finite))
    @settings(max_examples=25)
    def test_antisymmetric(self, sums: np.ndarray) -> None:
        weights = np.ones(sums.shape[1])
        forth, back = (over_periods(PeriodSeries(sign * sums, weights), num_resamples=99) for sign in (1.0, -1.0))
        assert (forth.value, forth.p_value) == (-back.value, back.p_value)
        assert forth.n == back.n
        if forth.low is not None:
            np.testing.assert_allclose([forth.low, forth.high], [-back.high, -back.low], atol=1e-12)

    def test_too_few_periods_have_neither(self) -> None:
        found = over_periods(PeriodSeries(np.zeros((2, 47)), np.ones(47), "x", "y", "accuracy", "26w"))
        assert (found.low, found.high, found.p_value, found.n) == (None, None, None, 47)
        assert str(found) == (
            "accuracy: x - y = 0 (no interval, 47 periods of 26w, 2 seeds; other periods); "
            "no interval and no p-value: too few effective blocks, 7 of at least 8"
        )

    def test_seeds_that_differ_widen_the_interval_and_raise_the_p_value(self) -> None:
        shared = draw("seeds").normal(0.4, 1.0, 120)
        effects = np.array([-1.0, 0.0, 1.0])[:, None]
        same, different = (over_periods(PeriodSeries(shared + size * effects, np.ones(120))) for size in (0.0, 0.5))
        assert same.value == pytest.approx(different.value)
        assert different.high - different.low > 1.5 * (same.high - same.low)
        assert different.p_value > same.p_value

    @pytest.mark.parametrize("num_seeds", [1, 3, 10])
    @pytest.mark.parametrize("process", [0.0, 0.6])
    def test_what_the_interval_shows_clearly_the_test_finds(self, num_seeds: int, process: float) -> None:
        """Whatever seeds and neighbours add to the variance, p falls as the difference grows."""
        generator = draw("power", num_seeds, str(process))
        periods = signal.lfilter([1.0], [1.0, -process], generator.normal(0.0, 1.0, 120))
        by_seed = generator.normal(0.0, 0.5, (num_seeds, 1)) if num_seeds > 1 else np.zeros((1, 1))
        noise = periods + by_seed - by_seed.mean() - periods.mean()
        found = [over_periods(PeriodSeries(noise + size, np.ones(120))) for size in (0.0, 1.0, 100.0)]
        p_values = [each.p_value for each in found]
        assert p_values == sorted(p_values, reverse=True)
        assert found[-1].low > 0
        assert p_values[-1] == found[-1].least_p < 0.01
        assert p_values[0] > 0.5

    @pytest.mark.parametrize(("num_different", "refused"), [(0, True), (5, True), (6, False)])
    def test_pipelines_that_hardly_differ_have_neither(self, num_different: int, refused: bool) -> None:
        sums = np.zeros((16, 6))
        where = draw("places").permutation(16)[:num_different]
        sums[where, draw("within").integers(0, 6, num_different)] = draw("few").normal(1.0, 0.1, num_different)
        found = over_periods(PeriodSeries(sums.reshape(1, -1), np.ones(96)))
        assert (found.n, found.least_p) == (16, smallest_p(num_different))
        assert (found.low is None) == (found.p_value is None) == refused
        if refused:
            assert f"too few blocks in which they differ, {num_different} of at least 6" in str(found)
        else:
            assert np.isfinite([found.low, found.high]).all()

    def test_blocks_that_are_nearly_all_equal_have_neither(self) -> None:
        """Of resamples without the one that differs there is no spread to measure a distance by."""
        sums = np.ones(96)
        sums[40] = 5.0
        found = over_periods(PeriodSeries(sums[None], np.ones(96)))
        assert (found.low, found.high, found.p_value) == (None, None, None)
        assert "too few blocks that differ from each other" in found.refusal

    def test_two_seeds_tell_little_of_what_seeds_do(self) -> None:
        """The same variance of the mean over seeds, from two and from six, beside the same blocks."""
        shared = draw("few seeds").normal(0.0, 1.0, 96)
        spread = {2: np.array([-1.0, 1.0]), 6: np.sqrt(5) * np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0])}
        assert spread[2].var(ddof=1) / 2 == pytest.approx(spread[6].var(ddof=1) / 6)
        two, six = (over_periods(PeriodSeries(shared + own[:, None], np.ones(96))) for own in spread.values())
        assert two.high - two.low > 2 * (six.high - six.low)
        strong = [over_periods(PeriodSeries(shared + 2.5 + own[:, None], np.ones(96))) for own in spread.values()]
        assert strong[0].p_value > strong[1].p_value

    def test_reproducible(self) -> None:
        series = PeriodSeries(draw("again").normal(size=(2, 60)), np.ones(60))
        assert over_periods(series) == over_periods(series)
        assert over_periods(series) != over_periods(series, seed=1)

    @pytest.mark.parametrize(
        ("sums", "weights"),
        [(np.zeros((1, 0)), np.zeros(0)), (np.zeros((1, 2)), np.ones(3)), (np.zeros(2), np.ones(2))],
    )
    def test_shapes_that_do_not_fit(self, sums: np.ndarray, weights: np.ndarray) -> None:
        with pytest.raises(RequestError, match="shape"):
            PeriodSeries(sums, weights)

    @pytest.mark.parametrize(("sums", "weights"), [([[np.nan]], [1.0]), ([[1.0]], [0.0])])
    def test_values_that_are_none(self, sums: list, weights: list) -> None:
        with pytest.raises(RequestError, match="leave out periods"):
            PeriodSeries(np.array(sums), np.array(weights))


class TestOverSamples:
    def test_scipys_paired_t_test(self) -> None:
        values = draw("samples").choice([-1.0, 0.0, 1.0], size=(1, 400), p=[0.1, 0.7, 0.2])
        found = over_samples(paired(values, np.arange(400) // 7), aggregate="sample_weighted")
        expected = stats.ttest_1samp(values[0], 0)
        assert found.p_value == pytest.approx(expected.pvalue)
        assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))

    def test_every_period_counts_the_same_by_default(self) -> None:
        values = np.repeat([1.0, 0.0], [10, 90])[None]
        made = paired(values, np.repeat([0, 1], [10, 90]))
        assert over_samples(made).value == pytest.approx(0.5)
        assert over_samples(made, aggregate="sample_weighted").value == pytest.approx(0.1)
        with pytest.raises(RequestError, match="sample_weighted"):
            over_samples(made, aggregate="median")

    def test_few_samples_that_differ(self) -> None:
        values = np.repeat([1.0, 0.0], [49, 1000])[None]
        found = over_samples(paired(values, np.zeros(1049, dtype=np.int64)))
        assert found.p_value is found.low is None
        assert "too few samples on which they differ, 49 of at least 50" in str(found)
        assert "1,049 test samples, 1 seed; these models" in str(found)


class TestOverSeeds:
    def test_by_hand_and_by_scipy(self) -> None:
        summary = summarise_seeds([1.0, 2.0, 3.0])
        assert (summary.mean, summary.std, summary.n) == (2.0, 1.0, 3)
        assert (summary.low, summary.high) == pytest.approx(stats.t.interval(0.95, 2, 2.0, 3**-0.5))
        assert str(summarise_seeds([0.5])) == "0.5 (1 seed: no spread, no interval)"
        with pytest.raises(RequestError, match="finite"):
            summarise_seeds([])

    @pytest.mark.parametrize("num_seeds", [1, 2, 5, 6, 8])
    def test_no_p_value_under_six(self, num_seeds: int) -> None:
        by_seed = draw("seeds", num_seeds).normal(1.0, 0.2, num_seeds)
        found = over_seeds(paired(np.repeat(by_seed[:, None], 4, axis=1), np.arange(4)))
        assert found.value == pytest.approx(by_seed.mean())
        assert (found.p_value is None) == (num_seeds < 6)
        assert ("no p-value: too few seeds" in str(found)) == (num_seeds < 6)
        assert (found.low is None) == (num_seeds == 1)
        if num_seeds >= 6:
            assert found.p_value == 2.0 ** (1 - num_seeds)


@given(
    arrays.arrays(float, st.tuples(st.integers(1, 3), st.integers(2, 80)), elements=st.sampled_from([-1.0, 0.0, 1.0])),
    st.integers(0, 2**20),
)
def test_order_within_a_period_does_not_matter(values: np.ndarray, seed: int) -> None:
    num_samples = values.shape[1]
    periods = np.sort(draw("periods", seed).integers(0, 9, num_samples))
    order = np.lexsort([draw("order", seed).random(num_samples), periods])
    for aggregate in ("mean", "sample_weighted"):
        sums, weights = sums_by_period(values, periods, aggregate)
        shuffled, same = sums_by_period(values[:, order], periods, aggregate)
        np.testing.assert_allclose(sums, shuffled, atol=1e-12)
        assert (weights == same).all()
        if np.ptp(values.mean(axis=0)) > 0:
            first, second = (
                over_samples(paired(own, periods), aggregate=aggregate) for own in (values, values[:, order])
            )
            assert first.value == pytest.approx(second.value)
            assert first.p_value == pytest.approx(second.p_value)
