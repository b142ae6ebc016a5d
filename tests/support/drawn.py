"""Reads figures back: lines by the names of their legend entries, and whether texts have room."""

from __future__ import annotations

from itertools import combinations

from matplotlib.text import Text


def line(ax, label: str):
    """The line of a legend entry."""
    return next(line for line in ax.lines if line.get_label() == label)


def legend_texts(ax) -> list[str]:
    """The legend's entries, as they were before they were wrapped."""
    return [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]


def texts_of(figure) -> list[Text]:
    """All texts that a figure shows."""
    shown = []
    for ax in figure.axes:
        low, high = sorted(ax.get_ylim())
        left, right = sorted(ax.get_xlim())
        shown += [text for text in ax.get_xticklabels() if left <= text.get_position()[0] <= right]
        shown += [text for text in ax.get_yticklabels() if low <= text.get_position()[1] <= high]
        shown += [ax.xaxis.label, ax.yaxis.label, ax.xaxis.offsetText, ax.yaxis.offsetText, *ax.texts]
        shown += [ax.title, ax._left_title]
        if not ax.axison:
            shown = [*ax.texts]
        if ax.get_legend() is not None:
            shown += [*ax.get_legend().get_texts(), ax.get_legend().get_title()]
    return [text for text in shown if text.get_text() and text.get_visible()]


def check_room(figure) -> None:
    """Every text lies within the page, and covers no other."""
    figure.draw_without_rendering()
    page = figure.bbox.padded(1.5)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure)]
    for name, box in boxes:
        assert page.x0 <= box.x0, name
        assert box.x1 <= page.x1, name
        assert page.y0 <= box.y0, name
        assert box.y1 <= page.y1, name
    for (name, box), (other, beside) in combinations(boxes, 2):
        assert not box.padded(-0.5).overlaps(beside.padded(-0.5)), (name, other)
