"""Corrections, ranks and fronts: by hand, and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modyn_bench.analysis.statistics.front import area_under_front, on_front
from modyn_bench.analysis.statistics.many import correct, holm, over_datasets
from modyn_bench.analysis.statistics.paired import PeriodSeries
from modyn_bench.analysis.statistics.periods import over_periods
from modyn_bench.analysis.statistics.ranks import rank_pipelines
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_as_its_steps_do(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for level in (0.01, 0.05, 0.3):
        rejected = 0
        for step, p_value in enumerate(sorted(p_values)):
            if p_value * (len(p_values) - step) > level:
                break
            rejected += 1
        assert (corrected <= level).sum() == rejected
    assert (corrected >= p_values).all()
    assert (corrected <= np.minimum(1, np.multiply(p_values, len(p_values)))).all()


def test_a_family_is_corrected_once_and_counts_the_tests_that_were_made() -> None:
    rows = derive(0, "family").normal(0.3, 1.0, (2, 1, 60))
    made = [over_periods(PeriodSeries(own, np.ones(60))) for own in rows]
    refused = over_periods(PeriodSeries(rows[0][:, :20], np.ones(20)))
    first, nothing, second = correct([made[0], refused, made[1]])
    assert nothing == refused
    assert [first.p_value, second.p_value] == holm([made[0].p_value, made[1].p_value]).tolist()
    assert "corrected for 2 tests" in str(first)
    with pytest.raises(RequestError, match="corrected once"):
        correct([first, second])
    with pytest.raises(RequestError, match="one estimand"):
        correct([made[0], over_datasets([1.0], [2.0])])
    with pytest.raises(RequestError, match="between 0 and 1"):
        holm([1.5])


class TestDatasets:
    def test_scipys_signed_ranks(self) -> None:
        a, b = derive(0, "datasets").normal(size=(2, 9))
        found = over_datasets(a, b)
        assert found.p_value == stats.wilcoxon(a - b).pvalue
        assert (found.low, found.high) == pytest.approx(tuple(stats.ttest_rel(a, b).confidence_interval(0.95)))
        assert over_datasets(b, a).value == -found.value
        assert over_datasets(a, a).p_value == 1.0

    def test_five_are_too_few_for_a_p_value(self) -> None:
        found = over_datasets([1.0, 2.0, 3.0, 4.0, 6.0], [0.0] * 5, names=("time", "drift"))
        assert found.p_value is None
        assert str(found).endswith("5 datasets; other datasets); no p-value: too few datasets, 5 of at least 6")

    def test_datasets_without_a_partner(self) -> None:
        with pytest.raises(RequestError, match="a has 2 values and b 1"):
            over_datasets([1.0, 2.0], [1.0])


class TestRanks:
    def test_demsars_critical_difference(self) -> None:
        values = derive(0, "ranks").normal(size=(14, 4))
        ranking = rank_pipelines(values, list("wxyz"))
        assert ranking.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), rel=1e-3)  # his table 5
        assert ranking.p_value == stats.friedmanchisquare(*values.T).pvalue

    def test_which_differ(self) -> None:
        values = np.arange(3.0) + derive(0, "apart").normal(0, 0.1, (8, 3))
        ranking = rank_pipelines(values, ["low", "middle", "high"])
        assert ranking.names == ("high", "middle", "low")
        assert ranking.differ("high", "low") is True
        assert ranking.differ("high", "middle") is False
        assert "Friedman test" in str(ranking)
        worst_first = rank_pipelines(values, ["low", "middle", "high"], higher_is_better=False)
        assert worst_first.names == ("low", "middle", "high")
        with pytest.raises(RequestError, match="no pipeline 'best'"):
            ranking.differ("best", "low")

    @pytest.mark.parametrize(("shape", "said"), [((4, 3), "datasets, 4 of at least 5"), ((9, 2), "pipelines, 2 of")])
    def test_few_are_only_described(self, shape: tuple[int, int], said: str) -> None:
        ranking = rank_pipelines(np.arange(np.prod(shape), dtype=float).reshape(shape), list("abc"[: shape[1]]))
        assert ranking.p_value is ranking.critical_difference is ranking.differ("a", "b") is None
        assert said in str(ranking)

    def test_ties_throughout_reject_nothing(self) -> None:
        assert rank_pipelines(np.ones((6, 3)), list("abc")).p_value == 1.0

    def test_a_gap_is_refused(self) -> None:
        with pytest.raises(RequestError, match="leave out datasets"):
            rank_pipelines(np.array([[1.0, np.nan]]), list("ab"))


class TestFront:
    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=9))
    def test_nobody_on_it_is_beaten(self, points: list[tuple[int, int]]) -> None:
        costs, values = np.array(points, dtype=float).T
        expected = [
            not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in points) for cost, value in points
        ]
        assert on_front(costs, values).tolist() == expected
        assert on_front(np.stack([costs, costs]), np.stack([values, values])).tolist() == [expected, expected]

    def test_areas_by_hand(self) -> None:
        costs, values = [4.0, 1.0, 2.0], [0.9, 0.5, 0.4]
        # the floor to 1, 0.5 to 4, 0.9 to 5; the point at 2 is beaten
        assert area_under_front(costs, values, low=0, high=5) == pytest.approx((0 + 3 * 0.5 + 0.9) / 5)
        assert area_under_front(costs, values, low=0, high=5, floor=0.6) == pytest.approx((4 * 0.6 + 0.9) / 5)
        assert area_under_front(costs, values, low=1, high=8, scale="log") == pytest.approx((2 * 0.5 + 0.9) / 3)
        assert area_under_front(costs, values, low=5, high=6) == pytest.approx(0.9)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"low": 2, "high": 2}, "below high"),
            ({"low": 0, "high": 2, "scale": "log"}, "above 0"),
            ({"low": 0, "high": 2, "scale": "root"}, "linear or log"),
        ],
    )
    def test_bounds_and_scales_that_are_none(self, options: dict, said: str) -> None:
        with pytest.raises(RequestError, match=said):
            area_under_front([1.0], [1.0], **options)
        with pytest.raises(RequestError, match="in pairs"):
            area_under_front([1.0], [1.0, 2.0], low=0, high=1)
