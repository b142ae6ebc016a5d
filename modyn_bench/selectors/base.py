"""The contract of a selection policy, and the scope that all of them share.

The pipeline calls a selector like this::

    selector.consume(arrivals)                     # never empty
    selection = selector.select(context)           # keys and weights of the trigger training set
    ...                                            # trained on; selector.downsampler chooses among them meanwhile
    selector.on_trigger(record, selection)         # after every trigger

Only labelled samples can be selected. Samples whose label has not arrived stay new until the first trigger at which
it has.

A selector chooses before the model is asked (presampling), or while the model is trained (downsampling): then it is a
``Downsampler``, which ``selector.downsampler`` hands to the trainer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import RequestError, placed, relocate
from modyn_bench.selectors.groups import draw_from_groups, fair_shares
from modyn_bench.state import Stateful
from modyn_bench.types import Arrivals, FloatArray, IntArray, Selection, TriggerRecord

if TYPE_CHECKING:
    from modyn_bench.selectors.downsampling.base import Downsampler

History = int | Literal["all"]
LIMITS = ("newest", "uniform", "balanced")


class SecondModel(Protocol):
    """A model beside the one that is evaluated, such as that of the irreducible loss. What it does is counted."""

    def losses(self, keys: IntArray) -> FloatArray:
        """Return the training loss of each sample, in eval mode, shape (n,)."""


class TrainSecond(Protocol):
    """Trains a model beside the one that is evaluated, by the same trainer."""

    def __call__(
        self, name: str, selection: Selection, *, model: Mapping[str, Any] | None = None, epochs: int | None = None
    ) -> SecondModel:
        """Train the model of a name on a selection; at later triggers it starts from where ``training`` says.

        Args:
            name: What the model is called; it stays the same over triggers. Only this policy's are called so, if those
                it is a part of hand it a context ``inside`` theirs.
            selection: Keys and weights.
            model: The model's configuration; ``None``: that of the model that is evaluated.
            epochs: Epochs; ``None``: as ``training`` says.
        """


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """What a selector may use.

    Attributes:
        trigger_index: The index of the trigger that fired.
        num_labelled: The labels of keys below this have arrived.
        generator: Derived from the run's seed and the last key of the data; what a selection draws comes from it.
        labels: Class indices of keys, (n,) to (n,). Refuses a key whose label has not arrived.
        timestamps: UTC seconds of keys, (n,) to (n,).
        seed: The run's seed: what must be the same at every trigger, such as the side of a sample, derives from it.
        column: Values of one of the source's columns, by its name, at keys, (n,) to (n,).
        train: Trains a second model.
    """

    trigger_index: int
    num_labelled: int
    generator: np.random.Generator
    labels: Callable[[IntArray], IntArray]
    timestamps: Callable[[IntArray], IntArray]
    seed: int
    column: Callable[[str, IntArray], NDArray[Any]]
    train: TrainSecond

    def inside(self, place: str) -> SelectionContext:
        """Return what a part of a policy may use: the same, but second models of its own, however it calls them.

        Args:
            place: The part's key in ``Selector.parts``, such as ``selector.policies.a``.
        """
        outside, scope = self.train, place.partition(".")[2]

        def train(
            name: str, selection: Selection, *, model: Mapping[str, Any] | None = None, epochs: int | None = None
        ) -> SecondModel:
            return outside(f"{scope}.{name}", selection, model=model, epochs=epochs)

        return replace(self, train=train)


class Selector(Stateful, ABC):
    """A selection policy with a scope: which labelled samples it may choose from.

    A policy that is made of others names them as its ``parts``. They take the stream and are told of every trigger by
    what this class does; the policy says which of them selects, in a context ``inside`` the part's place, and names
    the fields that hold them in ``state_fields``.

    Args:
        history: 0: what is new since the last training; k: that and what was new at the last k trainings; ``all``:
            everything since the start of the replay.
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.
        limit_by: What stays within the limit where nothing else decides: the ``newest`` in time order, a ``uniform``
            draw, or one that is ``balanced`` over classes.
        warmup_triggers: How many trainings at the start take the whole scope, up to the limit.

    Raises:
        RequestError: If an option is out of range.
    """

    name: ClassVar[str]
    """What the policy is called: the name of its YAML file."""

    state_fields: ClassVar[tuple[str, ...]] = ("first_key", "boundaries", "num_trained")

    def __init__(
        self,
        *,
        history: History = 0,
        limit: int | None = None,
        limit_by: str = "newest",
        warmup_triggers: int = 0,
    ) -> None:
        if history != "all" and (isinstance(history, bool) or not isinstance(history, int) or history < 0):
            raise RequestError(f"selector.history={history!r} must be 0, a number of triggers, or all")
        if limit is not None and limit < 1:
            raise RequestError(f"selector.limit={limit} must be at least 1, or null for no limit")
        if limit_by not in LIMITS:
            raise RequestError(f"selector.limit_by={limit_by!r} must be one of {', '.join(LIMITS)}")
        if warmup_triggers < 0:
            raise RequestError(f"selector.warmup_triggers={warmup_triggers} must be at least 0")
        self.history = history
        self.limit = limit
        self.limit_by = limit_by
        self.warmup_triggers = warmup_triggers
        self.first_key: int | None = None
        self.boundaries: list[int] = []  # labelled_until at the last history + 1 trainings (all: 1), oldest first
        self.num_trained = 0  # triggers that trained

    @property
    def parts(self) -> Mapping[str, Selector]:
        """The policies that it is made of, by the place of each, such as ``selector.policies.a``."""
        return {}

    @property
    def warming_up(self) -> bool:
        """Whether the next training takes the whole scope."""
        return self.num_trained < self.warmup_triggers

    @property
    def downsampler(self) -> Downsampler | None:
        """What chooses among the trigger training set while the model is trained; ``None``: all of it is trained on."""
        return None

    @property
    def second_models(self) -> Mapping[str, Mapping[str, Any]]:
        """Configurations of models of another kind that it trains beside the one that is evaluated, by their keys.

        Those of its parts, by default.
        """
        parts = self.parts.items()
        return {relocate(key, place): model for place, part in parts for key, model in part.second_models.items()}

    @property
    def needs_embedding(self) -> bool:
        """Whether this policy, its parts aside, has the model that is evaluated asked for embeddings."""
        return False

    def check_dataset(self, *, columns: Mapping[str, str]) -> None:
        """Check, before anything is trained, that the policy and its parts suit a dataset.

        Args:
            columns: The source's columns that ``context.column`` knows, by name: ``numeric`` or ``categorical``.

        Raises:
            RequestError: If one does not; the message names its key.
        """
        for place, part in self.parts.items():
            with placed(place):
                part.check_dataset(columns=columns)

    def consume(self, part: Arrivals) -> None:
        """Take samples that arrived: keys are consecutive, so the first one is all there is to know."""
        if self.first_key is None:
            self.first_key = int(part.keys[0])
        for policy in self.parts.values():
            policy.consume(part)

    @abstractmethod
    def select(self, context: SelectionContext) -> Selection:
        """Choose the trigger training set. It may be empty: then nothing is trained. Changes no state."""

    def select_all(self, context: SelectionContext) -> Selection:
        """Return the whole scope, cut to the limit: what a warm-up trains on."""
        return Selection.unweighted(self.within_limit(context))

    def on_trigger(self, record: TriggerRecord, selection: Selection) -> None:
        """Move the scope on, and tell the parts.

        Args:
            record: The trigger.
            selection: What ``select`` returned for it.
        """
        self.move_on(record)
        for policy in self.parts.values():
            policy.on_trigger(record, selection)

    def move_on(self, record: TriggerRecord) -> None:
        """Move this policy's own scope on, if the trigger trained a model."""
        if record.model is None:
            return
        self.num_trained += 1
        kept = 1 if self.history == "all" else self.history + 1
        self.boundaries = [*self.boundaries, record.labelled_until][-kept:]

    def scope(self, context: SelectionContext) -> range:
        """Return the keys to choose from: consecutive, labelled, within the history."""
        if self.first_key is None:
            return range(0)
        return range(self.scope_start, max(self.scope_start, context.num_labelled))

    @property
    def scope_start(self) -> int:
        """The first key of the scope."""
        if self.history != "all" and len(self.boundaries) == self.history + 1:
            return self.boundaries[0]
        return self.first_key or 0

    @property
    def oldest_key(self) -> int:
        """No key below this one is selected any more, by the policy or by a part of it."""
        return min([self.scope_start, *(policy.oldest_key for policy in self.parts.values())])

    @property
    def new_start(self) -> int:
        """The first key that is new since the last training."""
        return self.boundaries[-1] if self.boundaries else self.first_key or 0

    def within_limit(self, context: SelectionContext) -> IntArray:
        """Return the keys of the scope, cut to the limit, in order."""
        scope = self.scope(context)
        if self.limit is None or len(scope) <= self.limit:
            return as_keys(scope)
        if self.limit_by == "newest":
            return as_keys(scope[-self.limit :])
        if self.limit_by == "uniform":
            return draw(context.generator, scope, self.limit)
        keys = as_keys(scope)
        groups = context.labels(keys)
        shares = fair_shares(np.bincount(groups), self.limit, context.generator)
        return keys[draw_from_groups(groups, shares, context.generator)]


def as_keys(scope: range) -> IntArray:
    """Return a range of keys as an array, shape (n,)."""
    return np.arange(scope.start, scope.stop, dtype=np.int64)


def draw(generator: np.random.Generator, scope: range, size: int) -> IntArray:
    """Draw ``size`` keys of a scope uniformly without replacement, sorted, shape (size,)."""
    if size == len(scope):
        return as_keys(scope)
    chosen = generator.choice(len(scope), size=size, replace=False, shuffle=False)
    chosen.sort()
    return chosen.astype(np.int64, copy=False) + scope.start


def draw_keys(generator: np.random.Generator, keys: IntArray, size: int) -> IntArray:
    """Draw ``size`` of some keys (n,) that are sorted, uniformly without replacement, sorted, shape (size,)."""
    return keys[draw(generator, range(len(keys)), size)]
