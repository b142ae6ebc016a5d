"""Many runs as frames, their labels, and the list of what is in a root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modyn_bench.errors import RequestError
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.runs.identity import PREDICTION_KEYS
from modyn_bench.runs.listing import list_runs
from modyn_bench.runs.load import load_runs
from modyn_bench.runs.naming import name_policy, name_runs
from modyn_bench.runs.tables import COMPOSITE, EVALUATIONS, TABLES, build_table
from tests.runs.building import DATASET, NUM_TRIGGERS, complete, config_of, open_run

AMOUNT = {"_target_": "triggers.amount.Amount", "num_samples": 5000}
UNIFORM = {"_target_": "selectors.uniform.Uniform", "ratio": 0.25}


def evaluation_tables(value: float = 0.5) -> dict[str, pa.Table]:
    cell = {"window_set": "sliced", "window_start": 0, "window_end": 9, "anchor": 0, "split": "test"}
    cell |= {"metric": "accuracy", "num_samples": 4, "currently_active": False, "currently_trained": True}
    cells = [cell | {"window_id": w, "model_id": m, "value": None if w else value} for w in (0, 1) for m in (0, 1, 2)]
    row = {"window_set": "sliced", "metric": "accuracy", "aggregate": "mean", "num_windows": 2, "num_triggers": 3}
    rows = [
        row | {"variant": "currently_active", "value": value, "coverage": 0.5},
        row | {"variant": "currently_trained", "value": None, "coverage": 0.0},
    ]
    return {"evaluations": build_table(EVALUATIONS, cells), "composite": build_table(COMPOSITE, rows)}


def make_run(root: Path, *, value: float = 0.5, **changes) -> Path:
    with open_run(root, **changes) as run:
        complete_without_done(run)
        for name, table in evaluation_tables(value).items():
            run.write_table(run.path / f"{name}.parquet", table)
        run.mark_done()
        return run.path


def complete_without_done(run: RunDirectory) -> None:
    complete(run)
    (run.path / "DONE").unlink()


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Three runs, one unfinished, one damaged, one of something else, and a file."""
    root = tmp_path_factory.mktemp("root")
    make_run(root, value=0.25)
    make_run(root, selector=UNIFORM)
    make_run(root, trigger=AMOUNT)
    with open_run(root, seed=7) as run:
        complete(run, 2)
    damaged = make_run(root, seed=8)
    file = damaged / "models.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    store = root / "a_store"
    store.mkdir()
    (store / "manifest.json").write_text(json.dumps({"format": "modyn_bench sample store"}))
    (root / "notes.txt").touch()
    (root / ".hidden").mkdir()
    return root


def test_frames_hold_all_finished_runs(root):
    runs = load_runs(root)
    assert len(runs) == 3
    for name, columns in TABLES.items():
        frame = getattr(runs, name)
        assert list(frame.columns) == ["run_id", *columns]
        assert set(frame["run_id"]) == set(runs.names)
    assert len(runs.triggers) == 3 * NUM_TRIGGERS
    assert runs.triggers["model_id"].dtype == pd.Int64Dtype()
    assert runs.triggers["model_id"].isna().sum() == 3
    assert runs.triggers["fired_at"].dtype == "int64"
    assert runs.evaluations["value"].isna().sum() == 9
    assert runs.evaluations["currently_active"].dtype == bool
    best = runs.composite[runs.composite["variant"] == "currently_active"].groupby("run_id")["value"].first()
    assert sorted(best) == [0.25, 0.5, 0.5]


def test_what_is_no_finished_run_is_told_with_the_reason(root):
    runs = load_runs(root)
    skipped = {item.path.name: item.reason for item in runs.skipped}
    assert skipped.pop("notes.txt") == "it is no folder"
    assert skipped.pop("a_store") == "its manifest.json is no run's"
    ((name, reason),) = skipped.items()
    assert "seed8" in name
    assert "models.parquet cannot be read as Parquet" in reason
    (unfinished,) = runs.unfinished
    assert "seed7" in unfinished.path.name
    assert "resumable" in unfinished.reason
    assert repr(runs) == "Runs(3 runs, 1 unfinished, 3 skipped)"


