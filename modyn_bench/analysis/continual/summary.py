"""What whole runs come to by every measure of continual learning, a row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from modyn_bench.analysis.continual.aging import drift_sensitivity
from modyn_bench.analysis.continual.periods import Matrix, matrix_of
from modyn_bench.analysis.continual.transfer import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    learning_accuracy,
)

MEASURES: Mapping[str, Callable[[Matrix], float]] = {
    "learning_accuracy": lambda matrix: _last(learning_accuracy(matrix)),
    "average_accuracy": lambda matrix: _last(average_accuracy(matrix)),
    "backward_transfer": lambda matrix: _last(backward_transfer(matrix)),
    "forgetting": lambda matrix: _last(forgetting(matrix)),
    "forward_transfer": lambda matrix: _last(forward_transfer(matrix)),
    "drift_sensitivity": lambda matrix: float(drift_sensitivity(matrix)["value"].mean()),
}
"""By name, what a run comes to: after its last model, or, of the sensitivity per year, the mean over windows."""


def summarise(
    evaluations: pd.DataFrame, models: pd.DataFrame, *, metric: str | None = None, window_set: str | None = None
) -> pd.DataFrame:
    """Return every measure of each of several runs.

    Args:
        evaluations: Rows of ``evaluations.parquet`` of several runs, with a column ``run_id`` and
            ``evaluation.models=all``.
        models: Rows of their ``models.parquet``, with the same column.
        metric: Default: the metric of the first row.
        window_set: Default: the window set of the first row.

    Returns:
        One row per run, in their order: run_id, and a column for each of ``MEASURES``; null where it is undefined, as
        backward transfer is of a single model.

    Raises:
        RequestError: If a run has no such metric or window set.
    """
    of_runs = dict(iter(models.groupby("run_id", sort=False)))
    rows = []
    for run_id, own in evaluations.groupby("run_id", sort=False):
        matrix = matrix_of(own, of_runs[run_id], metric=metric, window_set=window_set)
        rows.append({"run_id": run_id} | {name: measure(matrix) for name, measure in MEASURES.items()})
    return pd.DataFrame(rows, columns=["run_id", *MEASURES])


def _last(table: pd.DataFrame) -> float:
    """Return the value after the last model."""
    return float(table["value"].iloc[-1])
