"""Draw every figure from real runs, for docs/gallery.md.

    python scripts/draw_gallery.py [--root outputs/gallery] [--out docs/images/gallery]

Runs eight policies with three seeds each on a quarter of the bundled arXiv titles into the root, ten minutes on one
core, unless they are done; then draws a PNG of every figure, over what is there. Each model is trained from scratch on
all titles so far, so that what a model knows does not depend on earlier triggers, and a best schedule of triggers can
be found among the models of the yearly policy.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modyn_bench.analysis.draw import save
from modyn_bench.analysis.figures.class_shares import class_shares
from modyn_bench.analysis.figures.composite_over_time import composite_over_time
from modyn_bench.analysis.figures.cost_by_policy import cost_by_policy
from modyn_bench.analysis.figures.cost_by_stage import cost_by_stage
from modyn_bench.analysis.figures.critical_difference import critical_difference
from modyn_bench.analysis.figures.cumulative_costs import cumulative_costs
from modyn_bench.analysis.figures.evaluation_heatmap import evaluation_heatmap
from modyn_bench.analysis.figures.model_age import model_age
from modyn_bench.analysis.figures.models_over_time import models_over_time
from modyn_bench.analysis.figures.pareto import pareto
from modyn_bench.analysis.figures.regret import regret
from modyn_bench.analysis.figures.samples_over_time import samples_over_time
from modyn_bench.analysis.figures.throughput import samples_per_second, throughput
from modyn_bench.analysis.figures.triggers_on_scores import triggers_on_member_scores, triggers_on_scores
from modyn_bench.analysis.figures.triggers_over_time import triggers_over_time
from modyn_bench.analysis.figures.value_by_window import value_by_window, window_means
from modyn_bench.analysis.frames import cells
from modyn_bench.analysis.oracle.dense import find_oracle
from modyn_bench.analysis.oracle.regret import regret as lost
from modyn_bench.analysis.statistics.ranks import Ranking, rank_pipelines
from modyn_bench.cli import main as run_command
from modyn_bench.evaluation.compare import compare
from modyn_bench.evaluation.costs import policy_costs
from modyn_bench.jobs import prepare_store
from modyn_bench.preflight import check_jobs
from modyn_bench.runs.load import Runs, load_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "images" / "gallery"
POLICIES = (
    "time_1y",
    "time_3y",
    "amount_2000",
    "mmd_above_01",
    "mmd_autodrift",
    "top_2_below_40",
    "latency_cost",
    "ensemble",
)
OVERRIDES = (
    "dataset.used_fraction=0.25",
    "selector.history=all",
    "training.start_from=scratch",
    "training.epochs=2",
    "seed=0,1,2",
    "logger=none",
)
ORDER = {policy: place for place, policy in enumerate(POLICIES)}
SHOWN = ("time_1y", "time_3y", "mmd_above_01", "ensemble")
METRIC = "accuracy"
REFERENCE = "time_1y"
AT_CANDIDATES = "time_3y"  # trains at times of the reference alone, from its third on
YEARS_OF_A_DATASET = 4


def named(runs: Runs) -> dict[str, pd.DataFrame]:
    """Return the tables of all runs with a column ``pipeline``, in the order of ``POLICIES``."""
    frames = {}
    for name in ("triggers", "models", "decisions", "evaluations", "stages"):
        frame = getattr(runs, name)
        frame = frame.assign(pipeline=frame["run_id"].map(runs.policies))
        frames[name] = frame.sort_values("pipeline", key=lambda column: column.map(POLICIES.index), kind="stable")
    return frames


def first_run(frame: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Return the rows of a policy's first run."""
    own = frame[frame["pipeline"] == policy]
    return own[own["run_id"] == own["run_id"].iloc[0]]


