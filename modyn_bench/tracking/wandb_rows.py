"""Rows for Weights & Biases, from records and tables; nothing here knows W&B but for its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modyn_bench.evaluation.costs import policy_costs
from modyn_bench.runs.files import read_table
from modyn_bench.runs.identity import pipeline_id
from modyn_bench.runs.naming import GROUPS, choice, name_policy
from modyn_bench.timespan import SECONDS_PER_UNIT, format_time
from modyn_bench.tracking.console import Row, total

MAX_TABLE_ROWS = 10_000
"""W&B cuts tables off there."""


def stream_axes(time: int, first_time: int) -> dict[str, float]:
    """Return a point in stream time on the horizontal axes.

    Args:
        time: UTC seconds.
        first_time: Of the first sample.

    Example:
        >>> stream_axes(86_400 * 365 * 30 + 86_400 * 7, first_time=0)  # 1 January 2000, after seven leap days
        {'stream_time': 2000.0, 'stream_days': 10957.0}
    """
    moment = np.datetime64(int(time), "s")
    year = moment.astype("datetime64[Y]")
    bounds = (year, year + 1)
    start, end = (int(bound.astype("datetime64[s]").astype(np.int64)) for bound in bounds)
    number = int(year.astype(np.int64)) + 1970 + (int(time) - start) / (end - start)
    return {"stream_time": number, "stream_days": (int(time) - first_time) / SECONDS_PER_UNIT["d"]}


def window_rows(evaluations: Sequence[Row]) -> list[tuple[int, Row]]:
    """Return the composite models' metrics, one row per window set and window, in the order of the anchors."""
    windows: dict[tuple[int, str, int], Row] = {}
    for cell in evaluations:
        for variant in ("currently_active", "currently_trained"):
            if cell[variant] and cell["value"] is not None:
                window = windows.setdefault((cell["anchor"], cell["window_set"], cell["window_id"]), {})
                window[f"window/{cell['window_set']}/{variant}/{cell['metric']}"] = cell["value"]
    return [(anchor, row) for (anchor, _, _), row in sorted(windows.items(), key=lambda item: item[0])]


def matrix_rows(cells: Sequence[Row]) -> list[Row]:
    """Return one row per model and window, one column per metric.

    Of a matrix too large for W&B only the cells that a composite model is made of.
    """
    metrics = list(dict.fromkeys(cell["metric"] for cell in cells))
    rows: dict[tuple[int, int], Row] = {}
    for cell in cells:
        row = rows.setdefault(
            (cell["model_id"], cell["window_id"]),
            {
                "model_id": cell["model_id"],
                "window_id": cell["window_id"],
                **{name: format_time(cell[name], seconds=True) for name in ("window_start", "window_end", "anchor")},
                **{name: cell[name] for name in ("num_samples", "currently_active", "currently_trained")},
                **dict.fromkeys(metrics),
            },
        )
        row[cell["metric"]] = cell["value"]
    if len(rows) <= MAX_TABLE_ROWS:
        return list(rows.values())
    served = [row for row in rows.values() if row["currently_active"] or row["currently_trained"]]
    return (served or list(rows.values()))[:MAX_TABLE_ROWS]


def run_config(manifest: Mapping[str, Any], overrides: Sequence[str] = ()) -> Row:
    """Return what runs are grouped and filtered by: the configuration, as it is nested, and names for its choices.

    W&B shows ``trigger: {every: 1y}`` as ``trigger.every``; it takes a key that holds a dot itself for such a nesting.

    Args:
        manifest: The run's manifest.
        overrides: What the run was asked to do otherwise than the default configuration.

    Returns:
        The configuration's keys, and ``policy``, ``pipeline``, ``chosen.dataset|model|trigger|selector``, ``run_id``.
    """
    return {
        **manifest["config"],
        "policy": name_policy(manifest, overrides),
        "pipeline": pipeline_id(manifest["config"], manifest["fingerprint"]),
        "chosen": {group: choice(group, manifest) for group in GROUPS},
        "run_id": manifest["run_id"],
    }


def run_summary(path: Path) -> Row:
    """Return totals, seconds by stage, and every aggregate of the composite models with its coverage.

    ``total/sample_passes`` is the cost axis of a comparison: forward + 2 × backward, of all but the evaluation.
    """
    run = total(path)
    names = (
        "num_triggers",
        "num_models",
        "num_arrived",
        "num_selected",
        "forward_passes",
        "backward_passes",
        "num_optimizer_steps",
    )
    row: Row = {f"total/{name}": getattr(run, name) for name in names}
    row |= {f"total/seconds/{stage}": seconds for stage, seconds in run.seconds.items()}
    row["total/seconds"] = sum(run.seconds.values())
    costs = policy_costs(read_table(path / "stages.parquet").to_pandas().assign(run_id=""))
    row["total/sample_passes"] = float(costs["sample_passes"].sum())
    for entry in run.composite:
        name = f"composite/{entry['window_set']}/{entry['variant']}/{entry['metric']}"
        row[f"{name}/{entry['aggregate']}"] = entry["value"]
        row[f"{name}/coverage"] = entry["coverage"]
    return row
