"""How many samples a second each stage, or each way to do one thing, handles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

from modyn_bench.analysis import style
from modyn_bench.analysis.amounts import AmountFormatter, short
from modyn_bench.analysis.frames import check_rows, places_of
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.costs import summarise_stages

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGES = ("select", "score", "train", "predict")
"""What handles samples. Replaying hands out views of them, and deciding and committing take their time by trigger."""

_VALUE = "samples_per_second"


@style.styled
def throughput(
    rates: pd.DataFrame,
    *,
    panel: str = "stage",
    panels: Sequence[str] | None = None,
    by: str = "policy",
    order: Mapping[str, int] | None = None,
    column: style.Column = "double",
) -> list[Axes]:
    """Draw a panel per stage, and in it a bar per pipeline: the mean over its runs, and one standard deviation.

    Panels have scales of their own, all from zero. A pipeline that a panel has no rate of has no bar there.

    Args:
        rates: One row per run and panel, with a column ``samples_per_second``; such as ``samples_per_second`` makes.
        panel: The column that names the panels.
        panels: Those to draw, in order; default: all, in order of appearance.
        by: The column that names the runs that differ by seed only.
        order: The place of each pipeline, which is its row and its colour; default: in order of appearance.
        column: How wide the figure is: as one column of a two-column paper, or as both (``double``).

    Returns:
        The axes of each panel.

    Raises:
        RequestError: If there is nothing to draw, or no such panel.
    """
    check_rows(rates, [by, panel, _VALUE], name="rates")
    there = [str(name) for name in dict.fromkeys(rates[panel])]
    panels = there if panels is None else panels
    absent = [name for name in panels if name not in there]
    if absent or not panels:
        raise RequestError(f"panels={list(panels)}: there is no {', '.join(absent)}; there is {', '.join(there)}")
    rates = rates[rates[panel].isin(list(panels))]
    counts = rates.groupby([by, panel], sort=False).size().groupby(level=0, sort=False).max()
    places = places_of([str(name) for name in counts.index], order)
    pipelines = sorted(counts.index, key=lambda name: places[str(name)])
    names = [f"{name} (n = {counts[name]})" if counts[name] > 1 else str(name) for name in pipelines]
    drawn = _new_panels(names, len(panels), column, note=bool((counts > 1).any()))
    for ax, name in zip(drawn, panels, strict=True):
        values = rates[rates[panel] == name].groupby(by, sort=False)[_VALUE]
        table = pd.DataFrame({"mean": values.mean(), "std": values.std(ddof=1)}).reindex(pipelines)
        _draw_bars(ax, table, [places[str(pipeline)] for pipeline in pipelines])
        ax.set_title("\n".join(style.wrapped([name], 28 if column == "double" else 18)))
    return drawn


def samples_per_second(stages: pd.DataFrame, *, by: str = "policy") -> pd.DataFrame:
    """Return how many samples a second each stage of each run handled, in the order of the loop.

    A sample counts in ``train`` as often as it is trained on, once per epoch; in the other stages as often as it is
    handled. Stages that handle none are left out.

    Args:
        stages: Rows of ``stages.parquet`` with a column ``run_id`` and the column ``by``.
        by: The column that names the runs that differ by seed only.

    Returns:
        One row per run and stage of ``STAGES``: the column ``by``, run_id, stage, samples_per_second.

    Example:
        >>> columns = ["policy", "run_id", "stage", "seconds", "num_samples", "forward_passes", "backward_passes"]
        >>> rows = [["a", "0", "train", 2.0, 100, 300.0, 300.0], ["a", "0", "commit", 1.0, 0, 0.0, 0.0]]
        >>> samples_per_second(pd.DataFrame(rows, columns=columns)).values.tolist()
        [['a', '0', 'train', 150.0]]
    """
    check_rows(stages, [by, "run_id", "stage"], name="stages")
    summed = summarise_stages(stages, by=(by, "run_id"))
    handled = summed["num_samples"].where(summed["stage"] != "train", summed["backward_passes"])
    some = summed["stage"].isin(STAGES) & (handled > 0) & (summed["seconds"] > 0)
    rates = summed.assign(**{_VALUE: handled / summed["seconds"]})[some]
    rates = rates.sort_values("stage", key=lambda names: names.map(STAGES.index), kind="stable")
    return rates[[by, "run_id", "stage", _VALUE]]


def _new_panels(names: Sequence[str], num_panels: int, column: style.Column, *, note: bool) -> list[Axes]:
    """Return empty panels side by side, the rows of the first of them named."""
    rows = style.row_names(names, style.width_of(column))
    height = 0.85 + float(np.maximum(0.22, style.row_heights(rows)).max()) * len(rows)
    figure = style.new_figure(column, height)
    axes = list(figure.subplots(1, num_panels, sharey=True, squeeze=False)[0])
    axes[0].set_yticks(range(len(rows)), rows)
    axes[0].set_ylim(len(rows) - 0.45, -0.55)
    whiskers = "\nWhiskers: ± one standard deviation over n runs" if note else ""
    figure.supxlabel(f"Samples per second{whiskers}", fontsize=8)
    return axes


def _draw_bars(ax: Axes, table: pd.DataFrame, places: Sequence[int]) -> None:
    """Draw a bar per pipeline, its number beside it, on a scale that begins at zero.

    Args:
        ax: An empty panel.
        table: mean and std of each pipeline, from the top; NaN where there is none.
        places: Of the pipelines, among the looks.
    """
    numbers = table[["mean", "std"]].to_numpy(dtype=np.float64)
    for row, ((mean, std), place) in enumerate(zip(numbers, places, strict=True)):
        if np.isnan(mean):
            continue
        color, hatch = style.look(place).color, style.HATCHES[place % len(style.HATCHES)]
        ax.barh(row, mean, height=0.7, color=color, hatch=hatch, edgecolor="white", linewidth=0.0)
        if not np.isnan(std):
            _, ends, lines = ax.errorbar(mean, row, xerr=std, color="black", elinewidth=0.8, capsize=2)
            for line in (*ends, *lines):  # to be seen on a black bar, too
                line.set_path_effects([Stroke(linewidth=2, foreground="white"), Normal()])
        end = mean + np.nan_to_num(std)
        ax.annotate(short([mean])[0], (end, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6)
    ax.set_xlim(0.0, 1.35 * float(np.nanmax(numbers[:, 0] + np.nan_to_num(numbers[:, 1]))))  # room for the numbers
    ax.xaxis.set_major_locator(MaxNLocator(2))
    ax.xaxis.set_major_formatter(AmountFormatter())
    ax.tick_params(axis="y", length=0)