def test_configurations_are_one_row_per_run(root):
    configs = load_runs(root).configs
    assert len(configs) == 3
    assert set(configs["trigger"]) == {"time", "amount"}
    assert set(configs["dataset"]) == {"stream"}
    amount = configs[configs["trigger"] == "amount"].iloc[0]
    assert amount["trigger.num_samples"] == 5000
    assert pd.isna(amount["trigger.every"])
    assert amount["training.optimizer.lr"] == 0.05
    assert amount["evaluation.metrics"] == ["accuracy"]
    assert Path(amount["path"]).is_dir()


def test_names_are_made_of_what_differs(root):
    assert sorted(load_runs(root).names.values()) == ["amount / new_data", "time / new_data", "time / uniform"]


def test_a_root_a_run_and_a_glob(root):
    everything = load_runs(root)
    paths = sorted(root.glob("*"))
    globbed = load_runs(paths)
    assert globbed.names == everything.names
    assert ".hidden" in {item.path.name for item in globbed.skipped}
    one = load_runs(everything.configs["path"].iloc[0])
    assert len(one) == 1
    assert list(one.names.values()) == ["amount / new_data"]  # of one run: trigger and selector
    assert len(load_runs([root, *paths])) == 3  # each once
    with pytest.raises(RequestError, match="does not exist"):
        load_runs(root / "nowhere")


def test_no_run_at_all_gives_empty_frames_with_their_columns(tmp_path):
    runs = load_runs(tmp_path)
    assert len(runs) == 0
    for name, columns in TABLES.items():
        assert list(getattr(runs, name).columns) == ["run_id", *columns]
    assert runs.configs.empty
    assert [item.path for item in runs.skipped] == [tmp_path]


def test_copies_count_once(root, tmp_path):
    (path, *_) = load_runs(root).configs["path"]
    shutil.copytree(path, tmp_path / "copy")
    runs = load_runs([path, tmp_path / "copy"])
    assert len(runs) == 1
    assert "copy of" in runs.skipped[0].reason


def test_another_evaluation_can_be_taken(tmp_path):
    """One that did not keep what it was asked for."""
    path = make_run(tmp_path)
    with RunDirectory.reopen(path) as run, run.begin_evaluation("abc") as folder:
        for name, table in evaluation_tables(0.75).items():
            run.write_table(folder / f"{name}.parquet", table)
    assert load_runs(path, evaluation="abc").composite["value"].max() == 0.75
    assert load_runs(path).composite["value"].max() == 0.5
    (path / "evaluations" / "abc" / "config.json").write_text("{")
    (path / "evaluations" / "notes").mkdir()
    assert load_runs(path).evaluations_beside == {"abc": {load_runs(path).configs["run_id"].iloc[0]: {}}}
    assert "config.json cannot be read" in load_runs(path, evaluation="abc").skipped[0].reason
    missing = load_runs(path, evaluation="xyz")
    assert len(missing) == 0
    assert "xyz" in missing.skipped[0].reason


def test_a_table_with_other_columns_or_types_is_told(tmp_path):
    path = make_run(tmp_path)
    tables = evaluation_tables()
    with RunDirectory.reopen(path) as run:
        run.write_table(path / "composite.parquet", tables["composite"].drop_columns(["coverage"]))
        assert "composite.parquet lacks the columns coverage" in load_runs(path).skipped[0].reason
        nulls = tables["evaluations"].set_column(1, "window_id", pa.array([None] * 6, pa.int64()))
        run.write_table(path / "composite.parquet", tables["composite"])
        run.write_table(path / "evaluations.parquet", nulls)
        assert "evaluations.parquet has columns of other types" in load_runs(path).skipped[0].reason