def measured(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return pipeline, value, triggers and passes of each run, over the windows in which all of them have a value."""
    rows = cells(frames["evaluations"], metric=METRIC)
    table = compare(rows, frames["models"], window_set=str(rows["window_set"].iloc[0]), metric=METRIC).table
    pipelines = rows.drop_duplicates("run_id").set_index("run_id")["pipeline"]
    costs = policy_costs(frames["stages"]).set_index("run_id")
    passes = table["run_id"].map(costs["sample_passes"])
    return table.assign(pipeline=table["run_id"].map(pipelines), sample_passes=passes)


def ranks_of(frames: dict[str, pd.DataFrame]) -> Ranking:
    """Rank policies over spans of the stream, which stand in for datasets."""
    rows = cells(frames["evaluations"], metric=METRIC)
    means = window_means(rows, by="pipeline", variant="currently_active")
    years = pd.to_datetime(means.index.get_level_values("anchor"), unit="s").year
    spans = means.groupby((years - years.min()) // YEARS_OF_A_DATASET).mean()
    return rank_pipelines(spans.to_numpy(), list(spans.columns))


def oracle_of(runs: Runs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the best schedules among the yearly models of the first seed, and the policy that trains at these times.

    Returns:
        The oracle's curve, and pipeline, num_triggers and value of the policy's run, on the same test samples.
    """
    paths = runs.configs[runs.configs["seed"] == 0].set_index("policy")["path"]
    oracle = find_oracle(Path(paths[REFERENCE]), metric=METRIC, first_trigger=2)
    row = lost(oracle, Path(paths[AT_CANDIDATES])).assign(pipeline=AT_CANDIDATES)
    return oracle.curve.reset_index(), row.rename(columns={"value_scoring": "value"})


def figures(runs: Runs) -> Iterator[tuple[str, Axes]]:
    """Draw the figures of runs, by the names of their files."""
    frames = named(runs)
    yearly = {name: first_run(frame, REFERENCE) for name, frame in frames.items()}
    yield "evaluation_heatmap", evaluation_heatmap(yearly["evaluations"], yearly["models"])
    yield "models_over_time", models_over_time(yearly["evaluations"], yearly["models"])
    yield from _of_values(frames)
    drift, ensemble = (first_run(frames["decisions"], policy) for policy in ("mmd_above_01", "ensemble"))
    yield "triggers_over_time", triggers_over_time(frames["triggers"], by="pipeline")
    yield "triggers_on_scores", triggers_on_scores(drift, score_label="MMD²")
    yield "triggers_on_member_scores", triggers_on_member_scores(ensemble)[0]
    some = {name: frame[frame["pipeline"].isin(SHOWN)] for name, frame in frames.items()}
    yield "cumulative_costs", cumulative_costs(some["stages"], some["triggers"], by="pipeline", order=ORDER)
    yield "cost_by_policy", cost_by_policy(frames["stages"], by="pipeline")
    yield "cost_by_stage", cost_by_stage(yearly["stages"], yearly["triggers"])
    rates = samples_per_second(frames["stages"], by="pipeline")
    yield "throughput", throughput(rates, panels=("select", "train", "predict"), by="pipeline", order=ORDER)[0]
    curve, policies = oracle_of(runs)
    yield "regret", regret(curve, policies, by="pipeline", value_label="Accuracy, currently active", order=ORDER)
    ranking = ranks_of(frames)
    assert ranking.critical_difference is not None
    assert ranking.p_value is not None
    yield (
        "critical_difference",
        critical_difference(
            ranking.table(),
            ranking.critical_difference,
            num_datasets=ranking.num_datasets,
            p_value=ranking.p_value,
        ),
    )


def _of_values(frames: dict[str, pd.DataFrame]) -> Iterator[tuple[str, Axes]]:
    """Draw the figures of the metric."""
    evaluations, models = frames["evaluations"], frames["models"]
    cells_shown, models_shown = (frame[frame["pipeline"].isin(SHOWN)] for frame in (evaluations, models))
    common = {"by": "pipeline", "order": ORDER}
    yield "composite_over_time", composite_over_time(cells_shown, variants=["currently_active"], **common)
    yield "value_by_window", value_by_window(evaluations, **common)
    yield "value_by_window_differences", value_by_window(evaluations, reference=REFERENCE, **common)
    yield "model_age", model_age(cells_shown, models_shown, **common)
    ages = [frame[frame["pipeline"] == REFERENCE] for frame in (evaluations, models)]
    yield "model_age_all_models", model_age(*ages, which="all", relative=True, every="1y", by="pipeline")
    points = measured(frames)
    labels = {"cost_label": "Sample passes", "value_label": "Accuracy, currently active"}
    yield "pareto", pareto(points, cost="sample_passes", **labels, **common)


def dataset_figures() -> Iterator[tuple[str, Axes]]:
    """Draw the figures of the dataset itself: all bundled titles, split as runs split them."""
    store = prepare_store(check_jobs([])[0].config)
    train = store.splits["train"]
    yield "samples_over_time", samples_over_time({name: store.splits[name].timestamps for name in ("train", "test")})
    archives = np.array([name.partition(".")[0] for name in store.schema.classes])
    yield "class_shares", class_shares(train.timestamps, archives[train.labels])


def main() -> None:
    """Run what is missing, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT / "outputs" / "gallery", help="where runs are, or go")
    parser.add_argument("--out", type=Path, default=OUT, help="where figures go")
    options = parser.parse_args()
    grid = f"+experiment/arxiv_triggering={','.join(POLICIES)}"
    if run_command(["run", "--multirun", grid, *OVERRIDES, f"root={options.root}"]):
        parser.exit(1, "a run failed: the same command resumes it\n")
    options.out.mkdir(parents=True, exist_ok=True)
    for name, ax in [*dataset_figures(), *figures(load_runs(options.root))]:
        print(save(ax, options.out / f"{name}.png"))


if __name__ == "__main__":
    main()
