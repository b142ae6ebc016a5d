"""The page as one HTML file that needs nothing beside it: no network, no folder, no other script or style.

Its own scripts are named by their hashes in a content security policy, so that nothing else runs, whatever names and
notes contain. The data of charts stands in blocks that no browser executes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from modyn_bench.analysis.page.section import Chart, Choice, Section, Table

_NO_SCRIPT = "The charts need JavaScript. Without it, the same figures are files in figures/."
_KINDS = {".png": "PNG", ".pdf": "PDF", ".csv": "CSV", ".tex": "LaTeX"}


def render(title: str, sections: Sequence[Section], *, folder: Path, notes: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        title: Its heading.
        sections: In the order in which they are shown.
        folder: Where the page will lie; links to files are relative to it.
        notes: What stands at the end.
    """
    from plotly.offline import get_plotlyjs

    scripts = [get_plotlyjs(), _resource("page.js")]
    body = [f"<h1>{escape(title)}</h1>", *(_contents(sections, notes) if len(sections) > 2 else ())]
    for number, section in enumerate(sections):
        body += _section(section, number, folder)
    if notes:
        items = (f"<li>{escape(note)}</li>" for note in notes)
        body += ["<section id='notes' class='notes'><h2>Notes</h2>", "<ul>", *items, "</ul></section>"]
    body += [f"<script>{script}</script>" for script in scripts]
    head = [
        "<meta charset='utf-8'>",
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">',
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title>",
        f"<style>\n{_resource('page.css')}</style>",
    ]
    page = ["<!DOCTYPE html>", "<html lang='en'><head>", *head, "</head><body><main>", *body, "</main></body></html>"]
    return "\n".join([*page, ""])


def _resource(name: str) -> str:
    return files("modyn_bench.analysis.page").joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """Return a content security policy that lets these scripts run, and nothing be loaded."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _contents(sections: Sequence[Section], notes: Sequence[str]) -> list[str]:
    items = [f"<li><a href='#s{number}'>{escape(each.title)}</a></li>" for number, each in enumerate(sections)]
    items += ["<li><a href='#notes'>Notes</a></li>"] if notes else []
    return ["<nav aria-label='Contents'><ul>", *items, "</ul></nav>"]


def _section(section: Section, number: int, folder: Path) -> Iterator[str]:
    yield f"<section id='s{number}'><h2>{escape(section.title)}</h2>"
    if section.lead:
        yield f"<p class='lead'>{escape(section.lead)}</p>"
    if section.text:
        yield f"<p>{escape(section.text)}</p>"
    if section.statements:
        yield from ("<ul>", *(f"<li>{escape(statement)}</li>" for statement in section.statements), "</ul>")
    for table in section.tables:
        yield from _table(table, folder)
    for place, chart in enumerate(section.charts):
        yield from _chart(chart, f"s{number}c{place}", folder)
    if section.files:
        yield f"<p class='files'>Files: {_links(section.files, folder, names=True)}</p>"
    yield "</section>"


def _table(table: Table, folder: Path) -> Iterator[str]:
    if table.title:
        yield f"<h3>{escape(table.title)}</h3>"
    label = escape(table.title or "Table")
    yield f"<div class='scroll' tabindex='0' role='region' aria-label='{label}'><table class='sortable'><thead><tr>"
    for name in table.header:
        yield f"<th scope='col' aria-sort='none'><button type='button'>{_breakable(name)}</button></th>"
    yield "</tr></thead><tbody>"
    for first, *cells in table.rows:
        others = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        yield f"<tr><th scope='row'>{_breakable(first)}</th>{others}</tr>"
    yield "</tbody></table></div>"
    if table.note or table.files:
        yield f"<p class='note'>{escape(table.note)} <span class='files'>{_links(table.files, folder)}</span></p>"


def _breakable(name: str) -> str:
    """Escape a name, and let it break where its parts end."""
    return re.sub(r"([._=/]|, )(?=\w)", r"\1<wbr>", escape(name))


def _chart(chart: Chart, name: str, folder: Path) -> Iterator[str]:
    title, caption = escape(chart.title), escape(chart.caption)
    height = int(chart.choices[0].figure["layout"]["height"])
    yield f"<figure class='chart' id='{name}'><h3>{title}</h3>"
    if len(chart.choices) > 1:
        options = "".join(f"<option>{escape(choice.name)}</option>" for choice in chart.choices)
        yield f"<label class='choose'>{escape(chart.choose)} <select autocomplete='off'>{options}</select></label>"
    yield f"<div class='plot' role='group' aria-label='{title}' style='min-height: {height}px'></div>"
    yield f"<noscript><p>{_NO_SCRIPT}</p></noscript>"
    yield f"<div class='legend' role='group' aria-label='{title}: what is shown'></div>"
    yield f"<figcaption>{caption} {''.join(_files(chart.choices, folder))}</figcaption>"
    yield f"<script type='application/json'>{_json(chart.choices)}</script></figure>"


def _files(choices: Sequence[Choice], folder: Path) -> Iterator[str]:
    for place, choice in enumerate(choices):
        hidden = " hidden" * (place > 0)
        yield f"<span class='files'{hidden}>{_links(choice.files, folder)}</span>"


def _links(paths: Sequence[Path], folder: Path, *, names: bool = False) -> str:
    return " ".join(
        f"<a href='{escape(path.relative_to(folder).as_posix())}'>"
        f"{escape(path.name if names else _KINDS.get(path.suffix, path.suffix))}</a>"
        for path in paths
    )


def _json(choices: Sequence[Choice]) -> str:
    """Write figures so that nothing in them ends the block that they stand in."""
    text = json.dumps([choice.figure for choice in choices], separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")
