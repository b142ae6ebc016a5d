"""How soon the command answers, against starting Python, importing torch, and importing all that a run needs.

    python benchmarks/startup.py [--repeats 5]

Help and configuration errors must answer within 2 s on any machine that runs this at all, so they stay far from torch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLI = [sys.executable, "-m", "modyn_bench.cli"]
SWEEP = ["run", "-m", "trigger=time,amount", "selector=new_data,uniform", "seed=range(0,25)", "training.epochs=three"]
COMMANDS: dict[str, list[str]] = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import torch": [sys.executable, "-c", "import torch"],
    "import torch, lightning, wandb, hydra": [sys.executable, "-c", "import torch, lightning, wandb, hydra"],
    "import hydra": [sys.executable, "-c", "import hydra"],
    "modyn-bench --help": [*CLI, "--help"],
    "modyn-bench run --help": [*CLI, "run", "--help"],
    "a wrong option": [*CLI, "run", "trigger=tiem"],
    "a wrong value": [*CLI, "run", "training.epochs=three"],
    "a wrong value in a sweep of 100": [*CLI, *SWEEP],
    "the checked configuration": [*CLI, "run", "--show-config"],
}


def seconds(command: list[str], repeats: int) -> float:
    """Return the median wall-clock time of a command, after one call that fills the caches."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats + 1):
            start = time.perf_counter()
            subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print a table of medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    measured = {name: seconds(command, repeats) for name, command in COMMANDS.items()}
    python, torch = measured["python -c pass"], measured["import torch"]
    print(f"median of {repeats:<28} {'seconds':>8} {'÷ python':>9} {'÷ import torch':>15}")
    for name, value in measured.items():
        print(f"{name:<38} {value:8.3f} {value / python:9.1f} {value / torch:15.2f}")


if __name__ == "__main__":
    main()
