"""A small run with everything in it: models, triggers without one, nulls, arrays in states, class probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from modyn_bench.runs.directory import RunDirectory
from modyn_bench.seeding import derive
from modyn_bench.types import (
    DecisionRecord,
    ModelRecord,
    Predictions,
    Selection,
    StageCost,
    TriggerRecord,
)

NUM_TRIGGERS = 4
WITHOUT_MODEL = 2
FINGERPRINT = "0123456789abcdef"
DATASET = {"name": "stream", "classes": ["a", "b", "c"], "notes": []}


def config_of(**changes: Any) -> dict[str, Any]:
    """A resolved configuration; ``changes`` replace dotted keys, written with two underscores."""
    config: dict[str, Any] = {
        "dataset": {"_target_": "recipes.table.TableRecipe", "path": "stream.csv", "label": "y"},
        "model": {"_target_": "modyn_bench.models.auto"},
        "trigger": {"_target_": "triggers.time.Time", "every": "1y", "start": None},
        "selector": {"_target_": "selectors.new_data.NewData", "history": 0},
        "training": {"epochs": 3, "batch_size": 128, "initial_weights": None, "optimizer": {"lr": 0.05}},
        "evaluation": {"metrics": ["accuracy"], "batch_size": 64, "split": "test", "windows": {"sliced": {"every": 9}}},
        "replay": {"chunk_size": 16, "flush": True, "activation_delay": 0},
        "runs": {"keep_models": "last"},
        "logger": {"kind": "none", "tags": []},
        "experiment": None,
        "seed": 0,
        "root": "outputs",  # the same wherever a test puts it, so that manifests can be compared
        "data_dir": None,
    }
    for key, value in changes.items():
        *groups, last = key.split("__")
        place = config
        for group in groups:
            place = place[group]
        place[last] = value
    return config


def open_run(root: Path, **changes: Any) -> RunDirectory:
    return RunDirectory.open(root, config=config_of(**changes), fingerprint=FINGERPRINT, dataset=DATASET)


def record_of(index: int) -> TriggerRecord:
    model_id = index - (index > WITHOUT_MODEL)
    model = ModelRecord(
        model_id=model_id,
        trigger_index=index,
        parent_model_id=model_id - 1 if model_id else None,
        data_first_timestamp=100 * index,
        data_last_timestamp=100 * index + 99,
        available_at=100 * index + 99,
        num_samples_selected=5,
        num_epochs=3,
        num_optimizer_steps=6,
        forward_passes=15.0,
        backward_passes=15.0 / 7,
    )
    trained = index != WITHOUT_MODEL
    return TriggerRecord(
        trigger_index=index,
        fired_at=100 * index + 99,
        first_timestamp=100 * index if trained else None,
        last_timestamp=100 * index + 99 if trained else None,
        num_arrived=5 * trained,
        num_labelled=5 * trained,
        num_selected=5 * trained,
        num_empty_periods=index,
        labelled_until=5 * (index + 1),
        model=model if trained else None,
        stages=(StageCost("decide", 0.1 + index, 5), StageCost("train", 1 / 3, 5, 15.0, 15.0 / 7)),
    )


def predictions_of(index: int, num_samples: int = 11) -> Predictions:
    generator = derive(index, "predictions")
    probabilities = generator.dirichlet(np.ones(3), num_samples)
    return Predictions(
        first_key=3,
        predicted=probabilities.argmax(1).astype(np.int32),
        confidence=probabilities.max(1).astype(np.float64),
        label_rank=generator.integers(0, 3, num_samples).astype(np.int32),
        label_probability=generator.random(num_samples, dtype=np.float32),
        loss=generator.random(num_samples, dtype=np.float32),
        probabilities=probabilities.astype(np.float16),
    )


def decisions_of(index: int | None) -> list[DecisionRecord]:
    at = 0 if index is None else index
    quiet = DecisionRecord(None, "drift", 100 * at + 50, 5 * at + 2, float("nan"), None, False, True, 2.5)
    fired = DecisionRecord(index, "drift/a", 100 * at + 99, 5 * at + 5, 0.1 + at, float("inf"), True, False, 0.0)
    return [quiet] if index is None else [quiet, fired]


def states_of(index: int) -> dict[str, Any]:
    return {
        "cursor": {"next_key": 5 * index, "last_decision": [index, 0, -(2**63)]},
        "trigger": {"members": {"a": {"scores": np.linspace(0, 1, index + 1)}}, "best": float("-inf"), "name": None},
        "selector": {},
    }


def commit(run: RunDirectory, index: int) -> None:
    record = record_of(index)
    with run.begin(index) as part:
        keys = np.arange(5 * index, 5 * index + record.num_selected)
        part.write_selection(Selection(keys, derive(index, "weights").random(len(keys), dtype=np.float32)))
        if record.model is not None:
            part.write_predictions(predictions_of(index))
            (part.model_path / "weights.safetensors").write_bytes(derive(index, "model").bytes(300))
            (part.model_path / "preprocessor.json").write_text(json.dumps({"index": index}))
        part.write_decisions(decisions_of(index))
        part.write_states(states_of(index))
        part.write_record(record)


def complete(run: RunDirectory, until: int = NUM_TRIGGERS) -> None:
    """Do what is left of the run, as the pipeline would."""
    if run.done:
        return
    run.write_test_split(np.arange(11) * 10, np.arange(11) % 3)
    for index in range(len(run.parts()), until):
        commit(run, index)
    if until < NUM_TRIGGERS:
        return
    with run.begin(None) as tail:
        tail.write_decisions(decisions_of(None))
        tail.write_stages([StageCost("decide", 0.25, 3)])
    run.finish()


def contents(path: Path) -> dict[str, bytes]:
    """All files of a run but those of the lock; of the manifest what is the same in every attempt."""
    files = {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != ".lock"
    }
    if "manifest.json" in files:
        manifest = json.loads(files["manifest.json"])
        varying = {"created", "wandb_id"}
        files["manifest.json"] = repr(sorted((k, v) for k, v in manifest.items() if k not in varying)).encode()
    return files
