"""Which samples does every selection policy train on, where some are mislabelled and some are redundant?

    python experiments/selection_structure/run.py

Writes results.csv and shares.png, over those that are there, and prints the table of README.md. Every policy runs in
the real pipeline, on a dataset that is made here. See README.md for the streams and what the numbers mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modyn_bench.commands.arguments import folder, whole_number
from modyn_bench.config import EvaluationConfig, ReplayConfig, TrainingConfig
from modyn_bench.data.store import Column, SampleStore, Schema, Split
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.seeding import derive
from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.downsampling.craig import Craig
from modyn_bench.selectors.downsampling.el2n import El2n
from modyn_bench.selectors.downsampling.entropy import Entropy
from modyn_bench.selectors.downsampling.forgetting import Forgetting
from modyn_bench.selectors.downsampling.grad_match import GradMatch
from modyn_bench.selectors.downsampling.grad_norm import GradNorm
from modyn_bench.selectors.downsampling.infobatch import Infobatch
from modyn_bench.selectors.downsampling.k_center import KCenter
from modyn_bench.selectors.downsampling.least_confidence import LeastConfidence
from modyn_bench.selectors.downsampling.loss import Loss
from modyn_bench.selectors.downsampling.margin import Margin
from modyn_bench.selectors.downsampling.rho_loss import RhoLoss
from modyn_bench.selectors.downsampling.rs2 import Rs2
from modyn_bench.selectors.downsampling.rs2_no_replacement import Rs2NoReplacement
from modyn_bench.selectors.downsampling.submodular import Submodular
from modyn_bench.selectors.new_data import NewData
from modyn_bench.selectors.presampling.class_balanced import ClassBalanced
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.triggers.amount import Amount

KINDS = ("mislabelled", "redundant", "clean")
SHARES = np.array([0.2, 0.3, 0.5])
NUM_CLASSES, NUM_FEATURES = 10, 16
CLUSTERS, SPREAD = 3, 1.5  # clusters of each class, and the standard deviation of their centres; within them it is 1
NUM_SOURCES, NOISE = 20, 0.01  # what redundant samples are copies of, and the noise that is added
PER_TRIGGER, NUM_TRIGGERS, NUM_TEST = 4_000, 3, 5_000
RATIO = 0.25
MODEL = {"_target_": "modyn_bench.models.TabularMLP", "num_classes": NUM_CLASSES, "num_features": NUM_FEATURES}
ADAM = {"_target_": "torch.optim.Adam", "lr": 0.001}
TOLERANCE = 0.1  # of a share: what still counts as the share
MOST = 1000


@dataclass(frozen=True)
class Policy:
    """A policy, and what the literature has it do to mislabelled and to redundant samples.

    Each is ``more`` or ``less`` than their share, their ``share``, or, of mislabelled ones, ``as clean``: as much per
    sample as clean ones get. ``None`` for no expectation.
    """

    make: Callable[[], Selector]
    uses: tuple[str | None, str | None]
    weight: tuple[str | None, str | None] | None = None  # None: weights are all 1


BLIND = ("share", "share")
HARD = ("more", "less")
UNLABELLED = ("as clean", "less")
POLICIES: dict[str, Policy] = {
    "new_data (all)": Policy(NewData, BLIND),
    "uniform": Policy(lambda: Uniform(ratio=RATIO), BLIND),
    "class_balanced": Policy(lambda: ClassBalanced(ratio=RATIO), BLIND),
    "rs2": Policy(lambda: Rs2(ratio=RATIO), BLIND),
    "rs2_no_replacement": Policy(lambda: Rs2NoReplacement(ratio=RATIO), BLIND),
    "infobatch": Policy(Infobatch, HARD, BLIND),
    "loss": Policy(lambda: Loss(ratio=RATIO), HARD, BLIND),
    "loss, top_k": Policy(lambda: Loss(ratio=RATIO, draw="top_k"), HARD),
    "grad_norm": Policy(lambda: GradNorm(ratio=RATIO), HARD, BLIND),
    "el2n": Policy(lambda: El2n(ratio=RATIO), HARD),
    "forgetting": Policy(lambda: Forgetting(ratio=RATIO), HARD),
    "margin": Policy(lambda: Margin(ratio=RATIO), UNLABELLED),
    "entropy": Policy(lambda: Entropy(ratio=RATIO), UNLABELLED),
    "least_confidence": Policy(lambda: LeastConfidence(ratio=RATIO), UNLABELLED),
    "rho_loss, simple": Policy(lambda: RhoLoss(ratio=RATIO), ("less", "less")),
    "rho_loss, twin": Policy(lambda: RhoLoss(ratio=RATIO, holdout="twin"), ("less", "less")),
    "rho_loss, simple, 40 epochs": Policy(lambda: RhoLoss(ratio=RATIO, irreducible_epochs=40), ("less", "less")),
    "k_center": Policy(lambda: KCenter(ratio=RATIO), UNLABELLED),
    "craig": Policy(lambda: Craig(ratio=RATIO), HARD, BLIND),
    "grad_match": Policy(lambda: GradMatch(ratio=RATIO), HARD, HARD),
    **{
        f"{function}, {of}": Policy(
            lambda function=function, of=of: Submodular(ratio=RATIO, function=function, of=of),
            UNLABELLED if of == "embedding" else (None, "less"),
        )
        for of, function in product(("gradient", "embedding"), ("facility_location", "graph_cut", "log_determinant"))
    },
    "log_determinant, embedding, ε = 1": Policy(
        lambda: Submodular(ratio=RATIO, function="log_determinant", of="embedding", epsilon=1.0), UNLABELLED
    ),
}


def stream(seed: int) -> tuple[SampleStore, NDArray[np.int64]]:
    """Return a dataset in memory, with a clean test split, and the kind of every sample of its train split."""
    rng = derive(seed, "selection_structure")
    centers = SPREAD * rng.normal(size=(NUM_CLASSES, CLUSTERS, NUM_FEATURES))

    def rows_of(labels: NDArray[np.int64]) -> NDArray[np.float32]:
        at = centers[labels, rng.integers(CLUSTERS, size=len(labels))]
        return (at + rng.normal(size=at.shape)).astype(np.float32)

    size = PER_TRIGGER * NUM_TRIGGERS
    kinds = rng.permutation(np.repeat(np.arange(len(KINDS)), (SHARES * size).round().astype(int)))
    labels = rng.integers(NUM_CLASSES, size=size)
    features = rows_of(labels)
    redundant = np.flatnonzero(kinds == KINDS.index("redundant"))
    sources = np.arange(NUM_SOURCES) % NUM_CLASSES
    copied = rng.integers(NUM_SOURCES, size=len(redundant))
    labels[redundant] = sources[copied]
    noise = NOISE * rng.normal(size=(len(redundant), NUM_FEATURES))
    features[redundant] = rows_of(sources)[copied] + noise
    wrong = np.flatnonzero(kinds == KINDS.index("mislabelled"))
    labels[wrong] = (labels[wrong] + rng.integers(1, NUM_CLASSES, size=len(wrong))) % NUM_CLASSES
    tested = rng.integers(NUM_CLASSES, size=NUM_TEST)
    splits = {
        "train": Split("train", np.arange(size), labels, {"numeric": features}),
        "test": Split("test", np.arange(NUM_TEST), tested, {"numeric": rows_of(tested)}),
    }
    return _store(splits, seed), kinds


def _store(splits: dict[str, Split], seed: int) -> SampleStore:
    names = tuple(f"x{column}" for column in range(NUM_FEATURES))
    schema = Schema(
        (Column("numeric", "numeric", "float32", (NUM_FEATURES,), names),),
        tuple(str(label) for label in range(NUM_CLASSES)),
    )
    name = "selection_structure"
    return SampleStore(Path(name), name=name, schema=schema, fingerprint=f"{name}-{seed}", notes=(), splits=splits)


def shares_of(job: tuple[str, int, int]) -> dict[str, str | int | float]:
    """Run a policy over a stream; return each kind's part of uses and weights over its share, and the accuracy."""
    name, seed, epochs = job
    store, kinds = stream(seed)
    test = store.splits["test"]
    dataset = {"name": store.name, "classes": list(store.schema.classes), "notes": [], "split": "test"}
    with (
        TemporaryDirectory() as root,
        RunDirectory.open(
            Path(root),
            config={"dataset": {}, "selector": {"_target_": name}, "seed": seed},
            fingerprint=store.fingerprint,
            dataset=dataset,
        ) as run,
    ):
        run.write_test_split(test.timestamps, test.labels)
        _train(run, store, POLICIES[name].make(), seed=seed, epochs=epochs)
        selected = pd.concat([pd.read_parquet(part.path / "selection.parquet") for part in run.parts()])
        correct = run.predictions(NUM_TRIGGERS - 1).label_rank == 0
    kind = kinds[selected["key"]]
    uses = selected.get("num_uses", pd.Series(1.0, index=selected.index))  # without downsampling each is used alike
    row: dict[str, str | int | float] = {"policy": name, "seed": seed, "accuracy": float(correct.mean())}
    for column, values in (("uses", uses), ("weight", selected.get("sum_of_weights", selected["weight"]))):
        sums = np.bincount(kind, weights=values, minlength=len(KINDS))
        row |= {f"{column}_{each}": value for each, value in zip(KINDS, sums / sums.sum() / SHARES, strict=True)}
    return row


