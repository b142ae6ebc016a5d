"""The charts of one comparison: on the page, and as files for papers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modyn_bench.analysis.cohorts import Cohort
from modyn_bench.analysis.draw import save
from modyn_bench.analysis.figures.composite_over_time import composite_over_time
from modyn_bench.analysis.figures.evaluation_heatmap import evaluation_heatmap
from modyn_bench.analysis.figures.pareto import MOST_NAMED, pareto
from modyn_bench.analysis.page import heatmap, over_time
from modyn_bench.analysis.page import pareto as page_pareto
from modyn_bench.analysis.page.section import Chart, Choice
from modyn_bench.analysis.report.text import shown_aggregate
from modyn_bench.analysis.style import figure_of
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.runs.load import Runs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MAX_LINES = 8
"""The most policies that are drawn over time, and whose matrices and costs are drawn: the best ones."""

MAX_CELLS = 150_000
"""The most cells of matrices that a comparison puts on the page, but for the best policy's: about a megabyte."""

VARIANT = "currently_active"
"""Of the figures; the tables have both composite models."""

_COSTS = {"sample_passes": "Sample passes", "num_triggers": "Triggers"}


@dataclass(frozen=True)
class Compared:
    """The runs of a cohort, compared by one metric.

    Attributes:
        runs: All runs.
        cohort: Those that are compared.
        rows: As ``compare_runs`` returns them, of the metric.
        order: The place of each policy among colours and marks.
        folder: Where figures are written.
    """

    runs: Runs
    cohort: Cohort
    rows: pd.DataFrame
    order: Mapping[str, int]
    folder: Path

    @property
    def metric(self) -> str:
        """The metric."""
        return str(self.rows["metric"].iloc[0])

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value is a better one."""
        return HIGHER_IS_BETTER[self.metric]

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row per run: what the figures show of it."""
        shown = self.rows["aggregate"] == shown_aggregate(self.rows)
        return self.rows[shown & (self.rows["variant"] == VARIANT)]

    @cached_property
    def ranked(self) -> list[str]:
        """The policies, the best first."""
        return ranked(self.points, higher_is_better=self.higher_is_better)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The evaluations of the runs whose policies are drawn over time, with their ``policy``."""
        of_run = self.runs.evaluations["run_id"].map(self.cohort.policies)
        compared = self.runs.evaluations["run_id"].isin(self.points["run_id"])
        evaluations = self.runs.evaluations[compared & of_run.isin(self.ranked[:MAX_LINES])]
        wanted = (evaluations["metric"] == self.metric) & (evaluations["window_set"] == self.cohort.window_set)
        evaluations = evaluations[wanted]
        return evaluations.assign(policy=evaluations["run_id"].map(self.cohort.policies))

    @property
    def wanted(self) -> dict[str, Any]:
        """What the figures are told to show."""
        return {"metric": self.metric, "window_set": self.cohort.window_set}

    def evaluated(self, run_id: str) -> str:
        """Return which models a run evaluated in every window: ``all``, or none but those of a ``composite``."""
        return str(self.runs.manifests[run_id]["config"]["evaluation"].get("models", "all"))

    def best(self, count: int) -> str:
        """Say that the best so many policies are shown, where there are more."""
        return "" if len(self.ranked) <= count else f" The best {count} of {len(self.ranked)} policies."

    def files(self, ax: Axes, *names: str) -> list[Path]:
        """Write a figure for papers."""
        return save_files(ax, self.folder, (self.cohort.dataset, self.cohort.window_set, self.metric, *names))


def charts(compared: Compared) -> list[Chart]:
    """Draw value against cost, the composite model over time, and the evaluation matrices."""
    if compared.points.empty:
        return []
    return [_pareto(compared), _over_time(compared), _heatmaps(compared)]


def ranked(points: pd.DataFrame, *, higher_is_better: bool) -> list[str]:
    """Return policies by their mean value, the best first."""
    means = points.groupby("policy", sort=False)["value"].mean()
    return [str(name) for name in means.sort_values(ascending=not higher_is_better, kind="stable").index]


def slug(*names: str) -> str:
    """Make a file's name of names."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(names))


