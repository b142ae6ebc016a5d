"""The summary says what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import synthetic_runs as synthetic

from modyn_bench.analysis.draw import draw_run
from modyn_bench.errors import RunError
from modyn_bench.runs.files import write_table
from modyn_bench.runs.tables import TABLES, arrow_schema
from modyn_bench.tracking.console import summarise, total


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return synthetic.write_run(tmp_path, num_models=6, num_windows=14)


def replace(run: Path, **tables: pd.DataFrame) -> None:
    for name, frame in tables.items():
        table = pa.Table.from_pandas(frame, schema=arrow_schema(TABLES[name]), preserve_index=False)
        write_table(run / f"{name}.parquet", table)


def value(text: str, row: str) -> list[str]:
    """The cells of a row of the summary."""
    (line,) = [line for line in text.splitlines() if line.startswith(row)]
    return re.split(r"\s{2,}", line.strip())[1:]


def test_totals_are_those_of_the_tables(run: Path) -> None:
    tables = {name: pd.read_parquet(run / f"{name}.parquet") for name in ("triggers", "models", "stages")}
    totals = total(run)
    assert totals.num_triggers == len(tables["triggers"])
    assert totals.num_selected == tables["triggers"]["num_selected"].sum()
    assert totals.forward_passes == tables["models"]["forward_passes"].sum()
    assert totals.seconds == pytest.approx(tables["stages"].groupby("stage")["seconds"].sum().to_dict())
    text = summarise(run)
    assert value(text, "triggers") == ["6 (1993-12-31 to 1998-12-30)"]
    assert value(text, "samples selected") == [f"{totals.num_selected:,}"]
    assert value(text, "  train") == [f"{totals.seconds['train']:.1f}"]


def test_every_composite_value_stands_under_its_model_and_names_its_aggregate(run: Path) -> None:
    text = summarise(run)
    composite = (
        pd.read_parquet(run / "composite.parquet").set_index(["metric", "aggregate", "variant"])["value"].sort_index()
    )
    names = {"mean": "mean over windows", "time_weighted": "weighted by time", "sample_weighted": "weighted by samples"}
    for aggregate, name in names.items():
        of_accuracy, of_loss = composite["accuracy", aggregate], composite["loss", aggregate]
        both = ["currently_active", "currently_trained"]
        assert value(text, f"accuracy, {name}") == [f"{of_accuracy[variant]:.1%}" for variant in both]
        assert value(text, f"loss, {name}") == [f"{of_loss[variant]:.4f}" for variant in both]
    assert value(text, "coverage") == ["11 of 14 (79%)", "13 of 14 (93%)"]  # one window is empty, two have no model


def test_figures_are_listed_once_they_are_drawn(run: Path) -> None:
    assert "figures  " not in summarise(run)
    paths = draw_run(run)
    text = summarise(run)
    assert [str(path) for path in paths] == re.findall(r"\S+\.png", text)
    assert len(paths) == 3


def test_an_evaluation_under_other_options_is_shown_in_place_of_the_first(run: Path) -> None:
    folder = run / "evaluations" / "other"
    folder.mkdir(parents=True)
    evaluations = pd.read_parquet(run / "evaluations.parquet")
    evaluations = evaluations[evaluations["metric"] == "loss"]
    composite = synthetic.composite(evaluations, 6)
    for name, frame in (("evaluations", evaluations), ("composite", composite)):
        table = pa.Table.from_pandas(frame, schema=arrow_schema(TABLES[name]), preserve_index=False)
        write_table(folder / f"{name}.parquet", table)
    paths = draw_run(run, folder)
    assert {path.parent for path in paths} == {folder / "figures"}
    text = summarise(run, folder)
    assert "accuracy" not in text
    assert f"tables    {folder}" in text


def test_it_hints_at_a_trigger_that_fired_too_late_to_serve_a_window(run: Path) -> None:
    fired = synthetic.triggers(1, every=7 * synthetic.YEAR)
    evaluations = synthetic.evaluations(synthetic.models(fired), num_windows=14)
    composite = synthetic.composite(evaluations, 1)
    assert composite.loc[composite["variant"] == "currently_active", "value"].isna().all()
    replace(run, triggers=fired, models=synthetic.models(fired), evaluations=evaluations, composite=composite)
    text = summarise(run)
    assert "no accuracy and loss of a currently active model in 14 of 14 sliced windows: 14 have their anchor" in text
    assert "(the first was on 1999-12-30)" in text
    assert "let the trigger fire earlier" in text
    assert value(text, "accuracy, mean over windows")[0] == "-"
    assert value(text, "coverage")[0] == "0 of 14 (0%)"


def test_samples_that_arrived_after_the_last_trigger_count(run: Path) -> None:
    triggers, stages = (pd.read_parquet(run / f"{name}.parquet") for name in ("triggers", "stages"))
    assert value(summarise(run), "samples arrived") == [f"{triggers['num_arrived'].sum():,}"]
    tail = stages[stages["stage"] == "replay"].iloc[:1].assign(trigger_index=None, num_samples=1234)
    replace(run, stages=pd.concat([stages, tail], ignore_index=True).astype({"trigger_index": "Int64"}))
    total_arrived = triggers["num_arrived"].sum() + 1234
    assert value(summarise(run), "samples arrived") == [f"{total_arrived:,} (1,234 after the last trigger)"]


def test_the_hint_tells_empty_windows_and_undefined_metrics_from_a_late_model(run: Path) -> None:
    evaluations = pd.read_parquet(run / "evaluations.parquet")
    assert "There is no" not in summarise(run)
    one_class = (evaluations["metric"] == "accuracy") & (evaluations["window_id"] > 4)
    evaluations.loc[one_class, "value"] = None
    replace(run, evaluations=evaluations, composite=synthetic.composite(evaluations, 6))
    (hint,) = [line for line in summarise(run).splitlines() if line.startswith("There is no")]
    assert hint.startswith("There is no accuracy of a currently active model in 11 of 14 sliced windows: in 8 accuracy")
    assert "2 have their anchor before a model was in service (the first was on 1993-12-31)" in hint
    assert "1 hold no test sample" in hint
    assert "choose another metric" in hint
    evaluations.loc[evaluations["window_id"] > 4, ["value", "num_samples"]] = [None, 0]
    replace(run, evaluations=evaluations, composite=synthetic.composite(evaluations, 6))
    (hint,) = [line for line in summarise(run).splitlines() if line.startswith("There is no")]
    assert hint.startswith(
        "There is no accuracy and loss of a currently active model in 11 of 14 sliced windows: 9 hold no"
    )
    assert "dataset.test_fraction" in hint


def test_it_hints_at_a_trigger_that_never_fired(run: Path) -> None:
    tables = {name: pd.read_parquet(run / f"{name}.parquet") for name in TABLES}
    stages = synthetic.stages(synthetic.triggers(0))
    replace(run, **{name: frame.iloc[:0] for name, frame in tables.items() if name != "stages"}, stages=stages)
    text = summarise(run)
    assert value(text, "triggers") == ["0"]
    assert "The trigger time never decided (0 samples): no model was trained. To retrain, let it decide" in text
    assert [path.stem for path in draw_run(run)] == ["cost_by_stage"]


@pytest.mark.parametrize(
    ("trigger", "num_decisions", "note"),
    [
        (
            {"_target_": "modyn_bench.triggers.drift.Drift", "interval": 1000},
            3,
            "The trigger drift never fired in 3 decisions (4,000 samples, one every 1,000): the only model was trained "
            "at the end of the stream. To retrain, let it have a shorter warm-up or a threshold within reach.",
        ),
        (
            {"_target_": "modyn_bench.triggers.amount.Amount", "num_samples": 9000},
            0,
            "The trigger amount never decided (4,000 samples): the only model was trained at the end of the stream. To "
            "retrain, let it decide earlier.",
        ),
        ({"_target_": "modyn_bench.triggers.never.Never"}, 0, None),
    ],
)
def test_it_says_so_where_the_end_of_the_stream_alone_trained_a_model(
    tmp_path: Path, trigger: dict[str, object], num_decisions: int, note: str | None
) -> None:
    run = synthetic.write_run(tmp_path, num_models=1, config={"trigger": trigger})
    decided = pd.concat([pd.read_parquet(run / "decisions.parquet").iloc[:1]] * 3)
    members = decided.assign(policy="drift/member", fired=True)
    replace(run, decisions=pd.concat([decided, members]).iloc[: 2 * num_decisions])
    lines = [line for line in summarise(run).splitlines() if line.startswith("The trigger")]
    assert lines == ([] if note is None else [note])


def test_a_missing_table_is_named(run: Path) -> None:
    (run / "models.parquet").unlink()
    with pytest.raises(RunError, match=r"models\.parquet is missing"):
        summarise(run)
    with pytest.raises(RunError, match=r"models\.parquet is missing"):
        draw_run(run)
