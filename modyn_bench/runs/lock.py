"""The lock on a run directory: one process at a time, and it says who."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from modyn_bench.errors import RunError

LOCK_NAME = ".lock"
HOLDER_NAME = ".holder.json"
_PATIENCE_S = 0.3  # a listing probes a lock for an instant; it must not make a run fail


class RunLocked(RunError):
    """Another process has the run directory open; the message says which.

    Attributes:
        holder: What is known of the other process: ``process 4711 on host since 2026-01-01 12:00:00 UTC``.
    """

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is locked by {holder}: wait until it has finished, or stop it; then run again")
        self.holder = holder


class RunLock:
    """Holds a run directory for this process.

    The kernel releases the lock when its process ends, however it ends, so a killed run leaves nothing behind that
    would keep its directory closed.

    Args:
        folder: The run directory; it must exist.

    Raises:
        RunLocked: If another process, or this one, holds it already.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK_NAME, thread_local=False)
        try:
            self._lock.acquire(timeout=_PATIENCE_S, poll_interval=0.02)
        except Timeout:
            raise RunLocked(folder, _holder(folder)) from None
        started = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
        temporary = folder / f"{HOLDER_NAME}.tmp"
        temporary.write_text(json.dumps(holder) + "\n")
        temporary.replace(folder / HOLDER_NAME)

    def release(self) -> None:
        """Let the next process in. Does nothing the second time."""
        if self._lock.is_locked:
            (self._folder / HOLDER_NAME).unlink(missing_ok=True)
            self._lock.release()


def locked_by(folder: Path) -> str | None:
    """Say who holds a run directory, ``None`` if nobody does. Writes nothing to a directory without a lock file."""
    if not (folder / LOCK_NAME).exists():
        return None
    probe = FileLock(folder / LOCK_NAME)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return _holder(folder)
    except OSError:  # a directory that this user may only read: nothing can be said
        return None
    probe.release()
    return None


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER_NAME).read_text())
        return f"process {holder['pid']} on {holder['host']} since {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has just begun"
