"""What selecting costs: beside an epoch of training, per key, and where samples are compared with each other.

    python benchmarks/selection.py [--parts training keys compared] [--samples 1000 10000] [--keys 10000000]

``training``: every downsampling policy on 10,000 of the bundled arXiv titles and the zoo's text model, one epoch, a
quarter chosen, one thread. Printed are the seconds of scoring and choosing, and the sample passes of scoring, as parts
of a whole epoch without selection in the same run (medians of three, in turns; a backward pass counts twice); for
rho_loss also what training the irreducible model on a tenth takes.

``keys``: ``select`` of every presampling policy with 10 million keys in scope, labels of 40 classes: processor seconds,
and bytes a key at the peak. Targets: 1 s and 64 bytes a key.

``compared``: a tenth chosen of n samples, embeddings of 64 columns, gradients of 10 classes, each in a process of its
own: processor seconds, and MiB at the peak beyond the samples. 100,000 samples (``--samples 100000``) take a quarter of
an hour, most of it exact facility location, which ``--only`` can leave out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from modyn_bench.config import TrainingConfig
from modyn_bench.jobs import prepare_store
from modyn_bench.preflight import check_jobs
from modyn_bench.seeding import derive
from modyn_bench.selectors import downsampling, presampling
from modyn_bench.selectors.base import SecondModel, SelectionContext, Selector
from modyn_bench.selectors.downsampling.base import Downsampler, Outputs, Turn
from modyn_bench.selectors.downsampling.rho_loss import COLUMN
from modyn_bench.selectors.new_data import NewData
from modyn_bench.training.trainer import ModelTrainer
from modyn_bench.types import BACKWARD, Arrivals, ModelRecord, Selection, TriggerRecord

NUM_TRAINED, REPEATS = 10_000, 3
KEY_SECONDS, KEY_BYTES = 1.0, 64.0
COMPARED: dict[str, tuple[str, dict[str, object]]] = {
    "k_center": ("k_center", {}),
    "craig, lazy": ("craig", {}),
    "craig, stochastic": ("craig", {"optimizer": "stochastic"}),
    "craig, last layer, stochastic": ("craig", {"gradient": "last_layer", "optimizer": "stochastic"}),
    "grad_match": ("grad_match", {}),
    "grad_match, by class": ("grad_match", {"balance": True}),
    "grad_match, last layer, by class": ("grad_match", {"gradient": "last_layer", "balance": True}),
    "facility location, lazy": ("submodular", {"of": "embedding"}),
    "facility location, stochastic": ("submodular", {"of": "embedding", "optimizer": "stochastic"}),
    "graph cut": ("submodular", {"of": "embedding", "function": "graph_cut"}),
    "log determinant": ("submodular", {"of": "embedding", "function": "log_determinant"}),
}
OPTIONS_OF_KEYS: dict[str, list[dict[str, Any]]] = {
    "column_balanced": [{"column": "few"}, {"column": "many"}, {"column": "number", "bins": 20}],
    "class_balanced": [{}, {"fill": "equal"}],
    "trigger_balanced": [{"history": 2}],
    "reservoir": [{"size": 100_000}, {"size": 100_000, "with_new": False}],
    "schedule": [],
}


def policies(package: ModuleType, kind: type) -> Iterator[type]:
    """Yield the concrete policies of a package, by name."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for one in vars(importlib.import_module(module.name)).values():
            if isinstance(one, type) and issubclass(one, kind) and "name" in vars(one) and one.__name__[0] != "_":
                found[one.name] = one
    yield from (found[name] for name in sorted(found))


def training() -> None:
    """Print what scoring and choosing cost, and the whole training, records included, as parts of one without."""
    store = prepare_store(check_jobs([])[0].config)
    split = store.splits["train"]
    optimizer = {"_target_": "torch.optim.Adagrad", "lr": 0.1}
    trainer = ModelTrainer(
        model={"_target_": "modyn_bench.models.auto"},
        config=TrainingConfig(epochs=1, optimizer=optimizer),
        schema=store.schema,
        split=split,
        seed=0,
    )
    keys = np.linspace(0, len(split) - 1, NUM_TRAINED).astype(np.int64)
    plain = Selection.unweighted(keys)
    known = Selection(plain.keys, plain.weights, {COLUMN: np.zeros(len(keys), np.float32)})
    start = trainer.fit(plain, None, last_key=0)
    cases = {
        f"{policy.name}, {mode}": (policy, mode)
        for policy in policies(downsampling, Downsampler)
        for mode in policy.modes
    }
    epochs: list[float] = []
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    whole: dict[str, list[float]] = {name: [] for name in cases}
    passes: dict[str, float] = {}
    for repeat in range(REPEATS):
        epochs.append(seconds_of(lambda: trainer.fit(plain, start, last_key=1)))
        for name, (policy, mode) in cases.items():
            started = time.perf_counter()
            trained = trainer.fit(known, start, last_key=1 + repeat, downsampler=policy(mode=mode))
            whole[name].append(time.perf_counter() - started)
            seconds[name].append(trained.scoring_seconds)
            passes[name] = trained.num_scored / (NUM_TRAINED * (1.0 + BACKWARD))
    epoch = statistics.median(epochs)
    print(f"an epoch of {NUM_TRAINED:,} titles without selection: {epoch:.2f} s\n")
    print("| policy, mode | scores and choices | whole training | passes of scores |\n|---|---|---|---|")
    for name in cases:
        scoring, all_of_it = (statistics.median(values[name]) / epoch for values in (seconds, whole))
        print(f"| {name} | {scoring:.2f} | {all_of_it:.2f} | {passes[name]:.2f} |")
    irreducible = Selection.unweighted(keys[::10])
    second = trainer.second("irreducible")
    cost = statistics.median(seconds_of(lambda: second.fit(irreducible, None, last_key=1)) for _ in range(REPEATS))
    print(f"| rho_loss, training the irreducible model | | {cost / epoch:.2f} | 0.10 |\n")


