"""Texts have room, at both widths, with few pipelines and many, short names and long ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn import check_room
from matplotlib.axes import Axes
from matplotlib.image import imread

from modyn_bench.analysis.draw import save
from modyn_bench.analysis.figures.class_shares import class_shares
from modyn_bench.analysis.figures.composite_over_time import composite_over_time
from modyn_bench.analysis.figures.cost_by_policy import cost_by_policy
from modyn_bench.analysis.figures.cost_by_stage import cost_by_stage
from modyn_bench.analysis.figures.critical_difference import critical_difference
from modyn_bench.analysis.figures.cumulative_costs import cumulative_costs
from modyn_bench.analysis.figures.evaluation_heatmap import evaluation_heatmap
from modyn_bench.analysis.figures.model_age import model_age
from modyn_bench.analysis.figures.models_over_time import models_over_time
from modyn_bench.analysis.figures.pareto import pareto
from modyn_bench.analysis.figures.regret import regret
from modyn_bench.analysis.figures.samples_over_time import samples_over_time
from modyn_bench.analysis.figures.throughput import samples_per_second, throughput
from modyn_bench.analysis.figures.triggers_on_scores import triggers_on_member_scores, triggers_on_scores
from modyn_bench.analysis.figures.triggers_over_time import triggers_over_time
from modyn_bench.analysis.figures.value_by_window import value_by_window
from modyn_bench.analysis.style import Column

Tables = dict[str, pd.DataFrame]

SHORT = [f"time_{number}y" for number in range(1, 13)]
LONG = [f"drift every={number}w / new_data history=all / start_from=scratch / flush=true" for number in range(1, 13)]
DAY = 86_400


def pipelines(tables: Tables, names: list[str], *, seeds: int) -> Tables:
    """Real runs under other names: as many pipelines as there are names, each with as many runs."""
    run_ids = list(tables["models"]["run_id"].unique())
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in tables}
    for place, pipeline in enumerate(names):
        for seed in range(seeds):
            for name, frame in tables.items():
                rows = frame[frame["run_id"] == run_ids[(place + seed) % len(run_ids)]]
                parts[name].append(rows.assign(pipeline=pipeline, run_id=f"{place}-{seed}"))
    return {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}


def points_of(tables: Tables) -> pd.DataFrame:
    points = tables["models"].groupby(["pipeline", "run_id"], sort=False).size().rename("num_triggers").reset_index()
    return points.assign(value=0.5 + 0.03 * np.sin(np.arange(len(points))))


def ranks_of(tables: Tables) -> pd.DataFrame:
    names = [*tables["models"]["pipeline"].unique(), "new_data", "all_data"]  # ranks need three policies
    return pd.DataFrame({"policy": names, "rank": np.arange(1, len(names) + 1) * 0.6 + 0.2 * (len(names) + 1)})


def oracle() -> pd.DataFrame:
    k = np.arange(1, 10)
    return pd.DataFrame({"num_triggers": k, "value_choosing": 0.62 - 0.2 / k, "value_scoring": 0.6 - 0.2 / k})


OF_PIPELINES: dict[str, Callable[[Tables, Column], Axes]] = {
    "composite_over_time": lambda t, c: composite_over_time(
        t["evaluations"], by="pipeline", variants=["currently_active"], column=c
    ),
    "model_age": lambda t, c: model_age(t["evaluations"], t["models"], by="pipeline", column=c),
    "value_by_window": lambda t, c: value_by_window(t["evaluations"], by="pipeline", column=c),
    "triggers_over_time": lambda t, c: triggers_over_time(t["triggers"], by="pipeline", column=c),
    "cumulative_costs": lambda t, c: cumulative_costs(t["stages"], t["triggers"], by="pipeline", column=c),
    "cost_by_policy": lambda t, c: cost_by_policy(t["stages"], by="pipeline", column=c),
    "throughput": lambda t, c: throughput(
        samples_per_second(t["stages"], by="pipeline"), panels=["select", "train"], by="pipeline", column=c
    )[0],
    "pareto": lambda t, c: pareto(points_of(t), cost="num_triggers", by="pipeline", column=c),
    "regret": lambda t, c: regret(oracle(), points_of(t), by="pipeline", column=c),
    "critical_difference": lambda t, c: critical_difference(ranks_of(t), 2.0, num_datasets=9, p_value=0.01, column=c),
}


@pytest.mark.parametrize(
    ("names", "seeds", "column"),
    [(SHORT[:1], 1, "single"), (LONG[:3], 2, "single"), (SHORT, 1, "single"), (LONG, 2, "double")],
    ids=["1 pipeline", "3 long names", "12 pipelines", "12 long names"],
)
@pytest.mark.parametrize("figure", OF_PIPELINES)
def test_figures_of_pipelines(tables: Tables, figure: str, names: list[str], seeds: int, column: Column) -> None:
    ax = OF_PIPELINES[figure](pipelines(tables, names, seeds=seeds), column)
    check_room(ax.figure)
    least = 0.3 if column == "single" else 0.45
    assert len(ax.figure.axes) * ax.get_window_extent().width > least * ax.figure.bbox.width


def drift(tables: Tables, pipeline: str) -> pd.DataFrame:
    return tables["decisions"][tables["decisions"]["pipeline"] == pipeline]


def one_run(tables: Tables) -> Tables:
    run_id = tables["models"]["run_id"].iloc[0]
    return {name: frame[frame["run_id"] == run_id] for name, frame in tables.items()}


OF_ONE: dict[str, Callable[[Tables, Column], Axes]] = {
    "triggers_on_scores": lambda t, c: triggers_on_scores(drift(t, "drift"), column=c),
    "triggers_on_member_scores": lambda t, c: triggers_on_member_scores(drift(t, "ensemble"), column=c)[0],
    "evaluation_heatmap": lambda t, c: evaluation_heatmap(one_run(t)["evaluations"], one_run(t)["models"], column=c),
    "models_over_time": lambda t, c: models_over_time(one_run(t)["evaluations"], one_run(t)["models"], column=c),
    "cost_by_stage": lambda t, c: cost_by_stage(one_run(t)["stages"], one_run(t)["triggers"], column=c),
    "samples_over_time": lambda t, c: samples_over_time({"train": range(0, 3000 * DAY, DAY)}, column=c),
    "class_shares": lambda t, c: class_shares(
        range(0, 3000 * DAY, DAY), [f"a class with a long name {n % 11}" for n in range(3000)], column=c
    ),
}


@pytest.mark.parametrize("column", ["single", "double"])
@pytest.mark.parametrize("figure", OF_ONE)
def test_figures_of_one_run_or_dataset(tables: Tables, figure: str, column: Column) -> None:
    check_room(OF_ONE[figure](tables, column).figure)


@pytest.mark.parametrize("figure", ["composite_over_time", "model_age", "value_by_window"])
def test_one_window_with_a_missing_value_has_room_too(tables: Tables, figure: str) -> None:
    some = pipelines(tables, SHORT[:2], seeds=1)
    rows = some["evaluations"]
    rows = rows[(rows["metric"] == "accuracy") & rows["window_id"].isin([20, 21])]
    missing = rows.assign(value=rows["value"].where(rows["window_id"] == 20))
    check_room(OF_PIPELINES[figure]({**some, "evaluations": missing}, "single").figure)
    check_room(OF_PIPELINES[figure]({**some, "evaluations": rows[rows["window_id"] == 20]}, "single").figure)


@pytest.mark.parametrize("column", ["single", "double"])
@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_files_are_as_wide_as_a_papers_columns(tables: Tables, tmp_path: Path, column: Column, suffix: str) -> None:
    path = save(OF_PIPELINES["triggers_over_time"](tables, column), tmp_path / f"figure.{suffix}", dpi=100)
    inches = {"single": 3.35, "double": 7.0}[column]
    if suffix == "png":
        assert imread(path).shape[1] == round(100 * inches)
    elif suffix == "svg":
        assert float(re.search(r'width="([\d.]+)pt"', path.read_text())[1]) == pytest.approx(72 * inches)
    else:
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", path.read_bytes())
        assert float(box[1]) == pytest.approx(72 * inches)
