"""Drives selectors through plans of arrivals, labels and triggers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from modyn_bench.bookkeeping import check_selection
from modyn_bench.runs.files import npz_bytes
from modyn_bench.runs.state_files import decode_states, encode_states
from modyn_bench.seeding import derive
from modyn_bench.selectors.base import SecondModel, SelectionContext, Selector
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Turn
from modyn_bench.selectors.new_data import NewData
from modyn_bench.types import Arrivals, FloatArray, IntArray, ModelRecord, Selection, State, TriggerRecord


class Halving(Downsampler):
    """Chooses the first samples in order; every second key is taken into account at all, and its column is its key."""

    name = "halving"
    needs = ()

    def prepare(self, keys: IntArray, context: SelectionContext) -> Selection:
        kept = keys[keys % 2 == 0] if (keys % 2 == 0).any() else keys
        weights = np.full(len(kept), 0.5, dtype=np.float32)
        return Selection(kept, weights, {"key": kept.astype(np.float32)})

    def choose(self, description, labels, budget, turn: Turn) -> Choice:
        import torch

        return Choice(torch.arange(budget))


class Judged(NewData):
    """All data in scope, and a second model that is trained on it and says nothing; it has but one name for it."""

    name = "judged"

    def select(self, context: SelectionContext) -> Selection:
        selection = super().select(context)
        if len(selection):
            context.train("judge", selection)
        return selection


def context(num_labelled: int, seed: int = 0) -> SelectionContext:
    return SelectionContext(
        trigger_index=0,
        num_labelled=num_labelled,
        generator=derive(seed, "selection", num_labelled),
        labels=lambda keys: keys * keys % 5 % 3,
        timestamps=lambda keys: keys // 2 * 7,
        seed=seed,
        column=lambda name, keys: np.where(keys % 4, keys % 4, np.nan).astype(np.float32),
        train=second_model,
    )


class Second:
    """Stands in for a second model; its losses say what it was trained on."""

    def __init__(self, selection: Selection) -> None:
        self.sum = int(selection.keys.sum())

    def losses(self, keys: IntArray) -> FloatArray:
        return keys * 1.0 + self.sum


def second_model(name: str, selection: Selection, **options: object) -> SecondModel:
    assert len(selection)
    return Second(selection)


def record(labelled_until: int, *, trained: bool) -> TriggerRecord:
    model = ModelRecord(0, 0, None, 0, 0, 0, 1, 1, 1, 1.0, 1.0) if trained else None
    return TriggerRecord(0, 0, 0, 0, 1, 1, 1, 0, labelled_until, model)


def arrivals(start: int, stop: int) -> Arrivals:
    keys = np.arange(start, stop)
    return Arrivals(keys, keys, keys)


def saved(selector: Selector) -> tuple[str, bytes]:
    """Return a selector's state as a run keeps it."""
    encoded, arrays = encode_states({"selector": selector.state_dict()})
    return json.dumps(encoded), npz_bytes(arrays)


def read(files: tuple[str, bytes]) -> State:
    """Return the state that was saved."""
    encoded, arrays = files
    with np.load(io.BytesIO(arrays)) as archive:
        return decode_states(json.loads(encoded), dict(archive))["selector"]


Steps = list[tuple[int, int, bool]]
steps = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=6)


def run(
    selector: Selector,
    plan: Steps,
    first: int = 0,
    *,
    restart: Callable[[], Selector] | None = None,
    chunk: int | None = None,
    seed: int = 0,
) -> list[Selection]:
    """Replay a plan of (samples arriving, labels outstanding, whether the trigger trains).

    Args:
        selector: The policy.
        plan: The steps.
        first: Key of the first sample.
        restart: Makes a policy anew, which takes over the state after every trigger.
        chunk: Samples handed over at once; all that arrive before the next trigger by default.
        seed: The run's seed.
    """
    arrived, labelled, oldest, selections = first, first, first, []
    for count, outstanding, trained in plan:
        for start in range(arrived, arrived + count, chunk or count):
            selector.consume(arrivals(start, min(start + (chunk or count), arrived + count)))
        arrived += count
        labelled = max(labelled, arrived - outstanding)
        before = saved(selector)
        selections.append(selector.select(context(labelled, seed)))
        assert saved(selector) == before, "select changes no state"
        check_selection(selections[-1], selector, first, labelled)
        assert selector.oldest_key >= oldest, "what is forgotten is never selected again"
        oldest = selector.oldest_key
        assert (selections[-1].keys >= oldest).all()
        selector.on_trigger(record(labelled, trained=trained and len(selections[-1]) > 0), selections[-1])
        if restart is not None:
            other = restart()
            other.load_state_dict(read(saved(selector)))
            selector = other
    return selections
