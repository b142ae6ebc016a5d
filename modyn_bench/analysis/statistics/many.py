"""Several comparisons at once: corrected p-values, and a signed-rank test over datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from modyn_bench.analysis.statistics.results import Difference, Estimand, counted, too_few
from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray

MIN_PAIRS = 6
"""With fewer datasets the smallest two-sided p-value of signed ranks, 2^(1 - n), is above 0.05."""


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    r"""Correct p-values so that the probability of any false positive among all tests is at most the level.

    .. math:: \tilde p_{(i)} = \min\{1, \max_{j \le i} (m - j + 1) p_{(j)}\}

    It holds whatever the dependence of the tests, and is never weaker than Bonferroni's correction.

    Args:
        p_values: Of all m tests of a family, shape (m,).

    Raises:
        RequestError: If one lies outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]

    Reference:
        Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6, 1979.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise RequestError(f"p-values must lie between 0 and 1, but are {values.tolist()}")
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return corrected


def correct(differences: Sequence[Difference], *, among: int = 0) -> list[Difference]:
    """Correct the p-values of a family of comparisons by Holm's method; intervals stay as they are.

    Args:
        differences: All comparisons that a conclusion is drawn from, of one estimand. Those without a p-value made no
            test, and count as none.
        among: How many comparisons they were picked from by what these show, if more than they are: all pairs, for
            those of the best pipeline. Those that were not picked count as tests with p = 1: no p-value is too small
            for it.

    Raises:
        RequestError: If they are of different estimands, or corrected already.
    """
    if len({each.estimand for each in differences}) > 1 or any(each.num_tests > 1 for each in differences):
        raise RequestError(
            "p-values are corrected once, over comparisons of one estimand: give those of each estimand on their own"
        )
    tested = [each.p_value for each in differences if each.p_value is not None]
    num_tests = max(among, len(tested))
    corrected = iter(holm([*tested, *[1.0] * (num_tests - len(tested))]).tolist())
    return [
        each if each.p_value is None else replace(each, p_value=next(corrected), num_tests=num_tests)
        for each in differences
    ]


def over_datasets(
    a: Sequence[float],
    b: Sequence[float],
    *,
    names: tuple[str, str] = ("a", "b"),
    metric: str = "accuracy",
    level: float = 0.95,
) -> Difference:
    """Compare two pipelines over datasets: a t interval of the mean difference, and Wilcoxon's signed-rank test.

    A dataset is one unit, its seeds averaged: neither seeds nor windows of one dataset are independent of each other.
    Below 6 datasets there is no p-value. Differences of 0 are ranked, and their ranks left out (Pratt's method).

    Args:
        a: What the first pipeline reaches, one value for each dataset.
        b: What the second one reaches on the same datasets.
        names: Of the pipelines.
        metric: What was measured.
        level: Nominal coverage.

    Raises:
        RequestError: If the numbers of values differ, or one is not finite.

    Reference:
        Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, section 3.1.3.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or not first.size or not np.isfinite([*first, *second]).all():
        raise RequestError(
            f"{names[0]} has {first.size} values and {names[1]} {second.size}: give one finite value of each for every "
            "dataset, and at least one dataset"
        )
    differences = first - second
    n = len(differences)
    value, p_value = float(differences.mean()), None
    low = high = None
    if n > 1:
        half = float(stats.t.ppf((1 + level) / 2, n - 1) * differences.std(ddof=1) / np.sqrt(n))
        low, high = value - half, value + half
    if n >= MIN_PAIRS:
        p_value = float(stats.wilcoxon(differences, zero_method="pratt").pvalue) if differences.any() else 1.0
    return Difference(
        metric=metric,
        a=names[0],
        b=names[1],
        value=value,
        estimand=Estimand.OTHER_DATASETS,
        units=counted(n, "dataset"),
        n=n,
        interval="t interval",
        test="Wilcoxon signed-rank test",
        low=low,
        high=high,
        level=level,
        p_value=p_value,
        refusal=f"no p-value: {too_few('datasets', n, MIN_PAIRS)}" if n < MIN_PAIRS else "",
    )
