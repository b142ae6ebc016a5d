"""Tables as plain text."""

from __future__ import annotations

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


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = zip(row, widths, strict=False)
    return [cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(cells)]
