"""Many runs as tidy frames: the way into analyses, reports and notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modyn_bench.errors import RunError
from modyn_bench.runs.copies import UNFINISHED, is_copy
from modyn_bench.runs.evaluations import command, config_of, evaluations_of, overrides, own_config, told_config
from modyn_bench.runs.files import damaged, read_table
from modyn_bench.runs.listing import Paths, Skipped, find_runs
from modyn_bench.runs.lock import locked_by
from modyn_bench.runs.manifest import DONE, read_manifest
from modyn_bench.runs.naming import GROUPS, choice, flatten, name_runs
from modyn_bench.runs.tables import TABLES, arrow_schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_OF_AN_EVALUATION = ("evaluations", "composite")


@dataclass(frozen=True)
class Runs:
    """Finished runs as frames. Every frame has a ``run_id`` column; times are int64 UTC seconds.

    Whole numbers that may be null are ``Int64``, null numbers are NaN. Rows are in the order of the runs, then of the
    table.

    Attributes:
        triggers: trigger_index, fired_at (stream time of the decision), first_timestamp, last_timestamp (of the samples
            that arrived since the last trigger), num_arrived, num_labelled, num_selected, num_empty_periods, model_id
            (null if nothing was trained).
        models: model_id (0, 1, … in trigger order), trigger_index, parent_model_id, data_first_timestamp,
            data_last_timestamp (of the arrivals of its trigger), available_at, num_samples_selected, num_epochs,
            num_optimizer_steps, forward_passes, backward_passes.
        decisions: One row per decision, ensemble members included: trigger_index (null if nothing fired), policy,
            at_timestamp, num_samples_seen, score, threshold, fired, warmup, forward_passes.
        evaluations: One row per window, model and metric: window_set, window_id, window_start, window_end, anchor,
            split, model_id, metric, value (null where undefined), num_samples, currently_active, currently_trained.
        composite: window_set, variant (currently_active, currently_trained), metric, aggregate, value, coverage,
            num_windows, num_triggers.
        stages: trigger_index (null after the last trigger), stage, seconds, num_samples, forward_passes,
            backward_passes.
        configs: One row per run: name and policy (see below), path, fingerprint, created, reproducible, what dataset,
            model, trigger and selector are called, and every key of the resolved configuration, dotted, such as
            ``training.epochs``; null where a run has no such key.
        names: run_id -> a short, unique label made of what differs between the runs, such as ``time / uniform``.
        policies: run_id -> the same, shared by runs that differ by their seed alone.
        manifests: run_id -> the run's manifest; the configuration's evaluation is the one that was loaded.
        evaluations_beside: Id of an evaluation that was not loaded -> run_id -> what it was asked for; empty where that
            is not known.
        unfinished: Runs that are not done yet, and whether they are running.
        skipped: What was no run, could not be read, or is there twice, and why.
    """

    triggers: pd.DataFrame
    models: pd.DataFrame
    decisions: pd.DataFrame
    evaluations: pd.DataFrame
    composite: pd.DataFrame
    stages: pd.DataFrame
    configs: pd.DataFrame
    names: dict[str, str]
    policies: dict[str, str]
    manifests: dict[str, dict[str, Any]]
    evaluations_beside: dict[str, dict[str, dict[str, Any]]]
    unfinished: tuple[Skipped, ...]
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Runs({len(self)} runs, {len(self.unfinished)} unfinished, {len(self.skipped)} skipped)"


@dataclass(frozen=True)
class _Done:
    """A place where a finished run is, before its tables are read."""

    path: Path
    manifest: dict[str, Any]
    evaluations: dict[str, Path]


@dataclass(frozen=True)
class _Loaded:
    """A finished run with the tables of one of its evaluations, which the manifest's configuration is that of."""

    place: _Done
    evaluation: str
    manifest: dict[str, Any]
    tables: dict[str, pa.Table]


def load_runs(paths: Paths, *, evaluation: str | None = None) -> Runs:
    """Load finished runs.

    Args:
        paths: A root of runs, a run directory, or several of either (the result of a glob, say). Of a run that was
            logged to W&B, also what is below its folder ``wandb`` (``offline-run-*``), a folder of such ones, or, from
            the server, ``wandb:ENTITY/PROJECT``, ``wandb:ENTITY/PROJECT/RUN_ID`` or
            ``wandb:ENTITY/PROJECT/group=GROUP``, which is kept in the user's cache.
        evaluation: The id of the evaluation to take evaluations and composite from, be it the one that a run was made
            with or one beside it; a run without it is skipped, with the command that makes it. Default: the one that
            each run was made with.

    Raises:
        RequestError: If a path does not exist; of W&B, if nobody is logged in, or there is no such project, run or
            group.
        RunError: If W&B's server cannot be asked.
    """
    found, skipped = find_runs(paths)
    done, unfinished, unread = _sort(found)
    skipped += unread
    loaded: dict[str, _Loaded] = {}
    for run, places in done.items():
        having = [place for place in places if evaluation is None or evaluation in place.evaluations]
        if not having:
            others = [place for each in done.values() for place in each]
            skipped.append(Skipped(places[0].path, _lacks(str(evaluation), places[0], others)))
            continue
        taken, damages = _first_readable(having, evaluation)
        skipped += damages
        if taken is None:
            continue
        loaded[run] = taken
        known = {taken.place.path, *(entry.path for entry in damages)}
        skipped += [
            Skipped(place.path, f"it is a copy of {taken.place.path}") for place in places if place.path not in known
        ]
    return _as_frames(loaded, unfinished, skipped)


