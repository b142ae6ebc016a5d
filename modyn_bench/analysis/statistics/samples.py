"""These models: what other test samples of these periods would say."""

from __future__ import annotations

import numpy as np
from scipy import stats

from modyn_bench.analysis.statistics.paired import PairedDifferences, sample_weights
from modyn_bench.analysis.statistics.results import Difference, Estimand, counted, too_few

MIN_DIFFERENT = 50
"""Samples on which the pipelines differ: with fewer the mean difference is not near a normal distribution."""


def over_samples(paired: PairedDifferences, *, aggregate: str = "mean", level: float = 0.95) -> Difference:
    r"""Compare the trained models of two pipelines: a paired t test over test samples, seeds averaged.

    .. math:: \hat\mu = \frac{1}{n} \sum_i c_i d_i, \quad
        \widehat{\mathrm{se}}^2 = \frac{1}{n (n - 1)} \sum_i c_i^2 (d_i - \hat\mu)^2

    with c the samples' weights. It takes test samples for independent, says nothing of other periods or seeds, and is
    narrow where test sets are large. For differences of correctness of one seed it is McNemar's test up to terms of
    order 1 / n.

    Args:
        paired: The differences.
        aggregate: ``mean`` over periods, or ``sample_weighted``.
        level: Nominal coverage.

    Raises:
        RequestError: If there is no such aggregate.

    Reference:
        Dietterich, Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms, Neural
        Computation 10, 1998, section 3.1.
    """
    weights = sample_weights(paired.periods, aggregate)
    differences = paired.values.mean(axis=0)
    n = len(differences)
    value = float(weights @ differences) / n
    num_different = int(np.count_nonzero(differences))
    low = high = p_value = None
    refusal = ""
    if num_different < MIN_DIFFERENT:
        few = too_few("samples on which they differ", num_different, MIN_DIFFERENT)
        refusal = f"no interval and no p-value: {few}"
    else:
        found = stats.ttest_1samp(weights * (differences - value) + value, 0.0)
        low, high = map(float, found.confidence_interval(level))
        p_value = float(found.pvalue)
    return Difference(
        metric=paired.metric,
        a=paired.a,
        b=paired.b,
        value=value,
        estimand=Estimand.THESE_MODELS,
        units=f"{counted(n, 'test sample')}, {counted(len(paired.seeds), 'seed')}",
        n=n,
        interval="t interval",
        test="paired t test",
        low=low,
        high=high,
        level=level,
        p_value=p_value,
        refusal=refusal,
    )
