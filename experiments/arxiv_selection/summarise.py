"""Tables and figures of the selection sweeps.

    python experiments/arxiv_selection/summarise.py ROOT [--out DIR]

ROOT is where ``run.sh`` left its runs. Writes results.csv, windows.png and costs.png into DIR (by default this folder),
over what is there, and prints the tables of README.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd

from modyn_bench.commands.arguments import folder
from modyn_bench.evaluation.costs import policy_costs
from modyn_bench.runs.load import Runs, load_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).resolve().parent
SWEEPS = {"arxiv": "accuracy", "arxiv_compute": "accuracy", "flights": "roc_auc", "flights_compute": "roc_auc"}
VARIANTS = {"currently_trained": "trained", "currently_active": "active"}
FAMILIES = {
    "all data": ("new_data",),
    "random": ("uniform", "rs2", "rs2_no_replacement", "recency", "class_balanced"),
    "loss and gradient": ("loss", "loss_highest", "grad_norm", "rho_loss", "rho_loss_twin"),
    "unsure": ("margin", "entropy", "least_confidence"),
    "compared": ("k_center", "craig", "grad_match", "facility_location", "graph_cut", "log_determinant"),
    "history": ("el2n", "forgetting", "infobatch"),
}
MARKS = dict(zip(FAMILIES, ("k*", "C0o", "C1s", "C2^", "C4D", "C3v"), strict=True))
OWN_SHARE = ("new_data", "infobatch")


def name_of(config: pd.Series) -> str:
    """Return what a run's policy is called in the grid."""
    name = str(config["selector"]).replace("kcenter", "k_center")
    if config.get("selector.draw") == "top_k":
        return f"{name}_highest"
    if config.get("selector.holdout") == "twin":
        return f"{name}_twin"
    return str(config["selector.function"]) if name == "submodular" else name


def described(runs: Runs) -> pd.DataFrame:
    """Return policy, ratio, epochs and seed of each run."""
    configs = runs.configs.set_index("run_id")
    frame = pd.DataFrame({"policy": configs.apply(name_of, axis=1), "seed": configs["seed"].astype(int)})
    frame["epochs"] = configs["training.epochs"].astype(int)
    ratios = configs["selector.ratio"] if "selector.ratio" in configs else pd.Series(np.nan, configs.index)
    frame["ratio"] = ratios.where(~frame.policy.isin(OWN_SHARE)).astype(float)
    return frame


def results_of(runs: Runs, sweep: str, metric: str) -> pd.DataFrame:
    """Return one row per policy, ratio and number of epochs: metric and cost, mean and deviation over seeds."""
    frame = described(runs)
    of_mean = runs.composite[(runs.composite.metric == metric) & (runs.composite["aggregate"] == "mean")]
    for variant, short in VARIANTS.items():
        values = of_mean[of_mean.variant == variant].set_index("run_id")
        frame[short], frame[f"{short}_coverage"] = values.value, values.coverage
    costs = policy_costs(runs.stages).set_index("run_id")
    frame["sample_passes"], frame["seconds"] = costs.sample_passes, costs.seconds
    grouped = frame.groupby(["policy", "ratio", "epochs"], dropna=False, sort=False)
    summary = grouped.agg(
        trained=("trained", "mean"),
        trained_std=("trained", "std"),
        active=("active", "mean"),
        active_std=("active", "std"),
        sample_passes=("sample_passes", "mean"),
        seconds=("seconds", "mean"),
        num_seeds=("seed", "nunique"),
    ).reset_index()
    summary.insert(0, "sweep", sweep)
    summary.insert(1, "metric", metric)
    return summary


def table(results: pd.DataFrame) -> str:
    """Return a Markdown table, the best first."""
    lines = [
        "| policy | share | epochs | currently trained | currently active | sample passes |",
        "|---|---|---|---|---|---|",
    ]
    for row in results.sort_values("trained", ascending=False).itertuples():
        share = "all" if row.policy == "new_data" else "own" if row.policy == "infobatch" else f"{row.ratio:.1%}"
        lines.append(
            f"| `{row.policy}` | {share} | {row.epochs} | {row.trained:.3f} ± {row.trained_std:.3f} | "
            f"{row.active:.3f} ± {row.active_std:.3f} | {row.sample_passes:,.0f} |"
        )
    return "\n".join(lines)


def family_of(policy: str) -> str:
    """Return the family that a policy belongs to."""
    return next(family for family, members in FAMILIES.items() if policy in members)


