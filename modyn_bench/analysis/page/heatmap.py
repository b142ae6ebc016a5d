"""A run's evaluation matrix: every model on every window, with the models that the composites are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modyn_bench.analysis import style
from modyn_bench.analysis.frames import VARIANTS, cells, is_full, matrix, served
from modyn_bench.analysis.page import look
from modyn_bench.analysis.page.section import Figure
from modyn_bench.analysis.window_axis import WindowAxis, interval_texts
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.timespan import format_time
from modyn_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

_ARRIVALS_COLOR = "#D55E00"
_MARKS = {"currently_trained": ("black", 1.0), "currently_active": ("white", 0.75)}


def heatmap(
    evaluations: pd.DataFrame,
    models: pd.DataFrame,
    *,
    metric: str,
    window_set: str,
    limits: tuple[float, float],
) -> Figure:
    """Return models upwards, windows to the right along stream time, and marks in the cells that serve.

    What a cell's row and column say is said once, in the trace's ``meta``; the page joins both to the hover text.

    Args:
        evaluations: Rows of one run's ``evaluations.parquet``.
        models: Rows of its ``models.parquet``.
        metric: The metric.
        window_set: The name of the windows.
        limits: The values at both ends of the colours, so that several heatmaps can be compared.

    Raises:
        RequestError: If there is nothing to draw.
    """
    rows = cells(evaluations, metric=metric, window_set=window_set)
    windows, model_ids, values = matrix(rows)
    axis = WindowAxis.of(windows)
    records = models.set_index("model_id").reindex(model_ids)
    edges, middles = (look.milliseconds(x) if axis.is_time else x.tolist() for x in (axis.edges, axis.middles))
    places = dict(zip(windows["window_id"], axis.columns.tolist(), strict=True))
    dots = {variant: served(rows, variant) for variant in _MARKS}
    height = int(np.clip(150 + 14 * len(model_ids), 260, 620))
    size = float(np.clip(0.5 * min(700 / len(windows), (height - 130) / len(model_ids)), 2, 9))
    data = [
        _cells(axis.spread(values), edges, metric=metric, limits=limits)
        | {"meta": _words(rows, records, windows, axis, dots, places, metric)},
        *(_arrivals(records) if axis.is_time else []),
        *(_dots(dots[v], v, dict(zip(windows["window_id"], middles, strict=True)), model_ids, size) for v in _MARKS),
    ]
    x = look.axis("Evaluation window", showgrid=False, range=[edges[0], edges[-1]])
    x |= {"type": "date", "nticks": 8} if axis.is_time else _window_ticks(windows)
    return look.figure(
        data,
        height=height,
        xaxis=x,
        yaxis=_model_axis(records),
        plot_bgcolor=style.UNDEFINED_COLOR,
        margin={"l": 56, "r": 16, "t": 20, "b": 48},
    )


def limits(tables: list[pd.DataFrame]) -> tuple[float, float]:
    """Return the lowest and the highest defined value of several runs' rows of one metric; 0 and 1 without any."""
    values = np.concatenate([table["value"].to_numpy(dtype=np.float64) for table in tables])
    return (float(np.nanmin(values)), float(np.nanmax(values))) if np.isfinite(values).any() else (0.0, 1.0)


def _cells(values: FloatArray, edges: list[Any], *, metric: str, limits: tuple[float, float]) -> dict[str, Any]:
    low, high = look.rounded(limits)
    bar = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "thickness": 10, "len": 1.0, "outlinewidth": 0.5}
    return {
        "type": "heatmap",
        "x": edges,
        "y": list(range(len(values))),
        "z": [look.rounded(row) for row in values],
        "zmin": low,
        "zmax": high,
        "colorscale": style.COLORMAP.capitalize(),
        "reversescale": not HIGHER_IS_BETTER[metric],
        "hoverinfo": "text",
        "colorbar": {**bar, "title": {"text": axis_label(metric), "side": "top"}, "nticks": 6},
        "showlegend": False,
    }


