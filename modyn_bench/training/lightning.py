"""A Lightning Trainer for one training, with everything switched off that a pipeline does not need."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import DDPStrategy, Strategy

from modyn_bench.config import TrainingConfig
from modyn_bench.errors import RequestError
from modyn_bench.training.batches import TrainingBatches
from modyn_bench.training.module import TrainingModule
from modyn_bench.training.peers import Peers

_DETERMINISTIC: Any = torch.utils.deterministic  # a module that is swapped for an object with properties


class _Environment(LightningEnvironment):
    """Tells Lightning that this is one of several processes which were started, and joined, without it."""

    creates_processes_externally = True

    def __init__(self, peers: Peers) -> None:
        super().__init__()
        self._rank = peers.rank

    def local_rank(self) -> int:
        return self._rank

    def node_rank(self) -> int:
        return 0


def run_lightning(
    module: TrainingModule, batches: TrainingBatches, config: TrainingConfig, *, max_epochs: int, peers: Peers
) -> None:
    """Train a module on batches, in a new Lightning Trainer.

    Args:
        module: What to train; on the CPU afterwards.
        batches: Iterating yields the next epoch's.
        config: Device, precision, determinism.
        max_epochs: Number of epochs.
        peers: The processes that do the same at the same time.

    Raises:
        RequestError: If Lightning refuses the device or the precision.
        KeyboardInterrupt: If the user interrupts it.
    """
    with _quiet(), _torch_flags_restored(), _interruptible():
        try:
            trainer = pl.Trainer(
                accelerator=config.accelerator,
                devices=config.devices,
                strategy=_strategy(peers),
                precision=config.precision,  # type: ignore[arg-type]  # a configured name; Lightning checks it
                max_epochs=max_epochs,
                deterministic=config.deterministic,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                enable_autolog_hparams=False,
                num_sanity_val_steps=0,
                limit_val_batches=0,
                use_distributed_sampler=False,
                log_every_n_steps=0,
            )
        except (ValueError, RuntimeError, TypeError, MisconfigurationException) as error:
            raise RequestError(
                f"training.accelerator={config.accelerator} with training.precision={config.precision}: {error}"
            ) from error
        _DETERMINISTIC.fill_uninitialized_memory = False  # costs time and changes no result
        trainer.fit(module, batches)


def _strategy(peers: Peers) -> str | Strategy:
    if peers.size == 1:
        return "auto"
    return DDPStrategy(
        cluster_environment=_Environment(peers),
        find_unused_parameters=True,  # a model may leave some out, as it may on one device
        init_sync=False,  # all start with the same
        broadcast_buffers=False,  # Lightning never lets it happen in manual optimisation: the module does it
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's tips, and warnings about what is switched off on purpose, from the user."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _torch_flags_restored() -> Iterator[None]:
    """Restore the process-wide flags that a Lightning Trainer sets and leaves."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = _DETERMINISTIC.fill_uninitialized_memory
    benchmark = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        _DETERMINISTIC.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let an interrupt be a ``KeyboardInterrupt``: Lightning turns it into an exit and ignores further ones."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


_frozen = False


def collect_garbage() -> None:
    """Free what Lightning's reference cycles hold; what importing left behind is frozen once, and never visited."""
    global _frozen
    gc.collect()
    if not _frozen:
        gc.freeze()
        _frozen = True
