"""How long `load_runs` takes for the tables of many runs, beside pyarrow reading the same bytes and nothing else.

    python benchmarks/load_runs.py [--runs 200] [--models 30] [--windows 60]

The runs never ran: every one has the full configuration of the bundled arXiv pipeline, a trigger and a seed of its own,
30 models on 60 windows by 5 metrics, and 2,000 decisions. Target: 1.8 million cells in at most 5 s. The baseline reads
all six files of every run by `pyarrow.parquet.read_table` and puts nothing together. Both are measured once after the
files were written and then --repeats times; user seconds are those of this process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import synthetic_runs as synthetic  # noqa: E402

from modyn_bench.preflight import check_jobs  # noqa: E402
from modyn_bench.runs.directory import RunDirectory  # noqa: E402
from modyn_bench.runs.load import load_runs  # noqa: E402
from modyn_bench.runs.tables import TABLES, arrow_schema  # noqa: E402

METRICS = ("accuracy", "top_2_accuracy", "f1_macro", "loss", "ece")
NUM_DECISIONS, NUM_SEEDS = 2_000, 5


def make_tables(num_models: int, num_windows: int) -> dict[str, pd.DataFrame]:
    """Return the six tables of one run."""
    fired = synthetic.triggers(num_models)
    models = synthetic.models(fired)
    evaluated = synthetic.evaluations(models, num_windows=num_windows, metrics=METRICS)
    decided = synthetic.decisions(fired)
    return {
        "triggers": fired,
        "models": models,
        "stages": synthetic.stages(fired),
        "decisions": pd.concat([decided] * (NUM_DECISIONS // len(decided) + 1), ignore_index=True)[:NUM_DECISIONS],
        "evaluations": evaluated,
        "composite": synthetic.composite(evaluated, num_models),
    }


def write_runs(root: Path, num_runs: int, tables: dict[str, pd.DataFrame]) -> None:
    """Write runs that differ by their trigger's period and by their seed, each with values of its own."""
    config = check_jobs(["trigger=time"])[0].config
    for index in range(num_runs):
        noise = np.random.Generator(np.random.PCG64(index)).normal(0, 0.01, len(tables["evaluations"]))
        evaluated = tables["evaluations"].assign(value=tables["evaluations"]["value"] + noise)
        every = {**config["trigger"], "every": f"{100 + index // NUM_SEEDS}d"}
        own: dict[str, Any] = {**config, "trigger": every, "seed": index % NUM_SEEDS}
        with RunDirectory.open(root, config=own, fingerprint="f00d", dataset={"name": "arxiv"}) as run:
            for name, frame in (tables | {"evaluations": evaluated}).items():
                schema = arrow_schema(TABLES[name])
                run.write_table(
                    run.path / f"{name}.parquet", pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
                )
            run.mark_done()


def measure(name: str, work: Callable[[], object], repeats: int) -> float:
    """Print the wall-clock and user seconds of the first time and of the best one; return the latter's wall-clock."""
    taken = []
    for _ in range(repeats + 1):
        user, started = os.times().user, time.perf_counter()
        work()
        taken.append((time.perf_counter() - started, os.times().user - user))
    (first, first_user), (best, best_user) = taken[0], min(taken[1:])
    print(f"{name:<12}{first:>10.2f}{first_user:>8.2f}{best:>10.2f}{best_user:>8.2f}", flush=True)
    return best


def main() -> None:
    """Print the seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 200), ("models", 30), ("windows", 60), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    tables = make_tables(given.models, given.windows)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_runs(root, given.runs, tables)
        files = sorted(root.glob("*/*.parquet"))
        size = sum(file.stat().st_size for file in files) / 2**20
        cells = given.runs * len(tables["evaluations"])
        print(f"{given.runs} runs, {cells:,} cells, {given.runs * NUM_DECISIONS:,} decisions, {size:.0f} MiB")
        print(f"{'':<12}{'first s':>10}{'user':>8}{'best s':>10}{'user':>8}")
        alone = measure("pyarrow", lambda: [pq.read_table(file) for file in files], given.repeats)
        ours = measure("load_runs", lambda: load_runs(root), given.repeats)
        assert len(load_runs(root).evaluations) == cells
    print(f"load_runs takes {ours / alone:.2f} of the baseline   (target: 5 s for 1,800,000 cells)")


if __name__ == "__main__":
    main()
