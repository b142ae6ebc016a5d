"""A run directory: made or resumed under a lock, grown by atomic commits, concluded by ``DONE``."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from modyn_bench.errors import ContractError, RunError
from modyn_bench.runs import files
from modyn_bench.runs.copies import is_copy
from modyn_bench.runs.files import damaged, json_bytes, npz_bytes, read_npz, replace_file, sync, sync_tree
from modyn_bench.runs.identity import identity, run_id
from modyn_bench.runs.lock import HOLDER_NAME, LOCK_NAME, RunLock
from modyn_bench.runs.manifest import DONE, MANIFEST, new_manifest, read_manifest
from modyn_bench.runs.parts import TAIL, TRIGGERS, Part, PartWriter, Tail
from modyn_bench.runs.tables import derive
from modyn_bench.types import IntArray, Predictions

if TYPE_CHECKING:
    import pyarrow as pa

EVALUATIONS = "evaluations"
TEST_SPLIT = "test_split.npz"
_STAGING = ".tmp"
_BEFORE_MANIFEST = {LOCK_NAME, HOLDER_NAME, f"{HOLDER_NAME}.tmp", f".{MANIFEST}.tmp"}


class RunDirectory:
    """An open run directory; a context manager that holds its lock.

    Made by ``open`` or ``reopen``. Parts are committed in order, each by one rename, so that what is there is whole;
    what a killed run left half-made is removed when the directory is opened again.

    Attributes:
        path: ``<root>/<run_id>``.
        manifest: See ``manifest.py``.
    """

    def __init__(self, path: Path, *, manifest: dict[str, Any], lock: RunLock) -> None:
        self.path = path
        self.manifest = manifest
        self._lock = lock
        self._parts: list[Part] = []
        self._newest: Part | None = None  # of the parts with a model
        self._load_parts()
        self._clean()

    @classmethod
    def open(
        cls, root: Path, *, config: Mapping[str, Any], fingerprint: str, dataset: Mapping[str, Any]
    ) -> RunDirectory:
        """Open the directory of a run: a new one, an interrupted one to go on with, or a finished one.

        Args:
            root: Where run directories are.
            config: The resolved configuration, as plain containers. An interrupted run takes over what changed in it,
                which cannot be anything that changes its results.
            fingerprint: The content fingerprint of the dataset's source.
            dataset: Its ``name``, its ``classes`` and what else is worth keeping, as plain values.

        Raises:
            RunLocked: If another process has it open.
            RunError: If it holds something else than this run. Nothing is changed then.
        """
        path = root / run_id(config, fingerprint)
        _make_folder(path)
        lock = RunLock(path)
        try:
            if not (path / MANIFEST).exists():
                manifest = new_manifest(config, fingerprint, dataset)
                replace_file(path / MANIFEST, json_bytes(manifest))
                sync(root)
            manifest = read_manifest(path)
            if manifest["identity"] != identity(config, fingerprint):
                raise damaged(path / MANIFEST, "belongs to a run of another configuration")
            plain = json.loads(json_bytes(config))
            changed = manifest["config"] != plain and not (path / DONE).exists()
            if changed:
                manifest["config"] = plain
            run = cls(path, manifest=manifest, lock=lock)
            if changed:
                replace_file(path / MANIFEST, json_bytes(manifest))
            return run
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def is_done(root: Path, *, config: Mapping[str, Any], fingerprint: str) -> bool:
        """Say whether a run is complete, without opening it."""
        return (root / run_id(config, fingerprint) / DONE).exists()

    @classmethod
    def reopen(cls, path: Path) -> RunDirectory:
        """Open a run directory that exists, under the configuration that its manifest holds.

        Raises:
            RunLocked: If another process has it open.
            RunError: If it is no run directory, or is damaged; or if it is a copy of one's tables.
        """
        if is_copy(path):
            raise RunError(
                f"{path} is a copy of a run, its tables alone, as W&B keeps them: for predictions and models, "
                "name the run directory itself"
            )
        if not (path / MANIFEST).is_file():
            raise RunError(f"{path} is no run directory: there is no {MANIFEST} in it")
        manifest = read_manifest(path)
        lock = RunLock(path)
        try:
            return cls(path, manifest=manifest, lock=lock)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.manifest["run_id"])

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        config: dict[str, Any] = self.manifest["config"]
        return config

    @property
    def wandb_id(self) -> str:
        """The id of the run in Weights & Biases, which stays the same over attempts."""
        return str(self.manifest["wandb_id"])

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return (self.path / DONE).exists()

    def parts(self) -> list[Part]:
        """Return the committed triggers, in order."""
        return list(self._parts)

    @property
    def tail(self) -> Tail | None:
        """What was committed after the last trigger; ``None`` before the stream has ended."""
        path = self.path / TAIL
        return Tail(path) if path.is_dir() else None

    def last_model_path(self) -> Path:
        """Return the folder of the newest model.

        Raises:
            RunError: If no model was trained yet.
        """
        if self._newest is None:
            raise RunError(f"{self.path} holds no model: none was trained yet")
        return self._newest.model_path

    def predictions(self, model_id: int) -> Predictions:
        """Read what a model said of the test split.

        Raises:
            RunError: If there is no such model, or its predictions were not kept.
        """
        for part in self._parts:
            if part.record.model_id == model_id:
                return part.predictions()
        raise RunError(f"{self.path} holds no model {model_id}")

    @contextmanager
    def begin(self, trigger_index: int | None) -> Iterator[PartWriter]:
        """Stage a part, and commit it by one rename when the block ends; an exception leaves nothing behind.

        Args:
            trigger_index: The next trigger's index, or ``None`` for the tail after the last one. A tail that an earlier
                attempt committed stays as it is.

        Raises:
            ContractError: If it is not this trigger's turn, or the block did not write everything.
        """
        self._check_turn(trigger_index)
        triggers = self.path / TRIGGERS
        triggers.mkdir(exist_ok=True)
        staging = triggers / _STAGING
        staging.mkdir()
        try:
            writer = PartWriter(staging, trigger_index=trigger_index)
            yield writer
            writer.complete()
            sync_tree(staging)
            if trigger_index is None:
                if not (self.path / TAIL).exists():
                    staging.rename(self.path / TAIL)
                    sync(self.path)
            else:
                path = triggers / f"{trigger_index:05d}"
                staging.rename(path)
                sync(triggers)
                self._append(Part(path))
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def write_test_split(self, timestamps: IntArray, labels: IntArray) -> None:
        """Keep the test split's timestamps and labels, both of shape (n,), so that evaluating needs no dataset."""
        if not (self.path / TEST_SPLIT).exists():
            arrays = {"timestamps": np.asarray(timestamps, np.int64), "labels": np.asarray(labels, np.int64)}
            replace_file(self.path / TEST_SPLIT, npz_bytes(arrays))

    def test_split(self) -> tuple[IntArray, IntArray]:
        """Return the test split's timestamps and labels, both of shape (n,).

        Raises:
            RunError: If they are not there or damaged.
        """
        arrays = read_npz(self.path / TEST_SPLIT)
        if set(arrays) != {"timestamps", "labels"} or len(arrays["timestamps"]) != len(arrays["labels"]):
            raise damaged(self.path / TEST_SPLIT, "does not hold timestamps and labels of equal length")
        return arrays["timestamps"], arrays["labels"]

    def derive_tables(self) -> None:
        """Write ``triggers``, ``models``, ``decisions`` and ``stages.parquet`` anew from the committed parts.

        Raises:
            ContractError: If the tail is not committed yet.
        """
        tail = self.tail
        if tail is None:
            raise ContractError(f"the tables of {self.path} cannot be derived before the stream has ended")
        decisions = [record for part in (*self._parts, tail) for record in part.decisions()]
        for name, table in derive([part.record for part in self._parts], decisions, tail.stages).items():
            self.write_table(self.path / f"{name}.parquet", table)

    def write_table(self, path: Path, table: pa.Table) -> None:
        """Write a Parquet table atomically; the same table gives the same bytes."""
        files.write_table(path, table)

    def mark_done(self) -> None:
        """Write ``DONE``, after everything else."""
        replace_file(self.path / DONE, f"{self.run_id}\n".encode())

    def finish(self) -> None:
        """Derive the tables and mark the run as done."""
        self.derive_tables()
        self.mark_done()

    def evaluation_path(self, evaluation_id: str) -> Path:
        """Return where an evaluation under other options is, or will be: it is complete if it exists."""
        return self.path / EVALUATIONS / evaluation_id

    @contextmanager
    def begin_evaluation(self, evaluation_id: str) -> Iterator[Path]:
        """Stage the folder of an evaluation under other options, and rename it when the block ends.

        Raises:
            RunError: If it exists: an evaluation is never overwritten.
        """
        path = self.evaluation_path(evaluation_id)
        if path.exists():
            raise RunError(f"{path} exists, and an evaluation is never overwritten; delete it to evaluate anew")
        staging = path.parent / _STAGING
        staging.mkdir(parents=True)
        try:
            yield staging
            sync_tree(staging)
            staging.rename(path)
            sync(path.parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _check_turn(self, trigger_index: int | None) -> None:
        if self.done:
            raise ContractError(f"{self.path} is done: nothing can be committed to it")
        if trigger_index is None:
            return
        if trigger_index != len(self._parts):
            raise ContractError(f"trigger {trigger_index} cannot be committed: {len(self._parts)} comes next")
        if (self.path / TAIL).exists():
            raise ContractError(f"trigger {trigger_index} cannot be committed: the stream has ended")

    def _load_parts(self) -> None:
        """Read all committed triggers, which must be numbered without a gap."""
        folder = self.path / TRIGGERS
        names = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
        strange = [name for name in names if not re.fullmatch(r"\d{5,}", name)]
        if strange:
            raise damaged(folder / strange[0], "does not belong there")
        for index, name in enumerate(sorted(names, key=int)):
            path = folder / name
            if int(name) != index:
                raise damaged(folder / f"{index:05d}", "is missing")
            part = Part(path)
            if part.record.trigger_index != index:
                raise damaged(path, f"holds trigger {part.record.trigger_index}")
            self._parts.append(part)
            if part.record.model is not None:
                self._newest = part
        if self._newest is not None and not self._newest.has_model:
            raise damaged(self._newest.model_path, "is missing")
        if self.tail is None and self.done:
            raise damaged(self.path / TAIL, "is missing")

    def _clean(self) -> None:
        """Remove what a killed process left half-made."""
        for leftover in (self.path / TRIGGERS / _STAGING, self.path / EVALUATIONS / _STAGING):
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        if self._keeps_last_model:
            for part in self._parts:
                if part is not self._newest:
                    part.delete_model()

    @property
    def _keeps_last_model(self) -> bool:
        return not self.done and (self.config.get("runs") or {}).get("keep_models", "last") == "last"

    def _append(self, part: Part) -> None:
        """Take note of a part that was just committed, and delete the model that its own makes superfluous."""
        self._parts.append(part)
        if part.has_model:
            superseded, self._newest = self._newest, part
            if superseded is not None and self._keeps_last_model:
                superseded.delete_model()


def _make_folder(path: Path) -> None:
    """Make a run's folder, unless something is there already that no run has made."""
    if path.is_dir() and not (path / MANIFEST).exists():
        strange = sorted({entry.name for entry in path.iterdir()} - _BEFORE_MANIFEST)
        if strange:
            raise damaged(path / MANIFEST, f"is missing beside {strange[0]}")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be made ({error.strerror}): choose another root=DIR") from None
