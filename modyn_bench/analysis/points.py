"""All runs compared by one metric: a row per run, as scatters take them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modyn_bench.analysis.cohorts import cohorts
from modyn_bench.analysis.comparison import compare_runs
from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

    from modyn_bench.runs.load import Runs


def points(
    runs: Runs,
    *,
    metric: str,
    variant: str,
    aggregate: str = "mean",
    window_set: str | None = None,
    min_coverage: float = 0.5,
) -> tuple[pd.DataFrame, list[str]]:
    """Compare runs by a composite model's metric, over the windows for which all of them have a model and a value.

    Args:
        runs: Runs of one dataset, evaluated on the same windows.
        metric: Such as ``accuracy``.
        variant: ``currently_active``, to choose a trigger by, or ``currently_trained``, to choose a selector by.
        aggregate: ``mean``, ``time_weighted`` or ``sample_weighted``.
        window_set: The name of the windows; default: the only one.
        min_coverage: A run whose composite model covers a smaller share of the windows is set aside.

    Returns:
        One row per run, as ``compare_runs`` returns it: policy, seed, value, coverage, num_triggers (counted from the
        first common window on), sample_passes, seconds, num_windows and more; and what had to be left out, in words:
        runs of the dataset without a model or these windows, and those that were set aside.

    Raises:
        RequestError: If there are no such windows, several of them, several datasets, or no such metric, variant or
            aggregate.
    """
    made, missing = cohorts(runs)
    found = [cohort for cohort in made if window_set in (None, cohort.window_set)]
    if len(found) != 1:
        there = ", ".join(f"{cohort.dataset}: {cohort.window_set}" for cohort in made) or "none"
        raise RequestError(
            f"window_set={window_set!r} must name one set of windows of one dataset; there is {there}: load runs "
            "of one dataset, evaluated on the same windows, and name the set"
        )
    wanted = {"metric": metric, "variant": variant, "aggregate": aggregate}
    composite = runs.composite
    for column, value in wanted.items():
        present = list(dict.fromkeys(runs.composite[column]))
        if value not in present:
            raise RequestError(f"there is no {column} {value!r} in these runs; there is {', '.join(present)}")
        composite = composite[composite[column] == value]
    rows, notes = compare_runs(replace(runs, composite=composite), found[0], min_coverage=min_coverage)
    return rows, [*(entry.text for entry in missing if entry.is_about(found[0])), *notes]
