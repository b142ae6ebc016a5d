"""Making a model from its configuration and what the data tell: any ``nn.Module``, ours or not."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modyn_bench.data.preprocessing import InputSpec
from modyn_bench.errors import RequestError


def build_model(config: Mapping[str, Any], inputs: InputSpec) -> nn.Module:
    """Make the model that a Hydra configuration describes.

    Constructor arguments that are named ``inputs`` or like a field of ``InputSpec``, and that the configuration leaves
    out or null, are filled in from the data. ``embedding_layer`` in the configuration names the layer whose input is
    the embedding, as in ``named_modules()``; by default it is the last one that runs.

    Args:
        config: ``_target_`` and arguments.
        inputs: What the data tell.

    Raises:
        RequestError: If the target or its arguments are wrong, or what it makes is no ``nn.Module``.

    Example:
        >>> build_model({"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}, InputSpec(num_classes=3))
        Linear(in_features=2, out_features=3, bias=True)
    """
    from hydra.errors import InstantiationException
    from hydra.utils import get_object, instantiate

    values = dict(config)
    embedding_layer = values.pop("embedding_layer", None)
    target = values.get("_target_")
    if not isinstance(target, str):
        raise RequestError("model._target_ is missing: the import path of a torch.nn.Module, such as my_model.Net")
    known = {"inputs": inputs} | {field.name: getattr(inputs, field.name) for field in dataclasses.fields(inputs)}
    try:
        accepted = _parameters(get_object(target))
        filled = {name: value for name, value in known.items() if name in accepted and values.get(name) is None}
        model = instantiate({name: value for name, value in values.items() if name not in filled}, **filled)
    except (InstantiationException, ImportError, ValueError, TypeError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, RequestError) else error
        if isinstance(cause, RequestError):
            raise cause from None
        raise RequestError(f"model._target_={target} cannot be made: {cause}") from error
    if not isinstance(model, nn.Module):
        raise RequestError(f"model._target_={target} makes a {type(model).__name__}, but a torch.nn.Module is needed")
    if embedding_layer is not None:
        if embedding_layer not in dict(model.named_modules()):
            layers = ", ".join(name for name, _ in model.named_modules() if name)
            raise RequestError(f"model.embedding_layer={embedding_layer} is no layer of {target}; it has {layers}")
        model.embedding_layer = embedding_layer
    _check_state(model, target)
    return model


def _check_state(model: nn.Module, target: str) -> None:
    """Refuse parameters that have no shape yet, and give buffers memory of their own where an element stands for many.

    Raises:
        RequestError: If a parameter or buffer has no shape before a batch has passed.
    """
    lazy = [name for name, value in (*model.named_parameters(), *model.named_buffers()) if is_lazy(value)]
    if lazy:
        raise RequestError(
            f"model._target_={target}: {', '.join(lazy)} has no shape before a batch has passed, as of torch.nn.Lazy "
            "layers: name its size; constructor arguments such as num_features and num_classes are filled in"
        )
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if any(step == 0 and size > 1 for step, size in zip(buffer.stride(), buffer.shape, strict=True)):
                module.register_buffer(name, buffer.contiguous(), name not in module._non_persistent_buffers_set)


def _parameters(target: Callable[..., Any]) -> Collection[str]:
    """Return the names of a target's parameters; none for what was compiled without a signature."""
    try:
        return inspect.signature(target).parameters.keys()
    except (TypeError, ValueError):
        return ()


def copies_faithfully(model: nn.Module) -> bool:
    """Say whether ``copy.deepcopy`` of a model is a model like it.

    It is not where something within refers to the model itself, such as a closure or a bound method, which goes on
    referring to the original; and it may not be where there is anything else than tensors and plain values.

    Example:
        >>> copies_faithfully(nn.Linear(2, 3))
        True
    """
    return all(_is_plain(value) for part in model.modules() for name, value in vars(part).items() if name != "_modules")


def _is_plain(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return value.grad_fn is None
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(inner) for pair in value.items() for inner in pair)
    if isinstance(value, FunctionType):
        return value.__closure__ is None and _is_plain(value.__defaults__ or ())
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes, type, torch.dtype, torch.device))
