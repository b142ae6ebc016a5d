"""Small datasets in memory that the tests of training and inference share."""

from __future__ import annotations

import os
import random
import threading
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from modyn_bench.config import TrainingConfig
from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.selectors.downsampling.el2n import El2n
from modyn_bench.training.trainer import ModelTrainer

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}
ADAGRAD = {"_target_": "torch.optim.Adagrad", "lr": 0.05}
LINEAR = {"_target_": "modyn_bench.models.TabularMLP", "hidden": []}


def table(size: int = 400, *, num_classes: int = 2, seed: int = 0) -> tuple[Schema, Split]:
    """Three numeric and two categorical features; the class depends on both."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(size, 3)).astype(np.float32)
    codes = rng.integers(0, 4, (size, 2)).astype(np.int32)
    labels = (np.digitize(numeric[:, 0], np.linspace(-1, 1, num_classes - 1)) + (codes[:, 1] == 2)) % num_classes
    words = tuple("wxyz")
    columns = (
        Column("numeric", "numeric", "float32", (3,), ("a", "b", "c")),
        Column("categorical", "categorical", "int32", (2,), ("d", "e"), (words, words)),
    )
    schema = Schema(columns, tuple(f"class{i}" for i in range(num_classes)))
    return schema, Split("train", np.arange(size), labels.astype(np.int64), {"numeric": numeric, "categorical": codes})


def numbers(size: int = 200, *, num_classes: int = 3, seed: int = 0) -> tuple[Schema, Split]:
    """Two numeric features only."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(size, 2)).astype(np.float32)
    labels = rng.integers(0, num_classes, size)
    schema = Schema((Column("numeric", "numeric", "float32", (2,), ("a", "b")),), tuple("abcdefgh"[:num_classes]))
    return schema, Split("train", np.arange(size), labels, {"numeric": numeric})


def text(size: int = 400, *, num_buckets: int = 50, seed: int = 0) -> tuple[Schema, Split]:
    """Tokens of which one tells the class; some texts are empty."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, size)
    tokens = rng.integers(4, num_buckets + 1, (size, 5)).astype(np.uint16)
    tokens[:, 0] = labels + 1
    tokens[:, 3:] *= rng.random((size, 2)) < 0.5
    tokens[::50] = 0
    schema = Schema((Column("tokens", "tokens", "uint16", (5,), num_values=num_buckets),), ("a", "b", "c"))
    return schema, Split("train", np.arange(size), labels, {"tokens": tokens})


def images(size: int = 60, *, seed: int = 0) -> tuple[Schema, Split]:
    """8 × 8 pixels; the class is which half is bright."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    image = rng.integers(0, 100, (size, 1, 8, 8)).astype(np.uint8)
    image[labels == 1, :, :4] += 120
    schema = Schema((Column("image", "image", "uint8", (1, 8, 8)),), ("dark", "bright"))
    return schema, Split("train", np.arange(size), labels, {"image": image})


def trainer_of(world: tuple[Schema, Split], model: dict | None = None, *, seed: int = 0, **options) -> ModelTrainer:
    """A trainer with few epochs, unless the options say otherwise."""
    values = {"epochs": 2, "batch_size": 32, "optimizer": SGD} | options
    model = {"_target_": "modyn_bench.models.auto"} if model is None else model
    return ModelTrainer(model=model, config=TrainingConfig(**values), schema=world[0], split=world[1], seed=seed)


class WithNorm(nn.Module):
    """Batch normalisation, which refuses batches of one sample."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(num_features, 4), nn.BatchNorm1d(4), nn.Linear(4, num_classes))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.layers(batch)


class Projected(nn.Module):
    """A random projection that no state holds."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("projection", torch.randn(num_features, 4), persistent=False)
        self.head = nn.Linear(4, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch @ self.projection)


class Counting(nn.Module):
    """Scales its outputs by a count of batches that only Python knows, and adds what three generators draw."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)
        self.count = 0

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.count += 1
        noise = torch.rand(len(batch), 1) + float(np.random.rand()) + random.random()  # noqa: NPY002 - drawn as users do
        return self.head(batch) * (1 + self.count / 10) + noise * torch.arange(self.head.out_features)


class Noisy(nn.Module):
    """Adds noise to its outputs, in eval mode as well."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch) + torch.rand(len(batch), self.head.out_features)


