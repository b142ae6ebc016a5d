"""Choose before the model is asked, and among that again while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from modyn_bench.errors import RequestError, check_part, relocate
from modyn_bench.selectors.base import SelectionContext, Selector
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.selectors.presampling.schedule import Schedule
from modyn_bench.types import Selection, TriggerRecord

_PRESAMPLING = "selector.presampling"
_DOWNSAMPLING = "selector.downsampling"


class Coreset(Selector):
    """Select by a presampling policy, whose selection a downsampling policy chooses among while the model is trained.

    History and limit are those of the presampling. The downsampling may be a schedule of downsamplings, whose turns
    count all trainings, those of the warm-up included.

    Args:
        presampling: Selects the trigger training set, and its weights.
        downsampling: Chooses among it.
        warmup_triggers: How many trainings at the start take the whole scope of the presampling, up to its limit, and
            train on all of it.

    Raises:
        RequestError: If a part is of the wrong kind, or the downsampling has a scope of its own.

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference trains second models during a warm-up that does not use them.
    """

    name = "coreset"
    state_fields = (*Selector.state_fields, "presampling", "downsampling")

    def __init__(self, presampling: Selector, downsampling: Selector, *, warmup_triggers: int = 0) -> None:
        super().__init__(warmup_triggers=warmup_triggers)
        _check_presampling(_PRESAMPLING, presampling)
        _check_downsampling(_DOWNSAMPLING, downsampling)
        self.presampling = presampling
        self.downsampling = downsampling

    @property
    def parts(self) -> Mapping[str, Selector]:
        """Presampling and downsampling."""
        return {_PRESAMPLING: self.presampling, _DOWNSAMPLING: self.downsampling}

    @property
    def downsampler(self) -> Downsampler | None:
        """The downsampling whose turn it is, or what its warm-up trains with."""
        return self._active.warm_up if self.warming_up else self._active

    @property
    def _active(self) -> Downsampler:
        active = self.downsampling.active if isinstance(self.downsampling, Schedule) else self.downsampling
        assert isinstance(active, Downsampler)
        return active

    def scope(self, context: SelectionContext) -> range:
        """Return the presampling's scope."""
        return self.presampling.scope(context.inside(_PRESAMPLING))

    def select(self, context: SelectionContext) -> Selection:
        """Return what the presampling selects, with what the downsampling must know of it."""
        if self.warming_up:
            return self.select_all(context)
        chosen = self.presampling.select(context.inside(_PRESAMPLING))
        if not len(chosen):
            return chosen
        inside = context.inside(_DOWNSAMPLING)
        if isinstance(self.downsampling, Schedule):
            inside = self.downsampling.context_of_active(inside)
        prepared = self._active.prepare(chosen.keys, inside)
        kept = chosen.weights[np.searchsorted(chosen.keys, prepared.keys)]
        return replace(prepared, weights=prepared.weights * kept)

    def select_all(self, context: SelectionContext) -> Selection:
        """Return the presampling's whole scope, up to its limit."""
        return self.presampling.select_all(context.inside(_PRESAMPLING))

    def on_trigger(self, record: TriggerRecord, selection: Selection) -> None:
        """Tell both parts, the presampling of what is held out as of what is trained on."""
        self.move_on(record)
        self.presampling.on_trigger(record, _with_held_out(selection))
        self.downsampling.on_trigger(record, selection)


def _with_held_out(selection: Selection) -> Selection:
    """Return a selection whose keys are what it trains on and what it holds out; the latter has weight 1."""
    keys = np.concatenate([selection.keys, selection.held_out])
    weights = np.concatenate([selection.weights, np.ones(len(selection.held_out), dtype=np.float32)])
    order = np.argsort(keys, kind="stable")
    return Selection(keys[order], weights[order])


def _check_presampling(place: str, part: object) -> None:
    check_part(place, part, Selector, f"selector@{place}=uniform", needed=True)
    assert isinstance(part, Selector)
    if isinstance(part, Downsampler | Coreset):
        raise RequestError(f"{place}={part.name} asks the model: choose it as {_DOWNSAMPLING}")
    for inner, policy in part.parts.items():
        _check_presampling(relocate(inner, place), policy)


def _check_downsampling(place: str, part: object, *, in_turns: bool = False) -> None:
    """Check a downsampling, or those of a schedule, which take no turns of their own."""
    check_part(place, part, Selector, f"selector@{place}=loss", needed=True)
    if isinstance(part, Schedule) and not in_turns:
        for inner, policy in part.parts.items():
            _check_downsampling(relocate(inner, place), policy, in_turns=True)
        return
    assert isinstance(part, Selector)
    if part.parts:
        raise RequestError(f"{place}={part.name} is made of other policies: choose one, as in selector@{place}=loss")
    if not isinstance(part, Downsampler):
        raise RequestError(f"{place}={part.name} does not ask the model: choose it as {_PRESAMPLING}")
    for key, default in (("history", 0), ("limit", None), ("limit_by", "newest"), ("warmup_triggers", 0)):
        if getattr(part, key) != default:
            right = "selector" if key == "warmup_triggers" else _PRESAMPLING
            raise RequestError(f"{place}.{key}={getattr(part, key)} has no effect: set {right}.{key}")
