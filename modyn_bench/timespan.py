"""Durations, points in time and the grids they span. All times are int64 UTC seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from modyn_bench.errors import RequestError

SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_DURATION = re.compile(r"(\d+)\s*([smhdwy])")

Calendar = Literal["month", "year"]


def parse_duration(text: str | int, key: str = "duration") -> int:
    """Parse a duration such as ``26w`` to seconds. Units: s m h d w, and y = 365 days.

    Args:
        text: A number directly followed by a unit, or a whole number of seconds.
        key: The configuration key, named in the error.

    Raises:
        RequestError: If the text is no positive duration.

    Example:
        >>> parse_duration("26w"), parse_duration("1y"), parse_duration(90)
        (15724800, 31536000, 90)
    """
    if isinstance(text, int) and not isinstance(text, bool):
        seconds = text
    else:
        match = _DURATION.fullmatch(str(text).strip())
        if match is None:
            raise RequestError(
                f"{key}={text!r} is not a duration: write a whole number and a unit of s, m, h, d, w or y, such as 26w"
            )
        seconds = int(match[1]) * SECONDS_PER_UNIT[match[2]]
    if seconds <= 0:
        raise RequestError(f"{key}={text!r} must be longer than 0 seconds")
    return seconds


def parse_offset(text: str | int | float, key: str = "offset") -> float:
    """Parse a signed duration to seconds: ``-1y``, ``0``, ``26w``, or ``-inf`` and ``inf``.

    Raises:
        RequestError: If it is none.

    Example:
        >>> parse_offset("-1d"), parse_offset(0), parse_offset("inf")
        (-86400, 0, inf)
    """
    sign = str(text).strip()[:1] == "-"
    size = str(text).strip()[1:] if sign else str(text).strip()
    if size in ("0", "0.0"):
        return 0
    if size in ("inf", ".inf"):
        return float("-inf" if sign else "inf")
    seconds = parse_duration(int(size) if size.isdecimal() else size, key)
    return -seconds if sign else seconds


def parse_time(value: str | int | datetime, key: str = "time") -> int:
    """Parse a point in time to UTC seconds: an ISO date or datetime (naive means UTC), or seconds as an integer.

    Eight digits that are a date from 19000101 to 21001231 are one, as ISO writes it too, with quotes or without.

    Raises:
        RequestError: If it is neither.

    Example:
        >>> parse_time("1970-01-02"), parse_time("1970-01-01T00:00:10+00:00"), parse_time(5), parse_time(19700102)
        (86400, 10, 5, 86400)
    """
    try:
        if not isinstance(value, bool) and re.fullmatch(r"[+-]?\d+", str(value)) and not _is_date(str(value)):
            return int(str(value))
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise RequestError(
            f"{key}={value!r} is not a point in time: write an ISO date such as 2019-12-31 or UTC seconds"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _is_date(digits: str) -> bool:
    if not "19000101" <= digits <= "21001231" or len(digits) != 8:
        return False
    try:
        datetime.fromisoformat(digits)
    except ValueError:
        return False
    return True


def format_time(timestamp: int, *, seconds: bool = False) -> str:
    """Format UTC seconds as an ISO date, or as date and time.

    Example:
        >>> format_time(86400), format_time(86400, seconds=True)
        ('1970-01-02', '1970-01-02 00:00:00')
    """
    moment = np.datetime64(int(timestamp), "s").item()
    return f"{moment:%Y-%m-%d %H:%M:%S}" if seconds else f"{moment:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Grid:
    """Lines in time: ``origin + i * step`` for whole i, or the first instant of every calendar month or year (UTC).

    Period i is the half-open interval [line i, line i + 1): a sample exactly on a line belongs to the period it opens.

    Args:
        origin: One of the lines, in UTC seconds; ignored for calendar grids.
        step: Seconds between lines; ignored for calendar grids.
        calendar: ``month`` or ``year`` for calendar lines.

    Example:
        >>> grid = Grid(origin=0, step=10)
        >>> grid.period(9), grid.period(10), grid.line(2)
        (0, 1, 20)
        >>> Grid(calendar="month").line(Grid(calendar="month").period(86400 * 40))  # 1 February 1970
        2678400
    """

    origin: int = 0
    step: int = 1
    calendar: Calendar | None = None

    def period(self, timestamp: int) -> int:
        """Return the index of the period that holds a timestamp."""
        if self.calendar is None:
            return (int(timestamp) - self.origin) // self.step
        unit: Literal["M", "Y"] = "M" if self.calendar == "month" else "Y"
        return int(np.datetime64(int(timestamp), "s").astype(f"datetime64[{unit}]").astype(np.int64))

    def line(self, index: int) -> int:
        """Return the time of a line in UTC seconds."""
        if self.calendar is None:
            return self.origin + index * self.step
        unit: Literal["M", "Y"] = "M" if self.calendar == "month" else "Y"
        return int(np.datetime64(int(index), unit).astype("datetime64[s]").astype(np.int64))
