"""A pipeline in miniature, which tells observers what the real one tells them and commits what it commits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import synthetic_runs as synthetic

from modyn_bench.observer import Observer, RunStart, Status
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.runs.tables import TABLES, arrow_schema
from modyn_bench.types import DecisionRecord, ModelRecord, Selection, StageCost, TriggerRecord

FIRED = synthetic.triggers(4)
CONFIG = {"seed": 0, "trigger": {"_target_": "time.Time", "every": "1y"}, "evaluation": {"metrics": ["accuracy"]}}


def records(index: int) -> tuple[list[list[DecisionRecord]], TriggerRecord]:
    """What is decided up to a trigger, an ensemble with a member each time, and the trigger."""
    row = FIRED.iloc[index]
    decisions = [
        [
            DecisionRecord(index if fired else None, policy, int(at), int(row.num_arrived), score, 0.5, fired, False, 0)
            for policy, score in (("ensemble", None), ("ensemble/drift", 0.3 + 0.4 * fired))
        ]
        for fired, at in ((False, row.first_timestamp), (True, row.fired_at))
    ]
    selected = int(row.num_selected)
    model = ModelRecord(index, index, index - 1 if index else None, 0, 1, int(row.fired_at), selected, 3, 9, 3e3, 3e3)
    stages = (StageCost("train", 0.5, selected, 3e3, 3e3), StageCost("predict", 0.25, 100, 100.0))
    times = (int(row.fired_at), int(row.first_timestamp), int(row.last_timestamp))
    return decisions, TriggerRecord(index, *times, selected, selected, selected, 0, selected, model, stages)


def drive(
    root: Path, observers: Sequence[Observer], *, stop_before: int | None = None, status: Status = "finished"
) -> Path:
    """Run or resume it; ``stop_before`` a trigger, after its decisions, is as far as it comes."""
    with RunDirectory.open(root, config=CONFIG, fingerprint="f00d", dataset={"name": "arxiv"}) as run:
        parts = run.parts()
        first, last = int(FIRED.first_timestamp.iloc[0]), int(FIRED.last_timestamp.iloc[-1])
        committed = [part.record for part in parts]
        start = RunStart(run.run_id, run.path, run.config, 16_600, first, last, len(parts) * 4_000, committed)
        for observer in observers:
            observer.on_start(start)
        for index in range(len(parts), len(FIRED)):
            decisions, record = records(index)
            for batch in decisions:
                for observer in observers:
                    observer.on_arrivals(batch[0].at_timestamp, batch[0].num_samples_seen)
                    observer.on_decisions(batch)
            if index == stop_before:
                return _close(run.path, observers, status)
            for observer in observers:
                observer.on_stage("train", index, record.num_selected)
                observer.on_samples(record.num_selected)
            _commit(run, index, decisions, record)
            for observer in observers:
                observer.on_trigger(record)
        _conclude(run)
        for observer in observers:
            observer.on_finish(run.path)
        return _close(run.path, observers, status)


def _close(path: Path, observers: Sequence[Observer], status: Status) -> Path:
    for observer in observers:
        observer.on_close(status)
    return path


def _commit(run: RunDirectory, index: int, decisions: list[list[DecisionRecord]], record: TriggerRecord) -> None:
    with run.begin(index) as part:
        part.write_selection(Selection.unweighted(np.arange(3)))
        part.write_states({})
        part.write_decisions([decision for batch in decisions for decision in batch])
        (part.model_path / "weights.safetensors").write_bytes(bytes([index]))
        part.write_record(record)


def _conclude(run: RunDirectory) -> None:
    with run.begin(None) as tail:
        tail.write_stages((StageCost("decide", 0.01),))
    run.derive_tables()
    evaluations = synthetic.evaluations(synthetic.models(FIRED), num_windows=9)
    frames = {"evaluations": evaluations, "composite": synthetic.composite(evaluations, len(FIRED))}
    for name, frame in frames.items():
        table = pa.Table.from_pandas(frame, schema=arrow_schema(TABLES[name]), preserve_index=False)
        run.write_table(run.path / f"{name}.parquet", table)
    run.mark_done()