def _train(run: RunDirectory, store: SampleStore, selector: Selector, *, seed: int, epochs: int) -> None:
    from modyn_bench.pipeline import Pipeline
    from modyn_bench.training.trainer import ModelTrainer

    config = TrainingConfig(epochs=epochs, batch_size=64, optimizer=ADAM)
    trainer = ModelTrainer(model=MODEL, config=config, schema=store.schema, split=store.splits["train"], seed=seed)
    Pipeline(
        store=store,
        trigger=Amount(PER_TRIGGER),
        selector=selector,
        trainer=trainer,
        run=run,
        replay=ReplayConfig(),
        evaluation=EvaluationConfig(),
        seed=seed,
    ).run()


def met(expected: str | None, kind: str, ratios: pd.Series) -> bool:
    """Tell whether the mean ratios of a policy's kinds are as expected of one of them."""
    ratio = ratios[kind] / ratios["clean"] if expected == "as clean" else ratios[kind]
    if expected == "more":
        return bool(ratio > 1 + TOLERANCE)
    if expected == "less":
        return bool(ratio < 1 - TOLERANCE)
    return expected is None or bool(abs(ratio - 1) <= TOLERANCE)


def verdict(policy: Policy, rows: pd.DataFrame) -> str:
    """Return ``yes``, or what of the expectation was not met."""
    failed = []
    for column, expectation in (("uses", policy.uses), ("weight", policy.weight)):
        ratios = pd.Series({kind: rows[f"{column}_{kind}"].mean() for kind in KINDS})
        for kind, expected in zip(KINDS, expectation or (), strict=False):
            if not met(expected, kind, ratios):
                failed.append(f"{column} of {kind}")
    return f"**no**: {', '.join(failed)}" if failed else "yes"


