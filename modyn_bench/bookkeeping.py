"""What the pipeline keeps in mind between triggers, and the checks that hold policies to their contract."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from modyn_bench.errors import ContractError
from modyn_bench.selectors.base import Selector
from modyn_bench.state import Stateful
from modyn_bench.timespan import parse_duration
from modyn_bench.training.trained import TrainedModel
from modyn_bench.triggers.base import Trigger
from modyn_bench.types import (
    TRAINING_STAGES,
    Arrivals,
    Decision,
    DecisionPoint,
    DecisionRecord,
    ModelRecord,
    Selection,
    Side,
    StageCost,
    TriggerRecord,
)

Item = TypeVar("Item")


@dataclass
class Cursor(Stateful):
    """Where the run stands in the stream: all that must be known, besides the policies' states, to go on from here."""

    state_fields = (
        "next_key",
        "last_time",
        "last_decision",
        "trigger_index",
        "num_trained",
        "since_key",
        "since_labelled",
        "num_empty_periods",
    )

    next_key: int  # keys below this have arrived
    last_time: int  # stream time of the last arrival
    last_decision: list[int] = field(default_factory=list)  # place of the last decision, which the next must exceed
    trigger_index: int = 0  # of the next trigger
    num_trained: int = 0  # triggers that trained, so the next model's id
    since_key: int = 0  # first key that arrived since the last trigger
    since_labelled: int = 0  # keys below this were labelled at the last trigger
    num_empty_periods: int = 0  # periods without samples and absorbed decisions since the last trigger


class StageClock:
    """Sums what every leaf stage used since the last trigger."""

    def __init__(self) -> None:
        self._costs: dict[str, StageCost] = {}

    @contextmanager
    def measure(self, stage: str, num_samples: int = 0) -> Iterator[None]:
        """Add a block's wall-clock seconds and samples to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, seconds=time.perf_counter() - started, num_samples=num_samples)

    def timed(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items, and add the seconds that making them takes to a stage."""
        iterator = iter(items)
        while True:
            with self.measure(stage):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def add(
        self,
        stage: str,
        *,
        seconds: float = 0.0,
        num_samples: int = 0,
        forward_passes: float = 0.0,
        backward_passes: float = 0.0,
    ) -> None:
        """Add a cost to a stage."""
        old = self._costs.get(stage, StageCost(stage, 0.0))
        self._costs[stage] = StageCost(
            stage,
            old.seconds + seconds,
            old.num_samples + num_samples,
            old.forward_passes + forward_passes,
            old.backward_passes + backward_passes,
        )

    def costs(self) -> tuple[StageCost, ...]:
        """Return the sums by stage, in order of first use."""
        return tuple(self._costs.values())

    def clear(self) -> None:
        """Begin anew after a trigger."""
        self._costs.clear()


def decision_records(
    decision: Decision, policy: str, *, trigger_index: int | None, at: int, num_samples_seen: int, forward_passes: float
) -> Iterator[DecisionRecord]:
    """Yield the row of a decision, and those of an ensemble's members behind it, named ``outer/member``."""
    yield DecisionRecord(
        trigger_index=trigger_index,
        policy=policy,
        at_timestamp=at,
        num_samples_seen=num_samples_seen,
        score=decision.score,
        threshold=decision.threshold,
        fired=decision.fired,
        warmup=decision.warmup,
        forward_passes=forward_passes,
    )
    for name, member in decision.members.items():
        yield from decision_records(
            member,
            f"{policy}/{name}",
            trigger_index=trigger_index,
            at=at,
            num_samples_seen=num_samples_seen,
            forward_passes=member.forward_passes,
        )


def trigger_record(
    cursor: Cursor,
    *,
    now: int,
    num_labelled: int,
    num_selected: int,
    span: tuple[int, int] | None,
    trained: TrainedModel | None,
    continues: bool,
    activation_delay: object,
    stages: Sequence[StageCost],
) -> TriggerRecord:
    """Write down a trigger and what came of it, with the cursor as it was before.

    Args:
        cursor: Where the run stands.
        now: Stream time of the decision.
        num_labelled: Keys below this are labelled.
        num_selected: Size of the trigger training set.
        span: Times of the first and the last sample that arrived since the last trigger; ``None`` if none did.
        trained: The model that was trained; ``None`` if none was.
        continues: Whether it began with the last one's weights.
        activation_delay: ``replay.activation_delay``.
        stages: Costs since the last trigger.
    """
    first, last = (None, None) if span is None else span
    model = None
    if trained is not None:
        own = [cost for cost in stages if cost.stage in TRAINING_STAGES]
        model = ModelRecord(
            model_id=cursor.num_trained,
            trigger_index=cursor.trigger_index,
            parent_model_id=cursor.num_trained - 1 if continues and cursor.num_trained else None,
            data_first_timestamp=first,
            data_last_timestamp=last,
            available_at=now + _activation_delay(activation_delay, num_selected, stages),
            num_samples_selected=num_selected,
            num_epochs=trained.num_epochs,
            num_optimizer_steps=trained.num_optimizer_steps,
            forward_passes=sum(cost.forward_passes for cost in own),
            backward_passes=sum(cost.backward_passes for cost in own),
        )
    return TriggerRecord(
        trigger_index=cursor.trigger_index,
        fired_at=now,
        first_timestamp=first,
        last_timestamp=last,
        num_arrived=cursor.next_key - cursor.since_key,
        num_labelled=num_labelled - cursor.since_labelled,
        num_selected=num_selected,
        num_empty_periods=cursor.num_empty_periods,
        labelled_until=num_labelled,
        model=model,
        stages=stages,
    )


