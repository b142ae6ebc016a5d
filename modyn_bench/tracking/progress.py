"""Live progress in a terminal; a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modyn_bench.analysis.statistics.results import counted
from modyn_bench.observer import Observer, RunStart, Status
from modyn_bench.timespan import format_time
from modyn_bench.types import DecisionRecord, TriggerRecord

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as LiveProgress
    from rich.progress import TaskID

_LIVE_INTERVAL = 0.25  # seconds between refreshes of the live display
_PLAIN_INTERVAL = 10.0  # seconds between lines where stdout is no terminal


class Progress(Observer):
    """Shows stream time, triggers so far, the present stage, its speed, and when the replay will have ended.

    The display is redrawn from the callbacks, at most four times a second: a thread of its own would fight with the
    gathers for the interpreter lock.

    Args:
        console: Where to show it; default: stdout.
        clock: Seconds that only grow.
    """

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        self._console = Console() if console is None else console
        self._clock = clock
        self._live: LiveProgress | None = None
        self._task: TaskID | None = None
        self._interval = _LIVE_INTERVAL if self._console.is_terminal else _PLAIN_INTERVAL
        self._started = self._shown = clock()
        self._run: RunStart | None = None
        self._time = 0  # stream time
        self._num_arrived = 0
        self._num_triggers = 0
        self._num_done = 0  # samples that arrived by the last commit of this attempt
        self._done_at = self._started
        self._stage = "replay"
        self._stage_started = self._started
        self._stage_samples = 0

    def on_start(self, start: RunStart) -> None:
        """Say what is replayed, and open the live display where there is a terminal."""
        self._run = start
        self._started = self._done_at = self._stage_started = self._shown = self._clock()
        self._num_arrived = self._num_done = start.num_resumed
        self._num_triggers = len(start.committed)
        self._time = start.committed[-1].fired_at if start.committed else start.first_time
        span = f"{format_time(start.first_time)} to {format_time(start.last_time)}"
        resumed = f", resumed after {counted(len(start.committed), 'trigger')}" if start.committed else ""
        self._print(f"Replaying {start.num_samples:,} samples, {span}{resumed}")
        for key, value in _without_unit(start.config):
            unit = "second" if value == 1 else "seconds"
            self._print(f"{key}={value} means {value:,} {unit}: it has no unit of s, m, h, d, w or y")
        if self._console.is_terminal:
            self._open()

    def on_arrivals(self, time: int, num_arrived: int) -> None:
        """Move on in the stream."""
        if self._stage == "replay":
            self._stage_samples += num_arrived - self._num_arrived
        self._time, self._num_arrived = time, num_arrived
        self._show()

    def on_decisions(self, records: Sequence[DecisionRecord]) -> None:
        """Redraw, if it is time."""
        self._show()

    def on_stage(self, stage: str, trigger_index: int, num_samples: int) -> None:
        """Name the stage, and measure its speed from here."""
        self._begin(stage)
        self._show()

    def on_samples(self, num_samples: int) -> None:
        """Count the samples of the present stage."""
        self._stage_samples += num_samples
        self._show()

    def on_trigger(self, record: TriggerRecord) -> None:
        """Count the trigger; the time left is estimated from what has been committed."""
        self._num_triggers += 1
        self._num_done, self._done_at = self._num_arrived, self._clock()
        self._begin("replay")
        self._show()

    def on_finish(self, path: Path) -> None:
        """Show that all is done."""
        self._begin("done")
        self._show(now=True)

    def on_close(self, status: Status) -> None:
        """Take the live display down, and say how it ended."""
        live, self._live = self._live, None
        if live is not None:
            live.refresh()
            live.stop()
        if self._run is not None and status != "finished":
            self._print(f"{status.capitalize()} at stream time {format_time(self._time)}, after {self._triggers()}")

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end of the replay, from the commits of this attempt; ``None`` before the first."""
        assert self._run is not None
        done = self._num_done - self._run.num_resumed
        if done <= 0:
            return None
        per_sample = (self._done_at - self._started) / done
        return max(0.0, (self._run.num_samples - self._num_done) * per_sample - (self._clock() - self._done_at))

    @property
    def samples_per_second(self) -> float | None:
        """Speed of the present stage; ``None`` before it handled anything."""
        seconds = self._clock() - self._stage_started
        return self._stage_samples / seconds if self._stage_samples and seconds > 0 else None

    def _begin(self, stage: str) -> None:
        self._stage, self._stage_started, self._stage_samples = stage, self._clock(), 0

    def _open(self) -> None:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as LiveProgress

        assert self._run is not None
        columns = (
            TextColumn("{task.fields[date]}", style="bold"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self._live = LiveProgress(*columns, console=self._console, auto_refresh=False)
        self._task = self._live.add_task("", total=self._run.num_samples, date=format_time(self._time), text="")
        self._live.start()
        self._show(now=True)

    def _show(self, *, now: bool = False) -> None:
        """Redraw, or write a line, unless that was done a moment ago."""
        at = self._clock()
        if self._run is None or (at - self._shown < self._interval and not now):
            return
        self._shown = at
        if self._live is not None and self._task is not None:
            self._live.update(
                self._task, completed=self._num_arrived, date=format_time(self._time), text=self._text(), refresh=True
            )
        elif not self._console.is_terminal:
            share = self._num_arrived / max(1, self._run.num_samples)
            self._print(f"{format_time(self._time)} {share:4.0%}  {self._text()}")

    def _text(self) -> str:
        parts = [self._triggers(), f"{self._stage:<7}"]
        if self._stage == "done":
            seconds = round(self._clock() - self._started)
            return f"{self._triggers()}  done in {timedelta(seconds=seconds)}"
        speed = self.samples_per_second
        parts.append("" if speed is None else f"{speed:,.0f} samples/s")
        left = self.seconds_left
        parts.append("ETA -:--:--" if left is None else f"ETA {timedelta(seconds=round(left))}")
        return "  ".join(part for part in parts if part)

    def _triggers(self) -> str:
        return f"{self._num_triggers} trigger{'' if self._num_triggers == 1 else 's'}"

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _without_unit(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The durations of a configuration that are given in bare seconds, which may have been meant otherwise."""
    replay = config.get("replay") or {}
    durations = {f"replay.{name}": replay.get(name) for name in ("label_delay", "activation_delay")}
    durations |= dict(_periods("trigger", config.get("trigger")))
    for key, value in durations.items():
        if isinstance(value, int) and not isinstance(value, bool) and value:
            yield key, value


def _periods(key: str, node: object) -> Iterator[tuple[str, object]]:
    """The periods of a time trigger, and of those within an ensemble."""
    if not isinstance(node, Mapping):
        return
    if node.get("_target_") == "modyn_bench.triggers.time.Time" and node.get("calendar") is None:
        yield f"{key}.every", node.get("every")
    for name, inner in node.items():
        yield from _periods(f"{key}.{name}", inner)
