"""Small datasets and real runs on them: a linear model over a stream that drifts, trained in milliseconds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modyn_bench.config import ReplayConfig, TrainingConfig, evaluation_config, section
from modyn_bench.data.store import Column, SampleStore, Schema, Split
from modyn_bench.evaluation.evaluate import evaluate
from modyn_bench.observer import Observer
from modyn_bench.pipeline import Pipeline
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.seeding import derive
from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.new_data import NewData
from modyn_bench.training.trainer import ModelTrainer
from modyn_bench.triggers.base import Trigger

NUM_FEATURES = 4
NUM_CLASSES = 3
MODEL = {"_target_": "torch.nn.Linear", "in_features": NUM_FEATURES, "out_features": NUM_CLASSES}


def drifting_split(name: str, timestamps: Sequence[int], seed: int = 0) -> Split:
    """Labels follow a linear rule that turns with time."""
    times = np.sort(np.asarray(timestamps, dtype=np.int64), kind="stable")
    generator = derive(seed, "small", name)
    features = generator.normal(size=(len(times), NUM_FEATURES)).astype(np.float32)
    angle = times / 40.0
    scores = np.stack([features[:, 0] * np.cos(angle + c) + features[:, 1] * np.sin(angle + c) for c in range(3)], 1)
    return Split(name, times, scores.argmax(1).astype(np.int64), {"numeric": features})


def small_store(timestamps: Sequence[int], test_timestamps: Sequence[int] | None = None, seed: int = 0) -> SampleStore:
    """A store in memory."""
    names = tuple(f"x{i}" for i in range(NUM_FEATURES))
    schema = Schema((Column("numeric", "numeric", "float32", (NUM_FEATURES,), names),), ("a", "b", "c"))
    test = range(0, max(timestamps) + 1) if test_timestamps is None else test_timestamps
    splits = {"train": drifting_split("train", timestamps, seed), "test": drifting_split("test", test, seed)}
    return SampleStore(
        Path("nowhere"), name="small", schema=schema, fingerprint=f"small-{seed}", notes=(), splits=splits
    )


def run_small(
    root: Path,
    store: SampleStore,
    trigger: Trigger,
    selector: Selector | None = None,
    *,
    replay: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    seed: int = 0,
    observers: Sequence[Observer] = (),
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Run the real pipeline to its end, tables included; a second call resumes or does nothing.

    The manifest knows policies by their names alone, unless ``config`` says more of them.
    """
    options = {
        "epochs": 2,
        "batch_size": 16,
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.5},
        **(training or {}),
    }
    evaluated = evaluation_config(
        {"windows": {"sliced": {"every": "10s"}}, "metrics": ["accuracy", "loss"], "batch_size": 64}
        | (evaluation or {})
    )
    resolved = {
        "dataset": {"_target_": "Small"},
        "trigger": {"_target_": trigger.name},
        "selector": {"_target_": (selector or NewData()).name},
        "replay": dict(replay or {}),
        "training": options,
        "seed": seed,
        **(config or {}),
    }
    dataset = {"name": store.name, "classes": list(store.schema.classes), "notes": [], "split": "test"}
    with RunDirectory.open(root, config=resolved, fingerprint=store.fingerprint, dataset=dataset) as run:
        if run.done:
            return run.path
        test = store.splits["test"]
        run.write_test_split(test.timestamps, test.labels)
        Pipeline(
            store=store,
            trigger=trigger,
            selector=selector or NewData(),
            trainer=ModelTrainer(
                model=MODEL,
                config=section(TrainingConfig, options),
                schema=store.schema,
                split=store.splits["train"],
                seed=seed,
            ),
            run=run,
            replay=section(ReplayConfig, replay or {}),
            evaluation=evaluated,
            seed=seed,
            observers=observers,
        ).run()
        run.derive_tables()
        tables = evaluate(
            evaluated,
            timestamps=test.timestamps,
            labels=test.labels,
            num_classes=NUM_CLASSES,
            triggers=[part.record for part in run.parts()],
            predictions=run.predictions,
        )
        run.write_table(run.path / "evaluations.parquet", tables.evaluations)
        run.write_table(run.path / "composite.parquet", tables.composite)
        run.mark_done()
        return run.path


SECONDS_STAND_HERE = {"manifest.json", "stages.parquet", "stages.json"}


def result_bytes(run: Path) -> dict[str, str]:
    """Hash every file of a run that must be equal on equal terms: tables, predictions, models, states, selections."""
    hashes = {}
    for path in sorted(run.rglob("*")):
        relative = path.relative_to(run)
        hidden = any(part.startswith(".") for part in relative.parts)
        if not path.is_file() or hidden or path.name in SECONDS_STAND_HERE or relative.parts[0] in ("wandb", "figures"):
            continue
        if path.name == "record.json":  # holds the size of stages.json, whose seconds vary
            continue
        if path.suffix in (".lock",) or path.name.startswith("lock"):
            continue
        hashes[str(relative)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes
