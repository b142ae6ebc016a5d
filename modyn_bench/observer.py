"""What the pipeline tells those who watch it: progress displays and experiment trackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modyn_bench.types import DecisionRecord, TriggerRecord

Status = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is known when a run starts or resumes.

    Attributes:
        run_id: The run's id.
        path: The run's directory.
        config: The resolved configuration.
        num_samples: Samples to be replayed.
        first_time: Time of the first sample to be replayed, in UTC seconds.
        last_time: Time of the last one.
        num_resumed: Samples that the committed triggers have already replayed.
        committed: Triggers that an earlier attempt committed, in order.
    """

    run_id: str
    path: Path
    config: Mapping[str, Any]
    num_samples: int
    first_time: int
    last_time: int
    num_resumed: int = 0
    committed: Sequence[TriggerRecord] = ()


class Observer:
    """Watches a pipeline from outside. Every method does nothing here; override what is of interest."""

    def on_start(self, start: RunStart) -> None:
        """A run starts, or resumes after the committed triggers."""

    def on_arrivals(self, time: int, num_arrived: int) -> None:
        """The stream moved on to a time (UTC seconds); so many samples have arrived since its start."""

    def on_decisions(self, records: Sequence[DecisionRecord]) -> None:
        """A policy decided; an ensemble's members stand behind it."""

    def on_stage(self, stage: str, trigger_index: int, num_samples: int) -> None:
        """A stage begins, which will handle about so many samples (0: unknown)."""

    def on_samples(self, num_samples: int) -> None:
        """The present stage handled another so many samples."""

    def on_trigger(self, record: TriggerRecord) -> None:
        """A trigger was committed."""

    def on_finish(self, path: Path) -> None:
        """The run is complete and its tables are written."""

    def on_close(self, status: Status) -> None:
        """The run ended, one way or another; release what you hold. Called exactly once."""
