"""Published weights as safetensors, which a training can start from.

    python scripts/weights_to_safetensors.py resnet50-11ad3fa6.pth resnet50.safetensors

turns a file that ``torch.save`` wrote of a model's state, as torchvision's are, into what ``training.initial_weights``
reads. Of such a file only tensors and plain containers are read, and nothing of it is run.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file


def tensors_of(state: object, key: str | None = None) -> dict[str, torch.Tensor]:
    """Return the tensors of a state by name, each with memory of its own.

    Args:
        state: What the file holds.
        key: Where in it the state stands; ``None``: it holds nothing else.

    Raises:
        ValueError: If there are no tensors by name.
    """
    if key is not None:
        if not isinstance(state, Mapping) or key not in state:
            raise ValueError(f"it has no {key!r}, but {_what(state)}")
        state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise ValueError(f"no tensors by name, but {_what(state)}; --key names where they are")
    return {str(name): tensor.detach().contiguous().clone() for name, tensor in state.items()}


def _what(state: object) -> str:
    if not isinstance(state, Mapping):
        return f"a {type(state).__name__}"
    return ", ".join(f"{name} ({type(value).__name__})" for name, value in list(state.items())[:10]) or "nothing"


def main() -> None:
    """Convert a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a file of torch.save, such as torchvision's .pth")
    parser.add_argument("target", type=Path, help="the safetensors file to write")
    parser.add_argument("--key", help="where in the file the state stands, such as state_dict")
    options = parser.parse_args()
    if not options.source.is_file():
        parser.error(f"there is no file {options.source}")
    if not options.target.parent.is_dir():
        parser.error(f"there is no folder {options.target.parent} for {options.target.name}")
    try:
        tensors = tensors_of(torch.load(options.source, map_location="cpu", weights_only=True), options.key)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        parser.error(f"{options.source} holds no weights: {str(error).splitlines()[0]}")
    save_file(tensors, options.target)
    print(f"{options.target}: {len(tensors)} tensors, {sum(tensor.numel() for tensor in tensors.values()):,} numbers")


if __name__ == "__main__":
    main()