def seconds_of(act: Callable[[], object]) -> float:
    """Return the wall-clock seconds that something takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def keys(num_keys: int) -> None:
    """Print what ``select`` of presampling policies takes with so many keys in scope."""
    print(f"| policy | seconds for {num_keys:,} keys | bytes a key | |\n|---|---|---|---|")
    for policy in (NewData, *policies(presampling, Selector)):
        for options in OPTIONS_OF_KEYS.get(policy.name, [{}]):
            measured = [keys_of(policy, options, num_keys, memory=memory) for memory in (False, True)]
            seconds, peak = measured[0][0], measured[1][1] / num_keys
            met = "" if seconds <= KEY_SECONDS and peak <= KEY_BYTES else "missed"
            shown = ", ".join([policy.name, *(f"{key}={value}" for key, value in options.items())])
            print(f"| {shown} | {seconds:.2f} | {peak:.0f} | {met} |", flush=True)
    print()


def keys_of(policy: type, options: dict[str, Any], num_keys: int, *, memory: bool) -> tuple[float, float]:
    """Return processor seconds and peak bytes of one ``select``, after a first training on half of the keys."""
    generator = derive(0, "benchmark")
    labels = generator.integers(0, 40, num_keys)
    few, many = generator.integers(0, 1000, num_keys), generator.integers(0, 100_000, num_keys)
    columns = {"few": few, "many": many, "number": generator.normal(size=num_keys)}
    half = num_keys // 2
    selector = policy(**({"history": "all"} if takes(policy, "history") else {}) | options)

    def context(num_labelled: int) -> SelectionContext:
        return SelectionContext(
            trigger_index=0,
            num_labelled=num_labelled,
            generator=derive(0, "selection", num_labelled),
            labels=lambda at: labels[at],
            timestamps=lambda at: at * 60,
            seed=0,
            column=lambda name, at: columns[name][at],
            train=no_second_model,
        )

    for first, end in ((0, half), (half, num_keys)):
        arrived = np.arange(first, end)
        selector.consume(Arrivals(arrived, arrived, arrived))
        if first == 0:
            selector.on_trigger(record(end), selector.select(context(end)))
    if memory:
        tracemalloc.start()
    started = time.process_time()
    selector.select(context(num_keys))
    seconds = time.process_time() - started
    peak = float(tracemalloc.get_traced_memory()[1]) if memory else 0.0
    tracemalloc.stop()
    return seconds, peak


def takes(policy: type, option: str) -> bool:
    """Return whether a policy has an option."""
    from modyn_bench.commands.targets import signature_of

    return option in signature_of(policy).names


def no_second_model(name: str, selection: Selection, **_: object) -> SecondModel:
    """Refuse to train: presampling asks for no model."""
    raise AssertionError(f"a second model {name} was asked for")


def record(labelled_until: int) -> TriggerRecord:
    """Return the record of a first training."""
    model = ModelRecord(0, 0, None, 0, 0, 0, 1, 1, 1, 1.0, 1.0)
    return TriggerRecord(0, 0, 0, 0, 1, 1, 1, 0, labelled_until, model)


def compared(names: list[str], sizes: list[int]) -> None:
    """Print what policies take that compare samples with each other."""
    print("| policy | samples | seconds | MiB | chosen |\n|---|---|---|---|---|")
    for name in names:
        for num_samples in sizes:
            command = [sys.executable, __file__, "--measure", name, "--samples", str(num_samples)]
            done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            row = f"{done['seconds']:.2f} | {done['mebibytes']:.0f} | {done['chosen']:,}"
            print(f"| {name} | {num_samples:,} | {row} |", flush=True)
    print()


def measure(name: str, num_samples: int) -> dict[str, float]:
    """Choose a tenth of some samples, and return processor seconds, MiB and how many were chosen."""
    policy_name, options = COMPARED[name]
    found = {policy.name: policy for policy in policies(downsampling, Downsampler)}  # type: ignore[attr-defined]
    policy = found[policy_name](**options)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 10, (num_samples,), generator=generator)
    centers = torch.randn(10, 64, generator=generator)
    embeddings = centers[labels] + torch.randn(num_samples, 64, generator=generator)
    logits = embeddings @ centers.T / 8
    gradients = logits.softmax(1) - torch.nn.functional.one_hot(labels, 10)
    description = policy.describe(Outputs(logits, labels, None, gradients, embeddings, {}))
    before, started = resident(), time.process_time()
    turn = Turn(0, 1, lambda *names: np.random.default_rng(0))
    choice = policy.downsample(description, labels, num_samples // 10, turn)
    seconds = time.process_time() - started
    return {"seconds": seconds, "mebibytes": peak() - before, "chosen": len(choice.positions)}


def resident() -> float:
    """Return the memory that this process holds, in MiB: Linux's own account."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 2**20


def peak() -> float:
    """Return the most memory that this program held, in MiB; ``getrusage`` counts the parent's before it, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("training", "keys", "compared")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts), help="default: all")
    parser.add_argument("--keys", type=int, default=10_000_000, help="keys in scope (default: 10 million)")
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 10_000], help="default: 1000 10000")
    parser.add_argument("--only", nargs="+", choices=COMPARED, default=list(COMPARED), help="of what is compared")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.measure:
        print(json.dumps(measure(options.measure, options.samples[0])))
        return
    if "training" in options.parts:
        training()
    if "keys" in options.parts:
        keys(options.keys)
    if "compared" in options.parts:
        compared(options.only, options.samples)


if __name__ == "__main__":
    main()