def save_files(ax: Axes, folder: Path, names: Sequence[str]) -> list[Path]:
    """Write a figure as PNG and as PDF, laid out once."""
    path = folder / f"{slug(*names)}.png"
    save(ax, path)
    figure_of(ax).set_layout_engine("none")  # what was laid out stays
    return [path, save(ax, path.with_suffix(".pdf"))]


def _pareto(compared: Compared) -> Chart:
    points, label = compared.points, axis_label(compared.metric)
    aggregate = str(points["aggregate"].iloc[0]).replace("_", " ")
    over = f"({aggregate} over {points['num_windows'].iloc[0]} windows)"
    choices = []
    for cost, cost_label in _COSTS.items():
        look: dict[str, Any] = {
            "cost": cost,
            "by": "policy",
            "cost_label": cost_label,
            "value_label": f"{label}, currently active\n{over}",
            "higher_is_better": compared.higher_is_better,
            "order": compared.order,
        }
        files = compared.files(pareto(points, **look), f"pareto_{cost}")
        choices.append(Choice(cost_label, page_pareto.pareto(points, **look), files))
    beaten = "hollow" if len(compared.ranked) <= MOST_NAMED else "a grey dot"
    caption = (
        f"{label} against cost: mean and standard deviation over n runs; {beaten} where another policy's means are "
        "both at least as good, and one of them is better."
    )
    return Chart("Value against cost", caption, choices, choose="Cost")


def _over_time(compared: Compared) -> Chart:
    look: dict[str, Any] = {**compared.wanted, "by": "policy", "order": compared.order}
    files = compared.files(composite_over_time(compared.cells, variants=[VARIANT], **look), "composite_over_time")
    figure = over_time.over_time(compared.cells, variant=VARIANT, **look)
    several = compared.points["policy"].duplicated().any()
    seeds = "; mean over n runs, where all of them have a value, in a band of one standard deviation" if several else ""
    caption = f"{axis_label(compared.metric)} of the currently active model over stream time, in all windows{seeds}."
    return Chart("Over time", caption + compared.best(MAX_LINES), [Choice("", figure, files)])


def _heatmaps(compared: Compared) -> Chart:
    runs = list(_representatives(compared))
    tables = [rows for _, _, rows in runs]
    look: dict[str, Any] = {**compared.wanted, "limits": heatmap.limits(tables)}
    choices = []
    for policy, run_id, rows in runs:
        models = compared.runs.models[compared.runs.models["run_id"] == run_id]
        number = f"{compared.order[policy] + 1:02d}"
        files = compared.files(evaluation_heatmap(rows, models, **look), "evaluation_heatmap", number, policy[:60])
        figure = heatmap.heatmap(rows, models, **look)
        choices.append(Choice(_run_name(compared, policy, run_id), figure, files))
    full = all(compared.evaluated(run_id) == "all" for _, run_id, _ in runs)
    shown = "every model in every window" if full else "models in the windows in which they were evaluated"
    caption = (
        f"{axis_label(compared.metric)} of {shown}, of each policy's run that is nearest to its mean. Dots are the "
        "models that serve; frames are the data that was new to a model; grey is undefined"
    )
    caption += "." if full else " or not evaluated, as evaluation.models=composite leaves out what serves nowhere."
    return Chart("Evaluation matrix", caption + compared.best(len(runs)), choices, choose="Pipeline")


def _representatives(compared: Compared) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield the best policies, of each the run that is nearest to its mean, and its cells, while there is room."""
    num_cells = 0
    for policy in compared.ranked[:MAX_LINES]:
        own = compared.points[compared.points["policy"] == policy]
        nearest = int((own["value"] - own["value"].mean()).abs().to_numpy(dtype=np.float64).argmin())
        run_id = str(own["run_id"].iloc[nearest])
        rows = compared.cells[compared.cells["run_id"] == run_id]
        num_cells += len(rows)
        if num_cells > MAX_CELLS and policy != compared.ranked[0]:
            return
        yield policy, run_id, rows


def _run_name(compared: Compared, policy: str, run_id: str) -> str:
    """Name a run by its policy and, where there are several, its seed."""
    own = compared.points[compared.points["policy"] == policy].set_index("run_id")
    return policy if len(own) == 1 else f"{policy} (seed {own['seed'].loc[run_id]})"
