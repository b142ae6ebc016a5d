"""Tables as plain text, and the order of names."""

from __future__ import annotations

import re
from collections.abc import Sequence


def lay_out(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the columns of a table: the first to the left, the others to the right.

    Args:
        rows: Cells; rows may be of different lengths.

    Example:
        >>> lay_out([("triggers", "27"), ("seconds", "3.5")])
        ['triggers   27', 'seconds   3.5']
    """
    num_columns = max(map(len, rows))
    widths = [max(len(row[place]) for row in rows if place < len(row)) for place in range(num_columns)]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def by_number(name: str) -> list[str | float]:
    """Return a key that sorts names which differ in numbers alone by these, and all others by their letters.

    Example:
        >>> sorted(["every=10d", "every=9d", "after=1d"], key=by_number)
        ['after=1d', 'every=9d', 'every=10d']
    """
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", name)
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = zip(row, widths, strict=False)
    return [cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(cells)]
