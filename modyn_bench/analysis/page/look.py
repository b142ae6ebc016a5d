"""The look of the page's charts: colours, dashes and marks of the figures for papers, by plotly's names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import Any

from modyn_bench.analysis import style
from modyn_bench.analysis.page.section import Figure

FONT_SIZE = 12
INK = "#222222"
GRID = "#D9D9D9"

DASHES = ("solid", "dash", "dot", "dashdot", "longdashdot", "longdash")
"""In the order of ``style.LINE_STYLES``."""

SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "<": "triangle-left",
    ">": "triangle-right",
    "h": "hexagon",
}
"""Of ``style.MARKERS``."""


def line(place: int) -> dict[str, Any]:
    """Return the line of a place among the series."""
    return {"color": style.look(place).color, "dash": DASHES[place % len(DASHES)], "width": 2}


def marker(place: int, *, size: int = 6, hollow: bool = False) -> dict[str, Any]:
    """Return the mark of a place among the series."""
    look = style.look(place)
    return {
        "symbol": SYMBOLS[look.marker],
        "size": size,
        "color": "white" if hollow else look.color,
        "line": {"color": look.color, "width": 1.5},
    }


def band_color(place: int) -> str:
    """Return the colour of a band around the line of a place, which shows what is behind it."""
    red, green, blue = (int(style.look(place).color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def text(name: object) -> str:
    """Write a name so that plotly, which reads some HTML, shows it as it is.

    Example:
        >>> text("a<b")
        'a&lt;b'
    """
    return escape(str(name), quote=False)


def named(name: object) -> dict[str, Any]:
    """Return what a trace is called: in hover texts, in the legend (as it is), and with what it is shown and hidden."""
    return {"name": text(name), "meta": str(name), "legendgroup": text(name)}


def rounded(values: Iterable[float], digits: int = 4) -> list[float | int | None]:
    """Round to significant digits, whole numbers without a point, and write what is undefined as null.

    Example:
        >>> rounded([0.123456, float("nan"), 1234567.0, 2.0])
        [0.1235, None, 1235000, 2]
    """
    return [_rounded(float(value), digits) for value in values]


def _rounded(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() else short


def milliseconds(days: Iterable[float]) -> list[int]:
    """Turn days since 1970 into what plotly counts dates in.

    Example:
        >>> milliseconds([0.5])
        [43200000]
    """
    return [round(day * 86_400_000) for day in days]


def axis(title: str, **more: Any) -> dict[str, Any]:  # whatever plotly's axes take
    """Return an axis with a title."""
    lines = {"gridcolor": GRID, "linecolor": "#888888", "showline": True, "zeroline": False, "ticks": "outside"}
    return {"title": {"text": title}, "automargin": True, **lines, **more}


def amounts(title: str, most: float, **more: Any) -> dict[str, Any]:  # whatever plotly's axes take
    """Return an axis of amounts: thousands and more in short, as ``20k``; below, as they are, and not as ``500m``.

    Args:
        title: Of the axis.
        most: The largest amount on it.
        more: What else plotly's axes take.
    """
    return axis(title, nticks=6, tickformat="~s" if most >= 1000 else "~g", **more)


def figure(data: list[dict[str, Any]], *, height: int, **layout: Any) -> Figure:  # plotly's
    """Return a figure in the page's look.

    Args:
        data: Its traces.
        height: In pixels; the width is the page's.
        layout: What else plotly's layout takes.
    """
    common = {
        "height": height,
        "font": {"family": "system-ui, sans-serif", "size": FONT_SIZE, "color": INK},
        "margin": {"l": 56, "r": 16, "t": 34, "b": 48},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"color": INK, "size": FONT_SIZE}, "namelength": 0},
        "showlegend": False,  # the page has its own, which keyboards reach
    }
    return {"data": data, "layout": common | layout}
