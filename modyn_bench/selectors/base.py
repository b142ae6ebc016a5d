"""The contract of a selection policy, and the scope that all of them share.

The pipeline calls a selector like this::

    selector.consume(arrivals)                     # never empty
    selection = selector.select(context)           # keys and weights of the trigger training set
    selector.on_trigger(record)                    # after every trigger

Only labelled samples can be selected. Samples whose label has not arrived stay new until the first trigger at which
it has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.state import Stateful
from modyn_bench.types import Arrivals, IntArray, Selection, TriggerRecord

History = int | Literal["all"]


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """What a selector may use.

    Attributes:
        trigger_index: The index of the trigger that fired.
        num_labelled: The labels of keys below this have arrived.
        generator: Derived from the run's seed and the last key of the data; the only randomness a selector may use.
        labels: Class indices of keys, (n,) to (n,). Refuses a key whose label has not arrived.
        timestamps: UTC seconds of keys, (n,) to (n,).
    """

    trigger_index: int
    num_labelled: int
    generator: np.random.Generator
    labels: Callable[[IntArray], IntArray]
    timestamps: Callable[[IntArray], IntArray]


class Selector(Stateful, ABC):
    """A selection policy with a scope: which labelled samples it may choose from.

    Args:
        history: 0: what is new since the last training; k: that and what was new at the last k trainings; ``all``:
            everything since the start of the replay.

    Raises:
        RequestError: If ``history`` is neither ``all`` nor a whole number of at least 0.
    """

    name: ClassVar[str]
    """What the policy is called: the name of its YAML file."""

    state_fields = ("first_key", "boundaries", "num_trained")

    def __init__(self, *, history: History = 0) -> None:
        if history != "all" and (isinstance(history, bool) or not isinstance(history, int) or history < 0):
            raise RequestError(f"selector.history={history!r} must be 0, a number of triggers, or all")
        self.history = history
        self.first_key: int | None = None
        self.boundaries: list[int] = []  # labelled_until at the last history + 1 trainings, oldest first
        self.num_trained = 0  # triggers that trained

    def consume(self, part: Arrivals) -> None:
        """Take samples that arrived: keys are consecutive, so the first one is all there is to know."""
        if self.first_key is None:
            self.first_key = int(part.keys[0])

    @abstractmethod
    def select(self, context: SelectionContext) -> Selection:
        """Choose the trigger training set. It may be empty: then nothing is trained. Changes no state."""

    def on_trigger(self, record: TriggerRecord) -> None:
        """Move the scope on, if the trigger trained a model."""
        if record.model is None:
            return
        self.num_trained += 1
        if self.history != "all":
            self.boundaries = [*self.boundaries, record.labelled_until][-(self.history + 1) :]

    def scope(self, context: SelectionContext) -> range:
        """Return the keys to choose from: consecutive, labelled, within the history."""
        if self.first_key is None:
            return range(0)
        start = self.first_key
        if self.history != "all" and len(self.boundaries) == self.history + 1:
            start = max(start, self.boundaries[0])
        return range(start, max(start, context.num_labelled))


def as_keys(scope: range) -> IntArray:
    """Return a range of keys as an array, shape (n,)."""
    return np.arange(scope.start, scope.stop, dtype=np.int64)


def check_limit(limit: int | None) -> int | None:
    """Check an upper bound on the size of the trigger training set.

    Raises:
        RequestError: If it is below 1.
    """
    if limit is not None and limit < 1:
        raise RequestError(f"selector.limit={limit} must be at least 1, or null for no limit")
    return limit


def draw(generator: np.random.Generator, scope: range, size: int) -> IntArray:
    """Draw ``size`` keys of a scope uniformly without replacement, sorted, shape (size,)."""
    chosen = generator.choice(len(scope), size=size, replace=False, shuffle=False)
    chosen.sort()
    return chosen.astype(np.int64, copy=False) + scope.start
