"""A W&B workspace that compares the runs of a project: what it shows is made from their tables, and then saved.

Sections: composite models over stream time; what they cost, and what they reach for it; what differs between runs;
decisions; tables. Runs are grouped by their policy, which is readable, and their pipeline, which is the same for those
alone that differ by nothing but the seed. Panels are grouped as the runs are, so that lines are means over seeds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modyn_bench.errors import RequestError, RunError
from modyn_bench.evaluation.composite import VARIANTS
from modyn_bench.evaluation.costs import STAGES
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.runs.load import Runs
from modyn_bench.runs.naming import differing_keys
from modyn_bench.runs.wandb_errors import wandb_errors
from modyn_bench.timespan import SECONDS_PER_UNIT

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

MAX_AXES = 12
"""The most configuration keys of the parallel coordinates: more cannot be read."""

_SHOWN = "currently_active"


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to be shown of a project's runs, as ``WandbObserver`` names it.

    Attributes:
        axis: ``stream_time``, or ``stream_days`` where all streams are shorter than a year.
        scores: Window set, metric and first aggregate of every composite.
        stages: Stages that took time, in the order of the loop.
        policies: Deciding policies, ensemble members as ``ensemble/drift``, that have a score.
        differing: Keys of W&B's config in which runs differ, but for the policy's name.
        num_datasets: How many there are.
    """

    axis: str
    scores: tuple[tuple[str, str, str], ...]
    stages: tuple[str, ...]
    policies: tuple[str, ...]
    differing: tuple[str, ...]
    num_datasets: int

    @classmethod
    def of(cls, runs: Runs) -> Shown:
        """Find out what finished runs have in their tables."""
        fired = runs.triggers.groupby("run_id")
        spans = fired["fired_at"].max() - fired["first_timestamp"].min()
        years = bool((spans >= SECONDS_PER_UNIT["y"]).any())
        composites = runs.composite.drop_duplicates(["window_set", "metric"])
        taken = set(runs.stages["stage"])
        scored = runs.decisions.dropna(subset=["score"])
        return cls(
            axis="stream_time" if years else "stream_days",
            scores=tuple(composites[["window_set", "metric", "aggregate"]].itertuples(index=False, name=None)),
            stages=(*(stage for stage in STAGES if stage in taken), *sorted(taken - {*STAGES})),
            policies=tuple(dict.fromkeys(scored["policy"])),
            differing=tuple(differing_keys(list(runs.manifests.values()))),
            num_datasets=runs.configs["dataset"].nunique(),
        )


def build_workspace(entity: str, project: str, name: str, shown: Shown) -> ws.Workspace:
    """Build a workspace; nothing is saved.

    Args:
        entity: The user or team.
        project: The project.
        name: What the workspace is called.
        shown: What there is to be shown.

    Raises:
        RequestError: If wandb-workspaces is not installed.
    """
    check_installed()
    import wandb_workspaces.workspaces as ws

    sections = [
        ws.Section(name=title, panels=panels, is_open=True)
        for title, make in _SECTIONS.items()
        if (panels := list(make(shown)))
    ]
    grouped = [*(["chosen.dataset"] if shown.num_datasets > 1 else []), "policy", "pipeline"]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis=shown.axis, max_runs=100),
        runset_settings=ws.RunsetSettings(groupby=[ws.Config(key) for key in grouped]),
    )


def save_workspace(workspace: ws.Workspace) -> str:
    """Save a workspace as a new view of its project, and return the address of its page.

    Raises:
        RunError: If the server cannot be asked, or refuses.
    """
    failures: tuple[type[Exception], ...] = (*wandb_errors(), TypeError, KeyError)
    try:
        workspace.save()  # type: ignore[no-untyped-call]
        return str(workspace.url)
    except failures as error:
        raise RunError(f"the workspace could not be saved ({error}): may this login write to the project?") from error


def check_installed() -> None:
    """Check that wandb-workspaces is installed.

    Raises:
        RequestError: If it is not.
    """
    try:
        import wandb_workspaces.workspaces  # noqa: F401
    except ImportError as error:
        raise RequestError("a workspace needs wandb-workspaces: pip install 'modyn_bench[workspaces]'") from error


