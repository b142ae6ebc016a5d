"""A trained model on disk: safetensors and JSON, the same bytes for the same model, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from modyn_bench.errors import RequestError, RunError
from modyn_bench.training.optimizers import OptimizerState
from modyn_bench.training.records import SampleRecords

WEIGHTS = "model.safetensors"
OPTIMIZERS = "optimizers.safetensors"
RECORDS = "records.safetensors"
DESCRIPTION = "model.json"
_TOLD = 8  # names in a message: large models have hundreds


def write_weights(module: nn.Module, file: Path) -> dict[str, str]:
    """Write a model's state, and return the names that share another one's tensor, which is written once.

    Raises:
        RequestError: If the state holds what is no tensor.
    """
    state = module.state_dict()
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise RequestError(f"the model's state holds {name}, a {type(value).__name__}: only tensors can be saved")
    aliases = shared_names(state)
    tensors = {
        name: value.detach().cpu().contiguous().clone() if value._base is not None else _plain(value)
        for name, value in state.items()
        if name not in aliases
    }
    save_file(tensors, file)
    return aliases


def read_weights(module: nn.Module, file: Path, aliases: Mapping[str, str]) -> None:
    """Fill a model with the state that ``write_weights`` wrote.

    Raises:
        RunError: If the file is damaged, or belongs to another model.
    """
    tensors = _read(file)
    tensors |= {name: tensors[source] for name, source in aliases.items() if source in tensors}
    fill(module, tensors, RunError, f"{file} does not belong to the configured model")


def write_optimizers(states: Mapping[str, OptimizerState], file: Path) -> dict[str, Any]:
    """Write the tensors of optimisers' states, and return their numbers as plain values for JSON."""
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, Any] = {}
    for optimizer, parameters in states.items():
        numbers[optimizer] = {}
        for parameter, values in parameters.items():
            plain = {}
            for key, value in values.items():
                if isinstance(value, torch.Tensor):
                    tensors[json.dumps([optimizer, parameter, key])] = _plain(value)
                elif value is None or isinstance(value, int | float | str | bool):
                    plain[key] = value
                else:
                    raise RequestError(
                        f"training.carry_optimizer=true: optimiser {optimizer} keeps {key}, a {type(value).__name__}, "
                        "which cannot be saved; only tensors and numbers can"
                    )
            numbers[optimizer][parameter] = plain
    save_file(tensors, file)
    return numbers


def read_optimizers(file: Path, numbers: Mapping[str, Any]) -> dict[str, OptimizerState]:
    """Return the optimisers' states that ``write_optimizers`` wrote."""
    states: dict[str, OptimizerState] = {
        optimizer: {parameter: dict(values) for parameter, values in parameters.items()}
        for optimizer, parameters in numbers.items()
    }
    for name, tensor in _read(file).items():
        optimizer, parameter, key = json.loads(name)
        states[optimizer][parameter][key] = tensor
    return states


def write_records(records: Mapping[str, SampleRecords], file: Path) -> list[str]:
    """Write what policies recorded of samples, and return the policies' names."""
    tensors = {}
    for policy in sorted(records):
        tensors[f"{policy}.keys"] = torch.from_numpy(records[policy].keys)
        tensors[f"{policy}.values"] = torch.from_numpy(records[policy].values)
    save_file(tensors, file)
    return sorted(records)


def read_records(file: Path, policies: Sequence[str]) -> dict[str, SampleRecords]:
    """Return the records of policies that ``write_records`` wrote."""
    tensors = _read(file)
    return {
        policy: SampleRecords(tensors[f"{policy}.keys"].numpy(), tensors[f"{policy}.values"].numpy())
        for policy in policies
    }


def write_description(values: Mapping[str, Any], file: Path) -> None:
    """Write plain values as JSON, keys in a fixed order."""
    file.write_text(json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_description(file: Path) -> dict[str, Any]:
    """Read what ``write_description`` wrote.

    Raises:
        RunError: If the file is absent or damaged.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} cannot be read ({error}): the model is damaged; delete the run and start it anew"
        ) from error
    if not isinstance(values, dict):
        raise RunError(f"{file} holds no description of a model: delete the run and start it anew")
    return values


def shared_names(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return the names whose tensor another name before them stands for as well, with that name."""
    kept: dict[tuple[Any, ...], str] = {}
    shared = {}
    for name, value in state.items():
        identity = (value.device, value.data_ptr(), value.shape, value.stride(), value.dtype)
        if value.numel() and identity in kept:
            shared[name] = kept[identity]
        else:
            kept[identity] = name
    return shared


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous()


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{file} cannot be read ({error}): the model is damaged; delete the run and start it anew"
        ) from error


def fill(
    module: nn.Module, tensors: Mapping[str, torch.Tensor], error: type[RunError | RequestError], what: str
) -> None:
    """Fill a model with tensors, which must have exactly the names and shapes of its state.

    Raises:
        RunError: Or ``error``, if they have not; the message begins with what they are.
    """
    expected = module.state_dict()
    missing, unexpected = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    shapes = [
        f"{name} is {tuple(tensors[name].shape)} there and {tuple(expected[name].shape)} in the model"
        for name in expected.keys() & tensors.keys()
        if tensors[name].shape != expected[name].shape
    ]
    problems = [f"it lacks {_some(missing)}"] if missing else []
    problems += [f"it has {_some(unexpected)}, which the model has not"] if unexpected else []
    problems += sorted(shapes)[:_TOLD]
    if problems:
        raise error(f"{what}: {'; '.join(problems)}")
    module.load_state_dict(tensors)


def _some(names: Sequence[str]) -> str:
    """Return names, and how many more there are.

    Example:
        >>> _some([str(number) for number in range(10)])
        '0, 1, 2, 3, 4, 5, 6, 7 and 2 more'
    """
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more
