"""How often intervals cover, and how often tests reject where there is no difference: the tables of docs/statistics.md.

    python benchmarks/intervals.py [--trials 500] [--write]

Every trial draws a null series, whose true mean difference is 0: normal differences of 30, 48, 60 or 200 periods that
are independent, autoregressive of order 1, or autoregressive beneath independent noise (40 % of the variance for
AR(0.8), 30 % for AR(0.9)); with seeds, an effect of each seed beside, whose variance of the mean is a multiple of the
periods'. Coverage and false positives are of the trials that were not refused. Nominal are 95 % and 5 %. Power is the
share of trials in which the test finds a difference of five standard errors, added to the same series. Beside ours
stands a t test over windows of three periods that begin one period apart, as one computes from overlapping windows.

Targets: at most 7 % false positives, and a coverage of 92 to 98 %, wherever there is an interval, but for the two
slowest processes, on which nothing was chosen: they show where the method ends. ``--write`` puts the tables into the
document, between its markers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats

from modyn_bench.analysis.statistics.many import holm, over_datasets
from modyn_bench.analysis.statistics.paired import PairedDifferences, PeriodSeries
from modyn_bench.analysis.statistics.periods import over_periods
from modyn_bench.analysis.statistics.ranks import rank_pipelines
from modyn_bench.analysis.statistics.results import Difference
from modyn_bench.analysis.statistics.samples import over_samples
from modyn_bench.analysis.statistics.seeds import over_seeds
from modyn_bench.seeding import derive

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "statistics.md"
BEGIN, END = "<!-- benchmarks/intervals.py -->", "<!-- end -->"
PERIODS = (30, 48, 60, 200)
Series = NDArray[np.float64]


def autoregressive(correlation: float, n: int, draw: np.random.Generator) -> Series:
    """Draw a stationary series of variance 1, shape (n,)."""
    noise = draw.standard_normal(n + 100)
    drawn: Series = signal.lfilter([np.sqrt(1 - correlation**2)], [1.0, -correlation], noise)[100:]
    return drawn


def beneath_noise(correlation: float, share: float, n: int, draw: np.random.Generator) -> Series:
    """Draw a slow series that makes up a share of the variance, shape (n,)."""
    noise = draw.standard_normal(n)
    drawn: Series = np.sqrt(share) * autoregressive(correlation, n, draw) + np.sqrt(1 - share) * noise
    return drawn


PROCESSES: dict[str, Callable[[int, np.random.Generator], Series]] = {
    "independent": lambda n, draw: autoregressive(0.0, n, draw),
    "AR(0.3)": lambda n, draw: autoregressive(0.3, n, draw),
    "AR(0.6)": lambda n, draw: autoregressive(0.6, n, draw),
    "AR(0.8) beneath noise": lambda n, draw: beneath_noise(0.8, 0.4, n, draw),
    "AR(0.8)": lambda n, draw: autoregressive(0.8, n, draw),
    "AR(0.9) beneath noise": lambda n, draw: beneath_noise(0.9, 0.3, n, draw),
}
ERROR = {
    "independent": 1.0,
    "AR(0.3)": 1.86,
    "AR(0.6)": 4.0,
    "AR(0.8) beneath noise": 4.2,
    "AR(0.8)": 9.0,
    "AR(0.9) beneath noise": 6.4,
}
"""The variance of the mean of n periods, times n."""

CLEAR = 5.0
"""A difference of so many standard errors is clear: a test should find it."""


def overlapping_p(series: Series, width: int = 3) -> float:
    """Return the p-value of a t test that takes overlapping windows for independent."""
    windows = np.lib.stride_tricks.sliding_window_view(series, width).mean(axis=1)
    return float(stats.ttest_1samp(windows, 0.0).pvalue)


@dataclass(frozen=True)
class Shares:
    """What came of many trials.

    Attributes:
        refused: Share without an interval; of tests alone, without a p-value.
        covered: Share of intervals that hold 0; NaN where there are none.
        rejected: Share of p-values of at most 0.05; NaN where there are none.
    """

    refused: float
    covered: float
    rejected: float


def shares(found: Sequence[Difference]) -> Shares:
    """Count refusals, intervals that hold the truth, and false positives."""
    covered = [each.low <= 0 <= each.high for each in found if each.low is not None and each.high is not None]
    rejected = [each.p_value <= 0.05 for each in found if each.p_value is not None]
    return Shares(
        refused=1 - max(len(covered), len(rejected)) / len(found),
        covered=float(np.mean(covered)) if covered else np.nan,
        rejected=float(np.mean(rejected)) if rejected else np.nan,
    )


def periods_trial(process: str, n: int, draw: np.random.Generator, *, seeds: int = 1, effect: float = 0.0) -> Series:
    """Draw differences by seed and period: seeds share the periods, and differ by noise and by an effect of each.

    Args:
        process: Of the periods.
        n: Their number.
        draw: The source.
        seeds: S.
        effect: Variance that the seeds add to the mean, over that of the periods.

    Returns:
        Shape (S, n).
    """
    shared = PROCESSES[process](n, draw)
    if seeds == 1:
        return shared[None]
    spread = np.sqrt(effect * ERROR[process] / n * seeds)
    return shared + spread * draw.standard_normal((seeds, 1)) + 0.5 * draw.standard_normal((seeds, n))


def simulate_periods(
    process: str, n: int, trials: int, *, seeds: int = 1, effect: float = 0.0
) -> tuple[Shares, float, float]:
    """Return what comes of ``over_periods``, its power, and how often the test over overlapping windows rejects."""
    found, clear, naive = [], [], []
    shift = CLEAR * np.sqrt(ERROR[process] / n * (1 + effect))
    for trial in range(trials):
        sums = periods_trial(
            process, n, derive(trial, "null", process, n, seeds, str(effect)), seeds=seeds, effect=effect
        )
        found.append(over_periods(PeriodSeries(sums, np.ones(n)), seed=trial))
        clear.append(over_periods(PeriodSeries(sums + shift, np.ones(n)), seed=trial, num_resamples=1))
        naive.append(overlapping_p(sums.mean(axis=0)) <= 0.05)
    return shares(found), shares(clear).rejected, float(np.mean(naive))


def paired(values: Series, periods: NDArray[np.int64]) -> PairedDifferences:
    """Wrap differences of shape (seeds, samples)."""
    return PairedDifferences("a", "b", "accuracy", tuple(range(len(values))), values, periods, "1y")


def seeds_trial(num_seeds: int, draw: np.random.Generator) -> Difference:
    """Compare over seeds whose differences are normal."""
    return over_seeds(paired(draw.standard_normal((num_seeds, 1)), np.zeros(1, dtype=np.int64)))


def samples_trial(num_samples: int, draw: np.random.Generator) -> Difference:
    """Compare over test samples, on 8 % of which exactly one of two equal models is right."""
    differences = draw.choice([-1.0, 0.0, 1.0], p=[0.04, 0.92, 0.04], size=(1, num_samples))
    return over_samples(paired(differences, np.arange(num_samples) * 10 // num_samples))


def datasets_trial(num_datasets: int, draw: np.random.Generator) -> Difference:
    """Compare over datasets whose differences have heavy tails."""
    return over_datasets(draw.standard_t(5, num_datasets), np.zeros(num_datasets))


def holm_trial(num_pipelines: int, draw: np.random.Generator) -> bool:
    """Say whether any pair of equal pipelines differs after correction, over 60 AR(0.3) periods that pairs share."""
    own = np.stack([autoregressive(0.3, 60, draw) for _ in range(num_pipelines)])
    pairs = [(first, second) for first in range(num_pipelines) for second in range(first)]
    found = [
        over_periods(PeriodSeries(own[[first]] - own[[second]], np.ones(60)), num_resamples=1)
        for first, second in pairs
    ]
    tested = [each.p_value for each in found if each.p_value is not None]
    return bool(tested) and bool(holm(tested).min() <= 0.05)


def nemenyi_trial(num_datasets: int, num_pipelines: int, draw: np.random.Generator) -> bool:
    """Say whether any two of equal pipelines differ in their ranks."""
    ranking = rank_pipelines(
        draw.standard_normal((num_datasets, num_pipelines)), [str(i) for i in range(num_pipelines)]
    )
    return bool(ranking.differ(ranking.names[0], ranking.names[-1]))


def percent(share: float) -> str:
    """Write a share, or a dash where there is none."""
    return "–" if np.isnan(share) else f"{share:.1%}".replace("%", " %")


def row(*cells: object) -> str:
    """Write a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def table_of_periods(trials: int) -> list[str]:
    """Return the lines of the table of ``over_periods``."""
    lines = [
        row(
            "differences",
            "n",
            "seeds",
            "refused",
            "coverage",
            "false positives",
            "power",
            "t test, overlapping windows",
        ),
        row(*["---"] * 8),
    ]
    designs = [(process, n, 1, 0.0) for process in PROCESSES for n in PERIODS]
    with_seeds = ((2, 0.5), (2, 3.0), (3, 0.0), (3, 0.5), (3, 3.0), (6, 0.5), (6, 3.0))
    designs += [("AR(0.3)", n, seeds, effect) for n in (60, 200) for seeds, effect in with_seeds]
    for process, n, seeds, effect in designs:
        made, power, naive = simulate_periods(process, n, trials, seeds=seeds, effect=effect)
        told = f"{seeds}, with an effect × {effect:g}" if effect else seeds
        found = (made.refused, made.covered, made.rejected, power, naive)
        lines.append(row(process, n, told, *map(percent, found)))
        print(lines[-1], flush=True)
    return lines