def draw_costs(results: pd.DataFrame, path: Path) -> None:
    """Draw the currently trained models' metric: against sample passes, shares joined; and in order at equal costs."""
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(1, 4, figsize=(13, 4.4), layout="constrained", width_ratios=(1.6, 1, 1, 1))
    scatter_costs(axes[0], results[results.sweep == "arxiv"])
    axes[0].set_title("arXiv, equal epochs")
    ranked = {
        "arxiv_compute": ("arXiv, equal compute", "accuracy"),
        "flights": ("flights, equal epochs", "ROC AUC"),
        "flights_compute": ("flights, equal compute", "ROC AUC"),
    }
    for ax, (sweep, (title, label)) in zip(axes[1:], ranked.items(), strict=True):
        rank(ax, results[results.sweep == sweep])
        ax.set_title(title)
        ax.set_xlabel(label)
    for family, mark in MARKS.items():
        axes[0].plot([], [], mark, label=family)
    axes[0].legend(frameon=False, fontsize=7, loc="lower right")
    fig.savefig(path, dpi=150)
    plt.close(fig)


def scatter_costs(ax: Axes, results: pd.DataFrame) -> None:
    """Draw accuracy against sample passes; the shares of a policy are joined."""
    for policy, points in results.groupby("policy", sort=False):
        ordered = points.sort_values("sample_passes")
        ax.errorbar(
            ordered.sample_passes,
            ordered.trained,
            yerr=ordered.trained_std,
            fmt=MARKS[family_of(str(policy))],
            linestyle="-",
            linewidth=0.7,
            markersize=9 if policy == "new_data" else 4,
            elinewidth=0.6,
        )
    ax.set_xscale("log")
    ticks = sorted(results[results.policy == "new_data"].sample_passes)
    ax.set_xticks(ticks, [f"{tick / 1000:,.0f}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("thousand sample passes")
    ax.set_ylabel("accuracy of the currently trained models")
    ax.grid(visible=True, linewidth=0.3)


def rank(ax: Axes, results: pd.DataFrame) -> None:
    """Draw one row per policy, the best on top."""
    ordered = results.sort_values("trained").reset_index(drop=True)
    for place, row in enumerate(ordered.itertuples()):
        mark = MARKS[family_of(row.policy)]
        ax.errorbar(row.trained, place, xerr=row.trained_std, fmt=mark, markersize=4, elinewidth=0.6)
    all_data = ordered.policy == "new_data"
    names = ordered.policy.where(~all_data, "new_data, " + ordered.epochs.astype(str) + " epochs")
    ax.set_yticks(range(len(ordered)), names, fontsize=6)
    ax.grid(visible=True, axis="x", linewidth=0.3)


def window_differences(runs: Runs, metric: str, ratio: float) -> pd.DataFrame:
    """Return, per window and policy, the mean over seeds of the metric minus that of all data in as many epochs."""
    frame = described(runs)
    cells = runs.evaluations[(runs.evaluations.metric == metric) & runs.evaluations.currently_trained]
    cells = cells.join(frame, on="run_id")
    cells = cells[(cells.epochs == cells.epochs.max()) & (cells.ratio.isna() | (cells.ratio == ratio))]
    means = cells.groupby(["window_id", "policy"]).value.mean().unstack()
    return means.drop(columns="new_data").sub(means["new_data"], axis=0)


def draw_windows(differences: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw the windows' differences to all data, a box per policy, best median first."""
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(1, len(differences), figsize=(11, 5), layout="constrained")
    for ax, (title, frame) in zip(np.atleast_1d(axes), differences.items(), strict=True):
        order = frame.median().sort_values().index
        ax.boxplot(
            [frame[policy].dropna() for policy in order],
            orientation="horizontal",
            tick_labels=list(order),
            flierprops={"markersize": 2},
            medianprops={"color": "black"},
        )
        ax.axvline(0.0, color="black", linewidth=0.6)
        ax.set_xlabel(title)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def main() -> None:
    """Summarise all sweeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where run.sh left its runs")
    parser.add_argument("--out", type=folder, default=HERE, metavar="DIR", help="where results go (default: here)")
    options = parser.parse_args()
    absent = [str(options.root / sweep) for sweep in SWEEPS if not (options.root / sweep).is_dir()]
    if absent:
        parser.error(f"there are no runs in {', '.join(absent)}: run.sh makes them")
    mpl.use("Agg")
    loaded = {sweep: load_runs(options.root / sweep) for sweep in SWEEPS}
    results = pd.concat([results_of(loaded[sweep], sweep, metric) for sweep, metric in SWEEPS.items()])
    options.out.mkdir(parents=True, exist_ok=True)
    results.to_csv(options.out / "results.csv", index=False, float_format="%.6g")
    for sweep, metric in SWEEPS.items():
        rows = results[results.sweep == sweep]
        for ratio in sorted(rows.ratio.dropna().unique(), reverse=True):
            print(f"\n{sweep}, {ratio:.1%}: {metric}\n\n{table(rows[rows.ratio.isna() | (rows.ratio == ratio)])}")
    draw_costs(results, options.out / "costs.png")
    differences = {
        "arXiv, a quarter: accuracy less that of all data": window_differences(loaded["arxiv"], "accuracy", 0.25),
        "flights, a quarter: ROC AUC less that of all data": window_differences(loaded["flights"], "roc_auc", 0.25),
    }
    draw_windows(differences, options.out / "windows.png")


if __name__ == "__main__":
    main()
