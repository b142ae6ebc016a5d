"""What a training costs beyond a hand-written loop of the same steps: by trigger, by step, and for the bundled model.

Run: ``python benchmarks/training_overhead.py [--repeats 9]`` (under a minute; one thread).

The hand-written loop has its inputs in memory, already preprocessed and in the order in which they are used, one
optimiser, and nothing else: no selection, weights, checks, counting or seeds. What ours does besides: it copies the
parent, gathers arbitrary keys, scales and encodes them, shuffles, checks outputs and losses, counts passes, collects
garbage. Targets: at most 15 ms a trigger and 0.5 ms a step; at most 2x for the bundled arXiv model; training with
selection at least 0.95 of the loop without where the step is long.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from modyn_bench.config import TrainingConfig
from modyn_bench.data.recipes.arxiv import ArxivRecipe
from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.inference.forward import ModelInput, as_input
from modyn_bench.seeding import derive
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.training.targets import make
from modyn_bench.training.trained import TrainedModel
from modyn_bench.training.trainer import ModelTrainer
from modyn_bench.types import IntArray, Selection

ADAGRAD = {"_target_": "torch.optim.Adagrad", "lr": 0.05}
AUTO = {"_target_": "modyn_bench.models.auto"}


def numeric_world(size: int, num_features: int) -> tuple[Schema, Split]:
    """Random numeric features, random classes."""
    generator = derive(0, "benchmark", size, num_features)
    names = tuple(f"x{index}" for index in range(num_features))
    schema = Schema(
        (Column("numeric", "numeric", "float32", (num_features,), names),), tuple(f"class{i}" for i in range(10))
    )
    numeric = generator.normal(size=(size, num_features)).astype(np.float32)
    return schema, Split("train", np.arange(size), generator.integers(0, 10, size), {"numeric": numeric})


def by_hand(module: nn.Module, batches: list[tuple[ModelInput, torch.Tensor]], optimizer: dict[str, object]) -> None:
    """Train on batches that lie ready."""
    options = {name: value for name, value in optimizer.items() if name != "_target_"}
    stepper = make(optimizer, "optimizer", module.parameters(), **options)
    loss = nn.CrossEntropyLoss()
    for inputs, labels in batches:
        stepper.zero_grad()
        loss(module(inputs), labels).backward()
        stepper.step()


def ready_batches(
    trained: TrainedModel, split: Split, keys: IntArray, plan: TrainingPlan
) -> list[tuple[ModelInput, torch.Tensor]]:
    """Make the batches that the trainer will use, all in memory."""
    batches = []
    for epoch in range(plan.num_epochs):
        order = plan.order(epoch)
        for batch in plan.batches(epoch):
            rows = keys[order[batch.start : batch.start + batch.size]]
            arrays = trained.preprocessor.transform({name: array[rows] for name, array in split.columns.items()})
            inputs = as_input(arrays, torch.device("cpu"), torch.float32)
            batches.append((inputs, torch.from_numpy(np.asarray(split.labels[rows]))))
    return batches


def seconds(runs: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median wall-clock of each, by turns, so that other load hits all alike; the first is not counted."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, measured in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            measured.append(time.perf_counter() - start)
    return [statistics.median(measured[1:]) for measured in times]


def compare(
    title: str,
    world: tuple[Schema, Split],
    model: dict[str, object],
    config: TrainingConfig,
    keys: IntArray,
    repeats: int,
) -> tuple[float, int]:
    """Print both times, and return the difference in seconds and the number of steps."""
    schema, split = world
    trainer = ModelTrainer(model=model, config=config, schema=schema, split=split, seed=0)
    parent = trainer.fit(Selection.unweighted(keys), None, last_key=int(keys[-1]))
    plan = TrainingPlan(len(keys), config, 0, int(keys[-1]))
    batches = ready_batches(parent, split, keys, plan)
    hand, ours = seconds(
        [
            lambda: by_hand(copy.deepcopy(parent.module), batches, config.optimizer),
            lambda: trainer.fit(Selection.unweighted(keys), parent, last_key=int(keys[-1])),
        ],
        repeats,
    )
    steps = plan.num_optimizer_steps
    print(
        f"{title:44s} {steps:5d} steps   by hand {hand * 1e3:8.1f} ms   ours {ours * 1e3:8.1f} ms   "
        f"ours/hand {ours / hand:5.2f}x   speed {hand / ours:4.2f}"
    )
    return ours - hand, steps


def main() -> None:
    """Print all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    small = {"_target_": "modyn_bench.models.TabularMLP", "hidden": [32]}
    world = numeric_world(5_000, 20)
    config = TrainingConfig(epochs=5, batch_size=64, optimizer=ADAGRAD)
    few = compare("tiny MLP, 500 samples, batch 64", world, small, config, np.arange(500), repeats)
    many = compare("tiny MLP, 5,000 samples, batch 64", world, small, config, np.arange(5_000), repeats)
    by_step = (many[0] - few[0]) / (many[1] - few[1])
    print(f"  beyond the hand-written loop: {by_step * 1e3:.3f} ms a step (target 0.5), ", end="")
    print(f"{(few[0] - by_step * few[1]) * 1e3:.1f} ms a trigger (target 15)")

    wide = {"_target_": "modyn_bench.models.TabularMLP", "hidden": [1024, 1024]}
    config = TrainingConfig(epochs=2, batch_size=256, optimizer=ADAGRAD)
    world = numeric_world(40_000, 100)
    chosen = np.sort(derive(0, "benchmark", "selection").choice(40_000, 20_000, replace=False))
    compare("wide MLP, half of 40,000 samples, batch 256", world, wide, config, chosen, min(repeats, 5))
    print("  target: speed at least 0.95")

    with tempfile.TemporaryDirectory() as folder:
        store = ArxivRecipe().prepare(Path(folder))
        keys = np.arange(40_000, 45_000)
        config = TrainingConfig(epochs=3, batch_size=128, optimizer=ADAGRAD)
        compare("bundled arXiv model, 5,000 titles", (store.schema, store.splits["train"]), AUTO, config, keys, repeats)
        print("  target: at most 2x")


if __name__ == "__main__":
    main()
