"""Training on several devices: one process for each, which join, train together, and leave what came of it in files.

Where the device is a CPU and computes with one thread, processes are forked: that takes milliseconds, and the data are
shared. OpenMP's threads do not outlive a fork, and CUDA allows none, so else they come from a server that was started
clean: the first one takes seconds, and the data are copied to each.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import distributed
from torch._C._distributed_c10d import FileStore
from torch.multiprocessing.spawn import start_processes

from modyn_bench.errors import ContractError, DataError, RequestError, RunError
from modyn_bench.inference.forward import torch_device
from modyn_bench.training import files
from modyn_bench.training.peers import Peers
from modyn_bench.training.work import Outcome, Work, train

_ERRORS = {error.__name__: error for error in (RequestError, RunError, DataError, ContractError)}
_OUTCOME = "outcome.safetensors"
_RECORDED = "recorded"
_FAILED = 1  # exit code of a process that has written what it failed of
_POLL_SECONDS = 0.1
_PATIENCE = timedelta(days=7)  # a process that fails ends the others, so none need watch the clock


def train_together(work: Work, on_samples: Callable[[int], None] | None = None) -> Outcome:
    """Train a model on ``training.devices`` devices, each in a process of its own; all have ended afterwards.

    Args:
        work: What to do. Its module gets the trained weights.
        on_samples: Told how many more samples are done on all devices.

    Raises:
        RequestError: If the model and the configuration do not fit together.
        RunError: If the training diverges, or a process fails.
    """
    done = torch.zeros(work.config.devices, dtype=torch.int64)
    done.share_memory_()  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory(prefix="modyn_bench-") as name:
        folder = Path(name)
        with _processes(work, folder, done) as processes:
            told = 0
            while not _ended(processes):
                now = int(done.sum())
                if on_samples is not None and now > told:
                    on_samples(now - told)
                told = now
            _check(processes, folder)
        if on_samples is not None and int(done.sum()) > told:
            on_samples(int(done.sum()) - told)
        return _read(folder, work)


@contextmanager
def _processes(work: Work, folder: Path, done: torch.Tensor) -> Iterator[list[BaseProcess]]:
    """Start the processes; whatever happens, none is left running."""
    can_fork = work.config.accelerator == "cpu" and work.config.threads == 1 and sys.platform == "linux"
    if not can_fork:
        multiprocessing.set_forkserver_preload([__name__])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
        context = start_processes(  # type: ignore[no-untyped-call]
            _train_one,
            (work, folder, done),
            work.config.devices,
            join=False,
            start_method="fork" if can_fork else "forkserver",
        )
    try:
        yield context.processes
    finally:
        for process in context.processes:
            if process.is_alive():
                process.kill()
        for process in context.processes:
            process.join()


def _ended(processes: list[BaseProcess]) -> bool:
    """Wait a moment, and return whether all have ended, or one has failed."""
    running = [process.sentinel for process in processes if process.is_alive()]
    if running:
        wait(running, timeout=_POLL_SECONDS)
    codes = [process.exitcode for process in processes]
    return None not in codes or any(codes)


def _check(processes: list[BaseProcess], folder: Path) -> None:
    """Raise what a process failed of: what is meant for users, else a process's end from outside, else any failure."""
    failures = [files.read_description(file) for file in sorted(folder.glob("error-*.json"))]
    for failure in failures:
        if failure["kind"] in _ERRORS:
            raise _ERRORS[failure["kind"]](failure["message"])
    for rank, process in enumerate(processes):
        if process.exitcode not in (None, 0, _FAILED):
            raise RunError(f"the process that trained on device {rank} ended with exit code {process.exitcode}")
    if failures:
        raise RunError(f"training failed on device {failures[0]['rank']}:\n{failures[0]['trace']}")
    if any(process.exitcode for process in processes):
        raise RunError("a process that trained on one of several devices failed, and left no word of why")


def _train_one(rank: int, work: Work, folder: Path, done: torch.Tensor) -> None:
    """Train on one device, in a process of its own."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.environ["OMP_NUM_THREADS"] = str(work.config.threads)  # or Lightning chooses a number
    torch.set_num_threads(work.config.threads)
    for tensor in (*work.module.parameters(), *work.module.buffers()):
        tensor.data = tensor.data.clone()  # sent to a process, it lies in memory that all of them share
    counts = done.numpy()

    def on_samples(count: int) -> None:
        counts[rank] += count

    try:
        store = FileStore(str(folder / "store"), work.config.devices)
        outcome = train(work, _join(rank, work, store), on_samples)
        if rank == 0:
            _write(folder, work, outcome)
        distributed.barrier()
        distributed.destroy_process_group()
    except Exception as error:
        failure = {
            "rank": rank,
            "kind": type(error).__name__,
            "message": str(error),
            "trace": "".join(traceback.format_exception(error)),
        }
        partial = folder / f"failing-{rank:04d}"
        files.write_description(failure, partial)
        partial.rename(folder / f"error-{rank:04d}.json")
        sys.exit(_FAILED)


def _join(rank: int, work: Work, store: FileStore) -> Peers:
    device, size = torch_device(work.config.accelerator), work.config.devices
    options: dict[str, Any] = {}
    if device.type == "cuda":
        torch.cuda.set_device(rank)
        device = options["device_id"] = torch.device("cuda", rank)
    elif sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all are on this machine
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE, **options)
    return Peers(rank, size, device)


def _write(folder: Path, work: Work, outcome: Outcome) -> None:
    description = {
        "aliases": files.write_weights(work.module, folder / files.WEIGHTS),
        "optimizers": files.write_optimizers(outcome.optimizer_states, folder / files.OPTIMIZERS),
        "num_steps": outcome.num_steps,
        "num_trained": outcome.num_trained,
        "num_scored": outcome.num_scored,
        "scoring_seconds": outcome.scoring_seconds,
    }
    arrays = dict(outcome.uses)
    if outcome.recorded is not None:
        arrays[_RECORDED] = outcome.recorded
    save_file({name: torch.from_numpy(array) for name, array in arrays.items()}, folder / _OUTCOME)
    files.write_description(description, folder / files.DESCRIPTION)


def _read(folder: Path, work: Work) -> Outcome:
    values = files.read_description(folder / files.DESCRIPTION)
    files.read_weights(work.module, folder / files.WEIGHTS, values["aliases"])
    arrays = {name: tensor.numpy() for name, tensor in load_file(folder / _OUTCOME).items()}
    return Outcome(
        num_steps=values["num_steps"],
        num_trained=values["num_trained"],
        optimizer_states=files.read_optimizers(folder / files.OPTIMIZERS, values["optimizers"]),
        num_scored=values["num_scored"],
        scoring_seconds=values["scoring_seconds"],
        recorded=arrays.pop(_RECORDED, None),
        uses=arrays,
    )