def _sort(found: Iterable[Path]) -> tuple[dict[str, list[_Done]], list[Skipped], list[Skipped]]:
    """Return where each finished run is, run directories before copies; unfinished runs; and what cannot be read."""
    done: dict[str, list[_Done]] = {}
    unfinished: list[Skipped] = []
    unread: list[Skipped] = []
    for path in found:
        try:
            manifest = read_manifest(path)
            if (path / DONE).exists():
                place = _Done(path, manifest, evaluations_of(path, manifest))
                done.setdefault(str(manifest["run_id"]), []).append(place)
            else:
                unfinished.append(Skipped(path, _why_unfinished(path)))
        except RunError as error:
            unread.append(Skipped(path, str(error)))
    return (
        {run: sorted(places, key=lambda place: is_copy(place.path)) for run, places in done.items()},
        unfinished,
        unread,
    )


def _first_readable(places: Iterable[_Done], evaluation: str | None) -> tuple[_Loaded | None, list[Skipped]]:
    """Read a run's tables from the first of its places where they are whole; return also those where they are not."""
    damages: list[Skipped] = []
    for place in places:
        try:
            return _read(place, evaluation or next(iter(place.evaluations))), damages
        except RunError as error:
            damages.append(Skipped(place.path, str(error)))
    return None, damages


def _read(place: _Done, evaluation: str) -> _Loaded:
    folder = place.evaluations[evaluation]
    config = {**place.manifest["config"], "evaluation": config_of(folder, place.manifest)}
    tables = _read_tables(place.path, folder, str(place.manifest["run_id"]))
    return _Loaded(place, evaluation, {**place.manifest, "config": config}, tables)


def _why_unfinished(path: Path) -> str:
    if is_copy(path):
        return UNFINISHED
    holder = locked_by(path)
    return "it is resumable: run the same command again" if holder is None else f"it is run by {holder}"


def _lacks(evaluation: str, entry: _Done, others: Iterable[_Done]) -> str:
    """Say that a run lacks an evaluation, and how to make it where another run tells what it was asked for."""
    if is_copy(entry.path):
        return (
            f"it has no evaluation {evaluation}: a copy has the one that its run was made with; load the run directory"
        )
    for other in others:
        folder = other.evaluations.get(evaluation)
        if folder is not None and (wanted := told_config(folder, other.manifest)):
            words = overrides(own_config(entry.manifest), wanted)
            return f"it has no evaluation {evaluation}; make it by: {command(entry.path, words)}"
    return f"it has no evaluation {evaluation}"


def _as_frames(loaded: dict[str, _Loaded], unfinished: list[Skipped], skipped: list[Skipped]) -> Runs:
    manifests = {run: entry.manifest for run, entry in loaded.items()}
    names = dict(zip(loaded, name_runs(list(manifests.values())), strict=True))
    policies = dict(zip(loaded, name_runs(list(manifests.values()), seeds=False), strict=True))
    frames = {name: _frame(name, [entry.tables[name] for entry in loaded.values()]) for name in TABLES}
    beside = _beside(loaded)
    return Runs(
        **frames,
        configs=_configs([(entry.place.path, entry.manifest) for entry in loaded.values()], names, policies),
        names=names,
        policies=policies,
        manifests=manifests,
        evaluations_beside={other: beside[other] for other in sorted(beside)},
        unfinished=tuple(unfinished),
        skipped=tuple(skipped),
    )


def _beside(loaded: dict[str, _Loaded]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what the evaluations that were not loaded were asked for, by evaluation and run."""
    beside: dict[str, dict[str, dict[str, Any]]] = {}
    for run, entry in loaded.items():
        for other, folder in entry.place.evaluations.items():
            if other != entry.evaluation:
                beside.setdefault(other, {})[run] = told_config(folder, entry.place.manifest)
    return beside


def _read_tables(path: Path, evaluated: Path, run: str) -> dict[str, pa.Table]:
    import pyarrow as pa

    tables = {}
    for name, columns in TABLES.items():
        file = (evaluated if name in _OF_AN_EVALUATION else path) / f"{name}.parquet"
        table = read_table(file)
        missing = set(columns) - set(table.column_names)
        if missing:
            raise damaged(file, f"lacks the columns {', '.join(sorted(missing))}")
        if table.schema != (schema := arrow_schema(columns)):
            try:
                table = table.select(list(columns)).cast(schema)
            except (ValueError, pa.ArrowException) as error:
                raise damaged(file, f"has columns of other types ({error})") from None
        tables[name] = table.add_column(0, "run_id", pa.repeat(pa.scalar(run, pa.string()), len(table)))
    return tables


def _frame(name: str, tables: list[pa.Table]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    schema = pa.schema([pa.field("run_id", pa.string()), *arrow_schema(TABLES[name])])
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    nullable = {pa.int64(): pd.Int64Dtype()}
    return pd.DataFrame(
        {
            field.name: table[field.name].to_pandas(types_mapper=nullable.get if field.nullable else None)
            for field in schema
        }
    )


def _configs(runs: list[tuple[Path, dict[str, Any]]], names: dict[str, str], policies: dict[str, str]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {
            "run_id": manifest["run_id"],
            "name": names[manifest["run_id"]],
            "policy": policies[manifest["run_id"]],
            "path": str(path),
            "fingerprint": manifest["fingerprint"],
            "created": manifest["created"],
            "reproducible": manifest["reproducible"],
            **{group: choice(group, manifest) for group in GROUPS},
            **flatten(manifest["config"]),
        }
        for path, manifest in runs
    ]
    columns = ["run_id", "name", "policy", "path", "fingerprint", "created", "reproducible", *GROUPS]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