def _over_time(shown: Shown) -> Iterator[wr.LinePlot]:
    """The composite models by every metric, one line per policy: mean over seeds, and their range."""
    for window_set, metric, _ in shown.scores:
        for variant in VARIANTS:
            yield _line(
                f"{axis_label(metric)} of the {_words(variant)} model, {window_set} windows",
                f"window/{window_set}/{variant}/{metric}",
                shown,
            )


def _against_cost(shown: Shown) -> Iterator[wr.ScatterPlot]:
    import wandb_workspaces.reports.v2 as wr

    for window_set, metric, aggregate in shown.scores:
        for cost in ("total/sample_passes", "total/num_triggers"):
            yield wr.ScatterPlot(
                title=f"{axis_label(metric)} ({_words(aggregate)}), {window_set} windows, against {_words(cost)}",
                x=wr.SummaryMetric(cost),
                y=wr.SummaryMetric(_composite(window_set, metric, aggregate)),
            )


def _what_differs(shown: Shown) -> Iterator[wr.ParallelCoordinatesPlot]:
    """One line per run over what differs, what it cost and what it reached."""
    import wandb_workspaces.reports.v2 as wr

    if not shown.differing:
        return
    columns = [
        wr.ParallelCoordinatesPlotColumn(metric=wr.Config(key), display_name=key) for key in shown.differing[:MAX_AXES]
    ]
    columns += [
        wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(key), display_name=_words(key))
        for key in ("total/num_triggers", "total/sample_passes", "total/seconds")
    ]
    columns += [
        wr.ParallelCoordinatesPlotColumn(
            metric=wr.SummaryMetric(_composite(window_set, metric, aggregate)),
            display_name=f"{_words(metric)}, {window_set}",
            inverted=not HIGHER_IS_BETTER[metric] or None,
        )
        for window_set, metric, aggregate in shown.scores
    ]
    yield wr.ParallelCoordinatesPlot(title="Configuration, cost and score", columns=columns)


def _costs(shown: Shown) -> Iterator[wr.BarPlot | wr.LinePlot]:
    import wandb_workspaces.reports.v2 as wr

    bars = [("Seconds by stage", [f"total/seconds/{stage}" for stage in shown.stages])]
    bars += [(_words(key).capitalize(), [key]) for key in ("total/sample_passes", "total/num_triggers")]
    for title, metrics in bars:
        yield wr.BarPlot(title=title, metrics=[*metrics], groupby_aggfunc="mean")
    for key in ("num_triggers", "forward_passes", "backward_passes", "seconds"):
        yield _line(f"{_words(key).capitalize()} so far", f"cumulative/{key}", shown)


def _decisions(shown: Shown) -> Iterator[wr.LinePlot]:
    """Every policy's score with its threshold, run by run: a mean over runs that fire elsewhere says nothing."""
    import wandb_workspaces.reports.v2 as wr

    for policy in shown.policies:
        yield wr.LinePlot(
            title=f"{policy}: score and threshold",
            x=shown.axis,
            y=[f"decision/{policy}/score", f"decision/{policy}/threshold"],
        )


def _tables(shown: Shown) -> Iterator[wr.WeavePanelSummaryTable]:
    import wandb_workspaces.reports.v2 as wr

    for name in ("composite", *dict.fromkeys(f"evaluations/{window_set}" for window_set, _, _ in shown.scores)):
        yield wr.WeavePanelSummaryTable(table_name=name)


_SECTIONS: dict[str, Callable[[Shown], Iterator[Any]]] = {
    "Composite models over time": _over_time,
    "Score against cost": _against_cost,
    "What differs": _what_differs,
    "Costs": _costs,
    "Decisions": _decisions,
    "Tables": _tables,
}


def _line(title: str, metric: str, shown: Shown) -> wr.LinePlot:
    import wandb_workspaces.reports.v2 as wr

    return wr.LinePlot(
        title=title,
        x=shown.axis,
        y=[metric],
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
    )


def _composite(window_set: str, metric: str, aggregate: str) -> str:
    return f"composite/{window_set}/{_SHOWN}/{metric}/{aggregate}"


def _words(name: str) -> str:
    """Return a name as words, without the group it stands in: ``total/num_triggers`` is of triggers."""
    return re.sub(r"^num ", "", name.rpartition("/")[2].replace("_", " "))
