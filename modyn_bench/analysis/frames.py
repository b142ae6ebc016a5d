"""What several figures take from the tables: one metric of one window set, and the composite models' series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

VARIANTS = ("currently_active", "currently_trained")


def cells(evaluations: pd.DataFrame, *, metric: str | None = None, window_set: str | None = None) -> pd.DataFrame:
    """Return the rows of one metric and one window set.

    Args:
        evaluations: Rows of ``evaluations.parquet``, of one run or several.
        metric: Default: the metric of the first row.
        window_set: Default: the window set of the first row.

    Raises:
        RequestError: If there is no such metric or window set, or no row at all.
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
    return evaluations


def served(evaluations: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the rows of the cells that a composite model is made of; null means that it is not."""
    return evaluations[evaluations[variant].astype("boolean").fillna(False).astype(bool)]


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
