"""Observers that end a process's work in the middle, as an interrupt does."""

from __future__ import annotations

from collections.abc import Sequence

from modyn_bench.observer import Observer
from modyn_bench.types import DecisionRecord, TriggerRecord


class _Stops(Observer):
    """Interrupts at the n-th occasion."""

    def __init__(self, occasion: int) -> None:
        self._left = occasion

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


class StopsAtDecision(_Stops):
    """At the n-th decision, before anything of it is on disk."""

    def on_decisions(self, records: Sequence[DecisionRecord]) -> None:
        self._count()


class StopsInTraining(_Stops):
    """In the middle of a training, at the n-th report of samples."""

    def on_samples(self, num_samples: int) -> None:
        self._count()


class StopsAfterTrigger(_Stops):
    """When the n-th trigger is committed."""

    def on_trigger(self, record: TriggerRecord) -> None:
        self._count()
