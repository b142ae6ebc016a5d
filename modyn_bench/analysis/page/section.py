"""What a report's page is made of: whoever has something to show hands over a section, and no HTML.

A section may have sentences, tables, charts and links to files; what is empty is left out. Texts are plain, and escaped
where they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Figure = dict[str, Any]
"""A chart as plotly takes it: ``data`` and ``layout``, of plain lists, numbers and texts."""


@dataclass(frozen=True)
class Choice:
    """One of the figures that a chart can show.

    Attributes:
        name: What it is called where there are several.
        figure: What plotly draws.
        files: The same as files, for papers.
    """

    name: str
    figure: Figure
    files: Sequence[Path] = ()


@dataclass(frozen=True)
class Chart:
    """A chart with its caption.

    Attributes:
        title: Its heading.
        caption: What it shows, and how it is to be read.
        choices: The figures, of which one is shown; the first to begin with.
        choose: What the choices are, such as ``Pipeline``.
    """

    title: str
    caption: str
    choices: Sequence[Choice]
    choose: str = ""


@dataclass(frozen=True)
class Table:
    """A table that sorts by any of its columns.

    Attributes:
        header: The columns' names.
        rows: The cells, as text.
        title: Its heading, if it needs one.
        note: What it shows.
        files: The same as files.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    files: Sequence[Path] = ()


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        lead: What is said before all else, such as a verdict.
        text: What stands under it.
        statements: Sentences that follow, in a list.
        tables: Tables, below the sentences.
        charts: Charts, below the tables.
        files: Files that belong to all of it.
    """

    title: str
    lead: str = ""
    text: str = ""
    statements: Sequence[str] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    files: Sequence[Path] = ()

    @property
    def all_files(self) -> list[Path]:
        """The files of the section, its tables and its charts."""
        of_tables = [path for table in self.tables for path in table.files]
        of_charts = [path for chart in self.charts for choice in chart.choices for path in choice.files]
        return [*self.files, *of_tables, *of_charts]
