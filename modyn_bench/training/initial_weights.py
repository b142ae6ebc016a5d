"""Weights that a user gives, such as those of ImageNet, which a model starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from modyn_bench.errors import RequestError
from modyn_bench.training.files import fill, shared_names

_HINT = "training.fresh_layers names layers that it need not fit"


def read_initial_weights(module: nn.Module, file: Path, fresh: Sequence[str] = ()) -> None:
    """Fill a model with weights that a user gave; a tensor that several names share may stand there under any of them.

    Counts of batches that normalisations have seen, which older files lack, may be absent.

    Args:
        module: The model.
        file: A safetensors file.
        fresh: Layers that stay as they are, by the beginning of their names, whatever the file holds of them.

    Raises:
        RequestError: If the file is absent or no safetensors file, if names or shapes are not the model's, or if the
            model has no such layer.
    """
    key, file = f"training.initial_weights={file}", file.expanduser()
    if not file.is_file():
        raise RequestError(f"{key} is not there: expected a safetensors file")
    state = module.state_dict()
    shared = shared_names(state)
    kept = _names_of(fresh, state, shared)
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise RequestError(f"{key} is no safetensors file: {error}") from error
    tensors = {name: tensor for name, tensor in tensors.items() if not any(_is_in(name, layer) for layer in fresh)}
    for name, source in shared.items():
        found = tensors.get(source, tensors.get(name))
        if found is not None:
            tensors[source] = tensors[name] = found
    for name, tensor in state.items():
        if name in kept or name.endswith("num_batches_tracked"):
            tensors.setdefault(name, tensor)
    fill(module, tensors, RequestError, f"{key} does not fit the configured model ({_HINT})")


def _names_of(layers: Sequence[str], state: Mapping[str, torch.Tensor], shared: Mapping[str, str]) -> set[str]:
    """Return the names of all tensors of some layers.

    Raises:
        RequestError: If there is no such layer, or one that is not among them is made of the same tensor.
    """
    names: set[str] = set()
    for layer in layers:
        found = {name for name in state if _is_in(name, layer)}
        if not found:
            raise _no_layer(layer, state)
        names |= found
    for name, source in shared.items():
        if (name in names) != (source in names):
            raise RequestError(
                f"training.fresh_layers={list(layers)}: {name} and {source} are one tensor, which cannot be both fresh "
                "and filled: name both, or neither"
            )
    return names


def _no_layer(layer: str, state: Mapping[str, torch.Tensor]) -> RequestError:
    parts = [name.split(".") for name in state]
    layers = dict.fromkeys(".".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1))
    near = get_close_matches(layer, layers, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    outermost = ", ".join(dict.fromkeys(part[0] for part in parts))
    return RequestError(
        f"training.fresh_layers: the model has no layer {layer!r}{hint} (layers: {outermost}, and what lies in them)"
    )


def _is_in(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")
