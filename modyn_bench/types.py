"""Frozen records that travel between the stages of a run. NumPy only; no torch.

Shapes: n samples of one record, C classes. Times are int64 UTC seconds; a key is a sample's position in the time
order of its split, so a set of consecutive samples is a range of keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]
State: TypeAlias = dict[str, "int | float | str | bool | list[object] | dict[str, object] | np.ndarray | None"]

BACKWARD = 2.0
"""Sample passes that one backward pass counts for, a forward pass being one."""

TRAINING_STAGES = ("select", "score", "train")
"""The stages that a model's own cost is made of: selection runs second models only."""

UNLABELLED = -1
"""What stands in ``Arrivals.labels`` where the label has not arrived yet."""


class Arrivals:
    """Consecutive samples of the train split, in time order, ties by key.

    Args:
        keys: Consecutive positions, shape (n,), int64.
        timestamps: UTC seconds, non-decreasing, shape (n,), int64.
        labels: Class indices, shape (n,), int64. What has not arrived is masked when read.
        label_cursors: For each sample, the number of leading samples of the split whose label is known once this
            sample has arrived, shape (n,). Default: every label arrives with its sample.

    Example:
        >>> arrivals = Arrivals(np.arange(4), np.array([0, 0, 5, 9]), np.array([1, 0, 1, 1]))
        >>> part, rest = arrivals.split(3)
        >>> len(part), part.num_labelled, rest.keys.tolist()
        (3, 3, [3])
    """

    __slots__ = ("_all_labels", "keys", "label_cursors", "timestamps")

    def __init__(
        self, keys: IntArray, timestamps: IntArray, labels: IntArray, label_cursors: IntArray | None = None
    ) -> None:
        self.keys = keys
        self.timestamps = timestamps
        self._all_labels = labels
        self.label_cursors = keys + 1 if label_cursors is None else label_cursors

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        span = f"keys {self.keys[0]}..{self.keys[-1]}" if len(self) else "empty"
        return f"Arrivals({span})"

    @property
    def num_labelled(self) -> int:
        """The number of leading samples of the split whose label is known when the last of these has arrived."""
        return int(self.label_cursors[-1]) if len(self) else 0

    @property
    def labels(self) -> IntArray:
        """Class indices, shape (n,); ``UNLABELLED`` where the label has not arrived by the last of these samples."""
        return np.where(self.keys < self.num_labelled, self._all_labels, UNLABELLED)

    def split(self, position: int) -> tuple[Arrivals, Arrivals]:
        """Cut after ``position`` samples: what comes before the cut, and the rest."""
        return self._slice(slice(None, position)), self._slice(slice(position, None))

    def _slice(self, part: slice) -> Arrivals:
        return Arrivals(self.keys[part], self.timestamps[part], self._all_labels[part], self.label_cursors[part])


class Side(IntEnum):
    """Whether a decision falls as soon as a sample arrived, or when the next one is about to. After comes first."""

    AFTER = 0
    BEFORE = 1


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """Where a policy next decides.

    Attributes:
        position: How many samples of the arrivals it takes before it decides. With ``AFTER`` it decides as soon as the
            last of them arrived (1 <= position <= n); with ``BEFORE`` when the sample at ``position`` is about to
            arrive, which tells that time has moved on (0 <= position < n).
        side: ``AFTER`` or ``BEFORE``.
        time: Stream time of the decision, in UTC seconds; ``None`` is the time of the last sample that arrived.
    """

    position: int
    side: Side = Side.AFTER
    time: int | None = None

    @property
    def order(self) -> tuple[int, int, int]:
        """Sorting key: by position, after precedes before, then by time."""
        return self.position, int(self.side), -(2**63) if self.time is None else self.time


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy decided, and why.

    Attributes:
        fired: Whether to trigger.
        score: What was compared; high means fire. ``None`` where the policy compares nothing.
        threshold: What it was compared with.
        warmup: Whether a warm-up policy decided.
        num_empty_periods: Periods without any sample that passed since the policy's last decision.
        forward_passes: Sample passes through a model that deciding cost.
        members: The decisions of an ensemble's members that were due, by name.
    """

    fired: bool
    score: float | None = None
    threshold: float | None = None
    warmup: bool = False
    num_empty_periods: int = 0
    forward_passes: float = 0.0
    members: Mapping[str, Decision] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One row of ``decisions.parquet``: one decision of one policy (ensemble members included, as ``outer/name``)."""

    trigger_index: int | None
    policy: str
    at_timestamp: int
    num_samples_seen: int
    score: float | None
    threshold: float | None
    fired: bool
    warmup: bool
    forward_passes: float


