"""One training as every process that takes part in it does it, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from modyn_bench.config import TrainingConfig
from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.errors import RunError
from modyn_bench.inference.forward import torch_device
from modyn_bench.seeding import forked_global_state
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.training.augmentation.augmenter import Augmenter
from modyn_bench.training.batches import TrainingBatches
from modyn_bench.training.downsampling import Downsampling
from modyn_bench.training.lightning import run_lightning
from modyn_bench.training.module import TrainingModule
from modyn_bench.training.optimizers import OptimizerState, optimizer_states
from modyn_bench.training.peers import Peers
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.training.records import SampleRecords
from modyn_bench.training.scoring import Loss, Scorer
from modyn_bench.types import IntArray, Selection


@dataclass(frozen=True)
class Work:
    """What is trained, on what, and how; the same on every device.

    Attributes:
        module: The model; it is trained in place.
        config: How to train.
        plan: Epochs, batches and steps, as the first device sees them.
        loss: Maps logits (B, C) and labels (B,) to losses (B,).
        num_classes: Number of classes.
        optimizer_states: What optimisers start with, by name.
        selection: The trigger training set.
        columns: The split's input columns, each of shape (N, ...).
        labels: The split's labels, shape (N,).
        preprocessor: Turns stored columns into model inputs.
        downsampler: What chooses among the selection meanwhile; ``None``: all of it is trained on.
        continues: Whether the model goes on from the last one, rather than starting anew.
        records: What the downsampler recorded in earlier trainings.
        seed: The run's seed.
        last_key: The data's last key, which randomness derives from.
    """

    module: nn.Module
    config: TrainingConfig
    plan: TrainingPlan
    loss: Loss
    num_classes: int
    optimizer_states: Mapping[str, OptimizerState]
    selection: Selection
    columns: Mapping[str, NDArray[Any]]
    labels: IntArray
    preprocessor: Preprocessor
    downsampler: Downsampler | None
    continues: bool
    records: SampleRecords | None
    seed: int
    last_key: int


@dataclass
class Outcome:
    """What a training leaves beside the trained module; counts are those of all devices together.

    Attributes:
        num_steps: Optimiser steps.
        num_trained: Samples passed forward and backward.
        optimizer_states: Of each optimiser, by its name, if they are carried on; else empty.
        num_scored: Samples passed forward to be scored.
        scoring_seconds: Seconds of scoring and choosing.
        uses: Of each sample of the selection, ``num_uses`` and ``sum_of_weights``; empty without a downsampler.
        recorded: What the downsampler recorded of each sample, shape (n, d); ``None`` where it records nothing.
    """

    num_steps: int
    num_trained: int
    optimizer_states: dict[str, OptimizerState] = field(default_factory=dict)
    num_scored: int = 0
    scoring_seconds: float = 0.0
    uses: dict[str, NDArray[Any]] = field(default_factory=dict)
    recorded: NDArray[np.float32] | None = None


def train(work: Work, peers: Peers | None = None, on_samples: Callable[[int], None] | None = None) -> Outcome:
    """Train a model, alone or together with processes that do the same for other devices.

    Random numbers that a model draws while it trains, as for dropout, differ from device to device; augmentations that
    take draws do the same on all.

    Args:
        work: What to do.
        peers: The processes that train together; ``None``: this one alone.
        on_samples: Told how many more samples this process has done.

    Raises:
        RequestError: If the model and the configuration do not fit together.
        RunError: If the training diverges.
    """
    peers = Peers() if peers is None else peers
    module, config = work.module, work.config
    plan = replace(work.plan, rank=peers.rank)
    downsampling = _downsampling(work, work.downsampler, peers) if work.downsampler is not None else None
    augmenter = None
    if config.augmentation is not None:
        augmenter = Augmenter(config.augmentation, seed=work.seed, last_key=work.last_key)
    training = TrainingModule(
        module,
        config=config,
        plan=plan,
        loss=work.loss,
        num_classes=work.num_classes,
        optimizer_states=work.optimizer_states,
        downsampling=downsampling,
        augmenter=augmenter,
        peers=peers,
        on_samples=on_samples,
    )
    batches = TrainingBatches(
        work.columns,
        work.labels,
        work.selection.keys,
        work.selection.weights,
        plan=plan,
        preprocessor=work.preprocessor,
        subset=None if downsampling is None or plan.num_pooled is not None else downsampling.subset,
    )
    module.train()
    own = (peers.rank,) if peers.rank else ()
    try:
        with forked_global_state(work.seed, "training", work.last_key, "steps", *own):
            run_lightning(training, batches, config, max_epochs=plan.num_epochs, peers=peers)
    finally:
        batches.close()
    _check_finite(module)
    outcome = Outcome(training.num_steps, sum(peers.counts(training.num_trained)))
    if config.carry_optimizer:
        outcome.optimizer_states = optimizer_states(training.named_optimizers, module)
    if downsampling is not None:
        outcome.num_scored = sum(peers.counts(downsampling.scorer.num_samples))
        outcome.scoring_seconds = downsampling.scorer.seconds
        outcome.uses = downsampling.uses()
        outcome.recorded = downsampling.recorded()
    return outcome


def _downsampling(work: Work, policy: Downsampler, peers: Peers) -> Downsampling:
    scorer = Scorer(
        policy,
        work.module,
        work.loss,
        num_classes=work.num_classes,
        accelerator=work.config.accelerator,
        precision=work.config.precision,
    )
    return Downsampling(
        policy,
        scorer,
        work.selection,
        columns=work.columns,
        labels=work.labels,
        preprocessor=work.preprocessor,
        num_epochs=work.plan.num_epochs,
        device=torch_device(work.config.accelerator),
        seed=work.seed,
        last_key=work.last_key,
        continues=work.continues,
        records=work.records,
        peers=peers,
    )


def _check_finite(module: nn.Module) -> None:
    """Raise if the last step, whose effect no loss has shown, left weights that are not finite."""
    for name, parameter in module.named_parameters():
        if not torch.isfinite(parameter.detach().sum()) and not torch.isfinite(parameter.detach()).all():
            raise RunError(
                f"training diverged: parameter {name} is not finite after the last step; lower training.optimizer.lr, "
                "or set training.clip_norm"
            )
