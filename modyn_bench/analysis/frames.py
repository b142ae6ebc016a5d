"""What several figures take from the tables: one metric of one window set, groups of runs, composite models' series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

VARIANTS = ("currently_active", "currently_trained")


class Group(NamedTuple):
    """Runs that a figure shows as one, such as those that differ by their seed alone.

    Attributes:
        name: Empty where all rows are one run's.
        place: Among colours, line styles and markers.
        runs: The rows of each run.
    """

    name: str
    place: int
    runs: list[pd.DataFrame]

    @property
    def label(self) -> str:
        """The name, and how many runs there are if there are several."""
        count = f"(n = {len(self.runs)})" if len(self.runs) > 1 else ""
        return " ".join(part for part in (self.name, count) if part)


class OverRuns(NamedTuple):
    """Mean and standard deviation (n - 1) over runs, of every row of a table.

    Attributes:
        mean: NaN where a run lacks a value: a mean over the others would be one of other runs from row to row.
        std: ``None`` for one run.
    """

    mean: FloatArray
    std: FloatArray | None


def check_rows(frame: pd.DataFrame, columns: Sequence[str], *, name: str) -> None:
    """Raise ``RequestError`` if a frame has no rows, or lacks columns.

    Args:
        frame: What is to be drawn.
        columns: That it must have.
        name: What the frame is called in the figure's arguments.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        there = ", ".join(map(str, frame.columns)) or "none"
        raise RequestError(f"{name} lacks the columns {', '.join(missing)}: there is {there}")
    if frame.empty:
        raise RequestError(
            f"there is nothing to draw: {name} has no rows; are the runs finished, and not filtered out?"
        )


def grouped(
    frame: pd.DataFrame, *, by: str | None, order: Mapping[str, int] | None, name: str = "evaluations"
) -> list[Group]:
    """Sort rows into groups of runs, in the order of the groups' places.

    Args:
        frame: Rows of one run, or of several with a column ``run_id``.
        by: The column that names the groups; ``None``: all rows are one group.
        order: The place of each group; default: in order of appearance.
        name: What the frame is called in the figure's arguments.

    Raises:
        RequestError: If there is no such column, or the order lacks a group.
    """
    if by is None:
        return [Group("", 0, _runs(frame))]
    check_rows(frame, [by], name=name)
    named = [(str(group), rows) for group, rows in frame.groupby(by, sort=False)]
    places = places_of([group for group, _ in named], order)
    made = [Group(group, places[group], _runs(rows)) for group, rows in named]
    return sorted(made, key=lambda group: group.place)


def places_of(names: Sequence[str], order: Mapping[str, int] | None) -> Mapping[str, int]:
    """Return the place of each name among colours and marks: that of the order or, without one, of appearance.

    Raises:
        RequestError: If the order lacks a name.

    Example:
        >>> places_of(["b", "a"], None)
        {'b': 0, 'a': 1}
    """
    if order is None:
        return {name: place for place, name in enumerate(names)}
    absent = [name for name in names if name not in order]
    if absent:
        raise RequestError(f"order has no place for {', '.join(absent)}: give one to every name that is drawn")
    return order


def over_runs(table: pd.DataFrame) -> OverRuns:
    """Return mean and deviation of every row of a table with one column per run.

    Example:
        >>> import pandas as pd
        >>> over_runs(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, np.nan]})).mean.tolist()
        [2.0, nan]
    """
    values = table.to_numpy(dtype=np.float64)
    return OverRuns(values.mean(axis=1), values.std(axis=1, ddof=1) if values.shape[1] > 1 else None)


def _runs(frame: pd.DataFrame) -> list[pd.DataFrame]:
    if "run_id" not in frame:
        return [frame]
    return [rows for _, rows in frame.groupby("run_id", sort=False)]


def cells(evaluations: pd.DataFrame, *, metric: str | None = None, window_set: str | None = None) -> pd.DataFrame:
    """Return the rows of one metric and one window set.

    Args:
        evaluations: Rows of ``evaluations.parquet``, of one run or several.
        metric: Default: the metric of the first row.
        window_set: Default: the window set of the first row.

    Raises:
        RequestError: If there is no such metric or window set, no row at all, or a cell twice.
    """
    if evaluations.empty:
        raise RequestError(
            "there is nothing to draw: no window was evaluated; is a model trained and the test split filled?"
        )
    for column, wanted in (("window_set", window_set), ("metric", metric)):
        value = evaluations[column].iloc[0] if wanted is None else wanted
        present = evaluations[column].unique().tolist()
        if value not in present:
            raise RequestError(f"there is no {column} {value!r} in these evaluations; there is {', '.join(present)}")
        evaluations = evaluations[evaluations[column] == value]
    cell = [column for column in ("run_id", "window_id", "model_id") if column in evaluations]
    if evaluations.duplicated(cell).any():
        raise RequestError("evaluations holds cells of several runs, or one twice: it needs a column run_id")
    return evaluations


def served(evaluations: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the rows of the cells that a composite model is made of; null means that it is not."""
    return evaluations[evaluations[variant].astype("boolean").fillna(False).astype(bool)]


def matrix(evaluations: pd.DataFrame) -> tuple[pd.DataFrame, IntArray, FloatArray]:
    """Return windows, models and values of an evaluation matrix.

    Args:
        evaluations: Rows of one run, one metric and one window set.

    Returns:
        One row per window, by anchor; the models' ids in order, shape (M,); the values, shape (M, W), NaN where
        undefined.
    """
    windows = evaluations.drop_duplicates("window_id").sort_values(["anchor", "window_id"], ignore_index=True)
    model_ids = np.sort(evaluations["model_id"].unique())
    values = evaluations.pivot(index="model_id", columns="window_id", values="value")
    values = values.reindex(index=model_ids, columns=windows["window_id"])
    return windows, model_ids, values.to_numpy(dtype=np.float64)


def is_full(evaluations: pd.DataFrame) -> bool:
    """Say whether every model was evaluated in every window, rather than where composite models serve alone.

    Args:
        evaluations: Rows of one run, one metric and one window set.
    """
    return len(evaluations) == evaluations["model_id"].nunique() * evaluations["window_id"].nunique()


def composite_series(evaluations: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return a composite model's value in every window, null where it has no model or the metric is undefined.

    Args:
        evaluations: Rows of one run, one metric and one window set.
        variant: ``currently_active`` or ``currently_trained``.

    Returns:
        One row per window, by anchor: window_id, window_start, window_end, anchor, num_samples, model_id, value.
    """
    window = ["window_id", "window_start", "window_end", "anchor", "num_samples"]
    windows = evaluations[window].drop_duplicates("window_id")
    cells_served = served(evaluations, variant)[["window_id", "model_id", "value"]]
    return windows.merge(cells_served, on="window_id", how="left").sort_values(
        ["anchor", "window_id"], ignore_index=True
    )


def by_window(group: Group, variant: str) -> pd.DataFrame:
    """Return a composite model's value in every window and run, null where undefined.

    Args:
        group: Rows of one metric and one window set.
        variant: ``currently_active`` or ``currently_trained``.

    Returns:
        One row per window, by anchor and window_id; one column per run.
    """
    import pandas as pd

    series = [
        composite_series(run, variant).set_index(["anchor", "window_id"])["value"].rename(str(number))
        for number, run in enumerate(group.runs)
    ]
    return pd.concat(series, axis=1).sort_index()
