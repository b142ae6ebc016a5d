"""Tables of runs that never ran: the columns of a real run, values from a formula, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from modyn_bench.runs.directory import RunDirectory
from modyn_bench.runs.evaluations import write_config
from modyn_bench.runs.files import write_table
from modyn_bench.runs.identity import evaluation_id
from modyn_bench.runs.tables import TABLES, arrow_schema

YEAR = 365 * 86_400
START = 725_846_400  # 1993-01-01
STAGES = ("replay", "decide", "select", "train", "predict", "commit")


def triggers(num_models: int, *, every: int = YEAR, start: int = START, samples: int = 4_000) -> pd.DataFrame:
    """One trigger at the end of every period."""
    index = np.arange(num_models)
    return pd.DataFrame(
        {
            "trigger_index": index,
            "fired_at": start + (index + 1) * every - 1,
            "first_timestamp": start + index * every,
            "last_timestamp": start + (index + 1) * every - 1,
            "num_arrived": samples + 100 * index,
            "num_labelled": samples + 100 * index,
            "num_selected": samples + 100 * index,
            "num_empty_periods": 0,
            "model_id": pd.array(index, dtype="Int64"),
        }
    )


def models(triggers: pd.DataFrame, *, epochs: int = 3) -> pd.DataFrame:
    """The models of those triggers, each fine-tuned from the one before."""
    selected = triggers["num_selected"]
    return pd.DataFrame(
        {
            "model_id": triggers["model_id"].astype("int64"),
            "trigger_index": triggers["trigger_index"],
            "parent_model_id": pd.array([None, *range(len(triggers) - 1)][: len(triggers)], dtype="Int64"),
            "data_first_timestamp": pd.array(triggers["first_timestamp"], dtype="Int64"),
            "data_last_timestamp": pd.array(triggers["last_timestamp"], dtype="Int64"),
            "available_at": triggers["fired_at"],
            "num_samples_selected": selected,
            "num_epochs": epochs,
            "num_optimizer_steps": (epochs * selected) // 128,
            "forward_passes": (epochs * selected).astype(float),
            "backward_passes": (epochs * selected).astype(float),
        }
    )


def stages(triggers: pd.DataFrame, *, epochs: int = 3) -> pd.DataFrame:
    """What every stage cost at every trigger, and after the last one."""
    rows = []
    seconds = {"replay": 0.01, "decide": 0.02, "select": 0.03, "predict": 0.08, "commit": 0.02}
    for index, selected in zip(triggers["trigger_index"], triggers["num_selected"], strict=True):
        for stage in STAGES:
            passes = float(epochs * selected) if stage == "train" else 0.0
            spent = selected * 7e-5 if stage == "train" else seconds[stage]
            rows.append((index, stage, spent, selected, passes, passes))
    rows.append((None, "decide", 0.01, 50, 0.0, 0.0))
    columns = ["trigger_index", "stage", "seconds", "num_samples", "forward_passes", "backward_passes"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"trigger_index": "Int64"})


def decisions(triggers: pd.DataFrame) -> pd.DataFrame:
    """Two decisions per trigger, of which the second fired."""
    rows = []
    seen = 0
    for record in triggers.itertuples():
        for fired, share in ((False, 0.5), (True, 1.0)):
            at = int(record.first_timestamp + share * (record.fired_at - record.first_timestamp))
            score = 0.1 + 0.01 * record.trigger_index + (0.4 if fired else 0.0)
            samples = seen + int(share * record.num_arrived)
            rows.append((record.trigger_index if fired else None, "drift", at, samples, score, 0.4, fired, False, 0.0))
        seen += record.num_arrived
    columns = ["trigger_index", "policy", "at_timestamp", "num_samples_seen", "score", "threshold", "fired", "warmup"]
    return pd.DataFrame(rows, columns=[*columns, "forward_passes"]).astype({"trigger_index": "Int64"})


def evaluations(
    models: pd.DataFrame,
    *,
    num_windows: int = 54,
    every: int = YEAR // 2,
    start: int = START,
    metrics: tuple[str, ...] = ("accuracy", "loss"),
    seed: int = 0,
    level: float = 0.5,
) -> pd.DataFrame:
    """Every model on every window: the best near its own data, worse with distance."""
    noise = np.random.Generator(np.random.PCG64(seed))
    window_start = start + np.arange(num_windows) * every
    available = models["available_at"].to_numpy()
    active = np.searchsorted(available, window_start) - 1  # the newest with available_at < anchor
    trained = np.minimum(active + 1, len(models) - 1)
    distance = (window_start[None, :] - available[:, None]) / YEAR
    accuracy = level * np.exp(-np.abs(distance + 0.5) / np.where(distance > 0, 6, 10))
    accuracy = np.clip(accuracy + noise.normal(0, 0.01, accuracy.shape), 0.01, 0.99)
    frames = []
    for metric in metrics:
        value = accuracy if metric == "accuracy" else -np.log(accuracy)
        shape = value.shape
        model, window = (axis.ravel() for axis in np.indices(shape))
        frames.append(
            pd.DataFrame(
                {
                    "window_set": "sliced",
                    "window_id": window,
                    "window_start": window_start[window],
                    "window_end": window_start[window] + every,
                    "anchor": window_start[window],
                    "split": "test",
                    "model_id": model,
                    "metric": metric,
                    "value": value.ravel(),
                    "num_samples": 100 + window,
                    "currently_active": model == active[window],
                    "currently_trained": model == trained[window],
                }
            )
        )
    frame = pd.concat(frames, ignore_index=True)
    frame.loc[frame["window_id"] == 7, ["value", "num_samples"]] = [np.nan, 0]
    return frame


def composite(evaluations: pd.DataFrame, num_triggers: int) -> pd.DataFrame:
    """The composites' means, time-weighted and sample-weighted means over the windows they have a value in."""
    rows = []
    for metric, cells in evaluations.groupby("metric", sort=False):
        num_windows = cells["window_id"].nunique()
        for variant in ("currently_active", "currently_trained"):
            served = cells[cells[variant]].dropna(subset="value")
            lengths = served["window_end"] - served["window_start"]
            for aggregate, weights in (
                ("mean", np.ones(len(served))),
                ("time_weighted", lengths.to_numpy()),
                ("sample_weighted", served["num_samples"].to_numpy()),
            ):
                value = float(np.average(served["value"], weights=weights)) if len(served) else None
                coverage = len(served) / num_windows
                rows.append(("sliced", variant, metric, aggregate, value, coverage, num_windows, num_triggers))
    columns = ["window_set", "variant", "metric", "aggregate", "value", "coverage", "num_windows", "num_triggers"]
    return pd.DataFrame(rows, columns=columns).astype({"value": "float64"})


