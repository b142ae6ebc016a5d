"""Which runs are in a folder, and how far each has come; reads no more of them than that takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modyn_bench.errors import RequestError, RunError
from modyn_bench.runs.copies import NO_COPY, UNFINISHED, copy_in, is_copy, is_wandb_run
from modyn_bench.runs.fetching import Address, fetch_runs, is_address
from modyn_bench.runs.files import read_json, read_table
from modyn_bench.runs.identity import short_name
from modyn_bench.runs.lock import locked_by
from modyn_bench.runs.manifest import DONE, MANIFEST, read_manifest
from modyn_bench.runs.parts import TRIGGERS, Part

Paths = str | Path | Iterable[str | Path]
"""Run directories, what W&B keeps of a run on disk, folders of either, and runs in W&B (``wandb:ENTITY/PROJECT``)."""


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
        status: ``done``, ``resumable`` (run the same command again), ``locked`` (it is open elsewhere), ``corrupt``, or
            ``unfinished`` (a copy in W&B of a run that was not done).
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
    status: Literal["done", "resumable", "locked", "corrupt", "unfinished"]
    detail: str = ""
    num_triggers: int = 0
    dataset: str | None = None
    trigger: str | None = None
    selector: str | None = None
    seed: int | None = None
    metric: str | None = None
    value: float | None = None


def list_runs(root: Paths) -> tuple[list[RunSummary], list[Skipped]]:
    """List the runs in a root, or at the given paths, by id; and what there is no run, or could not be downloaded.

    Raises:
        RequestError: If a path does not exist, or names no runs in W&B that this login may read.
        RunError: If W&B's server cannot be asked.
    """
    found, skipped = find_runs(root)
    return sorted(map(_summarise, found), key=lambda summary: (summary.run_id, summary.path)), skipped


def find_runs(paths: Paths) -> tuple[list[Path], list[Skipped]]:
    """Find run directories, finished or not, whole or damaged.

    Args:
        paths: A root, a run directory, what W&B keeps of a run on disk, or runs in W&B, or several of any of these.

    Returns:
        The run directories, each once, in the order of the paths and then of their names, copies in W&B among them; and
        what is none.

    Raises:
        RequestError: If a path does not exist, or names no runs in W&B that this login may read.
        RunError: If W&B's server cannot be asked.
    """
    runs: dict[Path, None] = {}
    skipped: list[Skipped] = []
    for place in [paths] if isinstance(paths, (str, Path)) else paths:
        if is_address(place):
            copies, missing = fetch_runs(Address.parse(str(place)))
            runs.update(dict.fromkeys(copies))
            skipped += [Skipped(*entry) for entry in missing]
            continue
        path = Path(place)
        if not path.exists():
            raise RequestError(f"{path} does not exist: name a root of runs, such as outputs, or a run directory in it")
        own = _look(path)
        if isinstance(own, Path):
            runs[own] = None
            continue
        looked = {entry: _look(entry) for entry in _inside(path)}
        found = [what for what in looked.values() if isinstance(what, Path)]
        runs.update(dict.fromkeys(found))
        if found:
            skipped += [Skipped(entry, what) for entry, what in looked.items() if isinstance(what, str)]
        else:
            skipped.append(Skipped(path, own))
    return list(runs), skipped


def _inside(path: Path) -> list[Path]:
    """Return what in a folder may be a run; of one of W&B's, not the logs and links beside them."""
    entries = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")] if path.is_dir() else []
    of_wandb = [entry for entry in entries if is_wandb_run(entry)]
    return [entry for entry in entries if (entry / MANIFEST).is_file() or entry in of_wandb] if of_wandb else entries


def _look(path: Path) -> Path | str:
    """Return the run directory that a path, or the link ``latest-run``, stands for; or why it stands for none."""
    path = path.resolve()
    if is_wandb_run(path):
        return copy_in(path) if _no_run(copy_in(path)) is None else NO_COPY
    reason = _no_run(path)
    return path if reason is None else reason


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
    done = (path / DONE).exists()
    config = manifest["config"]
    facts: dict[str, Any] = {
        "num_triggers": len(names),
        "dataset": str(manifest["dataset"].get("name", short_name(config.get("dataset")))),
        "trigger": short_name(config.get("trigger")),
        "selector": short_name(config.get("selector")),
        "seed": config.get("seed"),
    }
    run = str(manifest["run_id"])
    if is_copy(path):
        return _summarise_copy(run, path, done, facts)
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


def _summarise_copy(run: str, path: Path, done: bool, facts: dict[str, Any]) -> RunSummary:
    if not done:
        return RunSummary(run, path, "unfinished", UNFINISHED, **facts)
    try:
        facts["num_triggers"] = len(read_table(path / "triggers.parquet"))
        return RunSummary(run, path, "done", **facts, **_main_metric(path))
    except RunError as error:
        return RunSummary(run, path, "corrupt", str(error), **facts)


def _main_metric(path: Path) -> dict[str, Any]:
    """Return the first metric's mean over windows for the currently active composite model."""
    for row in read_table(path / "composite.parquet").to_pylist():
        if row["variant"] == "currently_active" and row["aggregate"] == "mean":
            return {"metric": row["metric"], "value": row["value"]}
    return {}
