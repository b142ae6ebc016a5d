"""Lines of means over runs, with markers that tell them apart and bands of one standard deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modyn_bench.analysis import style
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from modyn_bench.analysis.frames import OverRuns

_MOST_MARKERS = 60


def draw_series(ax: Axes, x: FloatArray, values: OverRuns, *, place: int, label: str, hollow: bool = False) -> None:
    """Draw one line, with gaps where the mean is undefined.

    Args:
        ax: Where to draw.
        x: In order, shape (n,).
        values: Of shape (n,).
        place: Among colours, line styles and markers.
        label: What the legend calls it.
        hollow: Whether markers are filled with white.
    """
    look = style.look(place)
    ax.plot(
        x,
        values.mean,
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markersize=3.0,
        markevery=_marked(values.mean),
        markerfacecolor="white" if hollow else look.color,
        markeredgewidth=0.6,
        linewidth=1.0,
        label=label,
    )
    if values.std is not None:
        low, high = values.mean - values.std, values.mean + values.std
        ax.fill_between(x, low, high, color=look.color, alpha=0.15, linewidth=0)


def _marked(values: FloatArray) -> list[int]:
    """Return where a line has markers: in all places or, of many, some; and where neighbours make no line of it."""
    alone = np.isnan(np.concatenate([[np.nan], values[:-1]])) & np.isnan(np.concatenate([values[1:], [np.nan]]))
    return sorted({*style.thinned(len(values), _MOST_MARKERS), *np.flatnonzero(alone & ~np.isnan(values)).tolist()})
