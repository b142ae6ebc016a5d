"""One committed trigger on disk, and the tail: what came after the last trigger.

record.json         the trigger's record without its costs, and the sizes of all other files
stages.json         its costs; the only file of a part with seconds in it
selection.parquet   keys and weights of the trigger training set
decisions.json      decisions since the last trigger
predictions.npz     what the model said of the test split
states.json, .npz   every policy's state and the replay cursor
model/              what the trainer saved
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modyn_bench.errors import ContractError
from modyn_bench.runs.files import damaged, json_bytes, npz_bytes, parquet_bytes, read_json, read_npz, read_table
from modyn_bench.runs.state_files import decode_states, encode_states
from modyn_bench.runs.tables import build_selection, from_row, to_row
from modyn_bench.types import DecisionRecord, ModelRecord, Predictions, Selection, StageCost, State, TriggerRecord

RECORD, STAGES, DECISIONS = "record.json", "stages.json", "decisions.json"
SELECTION, PREDICTIONS, STATES, ARRAYS = "selection.parquet", "predictions.npz", "states.json", "states.npz"
MODEL = "model"
TRIGGERS, TAIL = "triggers", "tail"
"""The folders of a run directory that hold its parts, and what came after the last one."""

_PRUNED = ".pruned"  # what the folder of a model is called while it is deleted
_PREDICTED = {
    "predicted": np.int32,
    "confidence": np.float64,
    "label_rank": np.int32,
    "label_probability": np.float32,
    "loss": np.float32,
}


class Tail:
    """What was committed after the last trigger: decisions that did not fire, and their costs.

    Args:
        path: The folder.

    Attributes:
        stages: Costs since the last trigger.

    Raises:
        RunError: If a file is missing, or has another size than when it was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content = read_json(path / RECORD)
        sizes = self._content.get("files") if isinstance(self._content, dict) else None
        if not isinstance(sizes, dict):
            raise damaged(path / RECORD, "lists no files")
        self.files: dict[str, int] = sizes
        for name, size in sizes.items():
            if not (name.startswith(f"{MODEL}/") and not self.model_path.is_dir()):
                _check_size(path / name, size)
        self.stages = tuple(from_row(StageCost, row, path / STAGES) for row in _read_list(path / STAGES))

    @property
    def model_path(self) -> Path:
        """The model's folder; an older model is deleted under ``runs.keep_models: last``."""
        return self.path / MODEL

    def decisions(self) -> list[DecisionRecord]:
        """Read the decisions since the last trigger.

        Raises:
            RunError: If the file is damaged; so do all that read.
        """
        path = self.path / DECISIONS
        rows = _read_list(path) if DECISIONS in self.files else []
        return [from_row(DecisionRecord, row, path) for row in rows]


