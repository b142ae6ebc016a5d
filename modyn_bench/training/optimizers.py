"""Optimisers and schedules from the configuration: every parameter in exactly one optimiser, real step counts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from modyn_bench.errors import RequestError
from modyn_bench.training.targets import locate, make

DEFAULT = "default"
"""The name of the one optimiser that has no name in the configuration."""

STEP_COUNTS = ("total_steps", "T_max", "total_iters")
"""Arguments of schedules that are filled in with the real number of steps where they are null or left out."""

OptimizerState = dict[str, dict[str, Any]]
"""Of each parameter, by its name: tensors and numbers by name."""

_OWN_KEYS = ("_target_", "params", "groups")
_SPARSE = {"Adagrad": ("weight_decay",), "SGD": ("momentum", "weight_decay"), "SparseAdam": ()}


def named_configs(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the optimisers' configurations by name.

    Example:
        >>> list(named_configs({"_target_": "torch.optim.SGD", "lr": 0.1}))
        ['default']
    """
    if "_target_" in config:
        return {DEFAULT: config}
    for name, options in config.items():
        if not isinstance(options, Mapping):
            raise RequestError(
                f"training.optimizer.{name}={options!r}: give training.optimizer._target_, or one mapping with "
                "_target_ for each named optimiser"
            )
    return dict(config)


def build_optimizers(config: Mapping[str, Any], module: nn.Module) -> dict[str, Optimizer]:
    """Make the optimisers of a model.

    An optimiser without ``params`` takes the parameters that no other one names. Gradients of embeddings are made dense
    where the optimiser takes no sparse ones; that changes speed, not results.

    Args:
        config: ``training.optimizer``.
        module: The model.

    Raises:
        RequestError: If a parameter is in no optimiser or in several, a pattern matches nothing, or an optimiser's step
            needs more than gradients.
    """
    checks: Any = torch.sparse.check_sparse_tensor_invariants
    if not checks.is_enabled():
        checks.disable()  # it is off; said so, torch does not warn of it
    configs = named_configs(config)
    owners = _assign({name: options.get("params") for name, options in configs.items()}, module, "training.optimizer")
    optimizers = {}
    for name, options in configs.items():
        key = "training.optimizer" if name == DEFAULT else f"training.optimizer.{name}"
        parameters = {parameter: value for parameter, value in _trainable(module) if owners[parameter] == name}
        if not parameters:
            raise RequestError(f"{key}.params={options.get('params')!r} matches no parameter of the model")
        _choose_sparsity(options, module, {id(value) for value in parameters.values()})
        arguments = {option: value for option, value in options.items() if option not in _OWN_KEYS}
        optimizers[name] = make(options, key, _groups(options, parameters, key), **arguments)
        _check_step(optimizers[name], key, "gradients")
    return optimizers


def optimizer_states(optimizers: Mapping[str, Optimizer], module: nn.Module) -> dict[str, OptimizerState]:
    """Return the optimisers' states by the parameters' names, tensors on the CPU."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return {
        name: {
            names[id(parameter)]: {
                key: value.detach().cpu() if isinstance(value, torch.Tensor) else value for key, value in values.items()
            }
            for parameter, values in optimizer.state.items()
        }
        for name, optimizer in optimizers.items()
    }


def restore_states(
    optimizers: Mapping[str, Optimizer], states: Mapping[str, OptimizerState], module: nn.Module
) -> None:
    """Give optimisers the states that ``optimizer_states`` returned; learning rates stay as configured."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for name, optimizer in optimizers.items():
        saved = states.get(name, {})
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state = {
            index: {
                key: value.clone() if isinstance(value, torch.Tensor) else value
                for key, value in saved[names[id(parameter)]].items()
            }
            for index, parameter in enumerate(parameters)
            if names[id(parameter)] in saved
        }
        if state:
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def build_schedules(
    config: Mapping[str, Any] | None, optimizers: Mapping[str, Optimizer], *, num_steps: int, num_epochs: int
) -> tuple[list[LRScheduler], str]:
    """Make a schedule for each optimiser, and say whether they move on by ``step`` or by ``epoch``.

    Args:
        config: ``training.schedule``; ``None`` for none. ``optimizer`` in it restricts it to that one.
        optimizers: By name.
        num_steps: Optimiser steps of the training.
        num_epochs: Epochs of the training.

    Raises:
        RequestError: If the interval is neither, the optimiser does not exist, the schedule refuses its options, or its
            step needs more than the number of steps.
    """
    if config is None:
        return [], "step"
    key = "training.schedule"
    interval = config.get("interval", "step")
    if interval not in ("step", "epoch"):
        raise RequestError(f"{key}.interval={interval!r} must be step or epoch")
    only = config.get("optimizer")
    if only is not None and only not in optimizers:
        raise RequestError(f"{key}.optimizer={only} is none of the optimisers {', '.join(optimizers)}")
    accepted = inspect.signature(locate(config, key)).parameters
    options = {name: value for name, value in config.items() if name not in ("_target_", "interval", "optimizer")}
    for name in STEP_COUNTS:
        required = name in accepted and accepted[name].default is inspect.Parameter.empty
        if name in accepted and options.get(name) is None and (required or name in options or name == "total_steps"):
            options[name] = num_steps if interval == "step" else num_epochs
    chosen = [optimizer for name, optimizer in optimizers.items() if only in (None, name)]
    schedules = [make(config, key, optimizer, **options) for optimizer in chosen]
    for schedule in schedules:
        _check_step(schedule, key, "the number of steps")
    return schedules, interval


