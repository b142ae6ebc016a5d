"""Named sets of windows over the test split.

A window is a half-open interval [start, end) of the test split with an anchor time, at which it is asked which model
is in service. Times are int64 UTC seconds. Shapes: n test samples, W windows of a set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np

from modyn_bench.config import EvaluationConfig, WindowsConfig
from modyn_bench.errors import DataError, RequestError
from modyn_bench.timespan import Calendar, Grid, format_time, parse_duration, parse_offset, parse_time
from modyn_bench.types import IntArray, ModelRecord, TriggerRecord

AUTO_MIN_WINDOWS = 40
AUTO_LADDER = ("1s", "5s", "15s", "1m", "5m", "15m", "1h", "6h", "1d", "1w", "4w", "13w", "26w", "1y")
MAX_WINDOWS = 100_000
"""More windows than this in one set are taken for a mistake in a unit."""


@dataclass(frozen=True)
class WindowSet:
    """The windows of one named set, in time order (static: as configured; offset: by model, then as configured).

    Attributes:
        name: The set's name.
        kind: ``sliced``, ``sliding``, ``static``, ``between_triggers`` or ``offset``.
        ids: Window ids, shape (W,): 0, 1, … and, for offset windows, model id × number of offsets + position of the
            offset, so that a window left out for lying outside the test split does not shift the others.
        starts: Shape (W,).
        ends: Exclusive, shape (W,).
        anchors: Shape (W,).
        bounds: Positions [lo, hi) of the window's samples in the test split, shape (W, 2).
        model_ids: For offset windows the one model that each window belongs to, shape (W,); else ``None``.
    """

    name: str
    kind: str
    ids: IntArray
    starts: IntArray
    ends: IntArray
    anchors: IntArray
    bounds: IntArray
    model_ids: IntArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_samples(self) -> IntArray:
        """Test samples in each window, shape (W,)."""
        return self.bounds[:, 1] - self.bounds[:, 0]

    def of_model(self, model_id: int) -> IntArray:
        """Return the positions of the windows that a model is evaluated in."""
        return np.arange(len(self)) if self.model_ids is None else np.flatnonzero(self.model_ids == model_id)


@dataclass(frozen=True)
class _Span:
    """What a set of windows is cut from.

    Attributes:
        at: The set's key, for messages.
        options: Its configuration.
        first: Time of the first test sample.
        last: Time of the last one.
    """

    at: str
    options: WindowsConfig
    first: int
    last: int

    @property
    def start(self) -> int:
        """The configured start, by default the first test sample."""
        return self.first if self.options.start is None else parse_time(self.options.start, f"{self.at}.start")

    @property
    def stop(self) -> int:
        """No window starts here or later: the configured end, at the latest just after the last test sample."""
        end = self.last + 1
        return end if self.options.end is None else min(end, parse_time(self.options.end, f"{self.at}.end"))

    @property
    def is_clipped(self) -> bool:
        """Whether the configured end leaves test samples out."""
        return self.stop <= self.last

    @property
    def is_outside(self) -> bool:
        """Whether no test sample lies between the configured start and end."""
        return self.start > self.last or self.stop <= self.first


_Intervals = list[tuple[int, int]]


def build_window_sets(
    config: EvaluationConfig, test_timestamps: IntArray, triggers: Sequence[TriggerRecord]
) -> list[WindowSet]:
    """Cut the test split into the configured sets of windows, ordered by name.

    Of windows laid out by a rule, those that lie outside the test split's span are left out; one within it that holds
    no sample stays. Static windows stay as they are configured.

    Args:
        config: The evaluation's configuration.
        test_timestamps: Of the test split, non-decreasing, shape (n,).
        triggers: All triggers of the run, in order; only windows between triggers and offset windows depend on them,
            and only on those that trained.

    Raises:
        RequestError: If a set lies outside the test split or has too many windows.
        DataError: If the test split is empty.
    """
    if not len(test_timestamps):
        raise DataError(
            f"the {config.split} split holds no sample, so there is nothing to evaluate on: "
            "raise dataset.test_fraction, or name another evaluation.split"
        )
    models = [trigger.model for trigger in triggers if trigger.model is not None]
    fired = [trigger.fired_at for trigger in triggers if trigger.model is not None]
    return [
        _build(name, config.windows[name], test_timestamps, models=models, fired=fired)
        for name in sorted(config.windows)
    ]


def auto_duration(first: int, last: int, *, least: int = AUTO_MIN_WINDOWS) -> str:
    """Return the longest duration of a ladder of which at least 40 consecutive windows cover a span of time.

    Args:
        first: Time of the first sample.
        last: Time of the last sample.
        least: The number of windows, in place of 40.

    Example:
        >>> day = 86_400
        >>> auto_duration(0, 27 * 365 * day), auto_duration(0, 41 * day), auto_duration(0, 0)
        ('26w', '1d', '1s')
    """
    fitting = (step for step in reversed(AUTO_LADDER) if (last - first) // parse_duration(step) + 1 >= least)
    return next(fitting, AUTO_LADDER[0])


def _build(
    name: str, options: WindowsConfig, timestamps: IntArray, *, models: Sequence[ModelRecord], fired: Sequence[int]
) -> WindowSet:
    span = _Span(f"evaluation.windows.{name}", options, int(timestamps[0]), int(timestamps[-1]))
    ids: Sequence[int]
    owners: list[int] | None = None
    if options.kind == "offset":
        rows = _offset(span, models)
        ids, owners = [row[0] for row in rows], [row[1] for row in rows]
        intervals = [(row[2], row[3]) for row in rows]
    else:
        if options.kind == "static":
            intervals = _static(span)
        elif span.is_outside:
            intervals = []
        elif options.kind == "between_triggers":
            intervals = _between_triggers(span, fired)
        else:
            intervals = _sliced(span) if options.kind == "sliced" else _sliding(span)
        if not intervals:
            raise RequestError(
                f"{span.at} has no window within the {format_time(span.first, seconds=True)} to "
                f"{format_time(span.last, seconds=True)} of the test split: change its start or end"
            )
        ids = range(len(intervals))
    edges = np.array(intervals, dtype=np.int64).reshape(-1, 2)
    starts, ends = edges[:, 0].copy(), edges[:, 1].copy()
    centered = (options.anchor or ("center" if options.kind == "sliding" else "start")) == "center"
    return WindowSet(
        name=name,
        kind=options.kind,
        ids=np.array(ids, dtype=np.int64),
        starts=starts,
        ends=ends,
        anchors=starts + (ends - starts) // 2 if centered else starts,
        bounds=np.searchsorted(timestamps, edges, side="left").astype(np.int64).reshape(-1, 2),
        model_ids=None if owners is None else np.array(owners, dtype=np.int64),
    )


def _grid(span: _Span) -> Grid:
    options = span.options
    if options.calendar is not None:
        return Grid(calendar=cast("Calendar", options.calendar))
    every = options.every
    if every == "auto":
        every = auto_duration(max(span.start, span.first), span.stop - 1)
    return Grid(origin=span.start, step=parse_duration(every, f"{span.at}.every"))


def _lines(span: _Span, grid: Grid, first: int, last: int) -> list[int]:
    """Return the lines with the indices first..last."""
    count = last - first + 1
    if count > MAX_WINDOWS:
        raise RequestError(
            f"{span.at} makes {count:,} windows, more than {MAX_WINDOWS:,}: give it a longer every, or a later start "
            "and an earlier end"
        )
    return [grid.line(index) for index in range(first, last + 1)]


def _sliced(span: _Span) -> _Intervals:
    """Consecutive whole periods, from the one that holds the start, or the first sample if that is later."""
    grid = _grid(span)
    first, last = grid.period(max(span.start, span.first)), grid.period(span.stop - 1)
    lines = [*_lines(span, grid, first, last), grid.line(last + 1)]
    return list(pairwise(lines))


def _sliding(span: _Span) -> _Intervals:
    """Windows around lines from the start on that lie before the stop, and a last one where a sample is left over.

    A radius below half of ``every`` leaves gaps between windows.
    """
    grid = _grid(span)
    radius = parse_duration(span.options.radius, f"{span.at}.radius")
    first = max(grid.period(span.start), grid.period(span.first - radius) + 1)
    centers = _lines(span, grid, first, grid.period(span.stop - 1))
    if not span.is_clipped:
        beyond = grid.line(first + len(centers))
        covered = bool(centers) and centers[-1] + radius > span.last
        if not covered and beyond - radius <= span.last:
            centers.append(beyond)
    return [(center - radius, center + radius) for center in centers]


def _static(span: _Span) -> _Intervals:
    """The configured intervals; an open start is the first sample, an open end just after the last one."""
    intervals = []
    for start, end in span.options.intervals or ():
        low = span.first if start is None else parse_time(start, f"{span.at}.intervals")
        high = span.last + 1 if end is None else parse_time(end, f"{span.at}.intervals")
        if high <= low:
            raise RequestError(
                f"{span.at}.intervals: [{start}, {end}] has an open side, but lies outside the test split, which spans "
                f"{format_time(span.first, seconds=True)} to {format_time(span.last, seconds=True)}"
            )
        intervals.append((low, high))
    return intervals


def _between_triggers(span: _Span, fired: Sequence[int]) -> _Intervals:
    """From just after one trigger that trained up to and including the next; before the first; after the last.

    A sample at the very second of a trigger belongs to the window that the trigger ends, as it does in training. So the
    windows cover every test sample once, and a trigger's model is in service at the start of the window after it. The
    window that holds the configured end is cut off there: what ends it, a later trigger or the end of the test split,
    says nothing about the part of the stream that was asked for.

    Deviation:
        The reference leaves out the samples at the last second of each window, and those between the last sample of one
        trigger and the first of the next.
    """
    edges = [time + 1 for time in sorted(set(fired)) if time + 1 > span.start]
    lines = [span.start, *edges]
    if lines[-1] <= span.last:
        lines.append(span.last + 1)
    inside = [(low, high) for low, high in pairwise(lines) if low < span.stop and high > span.first]
    return [(low, min(high, span.stop)) for low, high in inside] if span.is_clipped else inside


def _offset(span: _Span, models: Sequence[ModelRecord]) -> list[tuple[int, int, int, int]]:
    """Windows relative to the closed time range of each model's data: (window id, model id, start, end).

    A negative offset is that much time before the range, a positive one that much after it, 0 the range itself, and
    infinities reach to the ends of the test split. A model without new data has none.
    """
    offsets = [parse_offset(offset, f"{span.at}.offsets") for offset in span.options.offsets or ()]
    rows = []
    for model in models:
        if model.data_first_timestamp is None or model.data_last_timestamp is None:
            continue
        begin, after = model.data_first_timestamp, model.data_last_timestamp + 1
        for position, offset in enumerate(offsets):
            if offset < 0:
                low, high = (span.first if math.isinf(offset) else begin + int(offset)), begin
            elif offset > 0:
                low, high = after, (span.last + 1 if math.isinf(offset) else after + int(offset))
            else:
                low, high = begin, after
            if low < span.stop and high > max(span.first, span.start):
                rows.append((model.model_id * len(offsets) + position, model.model_id, low, high))
    return rows
