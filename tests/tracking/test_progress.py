"""What the progress display shows, and how seldom."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from observed import FIRED, drive
from rich.console import Console

from modyn_bench.observer import RunStart
from modyn_bench.timespan import format_time
from modyn_bench.tracking.progress import Progress
from modyn_bench.types import TriggerRecord

DAY = 86_400


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def display(*, terminal: bool) -> tuple[Progress, Clock, io.StringIO]:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None)
    return Progress(console, clock=clock), clock, stream


def start(num_samples: int = 1_000, num_resumed: int = 0, committed: tuple[TriggerRecord, ...] = ()) -> RunStart:
    return RunStart("run", Path("run"), {}, num_samples, 0, 99 * DAY, num_resumed, committed)


def record(index: int, fired_at: int = 0) -> TriggerRecord:
    return TriggerRecord(index, fired_at, None, None, 100, 100, 100, 0, 100, None)


def test_plain_lines_come_at_most_every_ten_seconds() -> None:
    progress, clock, stream = display(terminal=False)
    progress.on_start(start())
    for step in range(1, 1_001):
        clock.now += 0.025
        progress.on_arrivals(step * DAY // 20, step)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Replaying 1,000 samples, 1970-01-01 to 1970-04-10"
    assert len(lines) == 1 + 2  # 25 seconds
    assert lines[1].split()[:2] == ["1970-01-21", "40%"]
    assert "40 samples/s" in lines[1]


def test_the_live_display_is_redrawn_at_most_four_times_a_second() -> None:
    progress, clock, stream = display(terminal=True)
    progress.on_start(start())
    before = stream.getvalue().count("\r")
    for _ in range(1_000):
        clock.now += 0.01
        progress.on_samples(1)
    assert 30 <= stream.getvalue().count("\r") - before <= 41
    progress.on_close("finished")


def test_it_names_time_triggers_stage_and_speed() -> None:
    progress, clock, stream = display(terminal=True)
    progress.on_start(start())
    progress.on_arrivals(9 * DAY, 500)
    progress.on_trigger(record(0))
    progress.on_stage("train", 1, 300)
    clock.now += 2
    progress.on_samples(300)
    shown = stream.getvalue().splitlines()[-1]
    for part in ("1970-01-10", "50%", "1 trigger ", "train", "150 samples/s"):
        assert part in shown
    progress.on_close("finished")


def test_the_time_left_follows_from_what_was_committed() -> None:
    progress, clock, _ = display(terminal=False)
    progress.on_start(start(num_samples=1_000, num_resumed=200, committed=(record(0),)))
    assert progress.seconds_left is None
    clock.now += 10
    progress.on_arrivals(DAY, 400)
    progress.on_trigger(record(1))
    assert progress.seconds_left == pytest.approx(600 * 10 / 200)
    clock.now += 12
    assert progress.seconds_left == pytest.approx(18)
    clock.now += 1_000
    assert progress.seconds_left == 0


def test_a_resumed_run_says_so() -> None:
    progress, _, stream = display(terminal=False)
    progress.on_start(start(committed=(record(0), record(1))))
    assert stream.getvalue().strip().endswith("resumed after 2 triggers")


def test_it_says_what_a_duration_without_a_unit_means() -> None:
    time = {"_target_": "modyn_bench.triggers.time.Time", "every": 1, "calendar": None}
    members = {"a": time, "b": {**time, "every": "1y"}, "c": {**time, "calendar": "month"}}
    for trigger, key in ((time, "trigger.every"), ({"members": members}, "trigger.members.a.every")):
        progress, _, stream = display(terminal=False)
        config = {"trigger": trigger, "replay": {"label_delay": 86_400, "activation_delay": 0}}
        progress.on_start(dataclasses.replace(start(), config=config))
        assert stream.getvalue().splitlines()[1:] == [
            "replay.label_delay=86400 means 86,400 seconds: it has no unit of s, m, h, d, w or y",
            f"{key}=1 means 1 second: it has no unit of s, m, h, d, w or y",
        ]


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_it_says_how_far_a_run_came_that_did_not_finish(tmp_path: Path, status: str) -> None:
    progress, _, stream = display(terminal=False)
    drive(tmp_path, [progress], stop_before=2, status=status)  # type: ignore[arg-type]
    time = format_time(int(FIRED.fired_at.iloc[2]))
    assert stream.getvalue().splitlines()[-1] == f"{status.capitalize()} at stream time {time}, after 2 triggers"


def test_a_whole_run_ends_with_done_and_gives_the_terminal_back(tmp_path: Path) -> None:
    progress, _, stream = display(terminal=True)
    drive(tmp_path, [progress])
    assert "4 triggers  done in 0:00:00" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_closing_before_the_start_says_nothing() -> None:
    progress, _, stream = display(terminal=True)
    progress.on_close("failed")
    assert stream.getvalue() == ""
