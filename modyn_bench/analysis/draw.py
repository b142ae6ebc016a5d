"""Draw a run's figures into its directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.frames import VARIANTS
from modyn_bench.runs.evaluations import config_of
from modyn_bench.runs.files import read_table
from modyn_bench.runs.manifest import read_manifest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FIGURES = ("evaluation_heatmap", "composite_over_time", "cost_by_stage")
"""Names of a run's figures, in the order in which they are shown."""


def figure_paths(folder: Path) -> list[Path]:
    """Return the paths of the figures that a run directory, or an evaluation in it, holds."""
    paths = (folder / "figures" / f"{name}.png" for name in FIGURES)
    return [path for path in paths if path.is_file()]


def draw_run(
    run: Path, evaluation: Path | None = None, *, metric: str | None = None, window_set: str | None = None
) -> list[Path]:
    """Draw a finished run's evaluation matrix, composite metric over time and cost by stage.

    Args:
        run: The run's directory, with its tables.
        evaluation: The folder of an evaluation under other options, to draw and to draw into; default: the run's own.
        metric: Default: the first of the evaluation's metrics.
        window_set: Default: the first of its windows; for the composite metric, the first that is no offset from a
            model's data, of which no composite model is made.

    Returns:
        The paths of the figures. A figure for which the run has no data (no trigger fired, say) is left out.

    Raises:
        RunError: If a table is missing or unreadable.
        RequestError: If the run has no such metric or window set.
    """
    from modyn_bench.analysis.figures.composite_over_time import composite_over_time
    from modyn_bench.analysis.figures.cost_by_stage import cost_by_stage
    from modyn_bench.analysis.figures.evaluation_heatmap import evaluation_heatmap

    tables = {name: read_table(run / f"{name}.parquet").to_pandas() for name in ("triggers", "models", "stages")}
    evaluated = run if evaluation is None else evaluation
    tables["evaluations"] = read_table(evaluated / "evaluations.parquet").to_pandas()
    folder = evaluated / "figures"
    folder.mkdir(exist_ok=True)
    evaluations, stages = tables["evaluations"], tables["stages"]
    axes: dict[str, Axes] = {}
    if len(evaluations):
        config = config_of(evaluated, read_manifest(run))
        metric = metric or _first(config.get("metrics"), evaluations["metric"])
        of_metric = evaluations[evaluations["metric"] == metric]
        first = window_set or _first(config.get("windows"), of_metric["window_set"])
        axes["evaluation_heatmap"] = evaluation_heatmap(of_metric, tables["models"], window_set=first)
        composed = of_metric[of_metric[list(VARIANTS)].any(axis=1)]  # windows relative to a model have no composite
        if window_set is not None:
            composed = composed[composed["window_set"] == window_set]
        if len(composed):
            first = _first(config.get("windows"), composed["window_set"])
            axes["composite_over_time"] = composite_over_time(of_metric, window_set=first, triggers=tables["triggers"])
    if stages["seconds"].sum() > 0:
        axes["cost_by_stage"] = cost_by_stage(stages, tables["triggers"])
    return [save(drawn, folder / f"{name}.png") for name, drawn in axes.items()]


def save(ax: Axes, path: Path, *, dpi: int = 200) -> Path:
    """Write the figure that holds the axes; the file's suffix says how (png, pdf, svg)."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(path.suffix[1:])
    figure.savefig(path, dpi=dpi, metadata=undated)
    return path


def _first(wanted: Iterable[str] | None, present: pd.Series) -> str:
    """The first of the configured names that the table has, else the table's first."""
    there = set(present.unique())
    return next((name for name in wanted or () if name in there), str(present.iloc[0]))