def _activation_delay(delay: object, num_selected: int, stages: Sequence[StageCost]) -> int:
    """Return the seconds of stream time between a trigger's decision and its model's service, rounded up."""
    if delay == 0:
        return 0
    if isinstance(delay, Mapping):
        return math.ceil(float(delay["per_sample"]) * num_selected)
    if delay == "measured":
        return math.ceil(sum(cost.seconds for cost in stages if cost.stage in TRAINING_STAGES))
    assert isinstance(delay, str | int)
    return parse_duration(delay, "replay.activation_delay")


def check_kind(value: object, kind: type, policy: Trigger | Selector, method: str) -> None:
    """Check that a policy's method returned what it has to.

    Raises:
        ContractError: If it did not.
    """
    if not isinstance(value, kind):
        role = "trigger" if isinstance(policy, Trigger) else "selector"
        found = "None" if value is None else f"a {type(value).__name__}"
        raise ContractError(
            f"{role} {policy.name} ({type(policy).__name__}): {method} returned {found}, but must return a "
            f"{kind.__name__}"
        )


def check_decision_point(point: DecisionPoint, trigger: Trigger, cursor: Cursor, arrivals: Arrivals) -> None:
    """Check that a decision lies within the arrivals and further on than the last one, and note it.

    Raises:
        ContractError: If it does not.
    """
    check_kind(point, DecisionPoint, trigger, "next_decision")
    num_arrivals = len(arrivals)
    first = 1 - point.side  # after the first sample at the earliest, or before it
    if not first <= point.position <= num_arrivals - point.side:
        raise ContractError(
            f"trigger {trigger.name} ({type(trigger).__name__}) wants to decide {point.side.name.lower()} position "
            f"{point.position} of {num_arrivals} arrivals, which is not among them"
        )
    if point.time is not None:
        earliest = int(arrivals.timestamps[point.position - 1]) if point.position else cursor.last_time
        latest = earliest if point.side is Side.AFTER else int(arrivals.timestamps[point.position])
        if not earliest <= point.time <= latest:
            raise ContractError(
                f"trigger {trigger.name} ({type(trigger).__name__}) wants to decide at time {point.time}, which is not "
                f"within {earliest}..{latest}, between the samples that its position lies between"
            )
    position, side, at = point.order
    place = [cursor.next_key + position, side, at]
    if cursor.last_decision and place <= cursor.last_decision:
        raise ContractError(
            f"trigger {trigger.name} ({type(trigger).__name__}) does not advance: it wants to decide again after "
            f"{place[0]} samples of the stream, where it has just decided; next_decision must name a later point"
        )
    cursor.last_decision = place


def check_selection(selection: Selection, selector: Selector, first_key: int, num_labelled: int) -> None:
    """Check that a selection holds distinct labelled keys in order, with weights that can be trained on.

    Raises:
        ContractError: If it does not.
    """
    check_kind(selection, Selection, selector, "select")
    name = f"selector {selector.name} ({type(selector).__name__})"
    keys, weights, held_out = selection.keys, selection.weights, selection.held_out
    are_keys = all(isinstance(one, np.ndarray) and one.dtype == np.int64 for one in (keys, held_out))
    if not (are_keys and isinstance(weights, np.ndarray)):
        raise ContractError(
            f"{name} returned keys of another type than an array of int64, or weights that are no array"
        )
    if keys.ndim != 1 or keys.shape != weights.shape:
        raise ContractError(f"{name} returned keys of shape {keys.shape} and weights of shape {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ContractError(f"{name} returned weights that are negative or not finite")
    for chosen in (keys, held_out):
        if (np.diff(chosen) <= 0).any():
            raise ContractError(f"{name} returned keys that are not distinct and in increasing order")
        if len(chosen) and (chosen[0] < first_key or chosen[-1] >= num_labelled):
            raise ContractError(
                f"{name} returned keys {chosen[0]}..{chosen[-1]}, but only {first_key}..{num_labelled - 1} are labelled"
            )
    if len(held_out) and np.isin(held_out, keys, assume_unique=True).any():
        raise ContractError(f"{name} returned keys that are held out and trained on")
