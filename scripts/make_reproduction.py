"""Write REPRODUCTION.md, and the tables in the grids' README files, from what was run.

    python scripts/make_reproduction.py [--check]

Reads ``experiments/*/results.csv``, which ``experiments/summarise.py`` writes, and ``experiments/paper.yaml``. With
``--check`` nothing is written, and the exit code is 1 if something would change.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results: scripts/make_reproduction.py -->", "<!-- end of results -->"
VERDICTS = {
    "paper": ("yes", "no"),
    "small": ("holds in the small version", "does not hold in the small version"),
}
WARM_UP = 0
"""Seed of the repetition of ``throughput`` that comes first, and pays for what is loaded once."""

HEAD = """# What of the paper is reproduced

Written by `scripts/make_reproduction.py` from `experiments/*/results.csv` and `experiments/paper.yaml`; not by hand.

The paper is Böther et al., *Modyn: Data-Centric Machine Learning Pipeline Orchestration* (SIGMOD 2025). **Jobs there**
are those of its grids, **jobs here** those of them that a command here makes on data that can be read here. **yes** and
**no** say whether a statement of the paper holds in runs on its dataset that are in the repository; **not run** says
that there are none. A small version on bundled data shows that a grid runs, and how its policies behave there, and says
nothing about a number on another dataset. Of a statement on any dataset it can say more: that it **holds in the small
version**, or that it does not. Where no source at hand states the paper's number, the column says so.
"""


def results(grid: str, root: Path = ROOT) -> pd.DataFrame:
    """Return the runs of a grid, with the share of decisions that fired; none where nothing was run."""
    path = root / "experiments" / grid / "results.csv"
    if not path.exists():
        return pd.DataFrame({"scale": [], "dataset": [], "policy": []})
    frame = pd.read_csv(path)
    frame["share_fired"] = frame.fired / frame.decisions
    return frame


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def mean_and_spread(values: pd.Series) -> str:
    """Return a mean, with the standard deviation where there are several seeds."""
    known = values.dropna()
    if known.empty:
        return "set aside"
    return f"{known.mean():.3f}" + (f" ± {known.std():.3f}" if len(known) > 1 else "")


def of_paper(table: pd.DataFrame, begins: str) -> pd.DataFrame:
    """Return the runs at the paper's scale on its dataset, which is told by how the name of ours begins."""
    runs = table[table.scale == "paper"]
    return runs[runs.dataset.astype(str).str.lower().str.startswith(begins)]


