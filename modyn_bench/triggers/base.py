"""The contract of a triggering policy.

A policy says where it next decides, takes what comes before, decides, and is told of every trigger, its own or
another's. The pipeline, and any ensemble, calls it like this::

    point = trigger.next_decision(arrivals)        # pure; None: no decision within these arrivals
    part, arrivals = arrivals.split(point.position)
    trigger.consume(part)                          # never empty
    decision = trigger.decide(view)
    trigger.on_trigger(record)                     # after every trigger, whoever fired

The result may not depend on how the stream is cut into arrivals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import placed
from modyn_bench.state import Stateful
from modyn_bench.types import Arrivals, Decision, DecisionPoint, IntArray, TriggerRecord


class View(Protocol):
    """What a policy may look at when it decides: the newest model, and the samples that have arrived. Read-only.

    n keys in, n rows out, in the order of the keys. A key that has not arrived is refused, and so is the label of a
    sample whose label has not arrived.
    """

    @property
    def model_id(self) -> int | None:
        """The newest model's id; ``None`` before the first training."""

    @property
    def time(self) -> int:
        """Stream time of the decision, in UTC seconds."""

    @property
    def num_arrived(self) -> int:
        """Keys below this have arrived."""

    @property
    def num_labelled(self) -> int:
        """The labels of keys below this have arrived."""

    @property
    def first_key(self) -> int:
        """The first key of the replay."""

    @property
    def seed(self) -> int:
        """The run's seed: what a policy draws derives from it, by ``seeding``."""

    @property
    def device(self) -> str:
        """Torch's name of the device that models run on."""

    @property
    def forward_passes(self) -> float:
        """Sample passes through a model since the last trigger; a key that is cached costs nothing."""

    def embed(self, keys: IntArray, *, model: Literal["newest", "first"] = "newest") -> NDArray[np.float32]:
        """Return embeddings (the input of a model's last layer), shape (n, d).

        The first model can be asked for by a policy whose ``uses_first_model`` says so.
        """

    def predict(self, keys: IntArray) -> NDArray[np.float32]:
        """Return the newest model's class probabilities, shape (n, C)."""

    def features(self, keys: IntArray) -> dict[str, np.ndarray]:
        """Return the samples' input columns as stored, each of shape (n, ...). Needs no model."""

    def labels(self, keys: IntArray) -> IntArray:
        """Return the samples' class indices, shape (n,)."""

    def timestamps(self, keys: IntArray) -> IntArray:
        """Return the samples' timestamps, in UTC seconds, shape (n,)."""

    def first_key_since(self, time: int) -> int:
        """Return the first key that arrived at a time or later; ``num_arrived`` if none has."""


class Trigger(Stateful, ABC):
    """A triggering policy. The constructor stores and validates its options; nothing else happens there.

    A policy that is made of others names them as its ``parts``, and the fields that hold them in ``state_fields``. It
    says itself when they take samples, decide, and are told of triggers.
    """

    name: ClassVar[str]
    """What the policy is called in tables: the name of its YAML file."""

    @property
    def parts(self) -> Mapping[str, Trigger]:
        """The policies that it is made of, by the place of each, such as ``trigger.members.a``."""
        return {}

    @property
    def uses_first_model(self) -> bool:
        """Whether the policy, or a part of it, asks for embeddings of the run's first model, which is then kept."""
        return any(part.uses_first_model for part in self.parts.values())

    @property
    def needs_embedding(self) -> bool:
        """Whether this policy, its parts aside, asks for embeddings."""
        return False

    @abstractmethod
    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        """Say where in these arrivals the policy next decides, or ``None`` if nowhere. Changes nothing.

        The arrivals follow directly on what was consumed. They are never empty. After a decision, the next one must
        lie further on (``DecisionPoint.order``, counted from the start of the stream).
        """

    @abstractmethod
    def consume(self, part: Arrivals) -> None:
        """Take samples that arrived, in order; none is left out and none comes twice."""

    @abstractmethod
    def decide(self, view: View) -> Decision:
        """Decide at the point that ``next_decision`` named, all samples before it having been consumed."""

    def check_dataset(self, *, num_classes: int) -> None:
        """Check, before anything is trained, that the policy and its parts suit a dataset.

        Raises:
            RequestError: If one does not; the message names its key.
        """
        for place, part in self.parts.items():
            with placed(place):
                part.check_dataset(num_classes=num_classes)

    def on_trigger(self, record: TriggerRecord) -> None:
        """Take note that a trigger happened here: this policy's own, an ensemble's, or the end of the stream's.

        Updates state only: no model runs here.
        """
