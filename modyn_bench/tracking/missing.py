"""Why a composite model has no value in windows, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.runs.evaluations import config_of
from modyn_bench.runs.files import read_table
from modyn_bench.runs.manifest import read_manifest
from modyn_bench.timespan import format_time

if TYPE_CHECKING:
    import pandas as pd

_ENOUGH = 0.5  # a report sets aside what covers less, unless told otherwise


@dataclass(frozen=True, slots=True)
class Missing:
    """The windows of a set in which the currently active composite model has no value by metrics, by reason.

    Attributes:
        window_set: The set's name.
        metrics: Those that all lack the same numbers of values.
        num_windows: Windows of the set.
        num_unserved: No model was in service at the window's anchor.
        num_small: A model was, but the window holds no test sample, or fewer than ``min_samples``.
        num_undefined: A model was, and the window holds samples, but the metric is undefined for them.
        min_samples: ``evaluation.min_window_samples``.
        first_available_at: When the first model got into service.
    """

    window_set: str
    metrics: tuple[str, ...]
    num_windows: int
    num_unserved: int
    num_small: int
    num_undefined: int
    min_samples: int
    first_available_at: int

    @property
    def is_most(self) -> bool:
        """Whether more than half of the windows have no value."""
        return self.num_unserved + self.num_small + self.num_undefined > _ENOUGH * self.num_windows

    def text(self) -> str:
        """Say why, the most frequent reason first, and what to do about that one."""
        when = format_time(self.first_available_at)
        at = f"evaluation.windows.{self.window_set}"
        few = "no test sample" if self.min_samples <= 1 else f"fewer than {self.min_samples} test samples"
        names = " and ".join(metric.replace("_", " ") for metric in self.metrics)
        reasons = [
            (
                self.num_unserved,
                f"{self.num_unserved} have their anchor before a model was in service (the first was on {when})",
                "let the trigger fire earlier: after fewer samples, or a shorter time, than its options say",
            ),
            (
                self.num_small,
                f"{self.num_small} hold {few}",
                f"make windows longer ({at}) or the test split larger (dataset.test_fraction)",
            ),
            (
                self.num_undefined,
                f"in {self.num_undefined} {names} cannot be computed, as where all labels are of one class",
                f"make windows longer ({at}), or choose another metric",
            ),
        ]
        reasons = sorted((reason for reason in reasons if reason[0]), key=lambda reason: -reason[0])
        lacking = sum(number for number, _, _ in reasons)
        return (
            f"There is no {names} of a currently active model in {lacking} of {self.num_windows} {self.window_set} "
            f"windows: {'; '.join(text for _, text, _ in reasons)}. To have more, {reasons[0][2]}."
        )


def missing_values(run: Path, evaluated: Path) -> list[Missing]:
    """Count, for the window sets and metrics of an evaluation, the windows without a value, by reason.

    Args:
        run: The run's directory.
        evaluated: The folder of the evaluation, be it the run's.

    Raises:
        RunError: If a table is missing or damaged.
    """
    available = read_table(run / "models.parquet").column("available_at").to_pylist()
    evaluations = read_table(evaluated / "evaluations.parquet").to_pandas()
    if not available or evaluations.empty:
        return []
    min_samples = int(config_of(evaluated, read_manifest(run)).get("min_window_samples", 1))
    composed = set(read_table(evaluated / "composite.parquet").column("window_set").to_pylist())
    evaluations = evaluations[evaluations["window_set"].isin(composed)]
    merged: dict[Missing, tuple[str, ...]] = {}
    for missing in _counted(evaluations, min_samples=min_samples, first_available_at=min(available)):
        nameless = replace(missing, metrics=())
        merged[nameless] = (*merged.get(nameless, ()), *missing.metrics)
    return [replace(nameless, metrics=metrics) for nameless, metrics in merged.items()]


def _counted(evaluations: pd.DataFrame, *, min_samples: int, first_available_at: int) -> Iterator[Missing]:
    for (window_set, metric), cells in evaluations.groupby(["window_set", "metric"], sort=False):
        windows = cells["window_id"].nunique()
        served = cells[cells["currently_active"]]
        without = served[served["value"].isna()]
        small = int((without["num_samples"] < min_samples).sum())
        yield Missing(
            window_set=str(window_set),
            metrics=(str(metric),),
            num_windows=windows,
            num_unserved=windows - len(served),
            num_small=small,
            num_undefined=len(without) - small,
            min_samples=min_samples,
            first_available_at=first_available_at,
        )
