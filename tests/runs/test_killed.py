"""The commit protocol, killed with SIGKILL before every call that changes a file, and completed afterwards."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from modyn_bench.seeding import derive
from tests.runs.building import NUM_TRIGGERS, complete, contents, open_run, record_of

# What changes a file or a folder, and the locking call.
CHANGING = {"write", "flush", "rename", "replace", "mkdir", "rmdir", "unlink", "remove", "flock", "ftruncate"}


def changes(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    if isinstance(owner, ModuleType):
        return called is io.open or called.__name__ in CHANGING
    return isinstance(owner, (io.BufferedIOBase, io.RawIOBase, io.TextIOBase)) and (
        not isinstance(owner, (io.BytesIO, io.StringIO)) and called.__name__ in CHANGING
    )


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked child; return 0, or minus the signal that killed it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.setprofile(None)
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(number: int, work: Callable[[], None]) -> Callable[[], None]:
    """Work that is killed when it is about to make its ``number``-th changing call; a profiler sees them all."""
    count = 0

    def watch(frame: FrameType, event: str, called: Any) -> None:
        nonlocal count
        if event == "c_call" and changes(called):
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

    def run() -> None:
        sys.setprofile(watch)
        work()

    return run


def count_calls(work: Callable[[], None], folder: Path) -> int:
    count = 0

    def watch(frame: FrameType, event: str, called: Any) -> None:
        nonlocal count
        count += event == "c_call" and changes(called)

    def run() -> None:
        sys.setprofile(watch)
        work()
        sys.setprofile(None)
        (folder / "count").write_text(str(count))

    assert in_child(run) == 0
    return int((folder / "count").read_text())


def whole_run(root: Path) -> Callable[[], None]:
    def work() -> None:
        with open_run(root) as run:
            complete(run)

    return work


def assert_resumable(root: Path, reference: dict[str, bytes]) -> None:
    """Only whole parts are there, all of them as they would be; completed, the run equals one never killed."""
    with open_run(root) as run:
        assert [part.record for part in run.parts()] == [record_of(index) for index in range(len(run.parts()))]
        for name, data in contents(run.path).items():
            if name.startswith(("triggers/", "tail/")) and not re.match(r"triggers/\d+/model/", name):
                assert data == reference[name], name
        assert sum(part.has_model for part in run.parts()) == min(1, len(run.parts()))
        assert not list(run.path.rglob(".tmp"))
        complete(run)
        assert contents(run.path) | {".holder.json": b""} == reference | {".holder.json": b""}


@pytest.fixture(scope="module", autouse=True)
def _outside_any_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The manifest tells the commit of the working directory's repository, which may move on meanwhile."""
    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(here)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    with open_run(tmp_path_factory.mktemp("reference")) as run:
        complete(run)
        path = run.path
    return contents(path)


@pytest.fixture(scope="module")
def num_calls(tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = tmp_path_factory.mktemp("counting")
    return count_calls(whole_run(folder / "root"), folder)


@pytest.mark.slow
def test_killed_before_every_call_that_changes_a_file(tmp_path, reference, num_calls):
    assert num_calls > 30 * NUM_TRIGGERS  # the profiler sees what it should
    for number in range(num_calls):
        root = tmp_path / "root"
        assert in_child(killed_at(number, whole_run(root))) == -signal.SIGKILL, number
        assert_resumable(root, reference)
        shutil.rmtree(root)


def test_killed_again_while_resuming(tmp_path, reference, num_calls):
    generator = derive(0, "kills")
    for attempt in range(25):
        root = tmp_path / str(attempt)
        for number in generator.integers(num_calls // 2, size=3):
            in_child(killed_at(int(number), whole_run(root)))
        assert_resumable(root, reference)


def test_a_child_that_lives_on_does_not_keep_the_lock(tmp_path):
    """A worker that was forked from a killed run must not keep its directory closed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        run = open_run(tmp_path)
        worker = os.fork()
        if worker == 0:
            signal.pause()
        os.write(writer, f"{worker}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
        run.close()
    os.waitpid(pid, 0)
    worker = int(os.read(reader, 20))
    try:
        with open_run(tmp_path) as run:
            assert run.parts() == []
    finally:
        os.kill(worker, signal.SIGKILL)
        os.close(reader)
        os.close(writer)