def _words(
    rows: pd.DataFrame,
    records: pd.DataFrame,
    windows: pd.DataFrame,
    axis: WindowAxis,
    dots: dict[str, pd.DataFrame],
    places: dict[int, int],
    metric: str,
) -> dict[str, Any]:
    """Return what the hover texts are made of: of each row, of each column (null is a gap), and of some cells.

    These are the cells that serve and, where not every model was evaluated in every window, the undefined ones: what
    else has no value there was not evaluated.
    """
    samples = rows.groupby("window_id", sort=False)["num_samples"].max()
    columns: list[str | None] = [None] * (len(axis.edges) - 1)
    texts = interval_texts(windows)
    for number, text in zip(windows["window_id"], texts, strict=True):
        columns[places[number]] = f"Window {text}, {samples[number]:,} test samples"
    model_rows = {model: row for row, model in enumerate(records.index)}
    serving = [
        [model_rows[model], places[window], style.VARIANT_NAMES[variant]]
        for variant in VARIANTS
        for model, window in zip(dots[variant]["model_id"], dots[variant]["window_id"], strict=True)
    ]
    unknown = None if is_full(rows) else rows[rows["value"].isna()]
    undefined = (
        unknown
        if unknown is None
        else [
            [model_rows[model], places[window]]
            for model, window in zip(unknown["model_id"], unknown["window_id"], strict=True)
        ]
    )
    texts_of = {"rows": _model_texts(records), "columns": columns}
    return {"value": axis_label(metric), **texts_of, "serving": serving, "undefined": undefined}


def _model_texts(records: pd.DataFrame) -> list[str]:
    texts = [f"Model {model}, available {format_time(at)}" for model, at in records["available_at"].items()]
    known = np.flatnonzero(records["data_first_timestamp"].notna())
    spans = records[["data_first_timestamp", "data_last_timestamp"]].iloc[known].to_numpy(dtype=np.int64)
    for row, (first, last) in zip(known, spans, strict=True):
        texts[row] += f"<br>new to it: {format_time(first)} to {format_time(last)}"
    return texts


def _arrivals(records: pd.DataFrame) -> list[dict[str, Any]]:
    """Return frames around the time range of each model's arrivals, with a white rim."""
    known = records["data_first_timestamp"].notna().to_numpy()
    first, last = (
        look.milliseconds(style.dates(records[name].to_numpy(dtype=np.float64, na_value=np.nan)[known]))
        for name in ("data_first_timestamp", "data_last_timestamp")
    )
    x: list[int | None] = []
    y: list[float | None] = []
    half = 0.5 if len(records) > 60 else 0.42
    for a, b, row in zip(first, last, np.flatnonzero(known).tolist(), strict=True):
        x += [a, b, b, a, a, None]
        y += [row - half, row - half, row + half, row + half, row - half, None]
    width = 1.0 if len(records) > 60 else 1.5
    shared = {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip", **look.named("new to the model")}
    return [
        {**shared, "line": {"color": "white", "width": 2 * width}, "showlegend": False},
        {**shared, "line": {"color": _ARRIVALS_COLOR, "width": width}},
    ]


def _dots(
    dots: pd.DataFrame, variant: str, middles: dict[int, Any], model_ids: IntArray, size: float
) -> dict[str, Any]:
    color, scale = _MARKS[variant]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [middles[window] for window in dots["window_id"]],
        "y": np.searchsorted(model_ids, dots["model_id"].to_numpy()).tolist(),
        "marker": {"color": color, "size": size * scale, "line": {"color": "black", "width": 0.5}},
        "hoverinfo": "skip",
        **look.named(style.VARIANT_NAMES[variant]),
    }


def _model_axis(records: pd.DataFrame) -> dict[str, Any]:
    last = records["data_last_timestamp"].fillna(records["available_at"]).to_numpy(dtype=np.int64)
    shown = style.thinned(len(last), 14)
    ticks = {"tickvals": shown, "ticktext": style.date_texts(last[shown], records.index[shown])}
    return look.axis("Model, by its last arrival", showgrid=False, range=[-0.5, len(last) - 0.5], **ticks)


def _window_ticks(windows: pd.DataFrame) -> dict[str, Any]:
    shown = style.thinned(len(windows), 4)
    texts = [text.replace(" to ", "<br>to ") for text in interval_texts(windows.iloc[shown])]
    return {"tickvals": shown, "ticktext": texts, "tickangle": 0}
