"""One look for every figure: paper column widths, colour-blind safe, and readable when printed in grey.

Colours are told apart by lightness and always come with a second mark (line style, marker, hatch). Figures are made
without pyplot, so that drawing leaves no global state behind and needs no display.
"""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np
from matplotlib import rc_context, rcParams
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation, blended_transform_factory
from numpy.typing import ArrayLike

from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Column = Literal["single", "double"]

WIDTHS: dict[str, float] = {"single": 3.35, "double": 7.0}
"""Of one column and of both columns of a two-column paper, in inches."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#8C6D1F")
"""For series: Okabe and Ito's palette, yellow replaced by a brown that shows on white."""

LINE_STYLES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
)
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "oo", "++++")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
COLORMAP = "viridis"
UNDEFINED_COLOR = "#D9D9D9"

STAGE_COLORS = {
    "replay": "#CC79A7",
    "decide": "#000000",
    "select": "#E69F00",
    "score": "#D55E00",
    "train": "#0072B2",
    "predict": "#56B4E9",
    "commit": "#F0E442",
}
STAGE_HATCHES = {
    "replay": "....",
    "decide": "",
    "select": "////",
    "score": "xxxx",
    "train": "",
    "predict": "",
    "commit": "\\\\\\\\",
}

VARIANT_NAMES = {"currently_active": "currently active", "currently_trained": "currently trained"}

BAND = "Band: ± one standard deviation over n runs"
"""What the band around a mean over seeds is."""

_PAPER: Any = {  # matplotlib types the keys one by one
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#D9D9D9",
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "patch.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "modyn_bench",
}

_CHARACTER = 0.58  # mean width of a character, in font sizes
_HANDLE = 5.6  # width of a legend's handle with the space around it, in font sizes
_LINE = 1.35  # height of a line, in font sizes

_P = ParamSpec("_P")
_R = TypeVar("_R")


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a drawing function so that it draws in the paper style and leaves matplotlib's settings alone."""

    @functools.wraps(draw)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with rc_context(_PAPER):
            return draw(*args, **kwargs)

    return inside


@styled
def new_axes(column: Column = "single", height: float = 2.2) -> Axes:
    """Make the axes of a new figure.

    Args:
        column: Whether the figure is as wide as one column of a two-column paper or as both.
        height: In inches.

    Raises:
        RequestError: If the column is neither.
    """
    return new_figure(column, height).add_subplot()


def new_figure(column: Column, height: float) -> Figure:
    """Make a figure without axes, with the arguments of ``new_axes``."""
    return Figure(figsize=(width_of(column), height), layout="constrained")


def width_of(column: Column) -> float:
    """Return the width of a column in inches.

    Raises:
        RequestError: If it is neither ``single`` nor ``double``.
    """
    if column not in WIDTHS:
        raise RequestError(f"column={column!r} must be one of {', '.join(WIDTHS)}")
    return WIDTHS[column]


def is_narrow(ax: Axes) -> bool:
    """Whether the figure has the width of one column, and so room for fewer ticks."""
    return figure_of(ax).get_figwidth() < 0.5 * (WIDTHS["single"] + WIDTHS["double"])


