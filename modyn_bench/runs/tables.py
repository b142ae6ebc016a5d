"""The tables of a run: their columns and types, and how records become rows and come back from JSON.

Types are Arrow's; a question mark means that the column may hold nulls. Times are int64 UTC seconds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from modyn_bench.runs.files import damaged
from modyn_bench.types import DecisionRecord, ModelRecord, Selection, StageCost, TriggerRecord

if TYPE_CHECKING:
    import pyarrow as pa

Record = TriggerRecord | ModelRecord | DecisionRecord | StageCost
R = TypeVar("R", TriggerRecord, ModelRecord, DecisionRecord, StageCost)

TRIGGERS = {
    "trigger_index": "int64",
    "fired_at": "int64",
    "first_timestamp": "int64?",
    "last_timestamp": "int64?",
    "num_arrived": "int64",
    "num_labelled": "int64",
    "num_selected": "int64",
    "num_empty_periods": "int64",
    "model_id": "int64?",
}
MODELS = {
    "model_id": "int64",
    "trigger_index": "int64",
    "parent_model_id": "int64?",
    "data_first_timestamp": "int64?",
    "data_last_timestamp": "int64?",
    "available_at": "int64",
    "num_samples_selected": "int64",
    "num_epochs": "int64",
    "num_optimizer_steps": "int64",
    "forward_passes": "double",
    "backward_passes": "double",
}
DECISIONS = {
    "trigger_index": "int64?",
    "policy": "string",
    "at_timestamp": "int64",
    "num_samples_seen": "int64",
    "score": "double?",
    "threshold": "double?",
    "fired": "bool",
    "warmup": "bool",
    "forward_passes": "double",
}
STAGES = {
    "trigger_index": "int64?",
    "stage": "string",
    "seconds": "double",
    "num_samples": "int64",
    "forward_passes": "double",
    "backward_passes": "double",
}
EVALUATIONS = {
    "window_set": "string",
    "window_id": "int64",
    "window_start": "int64",
    "window_end": "int64",
    "anchor": "int64",
    "split": "string",
    "model_id": "int64",
    "metric": "string",
    "value": "double?",
    "num_samples": "int64",
    "currently_active": "bool",
    "currently_trained": "bool",
}
COMPOSITE = {
    "window_set": "string",
    "variant": "string",
    "metric": "string",
    "aggregate": "string",
    "value": "double?",
    "coverage": "double",
    "num_windows": "int64",
    "num_triggers": "int64",
}
TABLES = {
    "triggers": TRIGGERS,
    "models": MODELS,
    "decisions": DECISIONS,
    "stages": STAGES,
    "evaluations": EVALUATIONS,
    "composite": COMPOSITE,
}

_SELECTION = {"key": "int64", "weight": "float32"}
_CASTS: dict[str, Callable[[Any], Any]] = {"int": operator.index, "float": float, "str": str, "bool": bool}


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Return the Arrow schema of a table, such as ``TRIGGERS``."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(name, pa.type_for_alias(kind.removesuffix("?")), nullable=kind.endswith("?"))
            for name, kind in columns.items()
        ]
    )


def build_table(columns: Mapping[str, str], rows: Iterable[Mapping[str, object]]) -> pa.Table:
    """Build a table from rows, which may hold more keys than the table has columns."""
    import pyarrow as pa

    rows = list(rows)
    return pa.table({name: [row[name] for row in rows] for name in columns}, schema=arrow_schema(columns))


def build_selection(selection: Selection, extra: Mapping[str, np.ndarray]) -> pa.Table:
    """Build the table of a trigger training set: key, weight, and further columns of the same length."""
    import pyarrow as pa

    table = pa.table({"key": selection.keys, "weight": selection.weights}, schema=arrow_schema(_SELECTION))
    for name, values in extra.items():
        table = table.append_column(pa.field(name, pa.from_numpy_dtype(values.dtype), nullable=False), pa.array(values))
    return table


def derive(
    records: Sequence[TriggerRecord], decisions: Iterable[DecisionRecord], tail_stages: Sequence[StageCost]
) -> dict[str, pa.Table]:
    """Build the tables that are made of a run's parts, by name."""
    triggers = [{**to_row(record), "model_id": record.model_id} for record in records]
    models = [to_row(record.model) for record in records if record.model is not None]
    stages = [{"trigger_index": record.trigger_index, **to_row(cost)} for record in records for cost in record.stages]
    stages += [{"trigger_index": None, **to_row(cost)} for cost in tail_stages]
    return {
        "triggers": build_table(TRIGGERS, triggers),
        "models": build_table(MODELS, models),
        "decisions": build_table(DECISIONS, map(to_row, decisions)),
        "stages": build_table(STAGES, stages),
    }


def to_row(record: Record) -> dict[str, Any]:
    """Return a record's plain fields as Python values of exactly their types; records within it are left out."""
    row: dict[str, Any] = {}
    for field in fields(record):
        kind, _, rest = str(field.type).partition(" | ")
        if kind in _CASTS:
            value = getattr(record, field.name)
            row[field.name] = None if value is None and rest == "None" else _CASTS[kind](value)
    return row


def from_row(kind: type[R], row: object, path: Path, **more: object) -> R:
    """Rebuild a record from ``to_row`` and what that left out.

    Raises:
        RunError: If a field is missing, unknown or of another type; the message names the file.
    """
    plain = {field.name: str(field.type) for field in fields(kind) if str(field.type).partition(" | ")[0] in _CASTS}
    if not isinstance(row, dict) or set(row) != set(plain):
        found = sorted(row) if isinstance(row, dict) else type(row).__name__
        raise damaged(path, f"holds {found} where a {kind.__name__} has {sorted(plain)}")
    for name, expected in plain.items():
        if (type(row[name]).__name__.replace("NoneType", "None")) not in expected.split(" | "):
            raise damaged(path, f"holds {name}={row[name]!r}, which is no {expected}")
    values: dict[str, Any] = {**row, **more}
    return kind(**values)
