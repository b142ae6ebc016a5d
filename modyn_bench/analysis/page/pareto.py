"""What pipelines reach against what they cost, and which no other beats at both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from modyn_bench.analysis.figures.pareto import MOST_NAMED, aggregate, pareto_front
from modyn_bench.analysis.frames import check_rows
from modyn_bench.analysis.page import look
from modyn_bench.analysis.page.section import Figure

if TYPE_CHECKING:
    import pandas as pd

_GREY = "#767676"


def pareto(
    points: pd.DataFrame,
    *,
    cost: str,
    by: str,
    cost_label: str,
    value_label: str,
    higher_is_better: bool,
    order: Mapping[str, int],
) -> Figure:
    """Return means over runs with one standard deviation both ways, and the Pareto front.

    Filled are the pipelines on the front, hollow those that another beats; of many pipelines the beaten ones are grey.

    Args:
        points: One row per run, with ``value``, the cost and the column ``by``.
        cost: The column of the horizontal axis; lower is better.
        by: The column that names a pipeline's runs.
        cost_label: Of the horizontal axis.
        value_label: Of the vertical axis.
        higher_is_better: Whether a higher value is a better one.
        order: The place of each pipeline among colours and marks.

    Raises:
        RequestError: If there are no points.
    """
    check_rows(points, [cost, "value", by], name="points")
    table = aggregate(points, cost=cost, value="value", by=by)
    front = pareto_front(table["cost"], table["value"], higher_is_better=higher_is_better)
    grey = ~front & (len(table) > MOST_NAMED)
    named = sorted(np.flatnonzero(~grey).tolist(), key=lambda place: order[str(table.index[place])])
    data = [_front(table[front].sort_values("cost", kind="stable"))]
    data += [_beaten(table[grey])] if grey.any() else []
    for place in named:
        row = table.iloc[[place]]
        data.append(_policy(row, order[str(row.index[0])], hollow=not front[place]))
    value_label = look.text(value_label).replace("\n", "<br>")
    hover = f"<b>%{{text}}</b><br>{value_label.partition('<br>')[0]} %{{customdata[1]}}"
    hover += f"<br>{look.text(cost_label)} %{{customdata[0]}}<br>n = %{{customdata[2]}}<extra></extra>"
    for trace in data[1:]:
        trace["hovertemplate"] = hover
    x = look.amounts(look.text(cost_label), float(table["cost"].max()), hoverformat=",.4~g")
    return look.figure(data, height=380, xaxis=x, yaxis=look.axis(value_label))


def _points(table: pd.DataFrame) -> dict[str, Any]:
    """Return where points lie, and what their hover texts say: cost and value with deviations, and n."""
    costs, values = look.rounded(table["cost"], 6), look.rounded(table["value"])
    spreads = [look.rounded(table[column], 3) for column in ("cost_std", "value_std")]
    told = [
        [_plus_minus(cost, cost_std), _plus_minus(value, value_std), int(n)]
        for cost, value, cost_std, value_std, n in zip(costs, values, *spreads, table["n"], strict=True)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": costs,
        "y": values,
        "text": [look.text(name) for name in table.index],
        "customdata": told,
    }


def _plus_minus(mean: float | None, deviation: float | None) -> str:
    return f"{mean:,}" if deviation is None else f"{mean:,} ± {deviation:,}"


def _policy(row: pd.DataFrame, place: int, *, hollow: bool) -> dict[str, Any]:
    point = {**_points(row), **look.named(row.index[0]), "marker": look.marker(place, size=10, hollow=hollow)}
    if int(row["n"].iloc[0]) > 1:
        bars = {"color": look.line(place)["color"], "thickness": 1, "width": 3}
        point["error_x"] = {**bars, "type": "data", "array": look.rounded(row["cost_std"], 3)}
        point["error_y"] = {**bars, "type": "data", "array": look.rounded(row["value_std"], 3)}
    return point


def _beaten(table: pd.DataFrame) -> dict[str, Any]:
    marks = {"color": _GREY, "size": 6, "opacity": 0.6}
    return {**_points(table), **look.named(f"{len(table)} that another beats at both"), "marker": marks}


def _front(table: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": look.rounded(table["cost"], 6),
        "y": look.rounded(table["value"]),
        "line": {"color": "#999999", "width": 1.5, "shape": "hv"},
        "hoverinfo": "skip",
        **look.named("Pareto front"),
    }