def table_of_others(trials: int) -> list[str]:
    """Return the lines of the table of all other intervals and tests."""
    lines = [row("method", "units", "refused", "coverage", "false positives"), row(*["---"] * 5)]
    singles: list[tuple[str, str, int, Callable[[int, np.random.Generator], Difference]]] = [
        *(("`over_seeds`", "seeds", n, seeds_trial) for n in (3, 6, 10)),
        *(("`over_samples`", "test samples", n, samples_trial) for n in (500, 1000, 10_000)),
        *(("`over_datasets`", "datasets", n, datasets_trial) for n in (5, 6, 12)),
    ]
    for name, units, n, trial in singles:
        made = shares([trial(n, derive(number, name, n)) for number in range(trials)])
        cells = [percent(share) for share in (made.refused, made.covered, made.rejected)]
        lines.append(row(name, f"{n:,} {units}", *cells))
    families: list[tuple[str, str, Callable[[np.random.Generator], bool]]] = [
        ("`correct`, any of 6 pairs", "60 periods, AR(0.3)", lambda draw: holm_trial(4, draw)),
        ("`rank_pipelines`, any of 10 pairs", "5 datasets", lambda draw: nemenyi_trial(5, 5, draw)),
        ("`rank_pipelines`, any of 10 pairs", "12 datasets", lambda draw: nemenyi_trial(12, 5, draw)),
    ]
    for name, units, rejects in families:
        rejected = np.mean([rejects(derive(number, name, units)) for number in range(trials)])
        lines.append(row(name, units, percent(0.0) if name[1] == "r" else "–", "–", percent(float(rejected))))
    print(*lines, sep="\n")
    return lines


def write(tables: Sequence[Sequence[str]], trials: int) -> None:
    """Put the tables between the markers of the document."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    blocks = "\n\n".join("\n".join(lines) for lines in tables)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{trials} trials a row.\n\n{blocks}\n\n{END}{after}")


def main() -> None:
    """Print both tables, and write them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--write", action="store_true", help="into docs/statistics.md")
    arguments = parser.parse_args()
    tables = [table_of_periods(arguments.trials), table_of_others(arguments.trials)]
    if arguments.write:
        write(tables, arguments.trials)


if __name__ == "__main__":
    main()