def figure_of(ax: Axes) -> Figure:
    """Return the figure that holds the axes."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


@dataclass(frozen=True)
class Look:
    """How one series is drawn: told apart by colour, and without it by line and marker."""

    color: str
    line: Any
    marker: str


def look(place: int) -> Look:
    """Return the look of a place among the series; the first 120 differ.

    Example:
        >>> look(0)
        Look(color='#0072B2', line='-', marker='o')
    """
    return Look(COLORS[place % len(COLORS)], LINE_STYLES[place % len(LINE_STYLES)], MARKERS[place % len(MARKERS)])


def legend_below(
    ax: Axes,
    *,
    grow: bool,
    note: str = "",
    handles: Mapping[str, Artist] | None = None,
    from_edge: bool = False,
) -> None:
    """Put the legend under the axes, in as many columns as its names leave room for; long names are wrapped.

    Args:
        ax: The axes, labelled.
        grow: Make the figure higher by the height of the legend, so that the axes keep theirs.
        note: What marks and bands are, over the names.
        handles: By name; default: what the axes hold.
        from_edge: Begin at the figure's left edge, where names of rows take much of its width.
    """
    figure = figure_of(ax)
    named = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True)) if handles is None else handles
    labels = list(named)
    if not labels:
        return
    size = float(rcParams["legend.fontsize"])
    width = (figure.get_figwidth() - 0.6) * 72 / size  # right of the axis label, in font sizes
    most = {columns: int((width / columns - _HANDLE) / _CHARACTER) for columns in (4, 3, 2, 1)}
    columns = next((n for n, length in most.items() if max(map(len, labels)) <= length), 1)
    names = wrapped(labels, max(most[columns], 12))
    title = "\n".join(wrapped([note] if note else [], int(width / _CHARACTER)))
    if grow:
        rows = [names[first::columns] for first in range(columns)]  # legends fill columns, evenly
        lines = max(sum(label.count("\n") + _LINE for label in column) for column in rows)
        lines += (title.count("\n") + 1) * bool(title)
        figure.set_figheight(figure.get_figheight() + (lines * _LINE + 1) * size / 72)
    lines_of_ticks = max((text.get_text().count("\n") for text in ax.get_xticklabels()), default=0)
    points = 30 + 9 * lines_of_ticks + 10 * ax.get_xlabel().count("\n")
    below = ScaledTranslation(0, -points / 72, figure.dpi_scale_trans)  # under the axis label
    ax.legend(
        list(named.values()),
        names,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=(blended_transform_factory(figure.transFigure, ax.transAxes) if from_edge else ax.transAxes)
        + below,
        ncols=columns,
        borderaxespad=0,
        title=title or None,
        title_fontsize=size,
        alignment="left",
    )


def wrapped(names: Iterable[object], width: int = 30) -> list[str]:
    r"""Wrap names, but not within ``(n = 3)``; words that are too long are broken after ``_``, ``=``, ``.`` or ``/``.

    Example:
        >>> wrapped(["time / uniform ratio=0.25", "start_from=scratch"], width=15)
        ['time / uniform\nratio=0.25', 'start_from=\nscratch']
    """
    glued = (re.sub(r"\((\w+) = (\S+)\)", "(\\1\u00a0=\u00a0\\2)", str(name)) for name in names)
    broken = (" ".join(part for word in name.split(" ") for part in _broken(word, width)) for name in glued)
    return [textwrap.fill(name, width).replace("\u00a0", " ") for name in broken]


def _broken(word: str, width: int) -> list[str]:
    """Break a word into parts of at most a width, each as long as can be, so that no two of them fit into a line."""
    parts = [""]
    for piece in re.findall(r"[^_=./]*[_=./]?", word):
        if len(parts[-1]) + len(piece) <= width:
            parts[-1] += piece
        else:
            parts.append(piece)
    return [part for part in parts if part] or [word]


def text_width(num_characters: int, *, size: float) -> float:
    """Return about how wide a text is, in inches."""
    return num_characters * _CHARACTER * size / 72


def row_names(names: Iterable[object], width: float, *, share: float = 0.34) -> list[str]:
    r"""Wrap the names of rows so that they take no more than a share of a figure's width, in inches.

    Example:
        >>> row_names(["time / uniform ratio=0.25"], width=3.35)
        ['time / uniform\nratio=0.25']
    """
    return wrapped(names, int(share * width / text_width(1, size=7)))


def row_heights(names: Iterable[str]) -> FloatArray:
    """Return the height that each name needs with the space around it, in inches."""
    return np.array([0.07 + 0.12 * (name.count("\n") + 1) for name in names])


def width_around(ax: Axes) -> float:
    """Return the width of the figure that holds the axes, in inches."""
    return float(figure_of(ax).get_figwidth())


def dates(timestamps: ArrayLike) -> FloatArray:
    """Convert UTC seconds to what matplotlib counts dates in: days since 1970.

    Example:
        >>> dates([0, 43_200]).tolist()
        [0.0, 0.5]
    """
    return np.asarray(timestamps, dtype=np.float64) / 86_400


def whole_unit(seconds: float) -> tuple[int, str]:
    """Return the longest unit that a span holds at least two of, in seconds, and what several of it are called.

    Example:
        >>> whole_unit(3 * 365 * 86_400), whole_unit(86_400)
        ((31536000, 'years'), (3600, 'hours'))
    """
    units = ((365 * 86_400, "years"), (86_400, "days"), (3600, "hours"), (60, "minutes"))
    return next((unit for unit in units if seconds >= 2 * unit[0]), (1, "seconds"))


def span_text(seconds: int) -> str:
    """Write a span of time in the longest unit that divides it.

    Example:
        >>> span_text(26 * 604_800), span_text(365 * 86_400)
        ('26 weeks', 'year')
    """
    units = ((365 * 86_400, "year"), (604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
    size, name = next(unit for unit in units if seconds % unit[0] == 0)
    return name if seconds == size else f"{seconds // size} {name}s"


def date_axis(ax: Axes, *, label: str = "Stream time") -> None:
    """Let the horizontal axis show dates, as many as there is room for."""
    locator = AutoDateLocator(minticks=3, maxticks=6 if is_narrow(ax) else 9)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.set_xlabel(label, loc="left" if is_narrow(ax) else "center")  # at the right stands what all dates share


def date_texts(timestamps: ArrayLike, numbers: ArrayLike | None = None, *, narrow: bool = False) -> list[str]:
    r"""Format UTC seconds as dates, as short as their spacing allows and as long as tells them apart.

    Args:
        timestamps: In order.
        numbers: What tells equal times apart, such as the indices of triggers; default: their positions.
        narrow: Write the time of day over the date, and the date only where it changes, for ticks side by side.

    Example:
        >>> date_texts([0, 365 * 86_400]), date_texts([0, 86_400])
        (['1970-01', '1971-01'], ['1970-01-01', '1970-01-02'])
        >>> date_texts([0, 5_400]), date_texts([0, 5_400, 90_000], narrow=True)
        (['1970-01-01 00:00', '1970-01-01 01:30'], ['00:00\n1970-01-01', '01:30', '01:00\n1970-01-02'])
        >>> date_texts([0, 0], numbers=[7, 8])
        ['7: 1970-01-01', '8: 1970-01-01']
    """
    times = np.asarray(timestamps, dtype=np.int64)
    num_times = len(np.unique(times))
    spacing = float(np.median(np.diff(np.unique(times)))) if num_times > 1 else 0.0
    texts: list[str] = []
    for unit, seconds in (("M", 28 * 86_400), ("D", 86_400), ("m", 60), ("s", 0)):
        if spacing < seconds and num_times > 1:
            continue
        texts = [str(text) for text in times.astype("datetime64[s]").astype(f"datetime64[{unit}]")]
        if len(set(texts)) == num_times and (unit != "M" or num_times > 1):
            break
    pairs = [text.partition("T") for text in texts]
    dates_before = [None, *(date for date, _, _ in pairs)]
    if narrow:
        texts = [
            f"{clock}\n{date}" if clock and date != before else clock or date
            for (date, _, clock), before in zip(pairs, dates_before, strict=False)
        ]
    else:
        texts = [f"{date} {clock}".rstrip() for date, _, clock in pairs]
    if num_times == len(times):
        return texts
    told = range(len(times)) if numbers is None else np.asarray(numbers).tolist()
    between = ":\n" if narrow else ": "
    return [f"{number}{between}{text}" for number, text in zip(told, texts, strict=True)]


def thinned(count: int, most: int) -> list[int]:
    """Return at most ``most`` evenly spaced positions of ``count``, the first always among them.

    Example:
        >>> thinned(10, 4)
        [0, 3, 6, 9]
    """
    return list(range(0, count, max(1, -(-count // most))))
