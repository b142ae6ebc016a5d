"""Average ranks of pipelines over datasets, and which of them differ.

Shapes: N datasets, k pipelines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from modyn_bench.analysis.statistics.results import Estimand, format_p, too_few
from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

MIN_DATASETS = 5
"""With fewer, ranks only describe."""


@dataclass(frozen=True)
class Ranking:
    """Pipelines in order of their average rank.

    Attributes:
        names: The pipelines, best first.
        ranks: Their average ranks, 1 being best, shape (k,).
        num_datasets: N.
        level: Nominal level of both tests.
        p_value: Friedman's: whether any pipeline differs from another; ``None`` where there is no test.
        critical_difference: Nemenyi's: ranks farther apart than this differ; ``None`` likewise.
        refusal: Why there is no test; empty where there is.
    """

    names: tuple[str, ...]
    ranks: FloatArray
    num_datasets: int
    level: float = 0.05
    p_value: float | None = None
    critical_difference: float | None = None
    refusal: str = ""

    def __str__(self) -> str:
        """Name ranks, tests, number of datasets and estimand in one sentence."""
        ranked = ", ".join(f"{name} {rank:.2f}" for name, rank in zip(self.names, self.ranks, strict=True))
        text = f"average ranks over {self.num_datasets} datasets: {ranked}"
        if self.p_value is None or self.critical_difference is None:
            return f"{text}; {self.refusal}"
        return (
            f"{text} ({format_p(self.p_value)}, Friedman test; critical difference {self.critical_difference:.2f} at "
            f"{self.level:.0%}, Nemenyi test; {Estimand.OTHER_DATASETS})"
        )

    def table(self) -> pd.DataFrame:
        """Return a row per pipeline, best first: policy, rank."""
        import pandas as pd

        return pd.DataFrame({"policy": list(self.names), "rank": self.ranks})

    def differ(self, a: str, b: str) -> bool | None:
        """Say whether the ranks of two pipelines differ by more than the critical difference, ``None`` without a test.

        Nemenyi's test follows Friedman's: where that does not reject, no two pipelines differ.

        Raises:
            RequestError: If a name is none of the pipelines.
        """
        for name in (a, b):
            if name not in self.names:
                raise RequestError(f"there is no pipeline {name!r} in this ranking; there is {', '.join(self.names)}")
        if self.p_value is None or self.critical_difference is None:
            return None
        apart = abs(float(self.ranks[self.names.index(a)] - self.ranks[self.names.index(b)]))
        return self.p_value <= self.level and apart > self.critical_difference


def rank_pipelines(
    values: FloatArray, names: Sequence[str], *, higher_is_better: bool = True, level: float = 0.05
) -> Ranking:
    r"""Rank pipelines on every dataset, and test whether their average ranks differ.

    .. math:: \mathrm{CD} = q_{1 - \alpha}(k, \infty) \sqrt{\frac{k (k + 1)}{12 N}}

    with q the quantile of the studentised range. Datasets are the units: average the seeds of each before. With fewer
    than 5 datasets or 3 pipelines the ranks only describe.

    Args:
        values: What each pipeline reaches on each dataset, seeds averaged, shape (N, k).
        names: Of the pipelines, k.
        higher_is_better: Whether a higher value is a better one.
        level: α.

    Raises:
        RequestError: If shapes do not fit, or a value is not finite.

    Example:
        >>> print(rank_pipelines(np.array([[0.9, 0.8, 0.7], [0.9, 0.7, 0.8]]), ["a", "b", "c"]))
        average ranks over 2 datasets: a 1.00, b 2.50, c 2.50; no test: too few datasets, 2 of at least 5

    Reference:
        Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, section 3.2.2; his
        :math:`q_\alpha` is q divided by :math:`\sqrt 2`.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(names) or not values.size or not np.isfinite(values).all():
        raise RequestError(
            f"ranks need one finite value for each dataset and pipeline, but {len(names)} pipelines have an array of "
            f"shape {values.shape}: leave out datasets on which a pipeline has none"
        )
    num_datasets, num_pipelines = values.shape
    averages = stats.rankdata(-values if higher_is_better else values, axis=1).mean(axis=0)
    order = np.argsort(averages, kind="stable")
    ranked = tuple(names[place] for place in order)
    for what, count, minimum in (("datasets", num_datasets, MIN_DATASETS), ("pipelines", num_pipelines, 3)):
        if count < minimum:
            refusal = f"no test: {too_few(what, count, minimum)}"
            return Ranking(ranked, averages[order], num_datasets, level, refusal=refusal)
    equal = np.ptp(values, axis=1).max() == 0  # the statistic would be 0 / 0
    p_value = 1.0 if equal else float(stats.friedmanchisquare(*values.T).pvalue)
    spread = np.sqrt(num_pipelines * (num_pipelines + 1) / (12 * num_datasets))
    critical = float(stats.studentized_range.ppf(1 - level, num_pipelines, np.inf) * spread)
    return Ranking(ranked, averages[order], num_datasets, level, p_value, critical)
