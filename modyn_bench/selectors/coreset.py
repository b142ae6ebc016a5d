"""Choose before the model is asked, and among that again while it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from modyn_bench.errors import RequestError, check_part, placed
from modyn_bench.selectors.base import SelectionContext, Selector, second_models_of
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.selectors.presampling.schedule import Schedule
from modyn_bench.types import Arrivals, Selection, TriggerRecord


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
        _check_presampling(presampling)
        for place, part in _downsamplings(downsampling):
            _check_downsampling(place, part)
        self.presampling = presampling
        self.downsampling = downsampling

    @property
    def downsampler(self) -> Downsampler | None:
        """The downsampling whose turn it is, or what its warm-up trains with."""
        return self._active.warm_up if self.warming_up else self._active

    @property
    def _active(self) -> Downsampler:
        active = self.downsampling.active if isinstance(self.downsampling, Schedule) else self.downsampling
        assert isinstance(active, Downsampler)
        return active

    @property
    def _parts(self) -> dict[str, Selector]:
        return {"selector.presampling": self.presampling, "selector.downsampling": self.downsampling}

    @property
    def second_models(self) -> Mapping[str, Mapping[str, Any]]:
        """Those of both parts."""
        return second_models_of(self._parts)

    @property
    def needs_embeddings(self) -> bool:
        """Whether a part does."""
        return any(part.needs_embeddings for part in self._parts.values())

    def check_dataset(self, *, columns: Mapping[str, str]) -> None:
        """Check both parts."""
        for place, part in self._parts.items():
            with placed(place):
                part.check_dataset(columns=columns)

    def consume(self, part: Arrivals) -> None:
        """Let both parts take the samples."""
        super().consume(part)
        self.presampling.consume(part)
        self.downsampling.consume(part)

    def scope(self, context: SelectionContext) -> range:
        """Return the presampling's scope."""
        return self.presampling.scope(context)

    @property
    def oldest_key(self) -> int:
        """The presampling's."""
        return self.presampling.oldest_key

    def select(self, context: SelectionContext) -> Selection:
        """Return what the presampling selects, with what the downsampling must know of it."""
        if self.warming_up:
            return self.select_all(context)
        chosen = self.presampling.select(context)
        if not len(chosen):
            return chosen
        prepared = self._active.prepare(chosen.keys, context)
        kept = chosen.weights[np.searchsorted(chosen.keys, prepared.keys)]
        return replace(prepared, weights=prepared.weights * kept)

    def select_all(self, context: SelectionContext) -> Selection:
        """Return the presampling's whole scope, up to its limit."""
        return self.presampling.select_all(context)

    def on_trigger(self, record: TriggerRecord, selection: Selection) -> None:
        """Tell both parts, the presampling of what is held out as of what is trained on."""
        super().on_trigger(record, selection)
        self.presampling.on_trigger(record, _with_held_out(selection))
        self.downsampling.on_trigger(record, selection)


def _with_held_out(selection: Selection) -> Selection:
    """Return a selection whose keys are what it trains on and what it holds out; the latter has weight 1."""
    keys = np.concatenate([selection.keys, selection.held_out])
    weights = np.concatenate([selection.weights, np.ones(len(selection.held_out), dtype=np.float32)])
    order = np.argsort(keys, kind="stable")
    return Selection(keys[order], weights[order])


def _check_presampling(part: object, place: str = "selector.presampling") -> None:
    check_part(place, part, Selector, "selector@selector.presampling=uniform", needed=True)
    if isinstance(part, Downsampler | Coreset):
        raise RequestError(f"{place}={part.name} asks the model: choose it as selector.downsampling")
    if isinstance(part, Schedule):
        for name, policy in part.policies.items():
            _check_presampling(policy, f"{place}.policies.{name}")


def _downsamplings(part: object) -> Iterator[tuple[str, object]]:
    """Yield a downsampling, or those that a schedule names, with their keys."""
    if isinstance(part, Schedule):
        yield from ((f"selector.downsampling.policies.{name}", policy) for name, policy in part.policies.items())
    else:
        yield "selector.downsampling", part


def _check_downsampling(place: str, part: object) -> None:
    check_part(place, part, Selector, f"selector@{place}=loss", needed=True)
    if not isinstance(part, Downsampler):
        name = getattr(part, "name", "")
        raise RequestError(f"{place}={name} does not ask the model: choose it as selector.presampling")
    for key, default in (("history", 0), ("limit", None), ("limit_by", "newest"), ("warmup_triggers", 0)):
        if getattr(part, key) != default:
            right = "selector" if key == "warmup_triggers" else "selector.presampling"
            raise RequestError(f"{place}.{key}={getattr(part, key)} has no effect: set {right}.{key}")
