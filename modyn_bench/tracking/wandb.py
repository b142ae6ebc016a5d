"""Weights & Biases: one run per pipeline, on stream time, offline by default, all inside the run directory.

What is logged, each row once and with an explicit step:

- ``decision/<policy>/score|threshold|fired`` per decision,
- ``trigger/...``, ``seconds/<stage>``, ``cumulative/...`` per trigger, at the stream time of its decision,
- ``window/<window set>/<composite model>/<metric>`` per window, at its anchor,
- the tables ``evaluations/<window set>`` and ``composite``, the figures, and a summary,
- the files ``modyn_bench/...``: the run directory's manifest and tables, byte for byte, for ``load_runs``.

The horizontal axis is ``stream_time``, a calendar year with its fraction (2007.53): W&B draws numbers, not dates, and
the ticks of this one read as dates. A stream shorter than a year has ``stream_days`` since its first sample instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modyn_bench.config import LoggerConfig
from modyn_bench.errors import RunError
from modyn_bench.observer import Observer, RunStart, Status
from modyn_bench.runs.copies import COPIED, COPY, copy_results
from modyn_bench.runs.manifest import MANIFEST, read_manifest
from modyn_bench.runs.parts import Part
from modyn_bench.timespan import SECONDS_PER_UNIT
from modyn_bench.tracking.console import Row, read_rows
from modyn_bench.tracking.wandb_rows import matrix_rows, run_config, run_summary, stream_axes, window_rows
from modyn_bench.types import DecisionRecord, TriggerRecord

if TYPE_CHECKING:
    import wandb

FOLDER = "wandb"
"""What W&B writes stands here, inside the run directory."""

EXIT_CODES: dict[Status, int] = {"finished": 0, "failed": 1, "interrupted": 255}
"""As W&B reads them; 255 is what it uses itself for a keyboard interrupt."""


class WandbObserver(Observer):
    """Logs a run to Weights & Biases.

    A resumed run logs its history again from the committed triggers: offline into a new folder in the place of the old
    one, online only what the server does not have.

    Args:
        config: The section ``logger`` of the configuration.
        sweep: The sweep's name: the W&B group where the configuration names none.
        overrides: What the run was asked to do otherwise than the default configuration; names its policy.
    """

    def __init__(self, config: LoggerConfig, *, sweep: str | None = None, overrides: Sequence[str] = ()) -> None:
        self._config = config
        self._overrides = overrides
        self._group = config.group or sweep
        self._run: wandb.Run | None = None
        self._release = ExitStack()  # what on_close undoes
        self._path = Path()
        self._step = 0
        self._first_time = 0
        self._cumulative = {"num_triggers": 0.0, "num_samples_selected": 0.0}

    def on_start(self, start: RunStart) -> None:
        """Open the W&B run, and log what earlier attempts committed.

        Raises:
            RunError: If W&B cannot be started, which offline it always can.
        """
        if self._config.mode == "disabled":
            return
        self._path, self._first_time = start.path, start.first_time
        if self._config.mode == "offline":
            _remove(start.path / FOLDER)
        self._release.enter_context(_environment(start.path, offline=self._config.mode == "offline"))
        self._run = self._init(start)
        _define_axes(self._run, years=start.last_time - start.first_time >= SECONDS_PER_UNIT["y"])
        self._copy(MANIFEST)
        for record in start.committed:
            self._log_part(self._part(record.trigger_index))

    def on_decisions(self, records: Sequence[DecisionRecord]) -> None:
        """Log a decision: what every policy compared with what."""
        if self._run is None or not records:
            return
        row: Row = {}
        for record in records:
            values = {"score": record.score, "threshold": record.threshold, "fired": int(record.fired)}
            row |= {f"decision/{record.policy}/{key}": value for key, value in values.items() if value is not None}
        self._log(row, time=records[0].at_timestamp)

    def on_trigger(self, record: TriggerRecord) -> None:
        """Log a trigger: its samples, its passes, its seconds by stage, and all costs so far, as committed."""
        if self._run is not None:
            self._log_trigger(self._part(record.trigger_index).record)

    def on_finish(self, path: Path) -> None:
        """Log the composite models over the windows, the tables, the figures, the models if wanted, and the summary."""
        if self._run is None:
            return
        from modyn_bench.analysis.draw import draw_run, figure_paths

        evaluations = read_rows(path, "evaluations")
        for anchor, row in window_rows(evaluations):
            self._log(row, time=anchor)
        last: Row = dict(_tables(evaluations, read_rows(path, "composite")))
        last |= {f"figures/{figure.stem}": _image(figure) for figure in figure_paths(path) or draw_run(path)}
        self._log(last)
        self._run.summary.update(run_summary(path))
        self._copy(*COPIED)
        if self._config.log_models:
            self._log_models(path)

    def on_close(self, status: Status) -> None:
        """Finish the W&B run, marked with how it ended, and restore the environment."""
        run, self._run = self._run, None
        try:
            if run is not None:
                run.summary["status"] = status
                run.finish(exit_code=EXIT_CODES[status])
        finally:
            self._release.close()

    def _init(self, start: RunStart) -> wandb.Run:
        import wandb

        manifest = read_manifest(start.path)
        if wandb.run is None:  # else another run lives in this process, and shares W&B's service with ours
            self._release.callback(wandb.teardown)
        try:
            return wandb.init(
                id=str(manifest["wandb_id"]),
                name=start.run_id,
                project=self._config.project,
                entity=self._config.entity,
                group=self._group,
                tags=list(self._config.tags),
                mode="offline" if self._config.mode == "offline" else "online",
                resume="allow" if self._config.mode == "online" else None,
                dir=str(start.path),
                config=run_config(manifest, self._overrides),
                reinit="create_new",
                settings=wandb.Settings(console="off", silent=True, disable_git=True, save_code=False),
            )
        except (wandb.Error, OSError) as error:
            raise RunError(
                f"Weights & Biases could not be started ({error}): run `wandb login` for logger.mode=online, or log "
                "without an account with logger.mode=offline, or not at all with logger=none"
            ) from error

    def _log(self, row: Mapping[str, Any], *, time: int | None = None) -> None:
        """Log one row under the next step; W&B itself leaves out the steps that a resumed run's server has."""
        assert self._run is not None
        if row:
            axes = {} if time is None else stream_axes(time, self._first_time)
            self._run.log({**row, **axes}, step=self._step)
        self._step += 1

    def _log_part(self, part: Part) -> None:
        """Log a committed trigger as it was logged when it happened: decision by decision, then the trigger."""
        batch: list[DecisionRecord] = []
        for record in part.decisions():
            if batch and "/" not in record.policy:  # an ensemble's members stand behind it
                self.on_decisions(batch)
                batch = []
            batch.append(record)
        self.on_decisions(batch)
        self._log_trigger(part.record)

    def _part(self, trigger_index: int) -> Part:
        return Part(self._path / "triggers" / f"{trigger_index:05d}")

    def _log_trigger(self, record: TriggerRecord) -> None:
        self._log(self._trigger_row(record), time=record.fired_at)

    def _trigger_row(self, record: TriggerRecord) -> Row:
        row: Row = {
            f"trigger/{name}": getattr(record, name)
            for name in ("trigger_index", "num_arrived", "num_labelled", "num_selected", "num_empty_periods")
        }
        total = self._cumulative
        total["num_triggers"] += 1
        total["num_samples_selected"] += record.num_selected
        if record.model is not None:
            for name in ("num_epochs", "num_optimizer_steps", "forward_passes", "backward_passes"):
                row[f"trigger/{name}"] = getattr(record.model, name)
        for cost in record.stages:
            row[f"seconds/{cost.stage}"] = cost.seconds
            for name in ("seconds", "forward_passes", "backward_passes"):
                total[name] = total.get(name, 0.0) + getattr(cost, name)
        return row | {f"cumulative/{name}": value for name, value in total.items()}

    def _copy(self, *names: str) -> None:
        """Put files of the run directory among those of the W&B run."""
        assert self._run is not None
        files = Path(self._run.dir)
        copy_results(self._path, files / COPY, names)
        for name in names:
            self._run.save(str(files / COPY / name), base_path=str(files), policy="now")

    def _log_models(self, path: Path) -> None:
        """Log the models that the run keeps (``runs.keep_models``) as versions of one artifact."""
        import wandb

        assert self._run is not None
        for row in read_rows(path, "models"):
            folder = self._part(row["trigger_index"]).model_path
            if not folder.is_dir():
                continue
            artifact = wandb.Artifact(f"{path.name}-model", type="model", metadata=row)
            for file in sorted(file for file in folder.rglob("*") if file.is_file()):
                artifact.add_file(str(file), name=file.relative_to(folder).as_posix(), skip_cache=True)
            self._run.log_artifact(artifact, aliases=["latest", f"model-{row['model_id']}"])