class Closure(nn.Module):
    """Reaches its layer through a function that refers to the module it was made in."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)
        self.apply_head = lambda batch: self.head(batch)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.apply_head(batch)


class Hooked(nn.Module):
    """Gets its features from a hook."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Linear(num_features, 4)
        self.head = nn.Linear(4, num_classes)
        self.seen = None
        self.body.register_forward_hook(lambda _, __, output: setattr(self, "seen", output))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.body(batch)
        return self.head(self.seen.relu())


class Normed(nn.Module):
    """A weight that a hook computes from two others, and a lock, which nothing copies."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.utils.weight_norm(nn.Linear(num_features, num_classes))
        self.lock = threading.Lock()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        with self.lock:
            return self.head(batch)


class HalfInside(nn.Module):
    """Computes in bfloat16 of its own accord, and without a gradient outside training."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        with torch.set_grad_enabled(self.training):
            return self.head(batch.to(torch.bfloat16))


class Expanded(nn.Module):
    """A buffer in which one element stands for many."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)
        self.register_buffer("shift", torch.zeros(1).expand(num_features))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch + self.shift)


class Slashed(nn.Module):
    """A layer whose name has a slash."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"in/out": nn.Linear(num_features, num_classes)})

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.layers["in/out"](batch)


class Lazy(nn.Module):
    """A layer that learns its shape from the first batch."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.LazyLinear(num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch)


class FrozenNorm(WithNorm):
    """Batch normalisation that keeps its statistics, whatever mode the model is in."""

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        self.layers[1].eval()
        return self


class BuiltInEval(nn.Module):
    """Notes in which mode it was run; it is in eval mode when it is made, as pretrained models are."""

    modes: ClassVar[set[bool]] = set()

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)
        self.eval()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.modes.add(self.training)
        return self.head(batch)


class Tied(nn.Module):
    """Two names for one tensor, and a buffer."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(num_features, num_features)
        self.second = nn.Linear(num_features, num_features)
        self.second.weight = self.first.weight
        self.head = nn.Linear(num_features, num_classes)
        self.register_buffer("shift", torch.zeros(num_features))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(self.second(self.first(batch + self.shift)))


class Flat(nn.Module):
    """Multiplies by vectors alone, so that no layer has a weight matrix."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_classes))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.sum(dim=1, keepdim=True) * self.scale


class FailsInEval(WithNorm):
    """Can be trained, but not asked afterwards."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if not self.training:
            raise KeyError("statistics")
        return super().forward(batch)


class WrongInEval(WithNorm):
    """Returns two outputs in eval mode, as models with a head for training alone do."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        logits = super().forward(batch)
        return logits if self.training else (logits, batch)


class Named(WithNorm):
    """Says that its embedding is the input of a layer that it has not."""

    embedding_layer = "nothere"


class Wider(El2n):
    """Records more under the same name."""

    record_size = 2


class Wrong(nn.Module):
    """One output, whatever the number of classes."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch)


class WrongLater(nn.Module):
    """One output too few for batches of more than two samples."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch)[:, : 2 if len(batch) <= 2 else 1]


class Detached(nn.Module):
    """Outputs that no gradient leads back from."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch).detach()


class Raises(nn.Module):
    """Fails whenever it is run."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch) * (1 / 0)


class Dropping(nn.Module):
    """Drops half of what it repeats, and leaves a layer out."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(16 * num_features, num_classes)
        self.idle = nn.Linear(num_features, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(nn.functional.dropout(batch.repeat(1, 16), 0.5, self.training))


class Leaves(nn.Module):
    """Ends the process that trains on the second device."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if torch.distributed.get_rank():
            os._exit(3)
        return self.head(batch)


class MeanLoss:
    """A loss that ignores what reduction it was asked for."""

    def __init__(self, reduction: str) -> None:
        pass

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, labels)
