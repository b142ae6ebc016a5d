"""Which runs are in a folder, and how far each has come; reads no more of them than that takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modyn_bench.errors import RequestError, RunError
from modyn_bench.runs.directory import DONE, TRIGGERS
from modyn_bench.runs.files import read_json, read_table
from modyn_bench.runs.identity import short_name
from modyn_bench.runs.lock import locked_by
from modyn_bench.runs.manifest import MANIFEST, read_manifest
from modyn_bench.runs.parts import Part

Paths = str | Path | Iterable[str | Path]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that was not taken for a run, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of the list of runs.

    Attributes:
        run_id: The run's id; the folder's name where the manifest cannot be read.
        path: The run's directory.
        status: ``done``, ``resumable`` (run the same command again), ``locked`` (it is open elsewhere) or ``corrupt``.
        detail: Who holds the lock, or what is damaged; else empty.
        num_triggers: Committed triggers.
        dataset: The dataset's name; with the next three ``None`` where the manifest cannot be read.
        trigger: The triggering policy.
        selector: The selection policy.
        seed: The run's seed.
        metric: The first metric of the evaluation, such as ``accuracy``; ``None`` before the run is done.
        value: Its mean over windows for the currently active composite model; ``None`` where it is undefined.
    """

    run_id: str
    path: Path
    status: Literal["done", "resumable", "locked", "corrupt"]
    detail: str = ""
    num_triggers: int = 0
    dataset: str | None = None
    trigger: str | None = None
    selector: str | None = None
    seed: int | None = None
    metric: str | None = None
    value: float | None = None


def list_runs(root: Paths) -> list[RunSummary]:
    """List the runs in a root, or at the given paths, by id.

    Raises:
        RequestError: If a path does not exist.
    """
    return sorted((_summarise(path) for path in find_runs(root)[0]), key=lambda summary: (summary.run_id, summary.path))


def find_runs(paths: Paths) -> tuple[list[Path], list[Skipped]]:
    """Find run directories, finished or not, whole or damaged.

    Args:
        paths: A root, a run directory, or several of either.

    Returns:
        The run directories, each once, in the order of the paths and then of their names; and what is none.

    Raises:
        RequestError: If a path does not exist.
    """
    runs: dict[Path, None] = {}
    skipped: list[Skipped] = []
    for path in map(Path, [paths] if isinstance(paths, (str, Path)) else paths):
        if not path.exists():
            raise RequestError(f"{path} does not exist: name a root of runs, such as outputs, or a run directory in it")
        reason = _no_run(path)
        if reason is None:
            runs[path.resolve()] = None
            continue
        inside = sorted(path.iterdir()) if path.is_dir() else []
        reasons = {entry: _no_run(entry) for entry in inside if not entry.name.startswith(".")}
        found = [entry.resolve() for entry, why in reasons.items() if why is None]
        runs.update(dict.fromkeys(found))
        if found:
            skipped += [Skipped(entry, why) for entry, why in reasons.items() if why is not None]
        else:
            skipped.append(Skipped(path, reason))
    return list(runs), skipped


def _no_run(path: Path) -> str | None:
    """Say why a path is no run directory; ``None`` if it is one, be it damaged."""
    if not path.is_dir():
        return "it is no folder"
    if not (path / MANIFEST).is_file():
        return f"it has no {MANIFEST}"
    try:
        manifest = read_json(path / MANIFEST)
    except RunError:
        return None  # damaged, which its reader tells
    return None if isinstance(manifest, dict) and "run_id" in manifest else f"its {MANIFEST} is no run's"


def _summarise(path: Path) -> RunSummary:
    try:
        manifest = read_manifest(path)
    except RunError as error:
        return RunSummary(path.name, path, "corrupt", str(error))
    names = [entry.name for entry in (path / TRIGGERS).glob("*") if re.fullmatch(r"\d{5,}", entry.name)]
    config = manifest["config"]
    facts: dict[str, Any] = {
        "num_triggers": len(names),
        "dataset": str(manifest["dataset"].get("name", short_name(config.get("dataset")))),
        "trigger": short_name(config.get("trigger")),
        "selector": short_name(config.get("selector")),
        "seed": config.get("seed"),
    }
    run = str(manifest["run_id"])
    done = (path / DONE).exists()
    holder = locked_by(path)
    if holder is not None and not done:
        return RunSummary(run, path, "locked", holder, **facts)
    try:
        if names:
            Part(path / TRIGGERS / max(names, key=int))
        if done:
            return RunSummary(run, path, "done", **facts, **_main_metric(path))
    except RunError as error:
        return RunSummary(run, path, "corrupt", str(error), **facts)
    return RunSummary(run, path, "resumable", **facts)


def _main_metric(path: Path) -> dict[str, Any]:
    """Return the first metric's mean over windows for the currently active composite model."""
    for row in read_table(path / "composite.parquet").to_pylist():
        if row["variant"] == "currently_active" and row["aggregate"] == "mean":
            return {"metric": row["metric"], "value": row["value"]}
    return {}
