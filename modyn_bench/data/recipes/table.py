"""A table of one's own: CSV, TSV, Parquet or JSON lines, with no code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modyn_bench.data.recipes.columnar import TextOrFeaturesRecipe
from modyn_bench.data.recipes.files import FilesRecipe


@dataclass(kw_only=True)
class TableRecipe(FilesRecipe, TextOrFeaturesRecipe):
    r"""Files of rows whose inputs are a text, or numbers and categories.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> lines = ["ts,x,y", *(f"2020-01-{day:02},{day},{day % 2}" for day in range(1, 29))]
        >>> _ = (folder / "days.csv").write_text("\n".join(lines))
        >>> store = TableRecipe(path=str(folder / "days.csv"), timestamp="ts", label="y").prepare(folder)
        >>> store.name, store.schema.classes, sum(map(len, store.splits.values()))
        ('days', ('0', '1'), 28)
    """

    version: ClassVar[int] = 2
