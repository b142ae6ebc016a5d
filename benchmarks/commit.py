"""Cost of committing a trigger early in a stream and late: it must not grow.

    python benchmarks/commit.py [--triggers 520] [--around 20] [--folder DIR]

Every trigger commits the same amount: 5,000 selected keys, predictions of 20,000 test samples, two policies' states,
ten decisions and a model of 1 MB. Compared are medians over some commits around trigger 10 and around trigger 500, and,
beside them, opening the directory again with all triggers in it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from modyn_bench.runs.directory import RunDirectory
from modyn_bench.seeding import derive
from modyn_bench.types import DecisionRecord, ModelRecord, Predictions, Selection, StageCost, TriggerRecord

NUM_SELECTED, NUM_TEST, MODEL_BYTES = 5_000, 20_000, 1_000_000
EARLY, LATE = 10, 500
CONFIG = {
    "dataset": {"name": "benchmark"},
    "trigger": {"_target_": "modyn_bench.triggers.amount.Amount"},
    "selector": {"_target_": "modyn_bench.selectors.new_data.NewData"},
    "seed": 0,
}


def commit(run: RunDirectory, index: int, predictions: Predictions, model: bytes) -> float:
    """Commit one trigger, and return the seconds it took."""
    first = index * NUM_SELECTED
    cost = StageCost("train", 0.1, NUM_SELECTED, 3.0 * NUM_SELECTED, 3.0 * NUM_SELECTED)
    record = TriggerRecord(
        trigger_index=index,
        fired_at=first,
        first_timestamp=first,
        last_timestamp=first,
        num_arrived=NUM_SELECTED,
        num_labelled=NUM_SELECTED,
        num_selected=NUM_SELECTED,
        num_empty_periods=0,
        labelled_until=first + NUM_SELECTED,
        model=ModelRecord(index, index, None, first, first, first, NUM_SELECTED, 3, 120, 15_000.0, 15_000.0),
        stages=(cost,),
    )
    decisions = [DecisionRecord(index, "amount", first, first, None, None, False, False, 0.0)] * 10
    selection = Selection.unweighted(np.arange(first, first + NUM_SELECTED))
    start = time.perf_counter()
    with run.begin(index) as part:
        part.write_selection(selection)
        part.write_predictions(predictions)
        part.write_states({"trigger": {"num_seen": first}, "selector": {"scores": predictions.loss[:100]}})
        part.write_decisions(decisions)
        (part.model_path / "model.safetensors").write_bytes(model)
        part.write_record(record)
    return time.perf_counter() - start


def measure(folder: Path, num_triggers: int) -> tuple[list[float], float]:
    """Commit all triggers; return the seconds of each, and those of opening the directory afterwards."""
    generator = derive(0, "benchmark")
    values = generator.random(NUM_TEST, dtype=np.float32)
    ranks = generator.integers(0, 10, NUM_TEST).astype(np.int32)
    predictions = Predictions(0, ranks, values, ranks, values, values)
    model = generator.bytes(MODEL_BYTES)

    def open_run() -> RunDirectory:
        return RunDirectory.open(folder, config=CONFIG, fingerprint="benchmark", dataset={"name": "benchmark"})

    with open_run() as run:
        seconds = [commit(run, index, predictions, model) for index in range(num_triggers)]
    start = time.perf_counter()
    with open_run():
        return seconds, time.perf_counter() - start


def main() -> None:
    """Print the ratio of a late commit to an early one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triggers", type=int, default=520, help="triggers to commit")
    parser.add_argument("--around", type=int, default=20, help="commits that each median is taken over")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; default: a temporary folder here")
    arguments = parser.parse_args()
    half = arguments.around // 2
    with tempfile.TemporaryDirectory(dir=arguments.folder or Path.cwd()) as folder:
        seconds, opening = measure(Path(folder), max(arguments.triggers, LATE + half))
    early = statistics.median(seconds[max(1, EARLY - half) : EARLY + half])
    late = statistics.median(seconds[LATE - half : LATE + half])
    print(f"{'commit at trigger':<34} {'ms':>8} {'ratio':>7}")
    print(f"{EARLY:<34} {early * 1e3:8.2f} {1:7.2f}")
    print(f"{LATE:<34} {late * 1e3:8.2f} {late / early:7.2f}   (target: does not grow; 1.25 allows for noise)")
    print(f"{f'opening with {len(seconds)} triggers, once':<34} {opening * 1e3:8.2f}")
    print(f"on {os.uname().sysname}, {os.cpu_count()} cores, medians of {2 * half}, files brought to disk")


if __name__ == "__main__":
    main()
