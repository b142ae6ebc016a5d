"""Drives a policy over a stream as the pipeline does, without a model: for the contract that every policy must keep."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from modyn_bench.seeding import derive_seed, priorities
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.types import Arrivals, Decision, DecisionPoint, IntArray, ModelRecord, TriggerRecord


@dataclass
class StubView:
    """A view of a model that is known by its id alone; what it returns depends on the keys and on which model it is."""

    model_id: int | None
    samples: Arrivals
    time: int = 0
    num_arrived: int = 0
    num_labelled: int = 0
    forward_passes: float = 0.0
    first_key: int = 0
    seed: int = 0
    device: str = "cpu"
    _cached: set[int] = field(default_factory=set)

    def score(self, first: int, last: int) -> float:
        self._pass(np.arange(first, last))
        return derive_seed(-1 if self.model_id is None else self.model_id, first, last) / 2**63

    def embed(self, keys: IntArray, *, model: str = "newest") -> np.ndarray:
        self._pass(keys)
        return np.stack([self._numbers(keys, name) for name in ("x", "y")], axis=1).astype(np.float32)

    def predict(self, keys: IntArray) -> np.ndarray:
        self._pass(keys)
        odds = np.stack([self._numbers(keys, name) + 0.1 for name in ("0", "1", "2")], axis=1)
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)

    def features(self, keys: IntArray) -> dict[str, np.ndarray]:
        self._check(keys, self.num_arrived)
        return {"numeric": np.stack([keys % 7, self.samples.timestamps[keys]], axis=1).astype(np.float32)}

    def labels(self, keys: IntArray) -> IntArray:
        self._check(keys, self.num_labelled)
        return self.samples.labels[keys]

    def timestamps(self, keys: IntArray) -> IntArray:
        self._check(keys, self.num_arrived)
        return self.samples.timestamps[keys]

    def first_key_since(self, time: int) -> int:
        return int(np.searchsorted(self.samples.timestamps[: self.num_arrived], time))

    def _numbers(self, keys: IntArray, name: str) -> np.ndarray:
        assert self.model_id is not None, "a policy asked for a model's outputs before there was one"
        return priorities(keys, self.model_id, name) / 2**64

    def _pass(self, keys: IntArray) -> None:
        self._check(keys, self.num_arrived)
        self.forward_passes += len(set(keys.tolist()) - self._cached)
        self._cached |= set(keys.tolist())

    def _check(self, keys: IntArray, limit: int) -> None:
        assert not len(keys) or 0 <= keys.min() <= keys.max() < limit, "a policy looked at what has not arrived"


class Blocks(Trigger):
    """Decides every ``interval`` samples, by a score of the samples since the last trigger under the newest model."""

    name = "blocks"
    state_fields = ("num_seen", "first", "scores")

    def __init__(self, interval: int, threshold: float = 0.5) -> None:
        self.interval = interval
        self.threshold = threshold
        self.num_seen = 0
        self.first = 0
        self.scores: list[float] = []

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        missing = self.interval - self.num_seen % self.interval
        return DecisionPoint(missing) if missing <= len(arrivals) else None

    def consume(self, part: Arrivals) -> None:
        assert len(part), "an empty part was handed out"
        assert int(part.keys[0]) == self.num_seen, "samples were left out, or came twice"
        self.num_seen += len(part)

    def decide(self, view: View) -> Decision:
        score = view.score(self.first, self.num_seen)  # type: ignore[attr-defined]
        self.scores = [*self.scores, score][-3:]
        return Decision(score > self.threshold, score=score, threshold=self.threshold)

    def on_trigger(self, record: TriggerRecord) -> None:
        self.first = self.num_seen


def stream(timestamps: Iterable[int], *, late: int = 0) -> Arrivals:
    """Make a stream whose labels come so many samples late."""
    times = np.array(sorted(timestamps), dtype=np.int64)
    keys = np.arange(len(times))
    return Arrivals(keys, times, keys % 3, np.maximum(keys + 1 - late, 0))


def through_disk(state: object) -> object:
    """Pass a state through JSON and npy, as a run directory does."""
    if isinstance(state, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, state, allow_pickle=False)
        return np.load(io.BytesIO(buffer.getvalue()), allow_pickle=False)
    if isinstance(state, dict):
        return {name: through_disk(value) for name, value in state.items()}
    return json.loads(json.dumps(state))


@dataclass
class Driven:
    """What happened: every decision with its place, and where triggers fell."""

    decisions: list[tuple[object, ...]] = field(default_factory=list)
    triggers: list[tuple[int, int, int]] = field(default_factory=list)  # samples arrived, time, empty periods


def drive(
    make: Callable[[], Trigger], samples: Arrivals, cuts: Iterable[int] = (), restart_every: int | None = None
) -> Driven:
    """Drive a policy over a stream that is handed out in chunks; at every n-th step go on with a restored copy."""
    trigger, out = make(), Driven()
    arrived, since, since_labelled, empty, now, steps = 0, 0, 0, 0, 0, 0
    view = StubView(None, samples)
    last_place: tuple[int, int, int] | None = None
    bounds = sorted({0, len(samples), *(cut for cut in cuts if 0 < cut < len(samples))})
    for start, stop in pairwise(bounds):
        arrivals = samples.split(stop)[0].split(start)[1]
        while len(arrivals):
            before = through_disk(trigger.state_dict())
            point = trigger.next_decision(arrivals)
            assert trigger.next_decision(arrivals) == point
            np.testing.assert_equal(through_disk(trigger.state_dict()), before)
            part, arrivals = arrivals.split(len(arrivals) if point is None else point.position)
            if len(part):
                trigger.consume(part)
                arrived, now = arrived + len(part), int(part.timestamps[-1])
            if point is not None:
                place = (arrived, int(point.side), point.order[2])
                assert last_place is None or place > last_place, "a decision did not advance"
                last_place = place
                view.time = now if point.time is None else point.time
                view.num_arrived, view.num_labelled = arrived, int(samples.label_cursors[arrived - 1])
                decision = trigger.decide(view)
                out.decisions.append((*place, *_flat(decision)))
                empty += decision.num_empty_periods
                if decision.fired and arrived > since:
                    out.triggers.append((arrived, view.time, empty))
                    record = _record(len(out.triggers) - 1, view.time, arrived - since, view.num_labelled)
                    trigger.on_trigger(replace(record, num_labelled=view.num_labelled - since_labelled))
                    view = StubView(len(out.triggers) - 1, samples, view.time, arrived, view.num_labelled)
                    since, since_labelled, empty = arrived, view.num_labelled, 0
                elif decision.fired:
                    empty += 1
            steps += 1
            if restart_every and steps % restart_every == 0:
                state = through_disk(trigger.state_dict())
                trigger = make()
                trigger.load_state_dict(state)  # type: ignore[arg-type]
    return out


def _flat(decision: Decision) -> tuple[object, ...]:
    members = [(name, _flat(member)) for name, member in decision.members.items()]
    scores = (decision.score, decision.threshold)
    return (decision.fired, decision.warmup, *scores, decision.num_empty_periods, decision.forward_passes, *members)


def _record(index: int, at: int, num_arrived: int, labelled_until: int) -> TriggerRecord:
    model = ModelRecord(index, index, None, 0, at, at, num_arrived, 1, 1, num_arrived, num_arrived)
    return TriggerRecord(index, at, 0, at, num_arrived, num_arrived, num_arrived, 0, labelled_until, model)
