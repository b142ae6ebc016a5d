"""Processor seconds and peak memory of policies that compare samples with each other, a tenth of n samples chosen.

    .venv/bin/python benchmarks/greedy_selection.py --samples 1000 10000 100000

Every number comes from a process of its own, with one thread. Gradients are of 10 classes, embeddings of 64 columns;
memory is what the process holds at its peak beyond what it held before the choice, the samples themselves.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "k_center": ("k_center.KCenter", {}),
    "craig, by class, lazy": ("craig.Craig", {}),
    "craig, by class, stochastic": ("craig.Craig", {"optimizer": "stochastic"}),
    "craig, by class, last layer": ("craig.Craig", {"gradient": "last_layer", "optimizer": "stochastic"}),
    "grad_match": ("grad_match.GradMatch", {}),
    "grad_match, by class": ("grad_match.GradMatch", {"balance": True}),
    "grad_match, last layer, by class": ("grad_match.GradMatch", {"gradient": "last_layer", "balance": True}),
    "facility location, lazy": ("submodular.Submodular", {"of": "embedding"}),
    "facility location, stochastic": ("submodular.Submodular", {"of": "embedding", "optimizer": "stochastic"}),
    "graph cut": ("submodular.Submodular", {"of": "embedding", "function": "graph_cut"}),
    "log determinant": ("submodular.Submodular", {"of": "embedding", "function": "log_determinant"}),
}


def measure(name: str, num_samples: int) -> dict[str, float]:
    """Choose a tenth of some samples, and return seconds, MiB and how many were chosen."""
    import importlib

    import numpy as np
    import torch

    from modyn_bench.selectors.downsampling.base import Outputs

    torch.set_num_threads(1)
    module, options = METHODS[name]
    file, class_name = module.split(".")
    policy = getattr(importlib.import_module(f"modyn_bench.selectors.downsampling.{file}"), class_name)(**options)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 10, (num_samples,), generator=generator)
    centers = torch.randn(10, 64, generator=generator)
    embeddings = centers[labels] + torch.randn(num_samples, 64, generator=generator)
    logits = embeddings @ centers.T / 8
    gradients = logits.softmax(1) - torch.nn.functional.one_hot(labels, 10)
    description = policy.describe(Outputs(logits, labels, None, gradients, embeddings, {}))
    before, start = resident(), time.process_time()
    choice = policy.downsample(
        description,
        labels,
        num_samples // 10,
        epoch=0,
        num_epochs=1,
        random=lambda *names: np.random.default_rng(0),
    )
    return {
        "seconds": time.process_time() - start,
        "mebibytes": peak() - before,
        "chosen": len(choice.positions),
    }


def resident() -> float:
    """Return the memory that this process holds, in MiB: Linux's own account."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 2**20


def peak() -> float:
    """Return the most memory that this process held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """Measure every method, or the one that is named, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.samples[0])))
        return
    print("| policy | samples | seconds | MiB | chosen |\n|---|---|---|---|---|")
    for name in arguments.only:
        for num_samples in arguments.samples:
            command = [sys.executable, __file__, "--measure", name, "--samples", str(num_samples)]
            done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            row = f"{done['seconds']:.2f} | {done['mebibytes']:.0f} | {done['chosen']}"
            print(f"| {name} | {num_samples} | {row} |", flush=True)


if __name__ == "__main__":
    main()
