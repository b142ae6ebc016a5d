"""How models age: what they are worth the longer ago their data ended, and how much that depends on the time.

A model's age in a window is the time from the last of its data to the window's start. Windows that start no later than
that do not count: a model is not asked about its own past here.

Shapes: T models, W windows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from modyn_bench.analysis.continual.periods import Matrix
from modyn_bench.timespan import parse_duration


def temporal_generalisation(matrix: Matrix, *, every: str | int = "1y") -> pd.DataFrame:
    r"""Average a metric by the age of models.

    .. math:: \text{value}(b) = \frac{1}{|C_b|} \sum_{(i,w) \in C_b} v_{iw}, \qquad
        \text{change}(b) = \frac{1}{|C'_b|} \sum_{(i,w) \in C'_b} \text{gain}(v_{iw}, R_{ii})

    with the models and windows :math:`C_b` whose age lies in bin b and whose value is defined, and those
    :math:`C'_b` of them whose model has a value in its own period, too; a gain is positive where the first is better.
    The change compares every model with itself, and so is not moved by which models get old in a run.

    Args:
        matrix: Of one run; see ``periods.matrix_of``.
        every: Length of a bin, a duration: bin b holds the ages in (b every, (b + 1) every].

    Returns:
        One row per bin up to the highest age: age_from, age_to (seconds), value, change (null where nothing is
        averaged), num_models (that have a value), num_defined (cells that have), num_cells.

    Raises:
        RequestError: If ``every`` is no duration.

    Reference:
        Lazaridou et al., Mind the Gap: Assessing Temporal Generalization in Neural Language Models, NeurIPS 2021
        (performance against the time since the training data); Yao et al., Wild-Time, NeurIPS 2022.
    """
    length = parse_duration(every, "every")
    model, window = np.nonzero(~np.isnan(matrix.ages))
    values = matrix.values[model, window]
    own = np.diagonal(matrix.by_period)
    rows = pd.DataFrame(
        {
            "bin": (np.ceil(matrix.ages[model, window] / length) - 1).astype(np.int64),
            "model": np.where(np.isnan(values), np.nan, model),
            "value": values,
            "change": matrix.sign * (values - own[model]),
        }
    )
    groups = rows.groupby("bin")
    num_bins = int(rows["bin"].max()) + 1 if len(rows) else 0
    averaged = groups[["value", "change"]].mean()
    averaged["num_models"] = groups["model"].nunique()
    averaged["num_defined"] = groups["value"].count()
    averaged["num_cells"] = groups.size()
    averaged = averaged.reindex(pd.RangeIndex(num_bins))
    counts = ["num_models", "num_defined", "num_cells"]
    averaged[counts] = averaged[counts].fillna(0).astype(np.int64)
    averaged.insert(0, "age_from", np.arange(num_bins) * length)
    averaged.insert(1, "age_to", np.arange(1, num_bins + 1) * length)
    return averaged.reset_index(drop=True)


def drift_sensitivity(matrix: Matrix, *, per: str | int = "1y") -> pd.DataFrame:
    r"""Return how much worse older models are in each window, per time: the slope of a least-squares line over ages.

    .. math:: s_w = - \frac{\sum_i (a_{iw} - \bar a_w) (g_{iw} - \bar g_w)}{\sum_i (a_{iw} - \bar a_w)^2}

    over the models i whose data ended before the window and that have a value in it; :math:`g` is the value, negated
    where lower ones are better, and :math:`a` the age. All models answer the same samples, so that how hard a window is
    does not matter. Positive: age harms there.

    Args:
        matrix: Of one run; see ``periods.matrix_of``.
        per: The unit of time of a slope, a duration.

    Returns:
        One row per window, by time: window_id, window_start, window_end, value (in units of the metric per ``per``;
        null where models are of fewer than two ages), num_models (on the line).

    Raises:
        RequestError: If ``per`` is no duration.

    Reference:
        Luu et al., Time Waits for No One! Analysis and Challenges of Temporal Misalignment, NAACL 2022 (temporal
        degradation, the slope of such a line).

    Deviation:
        The paper also counts models of a window's future.
    """
    unit = parse_duration(per, "per")
    ages, worth = matrix.ages / unit, matrix.sign * matrix.values
    used = ~np.isnan(ages) & ~np.isnan(worth)
    num_models = used.sum(axis=0)
    centred = []
    for numbers in (ages, worth):
        numbers = np.where(used, numbers, 0.0)
        centred.append(np.where(used, numbers - numbers.sum(axis=0) / np.maximum(num_models, 1), 0.0))
    spread = (centred[0] ** 2).sum(axis=0)
    several = np.array(
        [len(np.unique(column[own])) > 1 for column, own in zip(ages.T, used.T, strict=True)], dtype=bool
    )
    slopes = np.divide(-(centred[0] * centred[1]).sum(axis=0), spread, out=np.full(len(spread), np.nan), where=several)
    return matrix.windows.assign(value=slopes, num_models=num_models)
