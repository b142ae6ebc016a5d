"""A report as one HTML file that needs nothing beside it: the figures are in it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
th { border-bottom: 2px solid #888; white-space: normal; vertical-align: bottom; }
img { max-width: 100%; } figure { margin: 1.5rem 0; } figcaption, .note { color: #555; font-size: 13px; }
""".strip()


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        text: What stands under it.
        statements: Sentences that follow, in a list.
        header: The table's column names.
        rows: The table's cells, as text.
        figures: Paths of PNG files, and their captions.
    """

    title: str
    text: str = ""
    statements: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figures: Sequence[tuple[Path, str]] = field(default=())


def render(title: str, sections: Sequence[Section], *, notes: Sequence[str] = ()) -> str:
    """Return a page with a table and figures per section, and notes at its end."""
    body = [f"<h1>{escape(title)}</h1>", *(line for section in sections for line in _section(section))]
    if notes:
        body += ["<h2>Notes</h2>", "<ul>", *(f"<li class='note'>{escape(note)}</li>" for note in notes), "</ul>"]
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>\n{_STYLE}\n</style>"
    return "\n".join(["<!DOCTYPE html>", f"<html lang='en'><head>{head}</head><body>", *body, "</body></html>", ""])


def _section(section: Section) -> list[str]:
    lines = [f"<h2>{escape(section.title)}</h2>"]
    if section.text:
        lines.append(f"<p>{escape(section.text)}</p>")
    if section.statements:
        lines += ["<ul>", *(f"<li>{escape(statement)}</li>" for statement in section.statements), "</ul>"]
    if section.rows:
        lines += ["<table>", _row(section.header, "th"), *(_row(row, "td") for row in section.rows), "</table>"]
    for path, caption in section.figures:
        data = base64.b64encode(path.read_bytes()).decode()
        lines.append(
            f"<figure><img alt='{escape(caption)}' src='data:image/png;base64,{data}'>"
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    return lines


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