@dataclass(frozen=True, slots=True)
class Selection:
    """The trigger training set: keys and weights, both of shape (n,). Weights have an expected mean of 1.

    Attributes:
        keys: Distinct, in increasing order.
        weights: What each sample's loss is multiplied with.
        columns: What the selector knows of each sample for its choice in training, by name, each of shape (n,).
        held_out: Keys that were chosen and used, but are not trained on, distinct, in increasing order, shape (m,).

    Example:
        >>> Selection.unweighted(np.array([3, 5])).weights.tolist()
        [1.0, 1.0]
    """

    keys: IntArray
    weights: NDArray[np.float32]
    columns: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    held_out: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def unweighted(cls, keys: IntArray) -> Selection:
        """Make a selection in which every sample has weight 1."""
        return cls(keys.astype(np.int64, copy=False), np.ones(len(keys), dtype=np.float32))


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one leaf stage of one trigger used: one row of ``stages.parquet``.

    Attributes:
        stage: ``replay``, ``decide``, ``select`` (second models included), ``score`` (in training, and choosing),
            ``train``, ``predict``, ``commit``.
        seconds: Wall-clock, with device synchronisation.
        num_samples: Samples the stage handled.
        forward_passes: Sample passes forward; another model's are scaled by its parameter ratio.
        backward_passes: Sample passes backward.
    """

    stage: str
    seconds: float
    num_samples: int = 0
    forward_passes: float = 0.0
    backward_passes: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A trained model with the time range of its data, its parent and its cost: one row of ``models.parquet``."""

    model_id: int
    trigger_index: int
    parent_model_id: int | None
    data_first_timestamp: int | None
    data_last_timestamp: int | None
    available_at: int
    num_samples_selected: int
    num_epochs: int
    num_optimizer_steps: int
    forward_passes: float
    backward_passes: float


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """A trigger and what came of it: one row of ``triggers.parquet``, its model and its costs.

    Attributes:
        trigger_index: 0, 1, …
        fired_at: Stream time of the decision.
        first_timestamp: Of the samples that arrived since the last trigger; ``None`` if none did.
        last_timestamp: Likewise.
        num_arrived: Samples that arrived since the last trigger.
        num_labelled: Samples whose label arrived since the last trigger.
        num_selected: Samples in the trigger training set.
        num_empty_periods: Periods without samples, and decisions absorbed for want of them, since the last trigger.
        labelled_until: Keys below this were labelled when the trigger fired.
        model: The model that was trained; ``None`` if nothing was selected.
        stages: Costs since the last trigger.
    """

    trigger_index: int
    fired_at: int
    first_timestamp: int | None
    last_timestamp: int | None
    num_arrived: int
    num_labelled: int
    num_selected: int
    num_empty_periods: int
    labelled_until: int
    model: ModelRecord | None
    stages: Sequence[StageCost] = ()

    @property
    def model_id(self) -> int | None:
        """The trained model's id, ``None`` if nothing was trained."""
        return None if self.model is None else self.model.model_id


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one model said of a range of test samples: all that any metric needs, kept so that no model runs twice.

    Attributes:
        first_key: Key of the first test sample; the arrays cover consecutive keys from there.
        predicted: Predicted class, shape (n,), int32; ties go to the lower class.
        confidence: Probability of the predicted class, shape (n,), float64: float32 cannot tell sure from surer.
        label_rank: Number of classes ranked before the true one, shape (n,), int32; 0 is correct.
        label_probability: Probability of the true class, shape (n,), float32.
        loss: Per-sample loss, shape (n,), float32.
        probabilities: All class probabilities, shape (n, C), float16, where a metric needs them, else ``None``.
    """

    first_key: int
    predicted: NDArray[np.int32]
    confidence: NDArray[np.float64]
    label_rank: NDArray[np.int32]
    label_probability: NDArray[np.float32]
    loss: NDArray[np.float32]
    probabilities: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.predicted)
