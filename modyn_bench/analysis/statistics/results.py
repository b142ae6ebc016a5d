"""What a comparison of two pipelines says, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Estimand(StrEnum):
    """What is taken for one draw of many: what an interval or a p-value is about."""

    THESE_MODELS = "these models"
    """The trained models in these periods, on other test samples."""
    RETRAINING = "retraining"
    """Trainings from other seeds, on these test samples."""
    OTHER_PERIODS = "other periods"
    """Other stretches of the stream like this one."""
    OTHER_DATASETS = "other datasets"
    """Other datasets like these."""


@dataclass(frozen=True)
class Difference:
    """The mean difference of two pipelines, with what is known of its error.

    Attributes:
        metric: What was compared: ``accuracy``, ``loss``.
        a: The first pipeline.
        b: The second one.
        value: The mean of a minus b.
        estimand: What interval and p-value are about.
        units: What they were computed over, with its number: ``10 blocks of 6 × 26w, 3 seeds``.
        n: The number of units.
        interval: The interval's method.
        low: Its lower end; ``None`` where there is no interval.
        high: Its upper end.
        level: Its nominal coverage.
        test: The test's name.
        p_value: Two-sided; ``None`` where there is none.
        least_p: The smallest p-value that the test can give for so many units, before any correction.
        refusal: Why there is no interval or no p-value; empty where there are both.
        num_tests: How many tests the p-value is corrected for; 1 is not corrected.
    """

    metric: str
    a: str
    b: str
    value: float
    estimand: Estimand
    units: str
    n: int
    interval: str
    test: str
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    p_value: float | None = None
    least_p: float = 0.0
    refusal: str = ""
    num_tests: int = 1

    def __str__(self) -> str:
        """Name difference, interval, method, units, estimand and test in one sentence."""
        text = f"{self.metric}: {self.a} - {self.b} = {self.value:.4g}"
        if self.low is not None and self.high is not None:
            text += f" [{self.low:.4g}, {self.high:.4g}] ({self.level:.0%}, {self.interval} over {self.units}"
        else:
            text += f" (no interval, {self.units}"
        text += f"; {self.estimand})"
        if self.p_value is not None:
            text += f", {format_p(self.p_value)} ({self.test}"
            text += f", corrected for {self.num_tests} tests; the interval is not)" if self.num_tests > 1 else ")"
        return f"{text}; {self.refusal}" if self.refusal else text


def format_p(p_value: float) -> str:
    """Write a p-value with two digits.

    Example:
        >>> format_p(0.0312), format_p(0.00002), format_p(1.0)
        ('p = 0.031', 'p < 0.0001', 'p = 1')
    """
    return f"p = {p_value:.2g}" if p_value >= 1e-4 else "p < 0.0001"


def too_few(units: str, n: int, minimum: int) -> str:
    """Say that units do not suffice.

    Example:
        >>> too_few("seeds", 3, 6)
        'too few seeds, 3 of at least 6'
    """
    return f"too few {units}, {n} of at least {minimum}"


def counted(n: int, unit: str) -> str:
    """Write a number of units.

    Example:
        >>> counted(1, "seed"), counted(1200, "test sample")
        ('1 seed', '1,200 test samples')
    """
    return f"{n:,} {unit}{'s' * (n != 1)}"
