"""Tables of a report: on the page, as CSV and for LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.page.section import Table
from modyn_bench.analysis.text import latex

if TYPE_CHECKING:
    import pandas as pd


def filed(
    cells: Sequence[Sequence[str]],
    stem: Path,
    *,
    note: str,
    title: str = "",
    frame: pd.DataFrame | None = None,
) -> Table:
    """Write a table as CSV and for LaTeX, and return it for the page, which links both.

    Args:
        cells: Header and rows, as text.
        stem: The files, without their suffix.
        note: What it shows.
        title: Its heading.
        frame: What the CSV has, with all digits; default: the cells.
    """
    import pandas as pd

    header, *rows = [list(row) for row in cells]
    files = [stem.with_name(f"{stem.name}.{kind}") for kind in ("csv", "tex")]
    (pd.DataFrame(rows, columns=header) if frame is None else frame).to_csv(files[0], index=False)
    files[1].write_text(f"{latex(cells)}\n", encoding="utf-8")
    return Table(header, rows, title=title, note=note, files=files)
