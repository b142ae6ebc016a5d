"""Run directories: commits, resume, locks, tables, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modyn_bench.errors import ContractError, RequestError, RunError
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.runs.files import write_table
from modyn_bench.runs.lock import RunLocked, locked_by
from modyn_bench.types import Predictions, Selection, StageCost
from tests.runs.building import (
    DATASET,
    FINGERPRINT,
    NUM_TRIGGERS,
    WITHOUT_MODEL,
    commit,
    complete,
    config_of,
    contents,
    decisions_of,
    open_run,
    predictions_of,
    record_of,
    states_of,
)

COLUMNS = {
    "triggers": "trigger_index:int64 fired_at:int64 first_timestamp:int64? last_timestamp:int64? num_arrived:int64 "
    "num_labelled:int64 num_selected:int64 num_empty_periods:int64 model_id:int64?",
    "models": "model_id:int64 trigger_index:int64 parent_model_id:int64? data_first_timestamp:int64? "
    "data_last_timestamp:int64? available_at:int64 num_samples_selected:int64 num_epochs:int64 "
    "num_optimizer_steps:int64 forward_passes:double backward_passes:double",
    "decisions": "trigger_index:int64? policy:string at_timestamp:int64 num_samples_seen:int64 score:double? "
    "threshold:double? fired:bool warmup:bool forward_passes:double",
    "stages": "trigger_index:int64? stage:string seconds:double num_samples:int64 forward_passes:double "
    "backward_passes:double",
}


def finished(root: Path, **changes) -> Path:
    with open_run(root, **changes) as run:
        complete(run)
        return run.path


def test_tables_have_exactly_their_columns_and_types(tmp_path):
    path = finished(tmp_path)
    for name, columns in COLUMNS.items():
        schema = pq.read_schema(path / f"{name}.parquet")
        found = " ".join(f"{field.name}:{field.type}{'?' if field.nullable else ''}" for field in schema)
        assert found == columns


def test_tables_of_a_run_without_a_single_trigger_have_the_same_types(tmp_path):
    with open_run(tmp_path) as run:
        with run.begin(None):
            pass
        run.finish()
    for name, columns in COLUMNS.items():
        table = pq.read_table(run.path / f"{name}.parquet")
        assert len(table) == 0
        assert " ".join(f"{f.name}:{f.type}{'?' if f.nullable else ''}" for f in table.schema) == columns


def test_tables_hold_the_records_in_order_with_their_nulls(tmp_path):
    path = finished(tmp_path)
    triggers, models, decisions, stages = (pq.read_table(path / f"{name}.parquet").to_pylist() for name in COLUMNS)
    assert [row["model_id"] for row in triggers] == [0, 1, None, 2]
    assert [row["first_timestamp"] for row in triggers] == [0, 100, None, 300]
    assert [(row["model_id"], row["trigger_index"], row["parent_model_id"]) for row in models] == [
        (0, 0, None),
        (1, 1, 0),
        (2, 3, 1),
    ]
    assert models[0]["backward_passes"] == 15.0 / 7
    assert [row["trigger_index"] for row in decisions] == [None, 0, None, 1, None, 2, None, 3, None]
    assert np.isnan(decisions[0]["score"])  # not a number is not null
    assert decisions[0]["threshold"] is None
    assert decisions[1]["threshold"] == float("inf")
    assert [row["trigger_index"] for row in stages] == [0, 0, 1, 1, 2, 2, 3, 3, None]
    assert stages[2]["seconds"] == 1.1


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_no_thread_that_reads_a_table_can_outlive_it(tmp_path):
    """One that holds a Python object while the interpreter shuts down aborts the process, once in hundreds of times."""
    write_table(tmp_path / "table.parquet", pa.table({name: np.arange(1000) for name in "abcdef"}))
    code = (
        "import os, sys, pyarrow.parquet\n"
        "from pathlib import Path\n"
        "from modyn_bench.runs.files import read_table\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "assert read_table(Path(sys.argv[1])).num_rows == 1000\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "table.parquet")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0\n"


def test_parts_give_back_what_was_written(tmp_path):
    path = finished(tmp_path)
    with RunDirectory.reopen(path) as run:
        assert run.done
        parts = run.parts()
        assert [part.record for part in parts] == [record_of(index) for index in range(NUM_TRIGGERS)]
        for index, part in enumerate(parts):
            # NaN is not itself, so the text is compared
            assert repr(part.decisions()) == repr(decisions_of(index))
            assert repr(part.states()) == repr(states_of(index))
            assert part.selection().keys.tolist() == list(range(5 * index, 5 * index + record_of(index).num_selected))
            assert part.selection().weights.dtype == np.float32
        assert [run.predictions(model_id).loss.tolist() for model_id in range(3)] == [
            predictions_of(index).loss.tolist() for index in (0, 1, 3)
        ]
        found = run.predictions(2)
        for name in Predictions.__slots__:
            expected = np.asarray(getattr(predictions_of(3), name))
            assert np.asarray(getattr(found, name)).dtype == expected.dtype
            assert np.array_equal(getattr(found, name), expected)
        assert [values.tolist() for values in run.test_split()] == [list(range(0, 110, 10)), [0, 1, 2] * 3 + [0, 1]]
        with pytest.raises(RunError, match="no model 3"):
            run.predictions(3)


def test_bytes_do_not_depend_on_interruptions_or_chunks(tmp_path):
    whole = contents(finished(tmp_path / "whole"))
    for until in range(NUM_TRIGGERS):
        with open_run(tmp_path / "cut") as run:
            complete(run, until)
    assert contents(finished(tmp_path / "cut")) == whole


def test_seconds_stand_in_the_stages_alone(tmp_path, monkeypatch):
    from tests.runs import building

    path = finished(tmp_path / "one")
    slow = tuple(replace(cost, seconds=cost.seconds * 1e3 + 1 / 7) for cost in record_of(0).stages)
    original = building.record_of
    monkeypatch.setattr(building, "record_of", lambda index: replace(original(index), stages=slow))
    other = finished(tmp_path / "other")
    one, two = contents(path), contents(other)
    assert set(one) == set(two)
    differing = {name.rpartition("/")[2] for name in one if one[name] != two[name]}
    assert differing == {"stages.json", "stages.parquet"}


def test_an_exception_leaves_nothing_behind(tmp_path):
    with open_run(tmp_path) as run:
        commit(run, 0)
        before = contents(run.path)
        with pytest.raises(KeyboardInterrupt):
            write(run, 1, "selection", error=KeyboardInterrupt)
        assert contents(run.path) == before
        assert len(run.parts()) == 1
        commit(run, 1)


def write(run: RunDirectory, index: int, *what: str, record=None, error: type[BaseException] | None = None) -> None:
    """Commit a trigger with some of what belongs to it."""
    with run.begin(index) as part:
        if "selection" in what:
            part.write_selection(Selection.unweighted(np.arange(5)))
        if "states" in what:
            part.write_states(states_of(index))
        if "model" in what:
            (part.model_path / "weights").write_bytes(b"w")
        if "record" in what:
            part.write_record(record or record_of(index))
        if error:
            raise error


@pytest.mark.parametrize("missing", ["record", "selection", "states", "model"])
def test_an_incomplete_trigger_is_not_committed(tmp_path, missing):
    with open_run(tmp_path) as run:
        with pytest.raises(ContractError, match="trigger 0 cannot be committed"):
            write(run, 0, *{"record", "selection", "states", "model"} - {missing})
        assert run.parts() == []


def test_a_model_without_a_record_of_it_is_not_committed(tmp_path):
    record = replace(record_of(0), model=None)
    with open_run(tmp_path) as run, pytest.raises(ContractError, match="fit together"):
        write(run, 0, "selection", "states", "model", "record", record=record)


def test_parts_are_committed_in_turn(tmp_path):
    with open_run(tmp_path) as run:
        complete(run, 1)
        for index in (0, 2):
            with pytest.raises(ContractError, match="1 comes next"), run.begin(index):
                pass
        with pytest.raises(ContractError, match="stream has ended"):
            run.derive_tables()
        complete(run)
        for index in (NUM_TRIGGERS, None):
            with pytest.raises(ContractError, match="done"), run.begin(index):
                pass


def test_a_tail_that_an_earlier_attempt_committed_stays(tmp_path):
    for seconds in (1.0, 2.0):
        with open_run(tmp_path) as run:
            with run.begin(None) as tail:
                tail.write_stages([StageCost("decide", seconds)])
            assert [cost.seconds for cost in run.tail.stages] == [1.0]
            with pytest.raises(ContractError, match="stream has ended"), run.begin(0):
                pass


def test_the_last_model_is_kept_or_all(tmp_path):
    for keep, expected in (("last", [3]), ("all", [0, 1, 3])):
        with open_run(tmp_path / keep, runs__keep_models=keep) as run:
            with pytest.raises(RunError, match="no model"):
                run.last_model_path()
            complete(run, WITHOUT_MODEL + 1)
            assert run.last_model_path() == run.parts()[WITHOUT_MODEL - 1].model_path
            complete(run)
            assert [index for index, part in enumerate(run.parts()) if part.has_model] == expected
            assert sorted(path.name for path in run.last_model_path().iterdir()) == [
                "preprocessor.json",
                "weights.safetensors",
            ]


def test_showing_a_finished_run_deletes_no_model(tmp_path):
    path = finished(tmp_path, runs__keep_models="all")
    with open_run(tmp_path, runs__keep_models="last") as run:
        assert run.done
        assert run.path == path
        assert sum(part.has_model for part in run.parts()) == NUM_TRIGGERS - 1


def test_an_interrupted_run_takes_over_what_changed_in_its_configuration(tmp_path):
    with open_run(tmp_path) as run:
        token = run.wandb_id
    with open_run(tmp_path, logger={"kind": "wandb"}, evaluation__metrics=["ece"]) as run:
        assert run.config["evaluation"]["metrics"] == ["ece"]
        assert run.wandb_id == token
        complete(run)
    with open_run(tmp_path) as run:  # a finished one does not
        assert run.config["logger"] == {"kind": "wandb"}
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["config"]["evaluation"]["metrics"] == ["ece"]
    assert manifest["dataset"] == DATASET
    assert manifest["fingerprint"] == FINGERPRINT
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["reproducible"]


def test_wandb_ids_differ_between_roots(tmp_path):
    with open_run(tmp_path / "a") as one, open_run(tmp_path / "b") as two:
        assert one.run_id == two.run_id
        assert one.wandb_id != two.wandb_id
        assert one.wandb_id.startswith(f"{one.run_id}-")


def test_measured_delays_are_marked_as_not_reproducible(tmp_path):
    with open_run(tmp_path, replay__activation_delay="measured") as run:
        assert run.manifest["reproducible"] is False


def test_further_columns_of_a_selection(tmp_path):
    with open_run(tmp_path) as run, run.begin(0) as part:
        extra = {"num_uses": np.array([2, 0]), "sum_of_weights": np.array([1.5, 0], np.float32)}
        part.write_selection(Selection.unweighted(np.array([3, 4])), extra=extra)
        table = pq.read_table(part.path / "selection.parquet")
        assert table.to_pydict() == {
            "key": [3, 4],
            "weight": [1, 1],
            "num_uses": [2, 0],
            "sum_of_weights": [1.5, 0],
        }
        part.write_states({})
        part.write_record(replace(record_of(0), model=None))


def test_evaluations_stand_beside_and_are_never_overwritten(tmp_path):
    with RunDirectory.reopen(finished(tmp_path)) as run:
        table = pa.table({"a": [1]})

        def evaluate(*, fail: bool) -> None:
            with run.begin_evaluation("abc") as folder:
                run.write_table(folder / "evaluations.parquet", table)
                assert not fail

        with pytest.raises(AssertionError):
            evaluate(fail=True)
        assert not run.evaluation_path("abc").exists()
        evaluate(fail=False)
        assert pq.read_table(run.evaluation_path("abc") / "evaluations.parquet") == table
        with pytest.raises(RunError, match="never overwritten"), run.begin_evaluation("abc"):
            pass


def test_a_second_opener_is_told_who_holds_the_lock(tmp_path):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # another process
        with open_run(tmp_path) as run:
            os.write(writer, str(run.path).encode())
            signal.pause()
    path = Path(os.read(reader, 1000).decode())
    try:
        before = contents(path)
        for opening in (lambda: open_run(tmp_path), lambda: RunDirectory.reopen(path)):
            with pytest.raises(RunLocked, match=rf"locked by process {pid} on {socket.gethostname()} since 20\d\d-"):
                opening()
        assert locked_by(path).startswith(f"process {pid} on ")
        assert contents(path) == before
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)
    assert (path / ".holder.json").exists()  # what a killed holder leaves says nothing
    assert locked_by(path) is None
    with open_run(tmp_path) as run:
        assert json.loads((path / ".holder.json").read_text())["pid"] == os.getpid()
        with pytest.raises(RunLocked):  # nor twice in one process
            open_run(tmp_path)
        run.close()
        run.close()
    assert not (path / ".holder.json").exists()


def test_many_processes_at_once_only_one_gets_in(tmp_path):
    go, ready = os.pipe(), os.pipe()
    children = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            os.close(go[1])
            os.read(go[0], 1)  # until the parent closes its end
            try:
                with open_run(tmp_path):
                    os.write(ready[1], b"in")
                    signal.pause()
            except RunLocked:
                os._exit(3)
            finally:
                os._exit(1)
        children.append(pid)
    os.close(go[1])
    losers = [os.waitpid(-1, 0) for _ in range(5)]
    assert [os.waitstatus_to_exitcode(status) for _, status in losers] == [3] * 5
    assert os.read(ready[0], 10) == b"in"
    (winner,) = set(children) - {pid for pid, _ in losers}
    os.kill(winner, signal.SIGKILL)
    os.waitpid(winner, 0)


def half_a_run(root: Path) -> Path:
    with open_run(root, runs__keep_models="all") as run:
        complete(run, 3)
        with run.begin(None) as tail:
            tail.write_decisions(decisions_of(None))
        return run.path


def files_of(path: Path) -> list[str]:
    return [name for name in contents(path) if name != "test_split.npz"]


@pytest.mark.parametrize("how", ["half", "empty", "missing", "garbage"])
def test_every_damaged_file_is_named_and_nothing_is_changed(tmp_path, how):
    whole = half_a_run(tmp_path / "whole")
    names = files_of(whole)
    assert len(names) > 20
    for name in names:
        root = tmp_path / "damaged"
        path = root / whole.name
        shutil.copytree(whole, path)
        file = path / name
        data = file.read_bytes()
        if how == "missing":
            file.unlink()
        else:
            file.write_bytes({"half": data[: len(data) // 2], "empty": b"", "garbage": b"\0" * (len(data) + 1)}[how])
        before = contents_or_bytes(path)
        with pytest.raises(RunError) as error:
            open_run(root, runs__keep_models="all")
        assert str(file) in str(error.value)
        assert "delete it" in str(error.value)
        assert contents_or_bytes(path) == before
        shutil.rmtree(root)


def contents_or_bytes(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != ".lock"}


@pytest.mark.parametrize("name", ["selection.parquet", "predictions.npz", "states.npz", "states.json"])
def test_changed_bytes_are_found_when_a_file_is_read(tmp_path, name):
    path = half_a_run(tmp_path)
    file = path / "triggers" / "00000" / name
    data = bytearray(file.read_bytes())
    known = {
        "predictions.npz": predictions_of(0).loss.tobytes(),
        "states.npz": np.zeros(1).tobytes(),
        "states.json": b"inf",
    }
    position = data.index(known[name]) if name in known else len(data) // 3
    data[position] ^= 0x55
    file.write_bytes(bytes(data))
    with RunDirectory.reopen(path) as run:
        part = run.parts()[0]
        with pytest.raises(RunError, match=f"00000/{name}"):
            {"selection.parquet": part.selection, "predictions.npz": part.predictions}.get(name, part.states)()


def test_a_damaged_test_split_is_named(tmp_path):
    path = half_a_run(tmp_path)
    for data in (b"", (path / "test_split.npz").read_bytes()[:-30]):
        (path / "test_split.npz").write_bytes(data)
        with RunDirectory.reopen(path) as run, pytest.raises(RunError, match=r"test_split\.npz"):
            run.test_split()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda path: shutil.rmtree(path / "triggers" / "00001"), "triggers/00001 is missing"),
        (lambda path: shutil.rmtree(path / "triggers" / "00001" / "model"), "triggers/00001/model is missing"),
        (lambda path: (path / "triggers" / "notes.txt").write_text("x"), "notes.txt does not belong there"),
        (lambda path: (path / "triggers" / "00002").rename(path / "triggers" / "00003"), "00002 is missing"),
        (lambda path: (path / "DONE").touch() or shutil.rmtree(path / "tail"), "tail is missing"),
    ],
)
def test_parts_that_do_not_fit_together_are_named(tmp_path, change, named):
    path = half_a_run(tmp_path)
    change(path)
    with pytest.raises(RunError, match=named):
        open_run(tmp_path, runs__keep_models="all")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"schema_version": 99}, "schema version 99"),
        ({"format": "modyn_bench sample store"}, "no manifest of a run"),
        ([1], "no manifest of a run"),
        ({"schema_version": 1, "config": {}}, "lacks"),
    ],
)
def test_a_foreign_manifest_is_refused(tmp_path, manifest, message):
    path = half_a_run(tmp_path)
    (path / "manifest.json").write_text(json.dumps(manifest))
    before = contents_or_bytes(path)
    with pytest.raises(RunError, match=f"manifest.json.*{message}"):
        open_run(tmp_path)
    assert contents_or_bytes(path) == before


def test_a_manifest_of_another_run_is_refused(tmp_path):
    path = half_a_run(tmp_path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["identity"] = "0" * 64
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"manifest\.json belongs to a run of another configuration"):
        open_run(tmp_path)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    path = finished(tmp_path / "here")
    foreign = tmp_path / "there" / path.name
    foreign.mkdir(parents=True)
    (foreign / "thesis.tex").write_text("everything")
    with pytest.raises(RunError, match=r"manifest\.json is missing beside thesis\.tex"):
        open_run(tmp_path / "there")
    assert [entry.name for entry in foreign.iterdir()] == ["thesis.tex"]
    with pytest.raises(RunError, match="is no run directory"):
        RunDirectory.reopen(foreign)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="root=DIR"):
        open_run(tmp_path / "file")


def test_a_wrong_request_makes_no_folder(tmp_path):
    with pytest.raises(RequestError):
        RunDirectory.open(
            tmp_path, config=config_of(training__initial_weights="nowhere"), fingerprint="f", dataset=DATASET
        )
    assert list(tmp_path.iterdir()) == []


def test_a_record_with_a_wrong_type_is_named(tmp_path):
    path = half_a_run(tmp_path)
    file = path / "triggers" / "00000" / "record.json"
    content = json.loads(file.read_text())
    for change in ({"fired_at": "1"}, {"fired_at": None}, {"num_arrived": True}, {"fired_at": 1.5}):
        file.write_text(json.dumps({**content, "record": {**content["record"], **change}}))
        with pytest.raises(RunError, match=rf"record\.json holds {next(iter(change))}="):
            RunDirectory.reopen(path)
    del content["record"]["model"]["available_at"]
    file.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"record\.json holds .* where a ModelRecord has"):
        RunDirectory.reopen(path)


def test_a_record_whose_time_is_no_whole_number_is_refused_when_it_is_written(tmp_path):
    record = replace(record_of(0), fired_at=0.5, model=None)
    with open_run(tmp_path) as run, pytest.raises(TypeError, match="float"):
        write(run, 0, "selection", "states", "record", record=record)
