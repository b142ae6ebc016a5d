"""How fast windows are compared by MMD², beside the definition in NumPy and beside permuting the rows in torch.

    python benchmarks/drift.py [--sizes 1000 5000] [--columns 512] [--repeats 3]

Windows of 1,000 and of 5,000 rows of 512 columns, one thread; without permutations (``mmd``) and with 100
(``kernel_two_sample``), the reference being fitted once, or anew for every window. All figures are medians within one
run, taken in turns. The definition makes the three kernel matrices in float64 and sums them. The naive torch version
pools the rows, permutes them, and computes the statistic of every permutation from the start, the pairwise distances
included; the indexing one makes the pooled kernel matrix once and takes its three parts by indexing for every
permutation. Both are timed on a few permutations, and scaled up. They are given the bandwidth; the definition computes
it where we fit anew. Targets: with 100 permutations 10 times as fast as the naive version, and 3 times as fast as the
indexing one.

Then 200 decisions of ``trigger=drift`` on the bundled arXiv titles, with windows that overlap: milliseconds each, and
forward passes per sample and model, which must not exceed 1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from modyn_bench.drift.base import Distance
from modyn_bench.drift.kernel_two_sample import KernelTwoSample
from modyn_bench.drift.kernels import median_bandwidth
from modyn_bench.drift.mmd import Mmd, centered
from modyn_bench.jobs import run_job
from modyn_bench.preflight import check_jobs
from modyn_bench.seeding import derive

NUM_PERMUTATIONS, NUM_TIMED = 100, 2
Rows = NDArray[np.float32]


def squared_numpy(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distances of rows, in float64."""
    return np.maximum((x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2.0 * x @ y.T, 0.0)


def definition(reference: Rows, current: Rows, bandwidth: float | None = None) -> float:
    """Return MMD² as its formula says, in float64; without a bandwidth, by that of the reference."""
    x, y = reference.astype(np.float64), current.astype(np.float64)
    n, m = len(x), len(y)
    of_x = squared_numpy(x, x)
    if bandwidth is None:
        chosen = x[np.linspace(0, n - 1, 4096).round().astype(int)] if n > 4096 else x
        above = squared_numpy(chosen, chosen)[np.triu_indices(len(chosen), 1)]
        bandwidth = float(np.median(above[above > 0]))
    k_x, k_y, k_xy = (np.exp(-squared / bandwidth) for squared in (of_x, squared_numpy(y, y), squared_numpy(x, y)))
    within = (k_x.sum() - np.trace(k_x)) / (n * (n - 1)) + (k_y.sum() - np.trace(k_y)) / (m * (m - 1))
    return float(within - 2.0 * k_xy.mean())


def statistic(x: torch.Tensor, y: torch.Tensor, bandwidth: float) -> float:
    """Return MMD² as one writes it down in torch, in float32."""
    n, m = len(x), len(y)
    k_x, k_y, k_xy = (torch.exp(-(torch.cdist(a, b) ** 2) / bandwidth) for a, b in ((x, x), (y, y), (x, y)))
    return float((k_x.sum() - n) / (n * (n - 1)) + (k_y.sum() - m) / (m * (m - 1)) - 2 * k_xy.mean())


def naive(reference: Rows, current: Rows, bandwidth: float, num_permutations: int) -> int:
    """Permute the pooled rows and compute the statistic from the start; return how many are as large."""
    pooled, n = torch.from_numpy(np.concatenate([reference, current])), len(reference)
    draw = derive(0, "permute")
    observed = statistic(pooled[:n], pooled[n:], bandwidth)
    num_as_large = 0
    for _ in range(num_permutations):
        rows = pooled[torch.from_numpy(draw.permutation(len(pooled)))]
        num_as_large += statistic(rows[:n], rows[n:], bandwidth) >= observed
    return num_as_large


def indexing(reference: Rows, current: Rows, bandwidth: float, num_permutations: int) -> int:
    """Make the pooled kernel matrix once and take its parts by indexing; return how many are as large."""
    pooled, n, m = torch.from_numpy(np.concatenate([reference, current])), len(reference), len(current)
    kernel = torch.exp(-(torch.cdist(pooled, pooled) ** 2) / bandwidth)

    def of(order: torch.Tensor) -> float:
        x, y = order[:n], order[n:]
        of_x, of_y = kernel[x], kernel[y]  # rows before columns: much faster than both at once
        within = (of_x[:, x].sum() - n) / (n * (n - 1)) + (of_y[:, y].sum() - m) / (m * (m - 1))
        return float(within - 2 * of_x[:, y].mean())

    draw = derive(0, "permute")
    observed = of(torch.arange(n + m))
    return sum(of(torch.from_numpy(draw.permutation(n + m))) >= observed for _ in range(num_permutations))


def medians(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each, taken in turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - started)
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def scaled(work: Callable[[int], object], repeats: int) -> float:
    """Return the seconds of all permutations, from runs with none and with a few."""
    taken = medians({"none": lambda: work(0), "few": lambda: work(NUM_TIMED)}, repeats)
    return taken["none"] + (taken["few"] - taken["none"]) / NUM_TIMED * NUM_PERMUTATIONS


def anew(distance: Distance, reference: Rows, current: Rows) -> float:
    """Fit and score."""
    distance.fit(reference)
    return distance.score(current)


def compare(reference: Rows, current: Rows, repeats: int) -> None:
    """Print the lines of one size."""
    mmd, test = Mmd(), KernelTwoSample(num_permutations=NUM_PERMUTATIONS)
    apart = abs(anew(mmd, reference, current) - definition(reference, current))
    test.fit(reference)
    bandwidth = median_bandwidth(centered(reference)[0])
    taken = medians(
        {
            "mmd, fitted once": lambda: mmd.score(current),
            "mmd, fitted anew": lambda: anew(Mmd(), reference, current),
            "definition, fitted once": lambda: definition(reference, current, bandwidth),
            "definition, fitted anew": lambda: definition(reference, current),
            "test, fitted once": lambda: test.score(current),
            "test, fitted anew": lambda: anew(KernelTwoSample(num_permutations=NUM_PERMUTATIONS), reference, current),
        },
        repeats,
    )
    taken["torch, naive"] = scaled(lambda b: naive(reference, current, bandwidth, b), repeats)
    taken["torch, indexing"] = scaled(lambda b: indexing(reference, current, bandwidth, b), repeats)
    print("  no permutation" + " " * 17 + f"(differs from the definition by {apart:.0e})")
    for fitted in ("fitted once", "fitted anew"):
        ours, theirs = taken[f"mmd, {fitted}"], taken[f"definition, {fitted}"]
        print(f"    {'mmd, ' + fitted:<22}{ours:>8.3f} s   definition {theirs:.2f} s{theirs / ours:>7.1f}×")
    print(f"  {NUM_PERMUTATIONS} permutations")
    for name in ("test, fitted once", "test, fitted anew"):
        parts = [
            f"{other} {taken[key]:.2f} s{taken[key] / taken[name]:>7.1f}×"
            for other, key in (("naive", "torch, naive"), ("indexing", "torch, indexing"))
        ]
        print(f"    {name:<22}{taken[name]:>8.3f} s   " + "   ".join(parts))


def stream() -> None:
    """Run 200 decisions on the bundled arXiv titles, windows of 4,000 that move on by 500, and print what they cost."""
    with tempfile.TemporaryDirectory() as folder:
        policy = ["trigger=drift", "trigger/decision=threshold", "trigger.decision.threshold=1e9"]
        windows = [f"trigger.windows.{name}_size=4000" for name in ("reference", "current")]
        steps = ["trigger.interval=500", "trigger.warmup_intervals=0", "training.epochs=1", "replay.flush=false"]
        places = [f"root={folder}/out", f"data_dir={folder}/stores", "logger=none"]
        run = run_job(check_jobs([*policy, *windows, *steps, *places])[0].config).path
        decisions, stages = (pd.read_parquet(run / f"{name}.parquet") for name in ("decisions", "stages"))
        models = len(pd.read_parquet(run / "models.parquet"))
    scored = decisions[decisions.score.notna()]
    passes, samples = int(decisions.forward_passes.sum()), int(decisions.num_samples_seen.max())
    everything = int((500 + scored.num_samples_seen.clip(upper=4000)).sum())  # the reference holds 500: one block
    seconds = stages[stages.stage == "decide"].seconds.sum()
    print(
        f"{len(scored)} decisions over {samples:,} samples, {models} model: {seconds / len(scored) * 1e3:.0f} ms each"
    )
    print(f"  {passes:,} forward passes, {passes / samples:.2f} a sample and model (target: at most 1)")
    print(f"  embedding both windows at every decision: {everything:,}, {everything / passes:.1f}×")


def main() -> None:
    """Print the seconds of all, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--columns", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    worst = 0.0
    for size in arguments.sizes:
        draw = derive(0, "benchmark", size)
        reference, current = (draw.standard_normal((size, arguments.columns), dtype=np.float32) for _ in range(2))
        for shift in (0.0, 0.02, 0.2):
            moved = current + np.float32(shift)
            worst = max(worst, abs(anew(Mmd(), reference, moved) - definition(reference, moved)))
        print(f"{size:,} × {arguments.columns} against {size:,} × {arguments.columns}")
        compare(reference, current, arguments.repeats)
    stream()
    print(f"largest difference from the definition, windows moved by 0, 0.02 and 0.2: {worst:.0e}")


if __name__ == "__main__":
    main()
