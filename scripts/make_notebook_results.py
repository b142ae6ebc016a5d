"""Make the small results that the notebooks of figures show, notebooks/results.

    python scripts/make_notebook_results.py [SET...] [--root outputs/notebooks] [--out notebooks/results]

Runs what is missing of each set into the root, a quarter of an hour on one core in all, and copies from every finished
run what `load_runs` reads: the manifest, DONE and the tables. Models, predictions and selections stay in the root.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from modyn_bench.cli import main as run_command
from modyn_bench.runs.copies import copy_results
from modyn_bench.runs.listing import find_runs
from modyn_bench.runs.manifest import DONE

TRIGGERING = (
    "time_1y,time_3y,time_5y,amount_1000,amount_2000,mmd_above_005,mmd_above_01,mmd_autodrift,top_2_below_40,"
    "top_2_below_45,latency_cost"
)
SELECTORS = "uniform,class_balanced,rs2,rs2_no_replacement,loss,grad_norm,margin,least_confidence,entropy"
WINDOWS = (
    "~evaluation.windows.sliced",
    "+evaluation.windows.half_years={kind:sliding,every:26w,radius:13w}",
    "+evaluation.windows.years={kind:sliding,every:1y,radius:380d}",
    "evaluation.metrics=[accuracy,top_2_accuracy]",
)
QUARTER = ("dataset.used_fraction=0.25", "logger=none")
SELECTING = (*QUARTER, "training.epochs=8", "evaluation.windows.sliced.every=1y", "evaluation.models=composite")
SEEDS = "seed=0,1,2"
SETS: dict[str, list[tuple[str, ...]]] = {
    "triggering": [
        (f"+experiment/arxiv_triggering={TRIGGERING}", SEEDS, *QUARTER, *WINDOWS, "evaluation.models=composite")
    ],
    "selection": [
        (f"selector={SELECTORS}", "selector.ratio=0.5", "selector.warmup_triggers=1", SEEDS, *SELECTING),
        ("selector=new_data", SEEDS, *SELECTING),
    ],
    "matrix": [("+experiment/arxiv_triggering=time_1y,mmd_above_01", *QUARTER, *WINDOWS)],
}


def copy_tables(runs: Path, out: Path) -> list[Path]:
    """Copy what ``load_runs`` reads of every finished run, in place of what was there; return the copies."""
    shutil.rmtree(out, ignore_errors=True)
    copies = []
    for run in find_runs(runs)[0]:
        if not (run / DONE).exists():
            continue
        copies.append(out / run.name)
        copy_results(run, copies[-1])
    return copies


def main() -> None:
    """Run what is missing, and copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], default=list(SETS), metavar="SET", help=", ".join(SETS))
    parser.add_argument("--root", type=Path, default=Path("outputs/notebooks"), help="where runs are, or go")
    parser.add_argument("--out", type=Path, default=Path("notebooks/results"), help="where their tables go")
    options = parser.parse_args()
    for name in options.sets:
        for words in SETS[name]:
            if run_command(["run", "--multirun", *words, f"root={options.root / name}"]):
                parser.exit(1, "a run failed: the same command resumes it\n")
        copies = copy_tables(options.root / name, options.out / name)
        size = sum(file.stat().st_size for copy in copies for file in copy.iterdir())
        print(f"{options.out / name}: {len(copies)} runs, {size / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
