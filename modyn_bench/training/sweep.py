"""One pass over many samples, batch by batch, for what is asked of a model beside its training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from modyn_bench.data.loading import super_batches
from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.types import IntArray

BATCH_SIZE = 1024  # changes bits, so it is not for tuning
_LABELS = "labels"


def num_batches(num_samples: int) -> int:
    """Return how many batches a pass over so many samples has."""
    return math.ceil(num_samples / BATCH_SIZE)


class Swept(NamedTuple):
    """One batch; views of a buffer, valid until the next one is asked for.

    Attributes:
        positions: Where the samples stand among the keys, shape (n,), int64.
        inputs: Input columns by name, each of shape (n, ...).
        labels: Class indices, shape (n,).
    """

    positions: torch.Tensor
    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor


def sweep(
    columns: Mapping[str, NDArray[Any]],
    labels: IntArray,
    keys: IntArray,
    preprocessor: Preprocessor,
    batches: range | None = None,
) -> Iterator[Swept]:
    """Yield the samples of some keys in order, in batches that do not depend on anything else.

    Args:
        columns: The split's input columns, each of shape (N, ...).
        labels: The split's labels, shape (N,).
        keys: Which samples, shape (n,).
        preprocessor: Turns stored columns into model inputs.
        batches: Which of the batches, consecutive ones; ``None``: all.
    """
    positions = np.arange(len(keys))
    if batches is not None:
        positions = positions[batches.start * BATCH_SIZE : batches.stop * BATCH_SIZE]
    groups = super_batches(
        {**columns, _LABELS: labels},
        keys,
        [positions],
        batch_size=BATCH_SIZE,
        preprocessor=preprocessor,
    )
    for group in groups:
        tensors = {name: torch.from_numpy(array) for name, array in group.arrays.items()}
        found = tensors.pop(_LABELS)
        for start in range(0, len(group), BATCH_SIZE):
            rows = slice(start, start + BATCH_SIZE)
            inputs = {name: tensor[rows] for name, tensor in tensors.items()}
            yield Swept(torch.from_numpy(group.positions[rows]), inputs, found[rows])
