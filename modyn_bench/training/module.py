"""The Lightning module: manual optimisation always, with weights, accumulation and clipping of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from modyn_bench.config import TrainingConfig
from modyn_bench.errors import RequestError, RunError
from modyn_bench.inference.forward import as_input, check_outputs, model_dtype
from modyn_bench.training.augmentation.augmenter import Augmenter
from modyn_bench.training.batches import Batch
from modyn_bench.training.downsampling import Downsampling, Rows
from modyn_bench.training.optimizers import (
    OptimizerState,
    build_optimizers,
    build_schedules,
    clip_gradients,
    restore_states,
    step_scaled,
)
from modyn_bench.training.peers import Peers
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.training.scoring import Loss


class TrainingModule(pl.LightningModule):
    """Trains a model on batches whose losses are summed with weights.

    The gradient of an optimiser step is that of ``(1/N) Σ wᵢ lossᵢ`` over its N samples, accumulated batches and other
    devices included. Where batches are pools, a policy chooses what is trained on of each; what it chose waits until it
    fills a step, or the epoch ends.

    Args:
        model: The model; it is trained in place.
        config: Optimisers, schedule, clipping, precision.
        plan: Epochs, batches and steps of this training.
        loss: Maps logits (B, C) and labels (B,) to losses (B,).
        num_classes: Number of classes.
        optimizer_states: What optimisers start with, by name.
        downsampling: What chooses among the samples; ``None``: all are trained on.
        augmenter: What changes batches before anything else; a pool is changed once, so what is scored is trained on.
        peers: The processes that train with this one.
        on_samples: Told how many more samples are done.

    Attributes:
        num_steps: Optimiser steps so far.
        num_trained: Samples passed forward and backward by this process so far.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        config: TrainingConfig,
        plan: TrainingPlan,
        loss: Loss,
        num_classes: int,
        optimizer_states: Mapping[str, OptimizerState],
        downsampling: Downsampling | None = None,
        augmenter: Augmenter | None = None,
        peers: Peers | None = None,
        on_samples: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.num_steps = 0
        self.num_trained = 0
        self.named_optimizers: dict[str, Optimizer] = {}
        self._config = config
        self._plan = plan
        self._peers = Peers() if peers is None else peers
        self._downsampling = downsampling
        self._augmenter = augmenter
        self._waiting: Rows | None = None  # chosen, but too few for a step so far
        self._steps_before = 0  # this epoch
        self._loss = loss
        self._num_classes = num_classes
        self._initial_states = optimizer_states
        self._on_samples = on_samples
        self._schedules: list[LRScheduler] = []
        self._interval = "step"
        self._losses: list[torch.Tensor] = []
        self._dtype_of_inputs = model_dtype(config.precision)
        self._buffers_of_all: list[torch.Tensor] = []
        if self._peers.size > 1:
            self._buffers_of_all = list(model.buffers())
            self.unused = nn.Parameter(torch.zeros(1))  # DDP warns where it looks for unused ones and finds none
        self._norms = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
        self._forward: Callable[..., Any] = torch.compile(model) if config.compile else model

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - an attribute is what it is
        """Set an attribute; what can be no parameter or module goes the short way, as Lightning sets 30 a step."""
        if value is None or isinstance(value, str | int):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def setup(self, stage: str) -> None:
        """Choose which gradients are sparse, before several devices agree on how to exchange them."""
        if self._peers.size > 1:
            build_optimizers(self._config.optimizer, self.model)

    def configure_optimizers(self) -> list[Optimizer]:
        """Make the optimisers, when the model lies on its device, and give them the state they carry on."""
        self.named_optimizers = build_optimizers(self._config.optimizer, self.model)
        restore_states(self.named_optimizers, self._initial_states, self.model)
        self._schedules, self._interval = build_schedules(
            self._config.schedule,
            self.named_optimizers,
            num_steps=self._plan.num_optimizer_steps,
            num_epochs=self._plan.num_epochs,
        )
        return list(self.named_optimizers.values())

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Leave a batch where it is; ``training_step`` moves its tensors."""
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Pass a batch forward and backward, and step where the plan says so; or choose from it first."""
        if self._buffers_of_all:
            self._peers.share(self._buffers_of_all)
        rows = Rows(batch.inputs, batch.labels, batch.weights, torch.from_numpy(batch.positions))
        if self._plan.num_pooled is not None:
            self._train_on_best(rows, batch)
        else:
            self._pass(self._on_device(rows), batch.scale, steps=batch.steps, stands_in=batch.stands_in)
            if batch.steps:
                self._step()
        if self._on_samples is not None:
            self._on_samples(0 if batch.stands_in else len(batch))

    def _on_device(self, rows: Rows) -> Rows:
        """Return samples as they are trained on, on the device."""
        if self._augmenter is None:
            return rows.to(self.device)
        return self._augmenter.rows(rows, self.device, self.current_epoch)

    def _train_on_best(self, pool: Rows, batch: Batch) -> None:
        """Choose from a pool, and step as often as what was chosen fills the optimiser's batch on every device."""
        assert self._downsampling is not None
        if self._augmenter is not None:
            pool = self._augmenter.pool(pool, self.device, self.current_epoch)
        if batch.stands_in:
            best = pool.take(slice(0, 0)).to(self.device)
        else:
            best = self._downsampling.best_of(pool, self.current_epoch, batch.num_chosen)
        waiting = best if self._waiting is None else self._waiting.and_then(best)
        size = self._config.batch_size * self._config.accumulate
        counts = self._peers.counts(len(waiting))
        if batch.ends_epoch and self._config.drop_last:
            waiting, counts = self._without_last(waiting, counts)
        while min(counts) >= size or (batch.ends_epoch and max(counts)):
            taken = [min(count, size) for count in counts]
            step, waiting = waiting.take(slice(None, size)), waiting.take(slice(size, None))
            self._step_on(step, taken, pool)
            counts = [count - of_step for count, of_step in zip(counts, taken, strict=True)]
        self._waiting = waiting if len(waiting) else None
        if batch.ends_epoch:
            self._steps_before = self.num_steps

    def _without_last(self, waiting: Rows, counts: list[int]) -> tuple[Rows, list[int]]:
        """Drop what fills no batch of its device at the end of an epoch, unless the epoch has nothing else."""
        whole = [count // self._config.batch_size * self._config.batch_size for count in counts]
        if not any(whole) and self.num_steps == self._steps_before:
            return waiting, counts
        return waiting.take(slice(None, whole[self._peers.rank])), whole

    def _step_on(self, step: Rows, taken: list[int], pool: Rows) -> None:
        """Make one step of these samples and of those that other devices took; all pass equally many batches."""
        size, most = self._config.batch_size, max(taken)
        for start in range(0, most, size):
            rows = step.take(slice(start, start + size))
            stands_in = not len(rows)
            if stands_in:
                rows = pool.take(slice(0, 1)).to(self.device).weightless()
            self._pass(rows, self._peers.size / sum(taken), steps=start + size >= most, stands_in=stands_in)
        self._step()

    def _pass(self, rows: Rows, scale: float, *, steps: bool, stands_in: bool) -> None:
        """Pass samples forward and backward; before a step, gradients are averaged over devices."""
        # One sample has no variance to normalise by: the running one is used. What is frozen already stays so.
        norms = [layer for layer in self._norms if layer.training] if len(rows) == 1 else []
        for layer in norms:
            layer.eval()
        loss = self._weighted_sum(rows, stands_in=stands_in) * scale
        if steps or self._peers.size == 1:
            self.manual_backward(loss)
        else:
            distributed: Any = self.trainer.strategy.model
            with distributed.no_sync():
                self.manual_backward(loss)
        self._losses.append(loss.detach())
        self.num_trained += 0 if stands_in else len(rows)
        for layer in norms:
            layer.train()

    def on_train_epoch_end(self) -> None:
        """Move epoch-wise schedules on, and stop a training that diverged."""
        if self._interval == "epoch":
            self._move_schedules_on(done=self.current_epoch + 1, planned=self._plan.num_epochs)
        if not self._losses:
            return
        losses, self._losses = self._peers.total(torch.stack(self._losses)), []  # so that all stop at the same
        finite = torch.isfinite(losses)
        if not finite.all():
            batch = int((~finite).nonzero()[0])
            raise RunError(
                f"training diverged: the loss of batch {batch} of epoch {self.current_epoch} (both from 0) is "
                f"{losses[batch].item()}; lower training.optimizer.lr, or set training.clip_norm"
            )

    def _weighted_sum(self, rows: Rows, *, stands_in: bool) -> torch.Tensor:
        outputs = self._forward(as_input(rows.inputs, self.device, self._dtype_of_inputs))
        logits = check_outputs(outputs, len(rows), self._num_classes, self.model).float()
        losses = self._loss(logits, rows.labels)
        check_losses(losses, len(rows), self.model)
        if self._downsampling is not None and not stands_in:
            self._downsampling.note(rows, logits)
        return losses.sum() if rows.weights is None else (losses * rows.weights).sum()

    def _step(self) -> None:
        """Step every optimiser, clip before and clear the gradients after."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            step_scaled(list(self.named_optimizers.values()), scaler, self._clip)
        else:
            self._clip()
            optimizers = self.optimizers()
            for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
                optimizer.step()
        for named in self.named_optimizers.values():
            named.zero_grad()
        self.num_steps += 1
        if self._interval == "step":
            self._move_schedules_on(done=self.num_steps, planned=self._plan.num_optimizer_steps)

    def _move_schedules_on(self, *, done: int, planned: int) -> None:
        """Take a step of every schedule; one that was planned for fewer stays at its end."""
        if done <= planned:
            for schedule in self._schedules:
                schedule.step()

    def _clip(self) -> None:
        if self._config.clip_norm is not None:
            clip_gradients(self.model, self._config.clip_norm)


def check_losses(losses: torch.Tensor, num_samples: int, model: nn.Module) -> None:
    """Check that there is one loss per sample, which can be passed backward.

    Raises:
        RequestError: If not.
    """
    if losses.shape != (num_samples,):
        raise RequestError(
            f"training.loss returned shape {tuple(losses.shape)} for {num_samples} samples, but one loss per sample "
            "is needed: give a loss that takes reduction=none"
        )
    if not losses.requires_grad:
        raise RequestError(
            f"the outputs of model {type(model).__name__} do not depend on a parameter that is trained: its forward "
            "must not detach them, and some parameter must require a gradient"
        )
