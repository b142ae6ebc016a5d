"""Running a model in eval mode: device, precision, what a batch looks like, and where embeddings are taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from modyn_bench.errors import ContractError, RequestError

ModelInput = torch.Tensor | dict[str, torch.Tensor]
"""What a model gets: the tensor of the dataset's one input column, or a tensor for each by name."""

_DTYPES = {"16": torch.float16, "bf16": torch.bfloat16, "32": torch.float32, "64": torch.float64}


def torch_device(accelerator: str) -> torch.device:
    """Return the torch device of a Lightning accelerator's name, such as ``gpu``.

    Raises:
        RequestError: If this machine has no such device.
    """
    name = {"gpu": "cuda", "auto": "cpu"}.get(accelerator, accelerator)
    device = torch.device(name)
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, True):
        raise RequestError(f"training.accelerator={accelerator} is not there on this machine: use cpu")
    return device


def model_dtype(precision: str) -> torch.dtype:
    """Return the type of a model's weights and floating inputs under one of Lightning's precisions.

    Example:
        >>> model_dtype("bf16-mixed"), model_dtype("bf16-true")
        (torch.float32, torch.bfloat16)
    """
    bits, _, kind = precision.partition("-")
    return _DTYPES[bits] if kind == "true" and bits in _DTYPES else torch.float32


def autocast_dtype(precision: str) -> torch.dtype | None:
    """Return the type that mixed precision computes in, ``None`` where precision is not mixed."""
    bits, _, kind = precision.partition("-")
    return _DTYPES[bits] if kind == "mixed" else None


def as_input(arrays: Mapping[str, NDArray[Any] | torch.Tensor], device: torch.device, dtype: torch.dtype) -> ModelInput:
    """Return arrays as what a model gets, sharing their memory where device and type allow it."""
    tensors: dict[str, torch.Tensor] = {}
    for name, array in arrays.items():
        tensor = array if isinstance(array, torch.Tensor) else torch.from_numpy(array)
        tensors[name] = tensor.to(device, dtype if tensor.is_floating_point() else None)
    return next(iter(tensors.values())) if len(tensors) == 1 else tensors


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Run a block with a module in eval mode and without gradients; every submodule's mode is restored afterwards."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for submodule, mode in modes:
            submodule.training = mode


class Forward:
    """Runs a model on batches, in eval mode, and hands out logits and embeddings as float32 on the CPU.

    The embedding is the input of the layer that ``module.embedding_layer`` names, else of the last layer with a weight
    matrix that ran, taken by a hook; so no model is written for us.

    Args:
        module: The model; moved to the device.
        num_classes: Number of classes, which its outputs must have.
        device: Where to run it.
        precision: Lightning's name of the precision.
    """

    def __init__(self, module: nn.Module, *, num_classes: int, device: str, precision: str) -> None:
        self.device = torch_device(device)
        self.dtype = model_dtype(precision)
        self.module = module.to(self.device)
        self._num_classes = num_classes
        self._autocast = autocast_dtype(precision)

    def __call__(self, arrays: Mapping[str, NDArray[Any] | torch.Tensor]) -> torch.Tensor:
        """Return the logits of a batch, float32, shape (B, C), on the model's device."""
        batch = as_input(arrays, self.device, self.dtype)
        with torch.autocast(self.device.type, self._autocast, enabled=self._autocast is not None):
            outputs = self.module(batch)
        size = len(next(iter(arrays.values())))
        return check_outputs(outputs, size, self._num_classes, self.module).float()

    def embed(self, arrays: Mapping[str, NDArray[Any] | torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return embeddings, float32, shape (B, d), and logits of a batch.

        Raises:
            ContractError: If no embedding can be found.
        """
        inputs: list[torch.Tensor] = []  # of the layers that may be the last one, in the order in which they ran
        named = getattr(self.module, "embedding_layer", None)
        layers = [_layer(self.module, named)] if isinstance(named, str) else _matrix_layers(self.module)

        def record(_: nn.Module, args: tuple[Any, ...]) -> None:
            if args and isinstance(args[0], torch.Tensor) and args[0].is_floating_point():
                inputs[:] = args[:1]

        handles = [layer.register_forward_pre_hook(record) for layer in layers]
        try:
            logits = self(arrays)
        finally:
            for handle in handles:
                handle.remove()
        if not inputs or len(inputs[0]) != len(logits):
            raise ContractError(
                f"no embedding was found in {type(self.module).__name__}: none of its layers with a weight matrix got "
                "one row per sample; name the layer whose input is the embedding by model.embedding_layer"
            )
        return inputs[0].flatten(1).float(), logits


def _layer(module: nn.Module, name: str) -> nn.Module:
    """Return a layer by its name.

    Raises:
        ContractError: If there is none of this name.
    """
    layers: dict[str, nn.Module] = dict(module.named_modules(remove_duplicate=False))  # a shared one has several names
    if name not in layers:
        known = ", ".join(one for one in layers if one)
        raise ContractError(
            f"{type(module).__name__}.embedding_layer={name!r} is none of its layers, {known or 'none'}"
        )
    return layers[name]


def _matrix_layers(module: nn.Module) -> list[nn.Module]:
    """Return the layers whose weight has two dimensions or more, which leaves out normalisations."""
    weights = ((layer, getattr(layer, "weight", None)) for layer in module.modules())
    return [layer for layer, weight in weights if isinstance(weight, torch.Tensor) and weight.dim() >= 2]


def check_outputs(outputs: object, num_samples: int, num_classes: int, module: nn.Module) -> torch.Tensor:
    """Check that a model returned one logit per sample and class.

    Raises:
        RequestError: If it did not.
    """
    if isinstance(outputs, torch.Tensor) and outputs.shape == (num_samples, num_classes):
        return outputs
    found = f"shape {tuple(outputs.shape)}" if isinstance(outputs, torch.Tensor) else f"a {type(outputs).__name__}"
    raise RequestError(
        f"model {type(module).__name__} returned {found} for {num_samples} samples, but logits of shape "
        f"({num_samples}, {num_classes}) are needed, one for each class of the dataset"
    )


def to_numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    """Return a tensor's values as a NumPy array on the CPU."""
    array: NDArray[np.float32] = tensor.cpu().numpy()
    return array
