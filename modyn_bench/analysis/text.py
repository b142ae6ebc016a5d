"""Tables as plain text, and the order of names."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ESCAPES = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}


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


def latex(rows: Sequence[Sequence[str]]) -> str:
    r"""Write a table for LaTeX, in the style of booktabs: the first row is the header, the first column left-aligned.

    Args:
        rows: Cells as plain text, all rows of one length.

    Example:
        >>> print(latex([("policy", "accuracy"), ("every_1y", "0.20 ± 0.01")]))
        \begin{tabular}{lr}
        \toprule
        policy & accuracy \\
        \midrule
        every\_1y & 0.20 $\pm$ 0.01 \\
        \bottomrule
        \end{tabular}
    """
    header, *body = [" & ".join(_for_latex(cell) for cell in row) + r" \\" for row in rows]
    columns = "l" + "r" * (len(rows[0]) - 1)
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        header,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def _for_latex(cell: str) -> str:
    """Escape what LaTeX would read as its own."""
    return "".join(_ESCAPES.get(letter, letter) for letter in cell)


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
