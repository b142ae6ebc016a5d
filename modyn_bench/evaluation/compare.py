"""Comparing pipelines fairly: on the same windows, with the triggers that these windows saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modyn_bench.errors import RequestError
from modyn_bench.evaluation.composite import VARIANTS
from modyn_bench.evaluation.evaluate import aggregate
from modyn_bench.types import FloatArray

WINDOW_COLUMNS = ["window_id", "window_start", "window_end", "anchor", "num_samples"]
_COLUMNS = ["run_id", "value", "num_windows", "num_triggers", "first_model_id", "coverage"]


@dataclass(frozen=True)
class Comparison:
    """Pipelines on common ground.

    Attributes:
        table: One row per pipeline that is compared: run_id, value (NaN where no common window has one), num_windows
            (the common windows, the same for all), num_triggers (the model that serves at ``point`` and all newer
            ones), first_model_id (that model), coverage (the pipeline's own).
        window_ids: The common windows, in order.
        point: Anchor of the first window in which all have a model; ``None`` if there is none.
        num_undefined: Windows in which all have a model, but some no defined value; left out for all.
        set_aside: The coverage of the pipelines that are not compared because it is too low, by run id.
    """

    table: pd.DataFrame
    window_ids: tuple[int, ...]
    point: int | None
    num_undefined: int = 0
    set_aside: Mapping[str, float] = field(default_factory=dict)


def compare(
    evaluations: pd.DataFrame,
    models: pd.DataFrame,
    *,
    window_set: str,
    metric: str,
    variant: str = "currently_active",
    aggregation: str = "mean",
    min_coverage: float = 0.5,
    run_ids: Sequence[str] | None = None,
    kind: str | None = None,
) -> Comparison:
    """Compare pipelines by a composite model's average over the windows for which all of them have a model.

    A pipeline's coverage is the share of the set's windows in which its composite model has a defined value, as in
    ``composite.parquet``. Pipelines below ``min_coverage`` are set aside first, so that a late starter does not take
    the windows from the others. Triggers are counted from the model on that serves the first window, by anchor, in
    which all have a model: that one and all newer ones, whether or not they ever serve. Without training times these
    are, for the currently active model, those that trained after that point, and one for the model in service there.

    Args:
        evaluations: ``evaluations.parquet`` of all runs with a ``run_id`` column.
        models: ``models.parquet`` of all runs with a ``run_id`` column.
        window_set: The set of windows; the same in all runs.
        metric: The metric.
        variant: ``currently_active`` or ``currently_trained``.
        aggregation: ``mean``, ``time_weighted`` or ``sample_weighted``.
        min_coverage: Between 0 and 1.
        run_ids: The runs to compare, in order; by default those with evaluations. One without any is set aside.
        kind: The set's kind, where it is known.

    Raises:
        RequestError: If the windows differ between runs, as windows between triggers do, or belong to single models,
            as offset windows do; or if nothing was evaluated under these names.
    """
    _check_comparable(window_set, kind, variant)
    rows = _select_rows(evaluations, window_set, metric, run_ids)
    names = list(dict.fromkeys(rows["run_id"]) if run_ids is None else run_ids)
    windows = _common_windows(rows, window_set)
    composite = rows[rows[variant]]
    by_run = _by_run(composite, windows, "value")
    coverage = dict.fromkeys(names, 0.0) | by_run.notna().mean(axis=1).to_dict()
    set_aside = {name: coverage[name] for name in names if name not in by_run.index or coverage[name] < min_coverage}
    kept = [name for name in names if name not in set_aside]
    if not kept:
        return Comparison(pd.DataFrame(columns=_COLUMNS), (), None, set_aside=set_aside)
    values = by_run.loc[kept].to_numpy()
    serving = _by_run(composite, windows, "model_id").loc[kept].to_numpy()
    all_have = np.all(~np.isnan(serving), axis=0)
    common = all_have & np.all(~np.isnan(values), axis=0)
    point = _first_window(windows, all_have)
    first_models = [None if point is None else int(row[point]) for row in serving]
    table = pd.DataFrame(
        {
            "run_id": kept,
            "value": _averages(values, windows, common, aggregation),
            "num_windows": int(common.sum()),
            "num_triggers": _counts_from(models, kept, first_models),
            "first_model_id": pd.array(first_models, dtype="Int64"),
            "coverage": [coverage[name] for name in kept],
        }
    )
    return Comparison(
        table=table,
        window_ids=tuple(windows["window_id"].to_numpy()[common].tolist()),
        point=None if point is None else int(windows["anchor"].to_numpy()[point]),
        num_undefined=int((all_have & ~common).sum()),
        set_aside=set_aside,
    )


def _check_comparable(window_set: str, kind: str | None, variant: str) -> None:
    if kind in ("between_triggers", "offset"):
        raise RequestError(
            f"windows of kind {kind} depend on the triggers of each pipeline, so pipelines cannot be compared on "
            f"{window_set}: choose a set of kind sliced, sliding or static"
        )
    if variant not in VARIANTS:
        raise RequestError(f"variant={variant!r} must be one of {', '.join(VARIANTS)}")


def _select_rows(
    evaluations: pd.DataFrame, window_set: str, metric: str, run_ids: Sequence[str] | None
) -> pd.DataFrame:
    """Return the evaluations that are compared; there are some."""
    rows = evaluations[(evaluations["window_set"] == window_set) & (evaluations["metric"] == metric)]
    if run_ids is not None:
        rows = rows[rows["run_id"].isin(list(run_ids))]
    if rows.empty:
        raise RequestError(f"no run evaluated {metric} on windows named {window_set}")
    return rows


def _by_run(composite: pd.DataFrame, windows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a column's values, a row per run and a column per window; NaN where there is none."""
    table = composite.pivot(index="run_id", columns="window_id", values=column)
    return table.reindex(columns=windows["window_id"]).astype("float64")


def _first_window(windows: pd.DataFrame, all_have: NDArray[np.bool_]) -> int | None:
    """Return the position of the first window, by anchor, in which all have a model."""
    if not all_have.any():
        return None
    anchors = windows["anchor"].to_numpy()
    return int(np.flatnonzero(all_have)[np.argmin(anchors[all_have])])


def _averages(values: FloatArray, windows: pd.DataFrame, common: NDArray[np.bool_], aggregation: str) -> list[float]:
    """Return each run's average over the common windows, NaN where there is none."""
    shared = windows[common]
    lengths = (shared["window_end"] - shared["window_start"]).to_numpy()
    sizes = shared["num_samples"].to_numpy()
    averages = [aggregate(aggregation, row[common], lengths=lengths, sizes=sizes) for row in values]
    return [np.nan if average is None else average for average in averages]


def _common_windows(rows: pd.DataFrame, window_set: str) -> pd.DataFrame:
    """Return the windows, which must be the same in every run."""
    of_runs = rows[["run_id", *WINDOW_COLUMNS]].drop_duplicates()
    first, *others = of_runs["run_id"].unique()
    expected = _windows_of(of_runs, first)
    num_distinct = len(of_runs.drop_duplicates(WINDOW_COLUMNS))
    if num_distinct == len(expected) and len(of_runs) == num_distinct * (len(others) + 1):
        return expected
    name = next(name for name in others if not _windows_of(of_runs, name).equals(expected))
    raise RequestError(
        f"the windows of {window_set} differ between the runs {first} and {name}, so these cannot be compared: "
        "compare runs of one dataset and test split, evaluated with the same windows, not between triggers"
    )


def _windows_of(of_runs: pd.DataFrame, name: str) -> pd.DataFrame:
    return of_runs.loc[of_runs["run_id"] == name, WINDOW_COLUMNS].sort_values("window_id", ignore_index=True)


def _counts_from(models: pd.DataFrame, names: Sequence[str], first_models: Sequence[int | None]) -> list[int]:
    """Return how many models of each run are at least as new as one; all where there is none to count from."""
    firsts = dict(zip(names, first_models, strict=True))
    named = models[models["run_id"].isin(names)]
    from_first = named["run_id"].map({name: -1 if first is None else first for name, first in firsts.items()})
    counts = named.loc[named["model_id"] >= from_first, "run_id"].value_counts()
    return [int(counts.get(name, 0)) for name in names]
