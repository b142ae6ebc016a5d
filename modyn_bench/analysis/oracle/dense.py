"""The oracle of a dense run: how good the best part of its triggers would have been, for every number of triggers.

Shapes: K candidates, n test samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modyn_bench.analysis.finished import finished_run
from modyn_bench.analysis.oracle.exactness import reasons_against
from modyn_bench.analysis.oracle.kept import (
    as_value,
    check_objective,
    costs_of,
    halves,
    in_service,
    trainings,
)
from modyn_bench.analysis.oracle.schedules import Segments, best_schedules, cumulate
from modyn_bench.errors import RequestError
from modyn_bench.metrics import find_metric
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.types import FloatArray, IntArray


@dataclass(frozen=True)
class Oracle:
    """The best schedules in hindsight.

    Attributes:
        path: The dense run.
        manifest: Its manifest.
        metric: What is best: ``accuracy``, ``top_<k>_accuracy`` or ``loss``.
        variant: Of which composite model.
        seed: Of the halves of the test split.
        candidates: One row per model of the dense run: trigger_index, model_id, fired_at, labelled_until,
            available_at (times in UTC seconds).
        curve: One row per number of triggers k = 1, 2, …, which is the index ``num_triggers``: num_trained (triggers of
            the best schedule of at most k), value_choosing and value_scoring (its metric over the test samples that are
            served, on the half that it was chosen on and on the other), trigger_indices (its triggers, in the dense
            run, as a tuple).
        num_served: Test samples that are served in either half, shape (2,), the choosing one first.
        reasons: Why the models may differ from those of a run with these triggers alone; see ``reasons_against``.
    """

    path: Path
    manifest: dict[str, Any]
    metric: str
    variant: str
    seed: int
    candidates: pd.DataFrame
    curve: pd.DataFrame
    num_served: IntArray
    reasons: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Say what the curve is: a ``bound`` or, for the ``reasons``, a ``reference``.

        No run that triggers at candidates alone, the first of them included, is above a bound on the choosing half.
        """
        return "reference" if self.reasons else "bound"

    def at(self, num_triggers: int) -> pd.Series:
        """Return the curve's row of a number of triggers; beyond the number of candidates, the last one.

        Raises:
            RequestError: If it is below 1, or beyond where the curve was cut off.
        """
        if num_triggers < 1 or len(self.curve) < min(num_triggers, len(self.candidates)):
            raise RequestError(
                f"num_triggers={num_triggers} is not on the curve, which reaches from 1 to {len(self.curve)}: "
                "raise max_triggers"
            )
        return self.curve.iloc[min(num_triggers, len(self.curve)) - 1]

    def at_price(self, price: float) -> pd.Series:
        r"""Return the curve's row that is best where a training costs something, the first of equal ones.

        .. math:: \min_k \; n \, \bar e_k + \text{price} \cdot |S_k|

        with the mean error or loss :math:`\bar e_k` of the best schedule :math:`S_k` on the choosing half, and n the
        served test samples of both halves.

        Args:
            price: Errors, or units of loss, that a training costs as much as.

        Raises:
            RequestError: If it is negative.
        """
        if not price >= 0:
            raise RequestError(f"price={price} must be a number of errors, at least 0")
        values = self.curve["value_choosing"].to_numpy()
        errors = 1.0 - values if find_metric(self.metric).higher_is_better else values
        totals = errors * self.num_served.sum() + price * self.curve["num_trained"].to_numpy()
        return self.curve.iloc[int(totals.argmin())]


def find_oracle(
    dense_run: Path,
    *,
    metric: str = "accuracy",
    variant: str = "currently_active",
    max_triggers: int | None = None,
    first_trigger: int | None = None,
    seed: int = 0,
) -> Oracle:
    """Find the best part of a dense run's triggers for every number of triggers.

    Every test sample is answered by the model that is in service at its own time, as in windows of one second. All
    schedules begin with the same trigger: preprocessing is fitted on its data, and they serve the same samples.

    Args:
        dense_run: The directory of a finished run that trained whenever training comes into question.
        metric: What is best: ``accuracy``, ``top_<k>_accuracy`` or ``loss``.
        variant: ``currently_active`` or ``currently_trained``.
        max_triggers: Where to cut off the curve; ``None``: at the number of candidates.
        first_trigger: Index of the dense run's trigger that all schedules begin with, such as that of a policy's first;
            those before are no candidates. ``None``: the first that trained.
        seed: Of the halves of the test split.

    Raises:
        RequestError: If the metric is no sum over samples, nothing was trained, or too little is served to be halved.
        RunError: If the run is not finished, locked or damaged.
    """
    check_objective(metric, variant)
    if max_triggers is not None and max_triggers < 1:
        raise RequestError(f"max_triggers={max_triggers} must be at least 1, or None for all")
    with finished_run(dense_run) as run:
        trained = trainings(run)
        candidates = _from(trained, first_trigger, run)
        times, _ = run.test_split()
        available_at = candidates["available_at"].to_numpy()
        half = halves(len(times), seed) & in_service(times, int(available_at[0]), variant)
        num_served = half.sum(axis=1)
        if not num_served.all():
            raise RequestError(
                f"{dense_run} serves {num_served.sum()} test samples after its first model, too few to be halved: "
                "take a test split with more"
            )
        cumulative = _cumulative(run, metric, half, candidates)
        manifest = run.manifest
    choosing, scoring = (Segments.of(part, variant) for part in cumulative)
    schedules = best_schedules(choosing, max_triggers=max_triggers)
    costs = np.array([[part.cost(schedule) for part in (choosing, scoring)] for schedule in schedules])
    values = as_value(metric, costs, num_served)
    indices = candidates["trigger_index"].tolist()
    curve = pd.DataFrame(
        {
            "num_trained": [len(schedule) for schedule in schedules],
            "value_choosing": values[:, 0],
            "value_scoring": values[:, 1],
            "trigger_indices": [tuple(indices[place] for place in schedule) for schedule in schedules],
        },
        index=pd.RangeIndex(1, len(schedules) + 1, name="num_triggers"),
    )
    reasons = reasons_against(manifest["config"], from_the_first=len(candidates) == len(trained))
    return Oracle(Path(dense_run), manifest, metric, variant, seed, candidates, curve, num_served, reasons)


def _from(trained: pd.DataFrame, first_trigger: int | None, run: RunDirectory) -> pd.DataFrame:
    """Return the trainings from a trigger on."""
    if first_trigger is None:
        return trained
    if first_trigger not in trained["trigger_index"].to_numpy():
        raise RequestError(
            f"first_trigger={first_trigger} trained no model in {run.path}: its triggers that did are among "
            f"{trained['trigger_index'].iloc[0]}..{trained['trigger_index'].iloc[-1]}"
        )
    return trained[trained["trigger_index"] >= first_trigger].reset_index(drop=True)


def _cumulative(run: RunDirectory, metric: str, half: np.ndarray, candidates: pd.DataFrame) -> FloatArray:
    """Return what every candidate's model costs in either half, as ``cumulate`` sums it, shape (2, K, K + 1)."""
    times, labels = run.test_split()
    available_at = candidates["available_at"].to_numpy()
    rows = []
    for model_id in candidates["model_id"].tolist():
        costs = costs_of(run, model_id, metric, labels)
        rows.append([cumulate(np.where(own, costs, 0.0), times, available_at) for own in half])
    return np.stack(rows, axis=1)