def table(results: pd.DataFrame) -> str:
    """Return a Markdown table: uses and weights of every kind over its share, what was expected, and whether it is."""
    heads = ["policy", *KINDS, *KINDS, "expected: mislabelled / redundant", "met", "accuracy"]
    heads[1:7] = [f"{column}: {kind}" for column in ("uses", "weight") for kind in KINDS]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, policy in POLICIES.items():
        rows = results[results.policy == name]
        cells = [cell(rows[f"uses_{kind}"]) for kind in KINDS]
        cells += [cell(rows[f"weight_{kind}"]) if policy.weight else "=" for kind in KINDS]
        cells += [expectation(policy), verdict(policy, rows), cell(rows.accuracy * 100, digits=1)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(values: pd.Series, digits: int = 2) -> str:
    """Return a mean with its standard deviation over seeds, where there are several."""
    spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"


def expectation(policy: Policy) -> str:
    """Return what is expected of mislabelled and redundant samples, of uses and, where it differs, of weights."""
    uses, weight = (" / ".join(each or "–" for each in pair) for pair in (policy.uses, policy.weight or policy.uses))
    return uses if uses == weight else f"uses {uses}, weight {weight}"


def draw(results: pd.DataFrame, path: Path) -> None:
    """Draw the ratios of uses and of weights, and the accuracy: one row per policy."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    grouped = results.groupby("policy", sort=False)
    mean, spread = (frame.reindex(list(POLICIES)) for frame in (grouped.mean(), grouped.std().fillna(0)))
    rows = np.arange(len(POLICIES))
    fig, axes = plt.subplots(1, 3, figsize=(11, 7), sharey=True, width_ratios=(3, 3, 1.6), layout="constrained")
    marks = zip(KINDS, ("#D55E00", "#0072B2", "#333333"), ("X", "s", "o"), strict=True)
    for kind, color, marker in marks:
        for ax, column in zip(axes, ("uses", "weight"), strict=False):
            of = f"{column}_{kind}"
            ax.errorbar(mean[of], rows, xerr=spread[of], fmt=marker, color=color, ms=5, lw=1, label=kind)
    for ax, column in zip(axes, ("uses", "weight"), strict=False):
        ax.axvline(1, color="0.6", lw=1, zorder=0)
        ax.set_xlabel(f"{column} ÷ share of the stream")
    axes[2].errorbar(mean.accuracy, rows, xerr=spread.accuracy, fmt="o", color="#333333", ms=5, lw=1)
    axes[2].set_xlabel("accuracy on clean data")
    for ax in axes:
        ax.set_yticks(rows, list(POLICIES))
        ax.grid(axis="y", color="0.92")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = whole_number(MOST)
    parser.add_argument("--seeds", type=number, default=5, metavar="N", help="streams for each policy (default: 5)")
    parser.add_argument("--epochs", type=number, default=8, metavar="N", help="of every training (default: 8)")
    parser.add_argument("--workers", type=number, default=2, metavar="N", help="processes (default: 2)")
    parser.add_argument(
        "--out",
        type=folder,
        default=Path(__file__).parent,
        metavar="DIR",
        help="where results.csv and shares.png are written, over those that are there (default: beside this file)",
    )
    return parser.parse_args()


def main() -> None:
    """Run every policy on every stream, and write."""
    given = options()
    given.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(given.workers) as pool:
        results = pd.DataFrame(pool.map(shares_of, list(product(POLICIES, range(given.seeds), [given.epochs]))))
    results.to_csv(given.out / "results.csv", index=False, float_format="%.6g")
    draw(results, given.out / "shares.png")
    print(table(results))


if __name__ == "__main__":
    main()