def test_loading_needs_no_torch(root):
    code = (
        "import sys; from modyn_bench.runs.load import load_runs; from modyn_bench.runs.listing import list_runs;"
        "heavy = {'torch', 'pandas', 'pyarrow', 'wandb'} & set(sys.modules); assert not heavy, heavy;"
        f"assert len(load_runs({str(root)!r})) == 3; list_runs({str(root)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_list_of_runs(root):
    listed = {(item.status, item.seed, item.trigger, item.selector): item for item in list_runs(root)[0]}
    assert set(listed) == {
        ("done", 0, "time", "new_data"),
        ("done", 0, "time", "uniform"),
        ("done", 0, "amount", "new_data"),
        ("done", 8, "time", "new_data"),
        ("resumable", 7, "time", "new_data"),
    }
    done = listed["done", 0, "time", "new_data"]
    assert (done.metric, done.value, done.num_triggers, done.dataset) == ("accuracy", 0.25, NUM_TRIGGERS, "stream")
    resumable = listed["resumable", 7, "time", "new_data"]
    assert (resumable.metric, resumable.num_triggers) == (None, 2)


def test_the_list_tells_locked_and_corrupt_runs(tmp_path):
    with open_run(tmp_path) as run:
        ((item,), _) = list_runs(tmp_path)
        assert item.status == "locked"
        assert item.detail.startswith(f"process {os.getpid()} on ")
        assert "run by" in load_runs(tmp_path).unfinished[0].reason
        complete(run, 2)
    (run.path / "triggers" / "00001" / "states.json").unlink()
    ((item,), _) = list_runs(tmp_path)
    assert item.status == "corrupt"
    assert "00001/states.json is missing" in item.detail
    assert item.trigger == "time"
    (run.path / "manifest.json").write_text("{")
    ((item,), _) = list_runs(tmp_path)
    assert (item.status, item.run_id, item.trigger) == ("corrupt", run.path.name, None)


def manifest_of(fingerprint: str = "f00dbeef", name: str = "stream", **changes) -> dict:
    config = config_of(**changes)
    own = f"x-{abs(hash(json.dumps([config, fingerprint])))}"
    return {"config": config, "fingerprint": fingerprint, "dataset": {**DATASET, "name": name}, "run_id": own}


@pytest.mark.parametrize(
    ("manifests", "expected"),
    [
        ([manifest_of()], ["time / new_data"]),
        ([manifest_of(seed=0), manifest_of(seed=1)], ["seed=0", "seed=1"]),
        ([manifest_of(training__epochs=1), manifest_of(training__epochs=5)], ["epochs=1", "epochs=5"]),
        (
            [manifest_of(), manifest_of(trigger__every="26w"), manifest_of(trigger=AMOUNT)],
            ["time every=1y", "time every=26w", "amount"],
        ),
        (
            [manifest_of(selector=UNIFORM), manifest_of(selector=UNIFORM | {"ratio": 0.5}), manifest_of()],
            ["uniform ratio=0.25", "uniform ratio=0.5", "new_data"],
        ),
        ([manifest_of("aaaaaaaa"), manifest_of("bbbbbbbb")], ["data=aaaaaa", "data=bbbbbb"]),
        ([manifest_of("a", "bank"), manifest_of("b", "elec2")], ["bank", "elec2"]),
        ([manifest_of(dataset__path="a"), manifest_of("other123", dataset__path="b")], ["data=f00dbe", "data=other1"]),
        ([manifest_of(root="a", experiment="b"), manifest_of(root="c", seed=3)], ["seed=0", "seed=3"]),
        (
            [manifest_of(evaluation__batch_size=64), manifest_of(evaluation__batch_size=8)],
            ["batch_size=64", "batch_size=8"],
        ),
        ([manifest_of(evaluation__split="test"), manifest_of(evaluation__split="late")], ["split=test", "split=late"]),
        (
            [manifest_of(experiment="grid/early"), manifest_of(experiment="grid/late", trigger=AMOUNT)],
            ["early", "late"],
        ),
        (  # a sweep over seeds, and one point that was swept over further
            [manifest_of(experiment="grid/early", seed=seed) for seed in (0, 1)],
            ["early / seed=0", "early / seed=1"],
        ),
        (
            [manifest_of(experiment="grid/early", training__epochs=epochs) for epochs in (1, 5)],
            ["epochs=1", "epochs=5"],
        ),
        (  # of two grids
            [manifest_of(experiment="a/early"), manifest_of(experiment="b/early", trigger=AMOUNT)],
            ["a/early", "b/early"],
        ),
    ],
)
def test_labels(manifests, expected):
    assert name_runs(manifests) == expected


@pytest.mark.parametrize(
    ("experiment", "overrides", "expected"),
    [
        (None, [], "time / new_data"),
        (None, ["seed=3", "root=elsewhere", "logger.mode=offline", "runs.keep_models=all"], "time / new_data"),
        (None, ["trigger=time", "trigger.every=1y"], "time every=1y / new_data"),
        (None, ["selector.history=0", "selector=new_data"], "time / new_data history=0"),
        (None, ["dataset=table", "dataset.path=x.csv", "model=auto"], "auto / time / new_data"),
        (None, ["training.epochs=3", "evaluation.metrics=[loss]"], "time / new_data / training.epochs=3"),
        (None, ["trigger/decision=threshold"], "time decision=threshold / new_data"),
        (None, ["+trigger@trigger.members.a=amount", "~trigger.start"], "time members.a=amount ~start / new_data"),
        ("grid/early", ["+experiment/grid=early", "seed=1"], "grid/early"),
        ("grid/early", ["+experiment/grid=early", "trigger.every=2y"], "grid/early / every=2y"),
    ],
)
def test_one_runs_policy_is_called_by_what_it_was_asked_for(experiment, overrides, expected):
    assert name_policy(manifest_of(experiment=experiment), overrides) == expected


def test_policies_share_a_label_over_seeds():
    manifests = [manifest_of(seed=seed, **change) for change in ({}, {"selector": UNIFORM}) for seed in (0, 1)]
    assert name_runs(manifests, seeds=False) == ["new_data", "new_data", "uniform", "uniform"]
    assert name_runs(manifests) == ["new_data / seed=0", "new_data / seed=1", "uniform / seed=0", "uniform / seed=1"]
    alone = name_runs([manifest_of(seed=seed) for seed in (0, 1)], seeds=False)
    assert alone == ["time / new_data", "time / new_data"]


@pytest.mark.parametrize("key", PREDICTION_KEYS)
def test_what_is_part_of_a_runs_identity_tells_policies_apart(key: str):
    manifests = [manifest_of(seed=seed, **{f"evaluation__{key}": value}) for value in (1, 2) for seed in (0, 1)]
    assert name_runs(manifests, seeds=False) == [f"{key}=1", f"{key}=1", f"{key}=2", f"{key}=2"]


def test_the_rest_of_the_evaluation_and_what_no_result_depends_on_tell_none_apart():
    same = [{}, {"evaluation__metrics": ["loss"]}, {"replay__chunk_size": 9}, {"runs__keep_models": "all"}]
    manifests = [manifest_of(seed=seed, **change) for seed, change in enumerate(same)]
    assert set(name_runs(manifests, seeds=False)) == {"time / new_data"}


def test_what_lies_at_a_place_tells_policies_apart_and_its_name_does_not():
    manifests = [
        {**manifest_of(seed=seed, model__path=path), "places": {"model.path": digest}}
        for seed, path, digest in ((0, "lm", "aaaaaaaabb"), (1, "copy", "aaaaaaaabb"), (0, "lm", "ccccccccdd"))
    ]
    assert name_runs(manifests, seeds=False) == ["path=aaaaaaaa", "path=aaaaaaaa", "path=cccccccc"]


def test_runs_of_one_seed_are_never_taken_for_seeds():
    """They differ by something that no key shows: the content of initial weights, say."""
    manifests = [{**manifest_of(), "run_id": f"x-{number}"} for number in range(2)]
    assert name_runs(manifests, seeds=False) == ["time / new_data / 0", "time / new_data / 1"]


changes = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2),
        "training__epochs": st.integers(1, 2),
        "trigger": st.sampled_from([AMOUNT, {"_target_": "a.Ensemble", "members": {"a": AMOUNT, "b": UNIFORM}}]),
        "model__hidden": st.sampled_from([None, [1], [1, 2]]),
        "evaluation__batch_size": st.integers(1, 2),
    },
)


@settings(max_examples=50)
@given(st.lists(changes, min_size=1, max_size=5, unique_by=lambda change: json.dumps(change, sort_keys=True)))
def test_labels_are_unique(configs):
    manifests = [manifest_of(**change) for change in configs]
    distinct = {json.dumps(manifest["config"], sort_keys=True): manifest for manifest in manifests}
    names = name_runs(list(distinct.values()))
    assert len(set(names)) == len(names)