def clip_gradients(module: nn.Module, max_norm: float) -> None:
    """Scale all gradients, dense and sparse, so that their common norm is at most ``max_norm``.

    Args:
        module: The model.
        max_norm: The bound.
    """
    tensors = []
    for parameter in module.parameters():
        gradient = parameter.grad
        if gradient is None:
            continue
        if gradient.is_sparse:  # rows that occur several times must be added up before they are measured
            parameter.grad = gradient.coalesce()
            gradient = parameter.grad._values()
        tensors.append(gradient)
    if not tensors:
        return
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(tensor) for tensor in tensors]))
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for tensor in tensors:
        tensor.mul_(factor)


def step_scaled(optimizers: Sequence[Optimizer], scaler: torch.amp.GradScaler, clip: Callable[[], None]) -> None:
    """Step optimisers whose gradients were computed from a scaled loss; the scale moves on once, when all have stepped.

    Args:
        optimizers: All of the model's.
        scaler: What scaled the loss. An optimiser whose gradients are not finite under its scale does not step.
        clip: Called between unscaling and stepping.
    """
    for optimizer in optimizers:
        scaler.unscale_(optimizer)
    clip()
    for optimizer in optimizers:
        scaler.step(optimizer)
    scaler.update()


def _check_step(stepped: Optimizer | LRScheduler, key: str, enough: str) -> None:
    """Refuse what cannot step without an argument, such as a closure or a validation metric."""
    for parameter in inspect.signature(stepped.step).parameters.values():
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            raise RequestError(
                f"{key}: {type(stepped).__name__} cannot be used: its step needs {parameter.name}, but trainings here "
                f"step on {enough} alone"
            )


def _trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def _assign(patterns: Mapping[str, str | None], module: nn.Module, key: str) -> dict[str, str]:
    """Return the owner of each trainable parameter."""
    rest = [owner for owner, pattern in patterns.items() if pattern is None]
    if len(rest) > 1:
        raise RequestError(f"{key}: {' and '.join(rest)} have no params: only one may take what the others leave")
    owners = {}
    for name, _ in _trainable(module):
        matches = [owner for owner, pattern in patterns.items() if pattern is not None and _matches(pattern, name, key)]
        matches = matches or rest
        if len(matches) != 1:
            found = f"in {' and '.join(matches)}" if matches else "in none"
            raise RequestError(
                f"{key}: parameter {name} is {found}, but must be in exactly one of {', '.join(patterns)}: "
                "change their params, regular expressions that are searched for in parameter names"
            )
        owners[name] = matches[0]
    return owners


def _matches(pattern: str, name: str, key: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error as error:
        raise RequestError(f"{key}: params={pattern!r} is no regular expression: {error}") from error


def _groups(options: Mapping[str, Any], parameters: Mapping[str, nn.Parameter], key: str) -> list[dict[str, Any]]:
    """Return the optimiser's parameter groups: one for each entry of ``groups``, and one for the rest."""
    groups: list[dict[str, Any]] = []
    taken: dict[str, int] = {}
    for index, group in enumerate(options.get("groups") or []):
        if "params" not in group:
            raise RequestError(f"{key}.groups[{index}].params is missing: a regular expression over parameter names")
        names = [name for name in parameters if _matches(group["params"], name, f"{key}.groups[{index}]")]
        for name in names:
            if name in taken:
                raise RequestError(f"{key}.groups: parameter {name} is in groups {taken[name]} and {index}")
            taken[name] = index
        if not names:
            raise RequestError(
                f"{key}.groups[{index}].params={group['params']!r} matches no parameter of this optimiser"
            )
        own = {option: value for option, value in group.items() if option != "params"}
        groups.append({"params": [parameters[name] for name in names], **own})
    rest = [parameter for name, parameter in parameters.items() if name not in taken]
    return [*groups, {"params": rest}] if rest else groups


def _choose_sparsity(options: Mapping[str, Any], module: nn.Module, parameters: set[int]) -> None:
    """Turn off sparse gradients of embeddings whose optimiser of torch does not take them."""
    target = str(options.get("_target_"))
    path, _, name = target.rpartition(".")
    if path != "torch.optim":
        return
    refused = (*_SPARSE.get(name, ()), "maximize")
    given = [options, *(options.get("groups") or [])]
    if name in _SPARSE and not any(group.get(option) for group in given for option in refused):
        return
    for layer in module.modules():
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and id(layer.weight) in parameters:
            layer.sparse = False
