"""Copies of a run's results, such as its W&B run holds: the run directory's own files, byte for byte.

Of a run directory there are the manifest, in W&B from the start on, and when the run is finished the tables and
``DONE``. So a copy is read as a run directory is; what it lacks is what only resuming and evaluating need.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from modyn_bench.runs.manifest import DONE, MANIFEST
from modyn_bench.runs.parts import TAIL, TRIGGERS
from modyn_bench.runs.tables import TABLES

COPY = "modyn_bench"
"""What the folder of the copy is called among the files of a W&B run."""

COPIED = (MANIFEST, *(f"{name}.parquet" for name in TABLES), DONE)
"""The files of a finished run's copy; ``DONE`` is the last to be written."""

UNFINISHED = "it is not finished: its W&B run holds no results yet; load it again when it does"
NO_COPY = "it is a W&B run that holds no results of modyn_bench"

_WANDB_RUN = re.compile(r"(offline-)?run-\d{8}_\d{6}-.+")


def is_wandb_run(path: Path) -> bool:
    """Say whether a folder is what W&B keeps of a run on disk, such as ``offline-run-20260101_120000-ID``."""
    return _WANDB_RUN.fullmatch(path.name) is not None and (path / "files").is_dir()


def copy_in(path: Path) -> Path:
    """Return where the copy of a run is, or would be, in what W&B keeps of it on disk."""
    return path / "files" / COPY


def is_copy(path: Path) -> bool:
    """Say whether a run directory is but a copy of one: without what was committed, though it is finished.

    A copy of an unfinished run lacks what a run that has just begun lacks, too; only W&B makes such ones.
    """
    whole = (path / TRIGGERS).is_dir() or (path / TAIL).is_dir()
    return not whole and ((path / DONE).is_file() or path.name == COPY)


def copy_results(run: Path, folder: Path, names: tuple[str, ...] = COPIED) -> None:
    """Copy some of a run directory's files.

    Args:
        run: The run directory.
        folder: Where to; it is made.
        names: Some of ``COPIED``. ``DONE`` need not be there yet: here it says that the tables are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name == DONE:
            (folder / DONE).write_text(f"{run.name}\n")
        else:
            shutil.copyfile(run / name, folder / name)