def overview(grids: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    """Return what can be started and what was run, by grid."""
    rows = []
    for grid, told in grids.items():
        counts = tables[grid].scale.value_counts()
        ran = sum(len(of_paper(tables[grid], begins)) for begins in told["datasets"].values())
        link = f"[{told['title']}](experiments/{grid}/README.md)"
        small = f"{counts['small']} runs" if "small" in counts else "not run"
        rows.append((link, told["jobs"], told["here"], ran or "not run", small, told["missing"]))
    return markdown(("grid", "jobs there", "jobs here", "run here", "small version", "what is missing"), rows)


def by_policy(grids: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the policies of the paper's figures, and what our runs on its datasets show."""
    rows = []
    for grid, told in grids.items():
        for policy, (dataset, begins) in product(told["policies"], told["datasets"].items()):
            if policy in told.get("without", {}).get(dataset, ()):
                continue
            runs = of_paper(tables[grid], begins)
            runs = runs[runs.policy == policy]
            rows += [(f"`{policy}`", dataset, "not run", "not stated", "not run")] if runs.empty else []
            for model, of_model in runs.groupby("model"):
                ours = f"{told['metric']} {mean_and_spread(of_model[told['metric']])}, model {model}"
                rows.append((f"`{policy}`", dataset, ours, "not stated", "no (nothing stated)"))
    return markdown(("policy", "dataset", "ours", "paper", "verified"), rows)


def by_claim(claims: Sequence[Mapping[str, Any]], tables: Mapping[str, pd.DataFrame]) -> str:
    """Return what the paper and its sources state, and whether our runs bear it out."""
    rows = []
    for claim in claims:
        ours, verified = judged(claim.get("check"), tables[claim["grid"]])
        paper = f"{claim['paper']} ({claim['source']})"
        rows.append((claim["policy"], claim["dataset"], ours, paper, verified))
    return markdown(("policy", "dataset", "ours", "paper", "verified"), rows)


def judged(check: Mapping[str, Any] | None, table: pd.DataFrame) -> tuple[str, str]:
    """Return what our runs show of a claim, and whether it holds, in the words of their scale; or not run."""
    if check is None:
        return "not run", "not run"
    runs = table[(table.scale == check["scale"]) & (table.policy == check["policy"])]
    if runs.empty:
        return "not run", "not run"
    value = float(runs[check["column"]].mean())
    holds, words = value >= check["at_least"], VERDICTS[check["scale"]]
    return f"{check['column'].replace('_', ' ')}: {value:.1%}", words[0] if holds else words[1]


def reproduction(told: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    """Return REPRODUCTION.md."""
    return "\n".join(
        (
            HEAD,
            "## The grids\n",
            overview(told["grids"], tables),
            "\n## What the sources state\n",
            by_claim(told["claims"], tables),
            "\n## Policies\n",
            "On Yearbook those of the figure of triggers against accuracy, and selection of a half; on arXiv one or",
            "more of every kind. The figures show values, which no source at hand states in numbers.\n",
            by_policy(told["grids"], tables),
            "",
        )
    )


def small_table(table: pd.DataFrame) -> str:
    """Return the runs of the small version: one row per policy and model, the best first, means over seeds."""
    shown = [name for name in ("accuracy_active", "accuracy_trained", "top_2_accuracy_active") if name in table]
    shown = [name for name in shown if table[name].notna().any()]
    groups = table.groupby(["policy", "model"], sort=False)
    order = groups[shown[0]].mean().sort_values(ascending=False, na_position="last", kind="stable").index
    several = table.model.nunique() > 1
    rows = []
    for policy, model in order:
        runs = groups.get_group((policy, model))
        triggers = f"{runs.triggers.mean():.1f}" if runs.triggers.notna().any() else "set aside"
        values = [mean_and_spread(runs[name]) for name in shown]
        cost = f"{runs.sample_passes.mean():,.0f}"
        called = f"`{policy}`, {model}" if several else f"`{policy}`"
        rows.append((called, len(runs), *values, f"{runs.coverage.mean():.0%}", triggers, cost))
    titles = [name.replace("_active", ", active").replace("_trained", ", trained").replace("_", " ") for name in shown]
    first = "policy, model" if several else "policy"
    return markdown((first, "seeds", *titles, "coverage", "triggers", "sample passes"), rows)


def speed_table(table: pd.DataFrame) -> str:
    """Return how fast the small version trained, by order, and shuffled against in order; the warm-up left out."""
    runs = table[table.seed != WARM_UP]
    speed = (runs.training_passes / runs.training_seconds).groupby([runs.seed, runs.policy]).first().unstack()
    samples = f"{runs.training_passes.mean():,.0f}"
    rows = [
        (order, samples, len(of_order), f"{of_order.mean():,.0f} ± {of_order.std():,.0f}")
        for order, of_order in speed.items()
    ]
    ratio = speed["shuffled"] / speed["in order"]
    ratio_row = ("shuffled / in order, by pairs", samples, len(ratio), f"{ratio.mean():.2f} ± {ratio.std():.2f}")
    return markdown(("order", "samples", "repetitions", "samples per second"), [*rows, ratio_row])


def with_results(text: str, table: str) -> str:
    """Return a README with its table replaced."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}"


def files(root: Path = ROOT) -> dict[Path, str]:
    """Return all files that are made, with their content."""
    told = yaml.safe_load((root / "experiments" / "paper.yaml").read_text())
    tables = {grid: results(grid, root) for grid in told["grids"]}
    made = {root / "REPRODUCTION.md": reproduction(told, tables)}
    for grid, table in tables.items():
        path, small = root / "experiments" / grid / "README.md", table[table.scale == "small"]
        write = speed_table if grid == "throughput" else small_table
        made[path] = with_results(path.read_text(), write(small) if len(small) else "Not run.")
    return made


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something would change")
    options = parser.parse_args()
    stale = {path: text for path, text in files().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if not options.check:
            path.write_text(text)
        print(f"{path.relative_to(ROOT)}: {'is out of date' if options.check else 'written'}")
    sys.exit(1 if options.check and stale else 0)


if __name__ == "__main__":
    main()
