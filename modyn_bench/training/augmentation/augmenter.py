"""The augmentations of one training, made of their configuration and applied to its batches."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from modyn_bench.errors import RequestError
from modyn_bench.inference.forward import ModelInput
from modyn_bench.training.augmentation.draws import Draws
from modyn_bench.training.downsampling import Rows
from modyn_bench.training.sweep import BATCH_SIZE
from modyn_bench.training.targets import make
from modyn_bench.types import IntArray

KEY = "training.augmentation"


@dataclass(frozen=True)
class Step:
    """One augmentation.

    Attributes:
        key: Where it is configured.
        name: Its name among several.
        augment: Maps a model's inputs, and draws if it takes them, to other inputs of the same shape.
        takes_draws: Whether it has a parameter ``draws``; else it draws from torch's global state, which is seeded.
    """

    key: str
    name: str
    augment: Callable[..., Any]
    takes_draws: bool

    def __call__(self, inputs: ModelInput, positions: IntArray, seed: int, *names: int | str) -> ModelInput:
        """Return augmented inputs."""
        draws = (Draws(positions, seed, *names, self.name),) if self.takes_draws else ()
        augmented: ModelInput = self.augment(inputs, *draws)
        return augmented


class Augmenter:
    """Applies augmentations, one after the other in the order of their names, to batches on their device.

    Args:
        config: ``{_target_, ...}`` of one, or ``{name: {_target_, ...}}`` of several.
        seed: The run's seed.
        last_key: The data's last key, which randomness derives from.

    Raises:
        RequestError: If one cannot be made.
    """

    def __init__(self, config: Mapping[str, Any], *, seed: int, last_key: int) -> None:
        several = {"": config} if "_target_" in config else config
        self._steps = [_step(name, several[name]) for name in sorted(several)]
        self._seed = seed
        self._last_key = last_key
        self._device: torch.device | None = None  # where augmentations with tensors of their own lie

    def rows(self, rows: Rows, device: torch.device, epoch: int) -> Rows:
        """Return augmented samples on a device; those given lie on the CPU."""
        positions = rows.positions.numpy()
        moved = rows.to(device)
        return replace(moved, inputs=self._augmented(moved.inputs, positions, device, epoch))

    def pool(self, pool: Rows, device: torch.device, epoch: int) -> Rows:
        """Return an augmented pool, on the device if it is small, else where it lies: on the CPU."""
        if len(pool) <= BATCH_SIZE:
            return self.rows(pool, device, epoch)
        parts = [pool.take(slice(start, start + BATCH_SIZE)) for start in range(0, len(pool), BATCH_SIZE)]
        done = [self.rows(part, device, epoch).inputs for part in parts]
        return replace(pool, inputs={name: torch.cat([part[name].cpu() for part in done]) for name in pool.inputs})

    def rehearse(self, inputs: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
        """Try the augmentations on a few samples, and return what becomes of these.

        Raises:
            RequestError: If one fails, or changes the shape or type of inputs.
        """
        given = {name: tensor.to(device) for name, tensor in inputs.items()}
        positions = np.arange(len(next(iter(given.values()))))
        self._move(device)
        for step in self._steps:
            try:
                with torch.no_grad():
                    outputs = step(_as_model_input(dict(given)), positions, self._seed)
            except RequestError as error:
                raise RequestError(f"{step.key}: {error}") from error
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                raise RequestError(
                    f"{step.key} fails on a batch of {len(positions)} samples: {type(error).__name__}: {error} "
                    f"({where.filename}, line {where.lineno})"
                ) from error
            given = _checked(outputs, given, step.key)
        return given

    def _augmented(
        self, inputs: dict[str, torch.Tensor], positions: IntArray, device: torch.device, epoch: int
    ) -> dict[str, torch.Tensor]:
        self._move(device)
        augmented = _as_model_input(inputs)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            for step in self._steps:
                augmented = step(augmented, positions, self._seed, "training", self._last_key, "augmentation", epoch)
        return augmented if isinstance(augmented, dict) else dict.fromkeys(inputs, augmented)

    def _move(self, device: torch.device) -> None:
        if device != self._device:
            for step in self._steps:
                if isinstance(step.augment, nn.Module):
                    step.augment.to(device)
            self._device = device


def _step(name: str, node: object) -> Step:
    key = f"{KEY}.{name}" if name else KEY
    if not isinstance(node, Mapping):
        raise RequestError(f"{key}={node!r} must have a _target_, or be left out as in ~{key}")
    augment = make(node, key, **{option: value for option, value in node.items() if option != "_target_"})
    called = augment.forward if isinstance(augment, nn.Module) else augment
    if not callable(called):
        raise RequestError(f"{key}: {node['_target_']} makes a {type(augment).__name__}, which cannot be called")
    return Step(key, name, augment, "draws" in inspect.signature(called).parameters)


def _as_model_input(inputs: dict[str, torch.Tensor]) -> ModelInput:
    return next(iter(inputs.values())) if len(inputs) == 1 else inputs


def _checked(outputs: object, inputs: dict[str, torch.Tensor], key: str) -> dict[str, torch.Tensor]:
    """Return outputs by name.

    Raises:
        RequestError: If they are not tensors of the inputs' names, shapes and types.
    """
    named = dict.fromkeys(inputs, outputs) if len(inputs) == 1 else outputs
    if not isinstance(named, dict) or named.keys() != inputs.keys():
        raise RequestError(f"{key} returned a {type(outputs).__name__}, but a dict with {', '.join(inputs)} is needed")
    for name, before in inputs.items():
        after = named[name]
        if not isinstance(after, torch.Tensor) or (after.shape, after.dtype) != (before.shape, before.dtype):
            what = f"{after.dtype} of shape {tuple(after.shape)}" if isinstance(after, torch.Tensor) else type(after)
            raise RequestError(
                f"{key} turned {name}, {before.dtype} of shape {tuple(before.shape)}, into {what}: an augmentation "
                "keeps both"
            )
    return named
