"""Blocks, warm-up and calibration, on streams whose answer is known by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from driving import drive, stream

from modyn_bench.errors import RequestError
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.triggers.batched import Batched, Window
from modyn_bench.triggers.drift import Drift
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.time import Time
from modyn_bench.types import Arrivals, Decision


class Counted(Batched):
    """Scores a block by its last key, fires above 20, and notes what it was calibrated on."""

    name = "counted"
    state_fields = (*Batched.state_fields, "calibrated")

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.calibrated: list[float] = []

    def ready(self, view: View) -> bool:
        return view.model_id is not None

    def evaluate(self, view: View) -> Decision:
        score = float(view.num_arrived - 1)
        return Decision(score > 20, score=score, threshold=20.0)

    def observe(self, view: View) -> Decision:
        self.calibrated = [*self.calibrated, float(view.num_arrived - 1)]
        return Decision(False, score=self.calibrated[-1])

    def window(self, view: View) -> Window:
        return [view.num_arrived - self.interval, view.num_arrived]

    def calibrate(self, view: View, windows: Sequence[Window]) -> None:
        self.calibrated = [*self.calibrated, *(float(end - 1) for _, end in windows)]


def fired(trigger: Trigger, samples: Arrivals) -> list[int]:
    """Samples that had arrived at each trigger."""
    return [arrived for arrived, _, _ in drive(lambda: trigger, samples).triggers]


def test_the_first_block_fires_and_later_ones_are_scored() -> None:
    assert fired(Counted(interval=5), stream(range(33))) == [5, 25, 30]


def test_held_it_waits_for_another_policy() -> None:
    assert fired(Counted(interval=5, first_block="hold"), stream(range(33))) == []
    both = Ensemble({"c": Counted(interval=5, first_block="hold"), "a": Amount(12)}, rule="any")
    assert fired(both, stream(range(33))) == [12, 24, 25, 30]


def test_the_warmup_policy_fires_at_its_exact_sample_until_the_last_block_is_over() -> None:
    trigger = Counted(interval=5, warmup_intervals=3, warmup_trigger=Amount(4))
    assert fired(trigger, stream(range(33))) == [4, 8, 12, 25, 30]


def test_a_warmup_policy_that_decides_where_the_last_block_ends_is_asked() -> None:
    trigger = Counted(interval=5, warmup_intervals=2, warmup_trigger=Amount(5))
    assert fired(trigger, stream(range(18))) == [5, 10]


def test_what_decides_before_the_next_sample_comes_too_late_for_the_warmup() -> None:
    """The period ends before second 10, whose sample is the eleventh: the warm-up was over with the tenth."""
    before = Counted(interval=5, warmup_intervals=2, warmup_trigger=Time("10s"))
    within = Counted(interval=6, warmup_intervals=2, warmup_trigger=Time("10s"))
    assert fired(before, stream(range(18))) == [15]  # no model yet, so the first block after the warm-up fires
    assert fired(within, stream(range(18))) == [10]


def test_without_a_warmup_policy_only_the_first_block_of_the_warmup_fires() -> None:
    assert fired(Counted(interval=5, warmup_intervals=6), stream(range(33))) == [5]


@pytest.mark.parametrize("calibration", ["retrospective", "running"])
def test_every_block_of_the_warmup_is_calibrated_on(calibration: str) -> None:
    trigger = Counted(interval=5, warmup_intervals=3, warmup_trigger=Amount(4), calibration=calibration)
    fired(trigger, stream(range(33)))
    assert trigger.calibrated == [4.0, 9.0, 14.0]


def test_running_calibration_begins_with_the_first_model_and_retrospective_waits_for_one() -> None:
    options = {"interval": 5, "warmup_intervals": 3, "warmup_trigger": Amount(12)}
    running = Counted(**options, calibration="running")
    fired(running, stream(range(33)))
    assert running.calibrated == [14.0]
    late = Counted(interval=5, warmup_intervals=1, warmup_trigger=Amount(30))
    assert fired(late, stream(range(33))) == [10, 25, 30]  # the block after the warm-up makes the first model
    assert late.calibrated == [4.0]


def test_decisions_of_the_warmup_are_marked() -> None:
    driven = drive(lambda: Counted(interval=5, warmup_intervals=2, warmup_trigger=Amount(4)), stream(range(20)))
    assert [(place[0], place[4]) for place in driven.decisions] == [
        (4, True),
        (5, True),
        (8, True),
        (10, True),
        (15, False),
        (20, False),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": 0}, r"trigger\.interval=0 must be at least 1"),
        ({"warmup_intervals": -1}, r"trigger\.warmup_intervals=-1"),
        (
            {"warmup_trigger": Amount(3), "warmup_intervals": 0},
            r"trigger\.warmup_intervals=0 leaves trigger\.warmup_trigger nothing to do",
        ),
        ({"first_block": "maybe"}, r"trigger\.first_block='maybe' must be fire or hold"),
        ({"calibration": "never"}, r"trigger\.calibration='never'"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Drift(**options)  # type: ignore[arg-type]
