"""Write what a grid's runs showed into its results.csv, one row per run.

    python experiments/summarise.py GRID SCALE ROOT [--out FILE]

GRID is a folder beside this file, SCALE says whether its runs are those of the paper or the small version, and ROOT is
where they are. Rows of the same scale and dataset in the grid's results.csv are replaced; others stay. Runs of a policy
differ by their seed alone: where they differ in more, nothing is written.

Values are means over the windows in which all runs of a dataset have a model, triggers those from the model on that
serves the first of these windows, as ``modyn_bench.evaluation.compare`` has them; a run below the least coverage is set
aside, and has no values. Sample passes do not include those of predicting for the evaluation; a backward pass counts as
two.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from labels import label_of

from modyn_bench.errors import RequestError
from modyn_bench.evaluation.compare import compare
from modyn_bench.evaluation.costs import policy_costs
from modyn_bench.runs.files import replace_file
from modyn_bench.runs.identity import is_path_key
from modyn_bench.runs.load import Runs, load_runs
from modyn_bench.runs.naming import by_content, changes_results, flatten

HERE = Path(__file__).resolve().parent
SCALES = ("paper", "small")
VARIANTS = {"currently_active": "active", "currently_trained": "trained"}
MIN_COVERAGE = 0.75
PREFERRED = ("sliding", "sliced")
METRICS = ("accuracy", "top_2_accuracy", "top_5_accuracy", "f1_macro")
KEYS = ["scale", "dataset", "model", "policy", "seed"]


def results_of(runs: Runs, grid: str, scale: str) -> pd.DataFrame:
    """Return one row per run: what it is, its metrics by composite model, coverage, triggers and costs.

    Raises:
        RequestError: If runs that are called the same differ in more than their seed.
    """
    check_seeds(runs, grid)
    frames = [_of_dataset(runs, group, grid) for _, group in runs.configs.groupby("dataset", sort=True)]
    frame = pd.concat(frames)
    frame.insert(0, "scale", scale)
    return frame.sort_values(KEYS).reset_index(drop=True)


def check_seeds(runs: Runs, grid: str) -> None:
    """Check that the runs of a policy, with one dataset and model, are one configuration under several seeds.

    Raises:
        RequestError: If they differ in more; it names the keys, and their values.
    """
    labels = [label_of(grid, runs.manifests[run]["config"]) for run in runs.configs.run_id]
    for called, configs in runs.configs.groupby(["dataset", "model", pd.Series(labels, index=runs.configs.index)]):
        told = [dict(_what_may_not_differ(runs.manifests[run])) for run in configs.run_id]
        values = {
            key: sorted({str(one.get(key, "absent")) for one in told}) for key in sorted(set().union(*map(set, told)))
        }
        differing = [f"{key} ({', '.join(of_key)})" for key, of_key in values.items() if len(of_key) > 1]
        if differing:
            raise RequestError(
                f"the {len(configs)} runs of {' / '.join(map(str, called))} differ in more than their seed: "
                f"{', '.join(differing)}. Give each configuration a root of its own"
            )


def _what_may_not_differ(manifest: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield all that can change a run's results, but for its seed."""
    for key, value in flatten(by_content(manifest)).items():
        group, _, option = key.partition(".")
        if changes_results(key) and not (group == "dataset" and is_path_key(option)):
            yield key, value
    yield "the dataset's content", manifest["fingerprint"][:6]
    yield "code of one's own", manifest.get("code") or "none"


def _of_dataset(runs: Runs, configs: pd.DataFrame, grid: str) -> pd.DataFrame:
    """Return the rows of the runs on one dataset, which are compared with one another."""
    configs = configs.set_index("run_id")
    frame = configs[["dataset", "model", "seed"]].copy()
    frame.insert(2, "policy", [label_of(grid, runs.manifests[run]["config"]) for run in frame.index])
    chosen = runs.evaluations[runs.evaluations.run_id.isin(configs.index)]
    if chosen.empty:
        raise RequestError(
            f"no run on {configs['dataset'].iloc[0]} has a model, so there is nothing to summarise: does the dataset "
            "have as many samples as the trigger waits for?"
        )
    window_set = next((name for name in PREFERRED if name in set(chosen.window_set)), str(chosen.window_set.iloc[0]))
    chosen = chosen[chosen.window_set == window_set]
    frame["window_set"] = window_set
    for metric in [name for name in METRICS if name in set(chosen.metric)]:
        for variant, short in VARIANTS.items():
            table = compare(
                chosen,
                runs.models[runs.models.run_id.isin(configs.index)],
                window_set=window_set,
                metric=metric,
                variant=variant,
                min_coverage=MIN_COVERAGE,
            ).table.set_index("run_id")
            frame[f"{metric}_{short}"] = table.value
            if variant == "currently_active" and metric == "accuracy":
                frame["triggers"] = table.num_triggers.astype("Int64")
    of_active = runs.composite[
        (runs.composite.window_set == window_set)
        & (runs.composite.metric == "accuracy")
        & (runs.composite.variant == "currently_active")
        & (runs.composite["aggregate"] == "mean")
    ].set_index("run_id")
    frame["coverage"] = of_active.coverage
    return frame.join(_costs(runs))


def _costs(runs: Runs) -> pd.DataFrame:
    """Return trainings, sample passes, and seconds and forward passes of training, by run."""
    costs = policy_costs(runs.stages).set_index("run_id")
    training = runs.stages[runs.stages.stage == "train"].groupby("run_id")
    of_policies = ~runs.decisions.policy.str.contains("/")  # and not of an ensemble's members, which are below its name
    decisions = runs.decisions[of_policies & ~runs.decisions.warmup].groupby("run_id")
    return pd.DataFrame(
        {
            "trainings": runs.models.groupby("run_id").model_id.nunique(),
            "sample_passes": costs.sample_passes,
            "seconds": costs.seconds.round(2),
            "training_seconds": training.seconds.sum().round(2),
            "training_passes": training.forward_passes.sum(),
            "decisions": decisions.size(),
            "fired": decisions.fired.sum(),
        }
    )


def replace(path: Path, results: pd.DataFrame, scale: str) -> None:
    """Write rows in place of those of their scale and datasets, at once or not at all."""
    kept = [results]
    if path.exists():
        before = pd.read_csv(path)
        again = (before.scale == scale) & before.dataset.isin(set(results.dataset))
        kept.append(before[~again])
    merged = pd.concat([frame for frame in kept if len(frame)]).sort_values(KEYS)
    replace_file(path, merged.to_csv(index=False, float_format="%.6g").encode())


def main() -> None:
    """Summarise a grid's runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", choices=sorted(path.parent.name for path in HERE.glob("*/small.sh")))
    parser.add_argument("scale", choices=SCALES)
    parser.add_argument("root", type=Path, help="where the runs are")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the table (default: the grid's results.csv)")
    options = parser.parse_args()
    path = options.out or HERE / options.grid / "results.csv"
    try:
        runs = load_runs(options.root)
        if not len(runs):
            parser.error(f"there are no finished runs in {options.root}")
        results = results_of(runs, options.grid, options.scale)
    except RequestError as error:
        parser.error(str(error))
    if not path.parent.is_dir():
        parser.error(f"--out: there is no folder {path.parent}")
    replace(path, results, options.scale)
    print(f"{path}: {len(results)} runs")
    left_out = [left for left in (*runs.unfinished, *runs.skipped) if left.path.name != "results.csv"]
    for left in left_out:
        print(f"left out: {left.path}: {left.reason}")


if __name__ == "__main__":
    main()