def _remove(folder: Path) -> None:
    """Delete what an earlier attempt logged; its W&B service may outlive it for a moment, and must not write here."""
    old = folder.with_name(f".{folder.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _environment(path: Path, *, offline: bool) -> Iterator[None]:
    """Let all that W&B writes go into the run directory while the block runs.

    Its settings stay where they are when online: they hold the address of a server of one's own.
    """
    folder = path / FOLDER
    wanted = {
        "WANDB_DIR": path,
        "WANDB_DATA_DIR": folder / "data",
        "WANDB_CACHE_DIR": folder / "cache",
        "WANDB_ARTIFACT_DIR": folder / "artifacts",
    }
    if offline:
        wanted["WANDB_CONFIG_DIR"] = folder / "config"
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: str(value.absolute()) for name, value in wanted.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _define_axes(run: wandb.Run, *, years: bool) -> None:
    axis = "stream_time" if years else "stream_days"
    for name in ("stream_time", "stream_days"):
        run.define_metric(name, hidden=True, summary="none")
    for group in ("decision/*", "trigger/*", "seconds/*", "cumulative/*", "window/*"):
        run.define_metric(group, step_metric=axis, summary="none")


def _tables(evaluations: Sequence[Row], composite: Sequence[Row]) -> Iterator[tuple[str, wandb.Table]]:
    """The evaluation matrix of each window set, one row per cell and one column per metric, and the composite table."""
    import wandb

    for window_set in dict.fromkeys(cell["window_set"] for cell in evaluations):
        rows = matrix_rows([cell for cell in evaluations if cell["window_set"] == window_set])
        yield f"evaluations/{window_set}", wandb.Table(columns=[*rows[0]], data=[list(row.values()) for row in rows])
    if composite:
        yield "composite", wandb.Table(columns=[*composite[0]], data=[list(row.values()) for row in composite])


def _image(path: Path) -> wandb.Image:
    import wandb

    return wandb.Image(str(path), caption=path.stem.replace("_", " "))