def write_evaluation(run: Path, config: dict, *frames: pd.DataFrame) -> str:
    """Write an evaluation under other options into a run, as ``modyn-bench evaluate`` does; return its id."""
    own = evaluation_id(config)
    folder = run / "evaluations" / own
    folder.mkdir(parents=True)
    write_config(folder, config)
    evaluated = pd.concat(frames, ignore_index=True)
    composites = [composite(part, 6).assign(window_set=name) for name, part in evaluated.groupby("window_set")]
    replace(folder, evaluations=evaluated, composite=pd.concat(composites))
    return own


def replace(run: Path, **tables: pd.DataFrame) -> None:
    """Write tables of a run, or of an evaluation in it, anew."""
    for name, frame in tables.items():
        table = pa.Table.from_pandas(frame, schema=arrow_schema(TABLES[name]), preserve_index=False)
        write_table(run / f"{name}.parquet", table)


def write_run(
    root: Path,
    *,
    num_models: int = 6,
    num_windows: int = 14,
    every: int = YEAR,
    config: dict | None = None,
    seed: int = 0,
    level: float = 0.5,
    epochs: int = 3,
    fingerprint: str = "f00d",
) -> Path:
    """Write a run directory as a finished run leaves it, but for its parts; return its path."""
    fired = triggers(num_models, every=every)
    trained = models(fired, epochs=epochs)
    evaluated = evaluations(trained, num_windows=num_windows, seed=seed, level=level)
    tables = {
        "triggers": fired,
        "models": trained,
        "stages": stages(fired, epochs=epochs),
        "decisions": decisions(fired),
        "evaluations": evaluated,
        "composite": composite(evaluated, num_models),
    }
    default = {
        "dataset": {"_target_": "modyn_bench.data.recipes.arxiv.ArxivRecipe"},
        "trigger": {"_target_": "modyn_bench.triggers.time.Time", "every": f"{every // 86_400}d"},
        "selector": {"_target_": "modyn_bench.selectors.new_data.NewData"},
        "training": {"epochs": epochs},
        "evaluation": {"metrics": ["accuracy", "loss"], "windows": {"sliced": {"kind": "sliced"}}},
        "seed": seed,
    }
    resolved = {**default, **(config or {})}
    with RunDirectory.open(root, config=resolved, fingerprint=fingerprint, dataset={"name": "arxiv"}) as run:
        for name, frame in tables.items():
            schema = arrow_schema(TABLES[name])
            run.write_table(
                run.path / f"{name}.parquet", pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
            )
        run.mark_done()
    return run.path
