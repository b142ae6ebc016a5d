"""How soon does every distance with every decision find planted drift, at one common rate of false alarms?

    python experiments/drift_detection/run.py

Writes results.csv and delays.png, over those that are there, and prints the tables of README.md. Scores are computed
once per stream and distance; rules are then run over them. See README.md for the streams and what the numbers mean.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modyn_bench.commands.arguments import folder, whole_number
from modyn_bench.decisions.adwin import Adwin
from modyn_bench.decisions.base import DecisionRule
from modyn_bench.decisions.cusum import Cusum
from modyn_bench.decisions.hypothesis_test import HypothesisTest
from modyn_bench.decisions.page_hinkley import PageHinkley
from modyn_bench.decisions.rolling_average import RollingAverage
from modyn_bench.decisions.rolling_quantile import RollingQuantile
from modyn_bench.decisions.threshold import Threshold
from modyn_bench.drift.base import Distance
from modyn_bench.drift.confidence import ConfidenceDrop
from modyn_bench.drift.cramer_von_mises import CramerVonMises
from modyn_bench.drift.domain_classifier import DomainClassifier
from modyn_bench.drift.drifted_columns import DriftedColumns
from modyn_bench.drift.hellinger import Hellinger
from modyn_bench.drift.kernel_two_sample import KernelTwoSample
from modyn_bench.drift.kolmogorov_smirnov import KolmogorovSmirnov
from modyn_bench.drift.label_shift import LabelShift
from modyn_bench.drift.mean_distance import MeanDistance
from modyn_bench.drift.mmd import Mmd
from modyn_bench.drift.sliced_wasserstein import SlicedWasserstein
from modyn_bench.drift.wasserstein import Wasserstein
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive

NUM_CLASSES, NUM_FEATURES = 3, 8
WINDOW, INTERVAL = 500, 250
WARMUP, MONITORED, DRIFT_AT = 5_000, 20_000, 6_000
TARGET = 1 / 10_000  # false alarms per sample
MOST_STREAMS = 1000  # seeds of the streams for calibration begin here
KINDS = ("none", "sudden", "gradual", "recurring")

DISTANCES: dict[str, Callable[[], Distance]] = {
    "mmd": Mmd,
    "kernel_two_sample": KernelTwoSample,
    "kolmogorov_smirnov": KolmogorovSmirnov,
    "cramer_von_mises": CramerVonMises,
    "wasserstein": Wasserstein,
    "sliced_wasserstein": SlicedWasserstein,
    "hellinger": Hellinger,
    "domain_classifier": DomainClassifier,
    "mean_distance": MeanDistance,
    "drifted_columns": DriftedColumns,
    "label_shift": LabelShift,
    "confidence_drop": ConfidenceDrop,
}
P_VALUES = ("kernel_two_sample", "kolmogorov_smirnov", "cramer_von_mises")


@dataclass(frozen=True)
class Dial:
    """A rule, the setting that makes it less sensitive as it grows, and the range that is searched.

    ``relative`` settings are in standard deviations of the scores without drift.
    """

    make: Callable[[float], DecisionRule]
    low: float
    high: float
    default: Callable[[], DecisionRule]
    relative: bool = False


RULES: dict[str, Dial] = {
    "threshold": Dial(Threshold, -5.0, 50.0, Threshold, relative=True),
    "rolling_quantile": Dial(lambda e: RollingQuantile(10.0**-e, window=100), 0.3, 5.0, RollingQuantile),
    "rolling_average": Dial(lambda d: RollingAverage(d, absolute=True), 0.0, 50.0, RollingAverage, relative=True),
    "hypothesis_test": Dial(lambda level: HypothesisTest(1 - level), 0.001, 1 - 1e-12, HypothesisTest),
    "page_hinkley": Dial(lambda limit: PageHinkley(limit, delta=0.0), 1e-6, 500.0, PageHinkley, relative=True),
    "cusum": Dial(Cusum, 1e-3, 200.0, Cusum),
    "adwin": Dial(lambda e: Adwin(10.0**-e), 1e-3, 60.0, Adwin),
}


def stream(kind: str, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return features (n, d) and the class probabilities (n, C) of the model that was right before the drift."""
    rng = derive(seed, "drift_detection", kind)
    length = WARMUP + MONITORED
    at = np.arange(length)
    drifted = {
        "none": np.zeros(length),
        "sudden": (at >= DRIFT_AT).astype(float),
        "gradual": np.clip((at - DRIFT_AT) / 5_000, 0, 1),
        "recurring": ((at >= DRIFT_AT) & ((at - DRIFT_AT) // 2_000 % 2 == 0)).astype(float),
    }[kind]
    new = rng.random(length) < drifted
    shares = np.where(new[:, None], [0.45, 0.275, 0.275], [1 / 3, 1 / 3, 1 / 3])
    labels = (rng.random(length)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    centers = 1.5 * np.eye(NUM_CLASSES, NUM_FEATURES)
    features = centers[labels] + rng.normal(size=(length, NUM_FEATURES)) + 0.15 * new[:, None]
    logits = features @ centers.T - (centers**2).sum(axis=1) / 2
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return features, odds / odds.sum(axis=1, keepdims=True)


def scores_of(job: tuple[str, str, int]) -> tuple[tuple[str, str, int], NDArray[np.float64]]:
    """Return the scores of all blocks of a stream against its first samples."""
    import torch

    torch.set_num_threads(1)
    name, kind, seed = job
    features, probabilities = stream(kind, seed)
    distance = DISTANCES[name]()
    rows = features if distance.reads == "vectors" else probabilities
    distance.fit(rows[:WINDOW], derive(seed, "drift_detection", "fit"))
    ends = range(2 * WINDOW, len(rows) + 1, INTERVAL)
    return job, np.array(
        [distance.score(rows[end - WINDOW : end], derive(seed, "drift_detection", "score", end)) for end in ends]
    )


def first_alarm(rule: DecisionRule, scores: NDArray[np.float64]) -> int | None:
    """Return the block of the first alarm after the warm-up, which calibrates the rule; ``None`` if there is none."""
    num_warmup = (WARMUP - 2 * WINDOW) // INTERVAL + 1
    rule.calibrate(float(score) for score in scores[:num_warmup])
    for block, score in enumerate(scores[num_warmup:]):
        if rule.update(float(score)).fired:
            return block
    return None


def alarm_rate(make: Callable[[], DecisionRule], streams: list[NDArray[np.float64]]) -> float:
    """Return first alarms per sample that was monitored until then: the rate of an exponential law, censored."""
    alarms, monitored = 0, 0
    for scores in streams:
        block = first_alarm(make(), scores)
        alarms += block is not None
        monitored += MONITORED if block is None else (block + 1) * INTERVAL
    return alarms / monitored


def calibrated(dial: Dial, streams: list[NDArray[np.float64]]) -> float | None:
    """Return the most sensitive setting whose rate of false alarms is at most the target; ``None`` if there is none."""
    every = np.concatenate(streams)
    scale, shift = (float(every.std()) or 1.0, 0.0) if dial.relative else (1.0, 0.0)
    if dial.make is Threshold:
        shift = float(every.mean())
    low, high = dial.low * scale + shift, dial.high * scale + shift
    if alarm_rate(lambda: dial.make(high), streams) > TARGET:
        return None
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if alarm_rate(lambda m=middle: dial.make(m), streams) > TARGET else (low, middle)
    return high


def outcomes(make: Callable[[], DecisionRule], streams: list[NDArray[np.float64]]) -> dict[str, float]:
    """Return the median delay of streams with drift, and the shares that missed it or alarmed before."""
    before = (DRIFT_AT - WARMUP) // INTERVAL
    delays, early = [], 0
    for scores in streams:
        block = first_alarm(make(), scores)
        if block is not None and block < before:
            early += 1
            continue
        delays.append(math.inf if block is None else (block + 1) * INTERVAL + WARMUP - DRIFT_AT)
    found = [delay for delay in delays if math.isfinite(delay)]
    return {
        "median_delay": float(np.median(delays)) if delays else math.nan,
        "missed": 1 - len(found) / len(delays) if delays else math.nan,
        "early": early / len(streams),
        "judged": float(len(delays)),
    }


def compare(scores: dict[tuple[str, str, int], NDArray[np.float64]], seeds: int, extra: int) -> Iterator[dict]:
    """Yield one row per distance, rule, setting and kind of drift."""
    for distance in DISTANCES:
        unchanged = [scores[distance, "none", MOST_STREAMS + seed] for seed in range(extra)]
        for name, dial in RULES.items():
            if name == "hypothesis_test" and distance not in P_VALUES:
                continue
            setting = calibrated(dial, unchanged)
            makers = {"default": dial.default}
            if setting is not None:
                makers["calibrated"] = lambda dial=dial, setting=setting: dial.make(setting)
            for kind_of_setting, make in makers.items():
                fresh = [scores[distance, "none", seed] for seed in range(seeds)]
                rate = alarm_rate(make, fresh)
                for kind in KINDS[1:]:
                    streams = [scores[distance, kind, seed] for seed in range(seeds)]
                    yield {
                        "distance": distance,
                        "decision": name,
                        "setting": kind_of_setting,
                        "value": setting if kind_of_setting == "calibrated" else math.nan,
                        "drift": kind,
                        "false_alarms_per_10000": rate * 10_000,
                        **outcomes(make, streams),
                    }


def table(results: pd.DataFrame, setting: str) -> str:
    """Return a Markdown table: per distance and rule the false alarms, and per drift the median delay and misses."""
    chosen = results[results.setting == setting]
    lines = ["| distance | decision | false alarms | sudden | gradual | recurring |", "|---|---|---|---|---|---|"]
    for (distance, decision), rows in chosen.groupby(["distance", "decision"], sort=False):
        cells = []
        for kind in KINDS[1:]:
            row = rows[rows.drift == kind].iloc[0]
            cells.append(cell(row))
        rate = rows.false_alarms_per_10000.iloc[0]
        lines.append(f"| {distance} | {decision} | {rate:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(row: pd.Series) -> str:
    """Return a delay with the share of misses, where there are any."""
    if not row.judged:
        return "– (all early)"
    delay = "missed" if not math.isfinite(row.median_delay) else f"{row.median_delay:,.0f}"
    return delay if row.missed == 0 or delay == "missed" else f"{delay} ({row.missed:.0%} missed)"


def draw(results: pd.DataFrame, path: Path) -> None:
    """Draw the median delays at the common rate: one panel per drift, distances by rules."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    chosen = results[results.setting == "calibrated"]
    fig, axes = plt.subplots(1, 3, figsize=(11, 5.2), sharey=True, layout="constrained")
    for ax, kind in zip(axes, KINDS[1:], strict=True):
        grid = chosen[chosen.drift == kind].pivot(index="distance", columns="decision", values="median_delay")
        grid = grid.reindex(index=list(DISTANCES), columns=list(RULES))
        values = grid.to_numpy(dtype=float)
        image = ax.imshow(
            np.where(np.isfinite(values), values, np.nan), cmap="cividis_r", vmin=0, vmax=6000, aspect="auto"
        )
        ax.set_xticks(range(len(RULES)), [name.replace("_", " ") for name in RULES], rotation=60, ha="right")
        ax.set_yticks(range(len(DISTANCES)), [name.replace("_", " ") for name in DISTANCES])
        ax.set_title(f"{kind} drift")
        for (row, column), value in np.ndenumerate(values):
            text = "> 19k" if math.isinf(value) else "" if math.isnan(value) else f"{value / 1000:.2g}k"
            dark = math.isfinite(value) and value > 3000
            ax.text(column, row, text, ha="center", va="center", fontsize=6, color="white" if dark else "black")
    fig.colorbar(image, ax=axes, label="median delay in samples\nat one false alarm per 10,000", shrink=0.8)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def options() -> argparse.Namespace:
    """Return the options of the command line, once all that is needed is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    count = whole_number(MOST_STREAMS)
    parser.add_argument("--seeds", type=count, default=20, metavar="N", help="streams of every kind (default: 20)")
    parser.add_argument(
        "--calibration",
        type=count,
        default=40,
        metavar="N",
        help="further streams without drift that the rules are calibrated on (default: 40)",
    )
    parser.add_argument("--workers", type=count, default=2, metavar="N", help="processes (default: 2)")
    parser.add_argument(
        "--out",
        type=folder,
        default=Path(__file__).parent,
        metavar="DIR",
        help="where results.csv and delays.png are written, over those that are there (default: beside this file)",
    )
    given = parser.parse_args()
    try:
        Adwin()
    except RequestError as error:
        parser.error(str(error))
    return given


def main() -> None:
    """Compute, calibrate, compare, and write."""
    given = options()
    given.out.mkdir(parents=True, exist_ok=True)
    jobs = [(name, kind, seed) for name in DISTANCES for kind in KINDS for seed in range(given.seeds)]
    jobs += [(name, "none", MOST_STREAMS + seed) for name in DISTANCES for seed in range(given.calibration)]
    with ProcessPoolExecutor(given.workers) as pool:
        scores = dict(pool.map(scores_of, jobs, chunksize=4))
    results = pd.DataFrame(compare(scores, given.seeds, given.calibration))
    results.to_csv(given.out / "results.csv", index=False, float_format="%.6g")
    draw(results, given.out / "delays.png")
    for setting in ("calibrated", "default"):
        print(f"\n{setting}\n\n{table(results, setting)}")


if __name__ == "__main__":
    main()
