"""What pipelines have cost up to each point of the stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from modyn_bench.analysis import style
from modyn_bench.analysis.amounts import AmountFormatter
from modyn_bench.analysis.frames import Group, check_rows, grouped, over_runs
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.costs import EVALUATION_STAGES
from modyn_bench.types import BACKWARD, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CumulativeQuantity = Literal["sample_passes", "seconds"]

QUANTITY_LABELS = {"sample_passes": "Sample passes so far\n(forward + 2 × backward)", "seconds": "Time so far (s)"}


@style.styled
def cumulative_costs(
    stages: pd.DataFrame,
    triggers: pd.DataFrame,
    *,
    quantity: CumulativeQuantity = "sample_passes",
    end: int | None = None,
    by: str | None = None,
    order: Mapping[str, int] | None = None,
    column: style.Column = "single",
    ax: Axes | None = None,
) -> Axes:
    """Draw the cost up to each point of stream time, a step at every trigger, with a mark at every training.

    A step holds what was used since the trigger before, deciding included; what the evaluation's predictions cost is
    left out, as in every comparison of pipelines. What was used after the last trigger is added at the end.

    Args:
        stages: Rows of ``stages.parquet``; of several runs with a column ``run_id``.
        triggers: Rows of their ``triggers.parquet``.
        quantity: ``sample_passes`` (forward + 2 × backward) or ``seconds``.
        end: Stream time at which lines end; default: the last trigger of any run.
        by: The column that names a group of runs, in both frames; default: all rows are one group's.
        order: The place of each group among colours, line styles and markers; default: in order of appearance.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw, or no such quantity.
    """
    if quantity not in QUANTITY_LABELS:
        raise RequestError(f"quantity={quantity!r} must be one of {', '.join(QUANTITY_LABELS)}")
    columns = ["trigger_index", "stage", "seconds", "forward_passes", "backward_passes"]
    check_rows(stages, columns, name="stages")
    check_rows(triggers, ["trigger_index", "fired_at", "model_id"], name="triggers")
    first = int(triggers["fired_at"].min())
    last = int(triggers["fired_at"].max()) if end is None else end
    groups = grouped(stages, by=by, order=order, name="stages")
    own = ax is None
    ax = style.new_axes(column, 2.2) if ax is None else ax
    for group in groups:
        runs = [spent(run, _triggers_of(run, triggers), quantity=quantity, end=last) for run in group.runs]
        _draw(ax, group, runs, first=first, last=last)
    style.date_axis(ax)
    ax.set_ylabel(QUANTITY_LABELS[quantity])
    ax.set_ylim(bottom=0.0)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(AmountFormatter())
    ax.grid(axis="y")
    several = any(len(group.runs) > 1 for group in groups)
    style.legend_below(ax, grow=own, note="Marks: trainings" + f". {style.BAND}" * several)
    return ax


def spent(stages: pd.DataFrame, triggers: pd.DataFrame, *, quantity: CumulativeQuantity, end: int) -> pd.DataFrame:
    """Return what a run had used at each of its triggers, and at the end, the evaluation's predictions left out.

    Args:
        stages: Rows of one run's ``stages.parquet``.
        triggers: Rows of its ``triggers.parquet``.
        quantity: What is summed.
        end: Stream time of what was used after the last trigger.

    Returns:
        One row per trigger and one for the end, by time: at, total (up to and including it), trained (whether a model
        was).

    Raises:
        RequestError: If stages belong to a trigger that there is not.
    """
    counted = stages[~stages["stage"].isin(EVALUATION_STAGES)]
    passes = counted["forward_passes"] + BACKWARD * counted["backward_passes"]
    used = counted["seconds"] if quantity == "seconds" else passes
    index = counted["trigger_index"].astype("Int64")
    by_trigger = used[index.notna()].groupby(index[index.notna()]).sum()
    if not by_trigger.index.isin(triggers["trigger_index"]).all():
        raise RequestError("triggers lacks some of the triggers in stages: take both from the same runs")
    rows = triggers[["fired_at", "model_id"]].assign(
        used=triggers["trigger_index"].map(by_trigger).fillna(0.0).astype(np.float64)
    )
    at = [*rows["fired_at"].astype(np.int64), max(end, int(rows["fired_at"].max()) if len(rows) else end)]
    total = np.cumsum([*rows["used"], float(used[index.isna()].sum())])
    return pd.DataFrame({"at": at, "total": total, "trained": [*rows["model_id"].notna(), False]})


def _triggers_of(run: pd.DataFrame, triggers: pd.DataFrame) -> pd.DataFrame:
    own = triggers if "run_id" not in run else triggers[triggers["run_id"] == run["run_id"].iloc[0]]
    return own.sort_values("trigger_index")


def _draw(ax: Axes, group: Group, runs: list[pd.DataFrame], *, first: int, last: int) -> None:
    """Draw a group's mean over its runs as steps, and a mark on it where any of them trained."""
    times: IntArray = np.unique(np.concatenate([[first, last], *(run["at"].to_numpy() for run in runs)]))
    totals = pd.DataFrame({number: _at(run, times) for number, run in enumerate(runs)})
    mean, std = over_runs(totals)
    look = style.look(group.place)
    x = style.dates(times)
    ax.plot(x, mean, color=look.color, linestyle=look.line, linewidth=1.0, drawstyle="steps-post")
    if std is not None:
        ax.fill_between(x, mean - std, mean + std, step="post", color=look.color, alpha=0.15, linewidth=0)
    trained = np.isin(times, np.concatenate([run.loc[run["trained"], "at"].to_numpy() for run in runs]))
    ax.plot(
        x,
        mean,
        color=look.color,
        linestyle="none",
        marker=look.marker,
        markevery=np.flatnonzero(trained).tolist(),
        markersize=2.8 if trained.sum() <= 60 else 1.5,
        markeredgewidth=0.0,
    )
    ax.plot(
        [], [], color=look.color, linestyle=look.line, marker=look.marker, markersize=3, label=group.label or "cost"
    )


def _at(run: pd.DataFrame, times: IntArray) -> FloatArray:
    """What a run had used by each of several times."""
    place = np.searchsorted(run["at"].to_numpy(), times, side="right") - 1
    totals: FloatArray = np.concatenate([run["total"].to_numpy(dtype=np.float64), [0.0]])
    return totals[place]
