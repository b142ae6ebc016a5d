"""What pipelines cost, by stage: one bar per pipeline, its name above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modyn_bench.analysis import style
from modyn_bench.analysis.page import look
from modyn_bench.analysis.page.section import Figure

if TYPE_CHECKING:
    import pandas as pd

_PATTERNS = {"////": "/", "....": ".", "\\\\\\\\": "\\", "xxxx": "x"}  # of matplotlib's hatches
_NAME_WIDTH = 44  # characters that a narrow screen holds


def costs(means: pd.DataFrame, totals: pd.DataFrame, *, label: str) -> Figure:
    """Return one stacked bar per pipeline, and the deviation of its total.

    Args:
        means: One row per pipeline, in the order in which they are shown; one column per stage.
        totals: The same rows: ``mean``, ``std`` (null for one run) and ``n`` of the total.
        label: Of the horizontal axis.
    """
    names = style.wrapped([f"{name} (n = {n})" for name, n in totals["n"].items()], _NAME_WIDTH)
    rows = -np.cumsum([0.0, *(1.0 + 0.45 * name.count("\n") for name in names[1:])])
    order = [*style.STAGE_COLORS, *(stage for stage in means if stage not in style.STAGE_COLORS)]
    stages = [stage for stage in order if stage in means and means[stage].any()]
    data = [_bar(str(stage), means[stage], rows) for stage in stages]
    if totals["std"].notna().any():
        data.append(_deviations(totals, rows))
    top = 0.75 + 0.45 * names[0].count("\n")
    y = {"range": [float(rows[-1]) - 0.45, top], "showticklabels": False, "fixedrange": True}
    return look.figure(
        data,
        height=round(100 + 44 * (top - rows[-1] + 0.45)),
        barmode="stack",
        xaxis=look.amounts(label, float(totals["mean"].max()), rangemode="tozero"),
        yaxis={"showgrid": False, "zeroline": False, **y},
        margin={"l": 12, "r": 16, "t": 34, "b": 48},
        annotations=[_name(name, row) for name, row in zip(names, rows, strict=True)],
    )


def _bar(stage: str, values: pd.Series, rows: np.ndarray) -> dict[str, Any]:
    pattern = _PATTERNS.get(style.STAGE_HATCHES.get(stage, "xxxx"), "")
    return {
        "type": "bar",
        "orientation": "h",
        "y": rows.tolist(),
        "x": look.rounded(values),
        "width": 0.42,
        "text": [look.text(name) for name in values.index],
        "textposition": "none",
        "hovertemplate": f"<b>%{{text}}</b><br>{look.text(stage)}: %{{x:,}}<extra></extra>",
        "marker": {
            "color": style.STAGE_COLORS.get(stage, "#999999"),
            "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": "white", "size": 6},
        },
        **look.named(stage),
    }


def _deviations(totals: pd.DataFrame, rows: np.ndarray) -> dict[str, Any]:
    spread = look.rounded(totals["std"], 3)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": look.rounded(totals["mean"]),
        "y": rows.tolist(),
        "marker": {"color": look.INK, "symbol": "line-ns-open", "size": 8},
        "error_x": {"type": "data", "array": spread, "color": look.INK, "thickness": 1, "width": 4},
        "text": [look.text(name) for name in totals.index],
        "customdata": spread,
        "hovertemplate": "<b>%{text}</b><br>total: %{x:,} ± %{customdata:,}<extra></extra>",
        **look.named("total, ± one standard deviation"),
    }


def _name(name: str, row: float) -> dict[str, Any]:
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "y", "y": float(row) + 0.24, "yanchor": "bottom"}
    return {"text": look.text(name).replace("\n", "<br>"), "showarrow": False, "align": "left", **place}