class Part(Tail):
    """One committed trigger.

    Attributes:
        path: Its folder.
        record: The trigger, its model and its costs.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        row = self._content.get("record")
        model = row.pop("model", None) if isinstance(row, dict) else None
        where = path / RECORD
        self.record = from_row(
            TriggerRecord,
            row,
            where,
            model=None if model is None else from_row(ModelRecord, model, where),
            stages=self.stages,
        )

    @property
    def has_model(self) -> bool:
        """Whether the model is there: it was trained, and has not been deleted since."""
        return self.model_path.is_dir()

    @property
    def keeps_model(self) -> bool:
        """Whether the model is kept, however many follow, because a policy goes on using it."""
        return bool(self._content.get("keeps_model", False))

    def delete_model(self) -> None:
        """Delete the model, and what a killed process left of it, unless a policy goes on using it.

        A folder under its own name is always whole.
        """
        if self.keeps_model:
            return
        pruned = self.path / _PRUNED
        if self.has_model:
            self.model_path.rename(pruned)
        if pruned.exists():
            shutil.rmtree(pruned)

    def states(self) -> dict[str, State]:
        """Read the states as they were after the trigger, by owner."""
        arrays = read_npz(self.path / ARRAYS) if ARRAYS in self.files else {}
        try:
            return decode_states(read_json(self.path / STATES), arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(self.path / STATES, f"does not hold states that can be read ({error})") from None

    def selection(self) -> Selection:
        """Read the trigger training set."""
        table = read_table(self.path / SELECTION)
        if table.column_names[:2] != ["key", "weight"]:
            raise damaged(self.path / SELECTION, f"has the columns {table.column_names}, not key and weight")
        return Selection(table["key"].to_numpy(), table["weight"].to_numpy())

    def predictions(self) -> Predictions:
        """Read what the model said of the test split."""
        path = self.path / PREDICTIONS
        arrays = read_npz(path)
        first_key, probabilities = arrays.pop("first_key", None), arrays.pop("probabilities", None)
        lengths = {len(array) for array in arrays.values()}
        if first_key is None or set(arrays) != set(_PREDICTED) or len(lengths) != 1:
            raise damaged(path, "does not hold predictions")
        return Predictions(first_key=int(first_key), **arrays, probabilities=probabilities)


class PartWriter:
    """Writes one part into a staging folder; ``RunDirectory.begin`` commits it.

    Args:
        path: The staging folder; it is empty.
        trigger_index: The trigger's index; ``None`` for the tail.
    """

    def __init__(self, path: Path, *, trigger_index: int | None) -> None:
        self.path = path
        self.trigger_index = trigger_index
        self.record: TriggerRecord | None = None
        self._keeps_model = False

    @property
    def model_path(self) -> Path:
        """The folder that the trainer saves the model in. It is made when it is first asked for."""
        path = self.path / MODEL
        path.mkdir(exist_ok=True)
        return path

    def write_selection(self, selection: Selection, *, extra: Mapping[str, np.ndarray] | None = None) -> None:
        """Write the trigger training set.

        Args:
            selection: Keys and weights as handed to the trainer.
            extra: Further columns of the same length, such as ``num_uses`` and ``sum_of_weights``.
        """
        (self.path / SELECTION).write_bytes(parquet_bytes(build_selection(selection, extra or {})))

    def write_predictions(self, predictions: Predictions) -> None:
        """Write what the model said of the test split."""
        arrays: dict[str, np.ndarray] = {"first_key": np.asarray(predictions.first_key, dtype=np.int64)}
        for name, dtype in _PREDICTED.items():
            arrays[name] = np.ascontiguousarray(getattr(predictions, name), dtype=dtype)
        if predictions.probabilities is not None:
            arrays["probabilities"] = np.ascontiguousarray(predictions.probabilities, dtype=np.float16)
        (self.path / PREDICTIONS).write_bytes(npz_bytes(arrays))

    def write_states(self, states: Mapping[str, State]) -> None:
        """Write the states after the trigger, by owner, such as ``trigger``, ``selector``, ``cursor``.

        Raises:
            TypeError: If a state holds a value that no file could give back.
        """
        encoded, arrays = encode_states(states)
        (self.path / STATES).write_bytes(json_bytes(encoded))
        if arrays:
            (self.path / ARRAYS).write_bytes(npz_bytes(arrays))

    def write_decisions(self, records: Sequence[DecisionRecord]) -> None:
        """Write the decisions since the last trigger, the one that fired included."""
        if records:
            (self.path / DECISIONS).write_bytes(json_bytes([to_row(record) for record in records]))

    def write_stages(self, stages: Sequence[StageCost]) -> None:
        """Write the costs since the last trigger; a record brings its own."""
        (self.path / STAGES).write_bytes(json_bytes([to_row(cost) for cost in stages]))

    def write_record(self, record: TriggerRecord, *, keep_model: bool = False) -> None:
        """Write the trigger's record with its costs.

        Args:
            record: What came of the trigger.
            keep_model: Keep its model for as long as the run, because a policy goes on using it.
        """
        self.record = record
        self._keeps_model = keep_model
        self.write_stages(record.stages)

    def complete(self) -> None:
        """Check that everything was written, and add the record with the sizes of all files.

        Raises:
            ContractError: If something is missing.
        """
        self._check()
        files = sorted(path for path in self.path.rglob("*") if path.is_file() and path != self.path / STAGES)
        content: dict[str, object] = {}
        if self.record is not None:
            model = self.record.model
            content["record"] = {**to_row(self.record), "model": None if model is None else to_row(model)}
        if self._keeps_model:
            content["keeps_model"] = True
        content["files"] = {path.relative_to(self.path).as_posix(): path.stat().st_size for path in files}
        (self.path / RECORD).write_bytes(json_bytes(content))

    def _check(self) -> None:
        where = "the tail" if self.trigger_index is None else f"trigger {self.trigger_index}"
        if not (self.path / STAGES).exists():
            self.write_stages(())
        if self.trigger_index is None:
            return
        if self.record is None or self.record.trigger_index != self.trigger_index:
            raise ContractError(f"{where} cannot be committed: its record was not written")
        for name in (SELECTION, STATES):
            if not (self.path / name).exists():
                raise ContractError(f"{where} cannot be committed: {name} was not written")
        saved = self.path / MODEL
        if self.record.model is None and saved.is_dir() and not any(saved.iterdir()):
            saved.rmdir()
        if saved.is_dir() != (self.record.model is not None) or (saved.is_dir() and not any(saved.iterdir())):
            raise ContractError(f"{where} cannot be committed: its record and the saved model do not fit together")


def _read_list(path: Path) -> list[object]:
    rows = read_json(path)
    if not isinstance(rows, list):
        raise damaged(path, "holds no list")
    return rows


def _check_size(path: Path, size: object) -> None:
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    if found != size:
        raise damaged(path, f"has {found} bytes, but had {size} when it was written")
