"""A composite model's metric over stream time: a line per pipeline, in a band where it has several runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from modyn_bench.analysis.frames import Group, OverRuns, by_window, cells, grouped, over_runs
from modyn_bench.analysis.page import look
from modyn_bench.analysis.page.section import Figure
from modyn_bench.analysis.style import dates
from modyn_bench.analysis.window_axis import interval_texts
from modyn_bench.metrics import axis_label

if TYPE_CHECKING:
    import pandas as pd

_MOST_MARKERS = 60


def over_time(
    evaluations: pd.DataFrame,
    *,
    metric: str,
    window_set: str,
    variant: str,
    by: str,
    order: Mapping[str, int],
) -> Figure:
    """Return lines of means over runs, with bands of one standard deviation; gaps where a run has no value.

    Args:
        evaluations: Rows of ``evaluations.parquet`` of several runs, with ``run_id`` and the column ``by``.
        metric: The metric.
        window_set: The name of the windows.
        variant: ``currently_active`` or ``currently_trained``.
        by: The column that names a pipeline's runs.
        order: The place of each pipeline among colours, dashes and marks.

    Raises:
        RequestError: If there is nothing to draw.
    """
    rows = cells(evaluations, metric=metric, window_set=window_set)
    windows = rows.drop_duplicates("window_id").set_index("window_id")
    texts = dict(zip(windows.index, interval_texts(windows), strict=True))
    bands: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for group in grouped(rows, by=by, order=order):
        table = by_window(group, variant)
        values = over_runs(table)
        times = look.milliseconds(dates(table.index.get_level_values("anchor")))
        bands += [_band(group, times, values)] if values.std is not None else []
        lines.append(_line(group, times, values, [texts[number] for number in table.index.get_level_values(1)]))
    return look.figure(
        [*bands, *lines],
        height=360,
        xaxis=look.axis("Stream time", type="date", nticks=8),
        yaxis=look.axis(axis_label(metric)),
    )


def _line(group: Group, times: list[int], values: OverRuns, windows: list[str]) -> dict[str, Any]:
    shown = [text if np.isfinite(mean) else "" for text, mean in zip(windows, values.mean, strict=True)]
    spread = " ± %{customdata}" if values.std is not None else ""
    marker = look.marker(group.place, size=5)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": times,
        "y": look.rounded(values.mean),
        "text": shown,
        "customdata": look.rounded(values.std) if values.std is not None else None,
        "hovertemplate": f"<b>%{{fullData.name}}</b><br>%{{text}}<br>%{{y}}{spread}<extra></extra>",
        "line": look.line(group.place),
        "marker": marker | {"maxdisplayed": _MOST_MARKERS if len(times) > _MOST_MARKERS else 0},
        **look.named(group.name),
    }


def _band(group: Group, times: list[int], values: OverRuns) -> dict[str, Any]:
    """Return the outlines of the stretches where the mean is defined, one after the other."""
    assert values.std is not None
    x: list[int | None] = []
    y: list[float | int | None] = []
    defined = np.flatnonzero(np.isfinite(values.mean))
    for stretch in np.split(defined, np.flatnonzero(np.diff(defined) > 1) + 1):
        if len(stretch) < 2:
            continue
        there = [times[place] for place in stretch]
        low, high = (look.rounded((values.mean + sign * values.std)[stretch]) for sign in (-1, 1))
        x += [*there, *there[::-1], None]
        y += [*high, *low[::-1], None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "fill": "toself",
        "fillcolor": look.band_color(group.place),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        **look.named(group.name),
    }
