"""Killed anywhere, the same call finishes, and every result file has the bytes of an uninterrupted run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small import result_bytes, run_small, small_store

from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.time import Time

STORE = small_store([i // 2 for i in range(80)])
OPTIMIZER = {"_target_": "torch.optim.Adam", "lr": 0.05}


def run(root: Path) -> Path:
    """A run in which everything has a state: policies, a warm start, a carried optimiser, late labels."""
    trigger = Ensemble({"t": Time("9s"), "a": Amount(11)}, rule="any")
    return run_small(
        root,
        STORE,
        trigger,
        Uniform(ratio=0.7, history=1),
        replay={"label_delay": "3s", "chunk_size": 13},
        training={"carry_optimizer": True, "optimizer": OPTIMIZER},
    )


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    result = result_bytes(run(tmp_path_factory.mktemp("straight")))
    assert sum(name.endswith("predictions.npz") for name in result) > 5
    assert any(name.endswith(".safetensors") for name in result)
    return result


def in_child(act: Callable[[], object]) -> int:
    """Run in a forked child, whose imports are done; return the signal that ended it, 0 if none did."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def killed_at_call(number: int, act: Callable[[], object]) -> Callable[[], object]:
    """Kill the process before its n-th call that makes something durable: a sync, a rename, a removal."""

    def wrapped() -> object:
        count = 0

        def before(original: Callable[..., object]) -> Callable[..., object]:
            def call(*args: object, **options: object) -> object:
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*args, **options)

            return call

        for name in ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir"):
            setattr(os, name, before(getattr(os, name)))
        return act()

    return wrapped


def test_killed_before_every_step_of_every_commit(tmp_path: Path, expected: dict[str, str]) -> None:
    """Also killed again and again in one directory, so that resumed runs are killed as well."""
    points, number = 0, 1
    while in_child(killed_at_call(number, lambda: run(tmp_path / "often"))) == signal.SIGKILL:
        points += 1
        number += 7 if points % 3 else 2  # every step of the protocol alone is killed in tests/runs
    assert points > 10
    assert result_bytes(run(tmp_path / "often")) == expected


@pytest.mark.parametrize("step", range(1, 60, 4))
def test_killed_once_and_resumed(step: int, tmp_path: Path, expected: dict[str, str]) -> None:
    assert in_child(killed_at_call(step, lambda: run(tmp_path))) == signal.SIGKILL
    assert in_child(lambda: run(tmp_path)) == 0
    (done,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert result_bytes(done) == expected


def test_killed_at_random_times(tmp_path: Path, expected: dict[str, str]) -> None:
    """Twenty times, spread evenly over the length of a run, whatever it is doing then."""
    started = time.perf_counter()
    assert in_child(lambda: run(tmp_path / "timed")) == 0
    length = time.perf_counter() - started
    killed = 0
    for i in range(20):
        root = tmp_path / str(i)
        pid = os.fork()
        if pid == 0:
            try:
                run(root)
            finally:
                os._exit(0)
        time.sleep(length * (i + 0.5) / 20)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        killed += os.WIFSIGNALED(status)
        assert result_bytes(run(root)) == expected
    assert killed >= 5
