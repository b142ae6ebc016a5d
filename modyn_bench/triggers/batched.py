"""What policies share that decide at the end of blocks of samples: the grid of blocks, the warm-up, the first model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

from modyn_bench.errors import RequestError, check_part
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.types import Arrivals, Decision, DecisionPoint, TriggerRecord

Window: TypeAlias = Any
"""What a block of the warm-up is scored by, as its policy wants it back: plain values, since state holds it."""


class Batched(Trigger):
    """Decides at the end of every block of ``interval`` samples, on a fixed grid from the start of the stream.

    During the first ``warmup_intervals`` blocks the warm-up policy decides, at its own points, and this policy only
    gathers the scores that its decision rules are calibrated on. Without a warm-up policy nothing but the first block
    fires in the warm-up.

    Args:
        interval: Samples between decisions, at least 1.
        warmup_intervals: Blocks of warm-up.
        warmup_trigger: The policy in charge of the warm-up; ``None`` for none.
        first_block: What happens at the end of a block while there is nothing to decide on, as before the first model:
            ``fire``, as soon as a label has arrived, or ``hold``, until another policy has triggered.
        calibration: ``retrospective``: at the end of the warm-up, each of its windows is scored with the newest model;
            ``running``: each is scored when it is complete, with the model of that time.

    Raises:
        RequestError: If a value is out of range, or there is a warm-up policy without a warm-up.
    """

    state_fields: ClassVar[tuple[str, ...]] = (
        "next_key",
        "num_seen",
        "num_blocks",
        "first_trigger",
        "last_trigger",
        "warmup_windows",
        "warmup_trigger",
    )

    def __init__(
        self,
        *,
        interval: int = 1000,
        warmup_intervals: int = 0,
        warmup_trigger: Trigger | None = None,
        first_block: str = "fire",
        calibration: str = "retrospective",
    ) -> None:
        check_part("trigger.warmup_trigger", warmup_trigger, Trigger, "+trigger@trigger.warmup_trigger=time")
        if interval < 1:
            raise RequestError(f"trigger.interval={interval} must be at least 1")
        if warmup_intervals < 0:
            raise RequestError(f"trigger.warmup_intervals={warmup_intervals} must be at least 0")
        if warmup_trigger is not None and not warmup_intervals:
            raise RequestError(
                "trigger.warmup_intervals=0 leaves trigger.warmup_trigger nothing to do: give it blocks, or drop it"
            )
        if first_block not in ("fire", "hold"):
            raise RequestError(f"trigger.first_block={first_block!r} must be fire or hold")
        if calibration not in ("retrospective", "running"):
            raise RequestError(f"trigger.calibration={calibration!r} must be retrospective or running")
        self.interval = interval
        self.warmup_intervals = warmup_intervals
        self.warmup_trigger = warmup_trigger
        self.first_block = first_block
        self.calibration = calibration
        self.next_key = 0  # keys below this were consumed
        self.num_seen = 0
        self.num_blocks = 0  # whose end was decided on
        self.first_trigger: int | None = None  # keys below this had arrived at the first trigger
        self.last_trigger: int | None = None  # and at the last one
        self.warmup_windows: list[Window] = []  # that rules are still to be calibrated on
        self._due = (False, False)  # own, warm-up policy: a note of the last next_decision, made anew by every call

    @property
    def parts(self) -> Mapping[str, Trigger]:
        """The warm-up policy, if there is one."""
        return {} if self.warmup_trigger is None else {"trigger.warmup_trigger": self.warmup_trigger}

    @property
    def warming_up(self) -> bool:
        """Whether the warm-up still goes on."""
        return self.num_blocks < self.warmup_intervals

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        """Return the end of the block, or the warm-up policy's own point if that comes before."""
        missing = self.interval - self.num_seen % self.interval
        own = DecisionPoint(missing) if missing <= len(arrivals) else None
        inner = None
        if self.warming_up and self.warmup_trigger is not None:
            inner = self.warmup_trigger.next_decision(arrivals)
        earliest = min((point for point in (own, inner) if point is not None), key=_order, default=None)
        self._due = tuple(  # type: ignore[assignment]
            point is not None and earliest is not None and point.order == earliest.order for point in (own, inner)
        )
        return earliest

    def consume(self, part: Arrivals) -> None:
        """Count the samples."""
        if self.warming_up and self.warmup_trigger is not None:
            self.warmup_trigger.consume(part)
        self.num_seen += len(part)
        self.next_key = int(part.keys[-1]) + 1

    def decide(self, view: View) -> Decision:
        """Decide at the end of a block, or let the warm-up policy decide."""
        own, inner = self._due
        in_charge = Decision(False, warmup=True)
        if inner and self.warmup_trigger is not None:
            in_charge = replace(self.warmup_trigger.decide(view), warmup=True)
        if not own:
            return in_charge
        was_warming_up = self.warming_up
        self.num_blocks += 1
        if was_warming_up:
            return self._in_warmup(view, in_charge)
        if not self.ready(view):
            return self._without_anything(view)
        self._calibrate(view)
        return self.evaluate(view)

    def on_trigger(self, record: TriggerRecord) -> None:
        """Note where the trigger fell."""
        if self.warming_up and self.warmup_trigger is not None:
            self.warmup_trigger.on_trigger(record)
        if self.first_trigger is None:
            self.first_trigger = self.next_key
        self.last_trigger = self.next_key

    @abstractmethod
    def ready(self, view: View) -> bool:
        """Say whether there is what a score needs, such as a model."""

    @abstractmethod
    def evaluate(self, view: View) -> Decision:
        """Score the block and decide; ``ready`` holds."""

    @abstractmethod
    def observe(self, view: View) -> Decision:
        """Score a block of the warm-up, calibrate on the score, and return it without deciding; ``ready`` holds."""

    @abstractmethod
    def window(self, view: View) -> Window:
        """Return what a block of the warm-up is scored by."""

    @abstractmethod
    def calibrate(self, view: View, windows: Sequence[Window]) -> None:
        """Score the warm-up's windows with the newest model, and calibrate on the scores; ``ready`` holds."""

    def _in_warmup(self, view: View, in_charge: Decision) -> Decision:
        scored = in_charge
        if self.calibration == "running":
            if self.ready(view):
                observed = self.observe(view)
                scored = replace(observed, fired=in_charge.fired, warmup=True)
        else:
            self.warmup_windows = [*self.warmup_windows, self.window(view)]
            if not self.warming_up and self.ready(view):
                self._calibrate(view)
        if self.warmup_trigger is None and not self.ready(view):
            return self._without_anything(view)
        return replace(scored, num_empty_periods=in_charge.num_empty_periods)

    def _calibrate(self, view: View) -> None:
        """Calibrate on the warm-up's windows, once, as soon as it is over and there is what a score needs."""
        windows, self.warmup_windows = self.warmup_windows, []
        if windows:
            self.calibrate(view, windows)

    def _without_anything(self, view: View) -> Decision:
        return Decision(self.first_block == "fire" and view.num_labelled > view.first_key, warmup=True)


def _order(point: DecisionPoint) -> tuple[int, int, int]:
    return point.order
