"""One run's matrix, and periods in place of tasks: what every model is worth on the windows of every model's data.

Shapes: T models, W windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from modyn_bench.analysis.frames import cells
from modyn_bench.errors import RequestError
from modyn_bench.metrics import find_metric
from modyn_bench.types import FloatArray, IntArray

WINDOW = ["window_id", "window_start", "window_end"]


@dataclass(frozen=True)
class Matrix:
    """One metric of all models in all windows of a set.

    Attributes:
        values: Rows are models in trigger order, columns are windows; NaN where it is undefined or was not evaluated,
            shape (T, W).
        model_ids: Shape (T,).
        windows: One row per window, in order of time: window_id, window_start, window_end.
        first: Of each model's data, in UTC seconds; NaN where nothing arrived for it, shape (T,).
        last: Likewise, inclusive, shape (T,).
        sign: 1 where a higher value is a better one, else -1.
    """

    values: FloatArray
    model_ids: IntArray
    windows: pd.DataFrame
    first: FloatArray
    last: FloatArray
    sign: float

    @cached_property
    def own(self) -> np.ndarray:
        """Whether a window overlaps the data of a model, shape (T, W), bool: the windows of the model's period."""
        start, end = self.windows["window_start"].to_numpy(), self.windows["window_end"].to_numpy()
        return (start[None, :] <= self.last[:, None]) & (end[None, :] > self.first[:, None])

    @property
    def ages(self) -> FloatArray:
        """Seconds from the last of a model's data to a window's start; NaN where it starts no later, shape (T, W)."""
        ages: FloatArray = self.windows["window_start"].to_numpy()[None, :] - self.last[:, None]
        return np.where(ages > 0, ages, np.nan)

    @cached_property
    def by_period(self) -> FloatArray:
        r""":math:`R_{ij}`, the mean of model i over the windows of period j in which it has a value, shape (T, T).

        NaN where it has none.
        """
        own = self.own.astype(np.float64)
        known = ~np.isnan(self.values)
        counts = known.astype(np.float64) @ own.T
        sums = np.where(known, self.values, 0.0) @ own.T
        means: FloatArray = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
        return means


def matrix_of(
    evaluations: pd.DataFrame, models: pd.DataFrame, *, metric: str | None = None, window_set: str | None = None
) -> Matrix:
    """Arrange the evaluations of one run as a matrix, which all measures of continual learning are taken from.

    Args:
        evaluations: Rows of ``evaluations.parquet`` of one run, with ``evaluation.models=all``: cells that were not
            evaluated are undefined.
        models: Its ``models.parquet``.
        metric: Default: the metric of the first row.
        window_set: Default: the window set of the first row.

    Raises:
        RequestError: If there is no such metric or window set, no row, or rows of several runs.
    """
    rows = cells(evaluations, metric=metric, window_set=window_set)
    if rows.duplicated(["window_id", "model_id"]).any() or models["model_id"].duplicated().any():
        raise RequestError("these are rows of several runs: give those of one, as in frame[frame['run_id'] == run_id]")
    windows = rows[WINDOW].drop_duplicates().sort_values(["window_start", "window_end", "window_id"], ignore_index=True)
    models = models.sort_values("model_id")
    table = rows.pivot(index="model_id", columns="window_id", values="value")
    table = table.reindex(index=models["model_id"], columns=windows["window_id"])
    first, last = (
        models[column].to_numpy(dtype=np.float64, na_value=np.nan)
        for column in ("data_first_timestamp", "data_last_timestamp")
    )
    sign = 1.0 if find_metric(str(rows["metric"].iloc[0])).higher_is_better else -1.0
    values = table.to_numpy(dtype=np.float64, na_value=np.nan)
    return Matrix(values, models["model_id"].to_numpy(), windows, first, last, sign)


def period_matrix(matrix: Matrix) -> pd.DataFrame:
    r"""Return what every model is worth in every model's period.

    .. math:: R_{ij} = \frac{1}{|W_{ij}|} \sum_{w \in W_{ij}} v_{iw}

    Period j stands for task j of the literature: the windows [start, end) that overlap the range [first, last] of what
    arrived for model j, be it by a second; of these, :math:`W_{ij}` are those in which model i has a value. A window
    that overlaps the data of several models belongs to the periods of all of them, so take windows that are shorter
    than what lies between triggers. Where nothing arrived for a model, it has no period.

    Args:
        matrix: Of one run, with ``evaluation.models=all``.

    Returns:
        One row per model and period: model_id, period (id of the model whose it is), value (null where
        :math:`W_{ij}` is empty), num_defined (its windows), num_windows (of the period).

    Reference:
        Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS 2017, section 2 (the matrix R).
    """
    own = matrix.own.astype(np.int64)
    num_models = len(matrix.model_ids)
    return pd.DataFrame(
        {
            "model_id": matrix.model_ids.repeat(num_models),
            "period": np.tile(matrix.model_ids, num_models),
            "value": matrix.by_period.ravel(),
            "num_defined": ((~np.isnan(matrix.values)).astype(np.int64) @ own.T).ravel(),
            "num_windows": np.tile(own.sum(axis=1), num_models),
        }
    )
