"""The summary that ends a run, from the tables in its directory; also for a run that was done before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modyn_bench.analysis.draw import figure_paths
from modyn_bench.analysis.text import lay_out
from modyn_bench.runs.files import read_table
from modyn_bench.runs.parts import MODEL, TRIGGERS
from modyn_bench.timespan import format_time
from modyn_bench.tracking.missing import Missing, missing_values
from modyn_bench.tracking.silent import never_fired

Row = dict[str, Any]

_AGGREGATES = {
    "mean": "mean over windows",
    "time_weighted": "weighted by time",
    "sample_weighted": "weighted by samples",
}
_VARIANTS = {"currently_active": "currently active", "currently_trained": "currently trained"}


@dataclass(frozen=True, slots=True)
class RunTotals:
    """What a finished run did and reached, from its tables alone.

    Attributes:
        path: The run's directory.
        num_triggers: Triggers that fired.
        num_models: Models that were trained.
        first_fired_at: Stream time of the first trigger, ``None`` if none fired.
        last_fired_at: Stream time of the last one.
        num_arrived: Samples that arrived.
        num_left: How many of these arrived after the last trigger.
        num_selected: Samples in all trigger training sets.
        forward_passes: Sample passes forward, of training.
        backward_passes: Sample passes backward.
        num_optimizer_steps: Optimiser steps.
        seconds: By stage, in order of first use.
        composite: Rows of ``composite.parquet``.
        missing: Why the currently active composite model has no value in windows.
        figures: Paths of the figures.
    """

    path: Path
    num_triggers: int
    num_models: int
    first_fired_at: int | None
    last_fired_at: int | None
    num_arrived: int
    num_left: int
    num_selected: int
    forward_passes: float
    backward_passes: float
    num_optimizer_steps: int
    seconds: dict[str, float]
    composite: list[Row]
    missing: list[Missing]
    figures: list[Path]


def total(path: Path, evaluation: Path | None = None) -> RunTotals:
    """Read a finished run's tables and sum them up.

    Args:
        path: The run's directory.
        evaluation: The folder of an evaluation under other options, to take the composites and figures from.

    Raises:
        RunError: If a table is missing or damaged.
    """
    evaluated = path if evaluation is None else evaluation
    triggers, models, stages = (read_rows(path, table) for table in ("triggers", "models", "stages"))
    seconds: dict[str, float] = {}
    by_last_trigger = sum(row["num_arrived"] for row in triggers)
    replayed = sum(row["num_samples"] for row in stages if row["stage"] == "replay")
    for row in stages:
        seconds[row["stage"]] = seconds.get(row["stage"], 0.0) + row["seconds"]
    return RunTotals(
        path=path,
        num_triggers=len(triggers),
        num_models=len(models),
        first_fired_at=triggers[0]["fired_at"] if triggers else None,
        last_fired_at=triggers[-1]["fired_at"] if triggers else None,
        num_arrived=replayed,
        num_left=replayed - by_last_trigger,
        num_selected=sum(row["num_selected"] for row in triggers),
        forward_passes=sum(row["forward_passes"] for row in models),
        backward_passes=sum(row["backward_passes"] for row in models),
        num_optimizer_steps=sum(row["num_optimizer_steps"] for row in models),
        seconds=seconds,
        composite=read_rows(evaluated, "composite"),
        missing=missing_values(path, evaluated),
        figures=figure_paths(evaluated),
    )


def read_rows(path: Path, table: str) -> list[Row]:
    """Read one of a run's tables as a list of rows.

    Raises:
        RunError: If it is missing or damaged.
    """
    rows: list[Row] = read_table(path / f"{table}.parquet").to_pylist()
    return rows


def summarise(path: Path, evaluation: Path | None = None) -> str:
    """Describe a finished run in a few lines: what it did and reached, and where its tables and figures are.

    Args:
        path: The run's directory.
        evaluation: The folder of an evaluation under other options, to show instead of the run's own.

    Raises:
        RunError: If a table is missing or damaged.
    """
    totals = total(path, evaluation)
    blocks = [_run_rows(totals)]
    blocks += [
        _composite_rows(totals, window_set)
        for window_set in dict.fromkeys(row["window_set"] for row in totals.composite)
    ]
    lines = [line for block in blocks for line in (*lay_out(block), "")]
    silent = never_fired(path, num_arrived=totals.num_arrived, num_models=totals.num_models)
    if silent is not None:
        lines += [silent, ""]
    elif not totals.num_models:
        lines += ["No model was trained: there was nothing to train on. Set replay.flush=true.", ""]
    for hint in (missing.text() for missing in totals.missing if missing.is_most):
        lines += [hint, ""]
    folder = path if evaluation is None else evaluation
    lines.append(f"tables    {folder}")
    lines += [f"{'figures' if place == 0 else '':<10}{figure}" for place, figure in enumerate(totals.figures)]
    return "\n".join(lines)


def models_not_kept(path: Path) -> str | None:
    """Say how many models of a finished run are gone, for one who asked for all; ``None`` if every one is there.

    Args:
        path: The run's directory.

    Raises:
        RunError: If a table is missing or damaged.
    """
    trained = [int(row["trigger_index"]) for row in read_rows(path, "models")]
    num_gone = sum(not (path / TRIGGERS / f"{index:05d}" / MODEL).is_dir() for index in trained)
    if not num_gone:
        return None
    return (
        f"{num_gone:,} of {len(trained):,} models were not kept: the run was made, or begun, under "
        f"runs.keep_models=last. To have them all, delete {path} and run again"
    )


def _run_rows(totals: RunTotals) -> list[tuple[str, ...]]:
    fired = f"{totals.num_triggers:,}"
    if totals.first_fired_at is not None and totals.last_fired_at is not None:
        fired += f" ({_span(totals.first_fired_at, totals.last_fired_at)})"
    seconds = sum(totals.seconds.values())
    left = f" ({totals.num_left:,} after the last trigger)" if totals.num_left and totals.num_triggers else ""
    return [
        ("run", totals.path.name),
        ("triggers", fired),
        ("models trained", f"{totals.num_models:,}"),
        ("samples arrived", f"{totals.num_arrived:,}{left}"),
        ("samples selected", f"{totals.num_selected:,}"),
        ("sample passes trained", f"{totals.forward_passes:,.0f} forward, {totals.backward_passes:,.0f} backward"),
        ("optimiser steps", f"{totals.num_optimizer_steps:,}"),
        ("seconds", f"{seconds:,.1f}"),
        *((f"  {stage}", f"{spent:,.1f}") for stage, spent in totals.seconds.items()),
    ]


def _span(first: int, last: int) -> str:
    return format_time(first) if first == last else f"{format_time(first)} to {format_time(last)}"


def _composite_rows(totals: RunTotals, window_set: str) -> list[tuple[str, ...]]:
    """One row per metric and aggregate, with its value for either composite model, and the coverage."""
    rows = [row for row in totals.composite if row["window_set"] == window_set]
    num_windows = rows[0]["num_windows"]
    head = f"composite models, {num_windows} {window_set} window{'' if num_windows == 1 else 's'}"
    block: list[tuple[str, ...]] = [(head, *_VARIANTS.values())]
    found = {(row["metric"], row["aggregate"], row["variant"]): row for row in rows}
    covered: dict[str, tuple[str, ...]] = {}
    for metric, aggregate in dict.fromkeys((row["metric"], row["aggregate"]) for row in rows):
        entries = [found.get((metric, aggregate, variant)) for variant in _VARIANTS]
        name = f"{metric.replace('_', ' ')}, {_AGGREGATES.get(aggregate, aggregate)}"
        block.append((name, *(_value(entry, metric) for entry in entries)))
        covered.setdefault(metric, tuple(_coverage(entry) for entry in entries))
    if len(set(covered.values())) == 1:
        return [*block, ("coverage", *next(iter(covered.values())))]
    return [*block, *((f"coverage of {metric.replace('_', ' ')}", *texts) for metric, texts in covered.items())]


def _value(row: Row | None, metric: str) -> str:
    """A value in its natural unit: accuracies as percent, the rest as a number."""
    if row is None or row["value"] is None:
        return "-"
    return f"{row['value']:.1%}" if metric.endswith("accuracy") else f"{row['value']:.4f}"


def _coverage(row: Row | None) -> str:
    if row is None:
        return "-"
    covered = round(row["coverage"] * row["num_windows"])
    return f"{covered} of {row['num_windows']} ({row['coverage']:.0%})"
