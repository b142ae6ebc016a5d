"""Runs read back from what W&B has of them: folders of offline runs, and a server that W&B's own client asks."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import wandb
from filelock import FileLock
from observed import drive
from wandb_server import ENTITY, PROJECT, ServedRun, Server, files_of, log_in, serving

from modyn_bench.cli import main
from modyn_bench.config import LoggerConfig
from modyn_bench.errors import RequestError, RunError
from modyn_bench.jobs import run_job
from modyn_bench.preflight import check_jobs
from modyn_bench.runs import fetching
from modyn_bench.runs.copies import COPIED, COPY, NO_COPY, UNFINISHED, copy_results
from modyn_bench.runs.fetching import Address, cache_folder
from modyn_bench.runs.listing import list_runs
from modyn_bench.runs.load import Runs, load_runs
from modyn_bench.runs.lock import LOCK_NAME
from modyn_bench.runs.manifest import read_manifest
from modyn_bench.runs.tables import TABLES
from modyn_bench.tracking.wandb import WandbObserver

ALL = f"wandb:{ENTITY}/{PROJECT}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two real runs that were trained and logged offline, and one that was interrupted."""
    folder = tmp_path_factory.mktemp("made")
    lines = [f"2020-01-{row // 4 + 1:02},{row % 7},{'ab'[row % 7 > 3]}" for row in range(112)]
    (folder / "t.csv").write_text("\n".join(["ts,x,y", *lines]))
    table = ["dataset=table", f"dataset.path={folder / 't.csv'}", "dataset.timestamp=ts", "dataset.label=y"]
    where = [f"root={folder / 'out'}", f"data_dir={folder / 'stores'}", "training.epochs=1"]
    where.append("evaluation.windows.sliced.every=2d")
    for num_samples in (16, 24):
        policy = ["trigger=amount", f"trigger.num_samples={num_samples}"]
        (job,) = check_jobs([*table, *policy, *where])
        run_job(job.config, sweep=f"sweep of {num_samples}", overrides=policy)
    drive(folder / "out", [WandbObserver(LoggerConfig())], stop_before=2, status="interrupted")
    return folder


@pytest.fixture(scope="module")
def copied(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What W&B wrote of those runs, and nothing else of them: the content of each one's folder ``wandb``."""
    folder = tmp_path_factory.mktemp("copied") / "wandb"
    for run in (made / "out").iterdir():
        for link in (entry for entry in folder.glob("*") if entry.is_symlink()):
            link.unlink()  # each has its own, to its latest run and its logs
        shutil.copytree(run / "wandb", folder, dirs_exist_ok=True, symlinks=True)
    return folder


@pytest.fixture
def server(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that holds those runs as ``wandb sync`` uploads them, with this process logged in."""
    with serving() as served:
        for folder in sorted(copied.glob("offline-run-*")):
            manifest = read_manifest(folder / "files" / COPY)
            group = f"of {manifest['config']['trigger'].get('num_samples')}"
            served.runs.append(ServedRun(manifest["wandb_id"], files_of(folder), group))
        log_in(monkeypatch, served.url, tmp_path / "home")
        yield served


def assert_same(loaded: Runs, expected: Runs) -> None:
    """The same runs to the last bit of every frame, but for where they lie and their order."""
    order = [*expected.names]
    assert set(loaded.names) == set(order)
    for name in TABLES:
        frames = [getattr(runs, name) for runs in (loaded, expected)]
        for run in order:
            parts = [frame[frame["run_id"] == run].reset_index(drop=True) for frame in frames]
            pd.testing.assert_frame_equal(*parts, check_exact=True)
    configs = [runs.configs.drop(columns="path").set_index("run_id").loc[order] for runs in (loaded, expected)]
    pd.testing.assert_frame_equal(*configs, check_exact=True)
    assert (loaded.names, loaded.policies, loaded.manifests) == (expected.names, expected.policies, expected.manifests)


def test_a_copied_folder_of_wandb_holds_exactly_the_runs(made: Path, copied: Path):
    expected = load_runs(made / "out")
    assert len(expected) == 2
    assert len(expected.evaluations) > 200
    loaded = load_runs(copied)
    assert_same(loaded, expected)
    assert [entry.reason for entry in loaded.unfinished] == [UNFINISHED]
    assert loaded.skipped == ()
    for folder in copied.glob("offline-run-*"):
        (run,) = [run for run in (made / "out").iterdir() if run.name in folder.name]
        files = list((folder / "files" / COPY).iterdir())
        assert {file.name for file in files} == (set(COPIED) if (run / "DONE").exists() else {"manifest.json"})
        assert all(file.read_bytes() == (run / file.name).read_bytes() for file in files)


def test_single_folders_are_read_and_a_run_counts_once(made: Path, copied: Path):
    folders = sorted(copied.glob("offline-run-*"))
    assert_same(load_runs(folders), load_runs(made / "out"))
    for name in ("latest-run", "latest-run/files/modyn_bench"):
        (latest,) = load_runs(next((made / "out").glob("*-amount-*")) / "wandb" / name).names
        assert "amount" in latest
    both = load_runs([made / "out", copied])
    assert len(both) == 2
    assert sum("it is a copy of" in entry.reason for entry in both.skipped) == 2


@pytest.mark.parametrize("damage", ["manifest.json", "stages.parquet"])
@pytest.mark.parametrize("copy_first", [False, True])
def test_a_damaged_place_of_a_run_gives_way_to_a_whole_one(
    made: Path, copied: Path, tmp_path: Path, damage: str, copy_first: bool
):
    whole, run = load_runs(made / "out"), next((made / "out").glob("*-amount-*"))
    (folder,) = copied.glob(f"offline-run-*-{run.name}-*")
    damaged, copy = tmp_path / run.name, tmp_path / "copied" / folder.name
    for source, place in ((run, damaged), (folder, copy)):
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("wandb"))
    order = [copy, damaged] if copy_first else [damaged, copy]
    assert load_runs(order).configs["path"].tolist() == [str(damaged)]  # a run directory goes before a copy
    (damaged / damage).write_bytes(b"cut")
    loaded = load_runs(order)
    assert loaded.configs["path"].tolist() == [str(copy / "files" / COPY)]
    assert [(entry.path, damage in entry.reason) for entry in loaded.skipped] == [(damaged, True)]
    assert len(loaded.stages) == (whole.stages["run_id"] == run.name).sum()
    (copy / "files" / COPY / "stages.parquet").unlink()
    assert {entry.path for entry in load_runs(order).skipped} == {damaged, copy / "files" / COPY}


def test_a_wandb_run_of_another_program_is_told(copied: Path, tmp_path: Path):
    folder = tmp_path / "offline-run-20260101_120000-other"
    (folder / "files").mkdir(parents=True)
    assert [(entry.path, entry.reason) for entry in load_runs(folder).skipped] == [(folder, NO_COPY)]
    (done,) = [folder for folder in copied.glob("offline-run-*") if "amount" in folder.name][:1]
    shutil.copytree(done, tmp_path / done.name)
    loaded = load_runs(tmp_path)
    assert (len(loaded), [entry.reason for entry in loaded.skipped]) == (1, [NO_COPY])
    (tmp_path / done.name / "files" / COPY / "stages.parquet").unlink()
    assert "stages.parquet is missing" in load_runs(tmp_path).skipped[1].reason


def test_the_commands_read_folders_of_wandb(copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["runs", f"root={copied}"]) == 0
    table = capsys.readouterr().out
    assert [line.split()[1] for line in table.splitlines()[1:4]].count("done") == 2
    assert "unfinished  " in table
    assert UNFINISHED in table
    assert main(["report", str(copied), "--out", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    assert "num_samples=24" in out
    assert "tables alone, as W&B keeps them" in out  # no test of the difference, which needs predictions
    (folder, _) = [folder / "files" / COPY for folder in copied.glob("offline-run-*") if "amount" in folder.name]
    assert main(["evaluate", str(folder), "evaluation.metrics=[loss]"]) == 1
    assert "name the run directory itself" in capsys.readouterr().err
    assert "has no evaluation abc: a copy has the one" in load_runs(copied, evaluation="abc").skipped[0].reason


def test_copies_under_the_name_of_their_run_are_told_as_copies(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    runs = sorted((made / "out").glob("*-amount-*"))
    for run in runs:
        copy_results(run, tmp_path / run.name)
    assert_same(load_runs(tmp_path), load_runs(made / "out"))
    copies, originals = list_runs(tmp_path)[0], list_runs(runs)[0]
    assert [(copy.status, copy.num_triggers, copy.value) for copy in copies] == [
        (run.status, run.num_triggers, run.value) for run in originals
    ]
    assert all(copy.num_triggers > 1 for copy in copies)
    assert main(["evaluate", str(tmp_path / runs[0].name), "evaluation.metrics=[loss]"]) == 1
    told = capsys.readouterr().err
    assert "is a copy of a run, its tables alone" in told
    assert "damaged" not in told
    assert {entry.path for entry in load_runs([tmp_path, *runs]).skipped} == {tmp_path / run.name for run in runs}


def test_runs_come_back_from_the_server_and_are_downloaded_once(made: Path, server: Server):
    loaded = load_runs(ALL)
    assert_same(loaded, load_runs(made / "out"))
    assert [entry.reason for entry in loaded.unfinished] == [UNFINISHED]
    first = server.downloads.copy()
    assert first.count(f"{COPY}/evaluations.parquet") == 2
    assert first.count(f"{COPY}/manifest.json") == 3
    assert_same(load_runs(ALL), load_runs(made / "out"))
    assert server.downloads[len(first) :] == [f"{COPY}/manifest.json"]  # of the run that may have gone on
    assert {summary.status for summary in list_runs(ALL)[0]} == {"done", "unfinished"}


def test_processes_that_fetch_the_same_runs_do_not_disturb_each_other(made: Path, server: Server):
    """Each run is downloaded by one of them; an unfinished one is read by all while it is fetched anew."""
    code = (
        f"from modyn_bench.runs.load import load_runs; runs = load_runs({ALL!r});"
        "assert not runs.skipped, runs.skipped; print(len(runs), len(runs.unfinished))"
    )
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=100) for process in processes]
    assert [out for out, _ in answers] == ["2 1\n"] * 3, answers
    assert server.downloads.count(f"{COPY}/evaluations.parquet") == 2
    assert_same(load_runs(ALL), load_runs(made / "out"))


def test_a_run_waits_for_the_process_that_fetches_it(server: Server, monkeypatch: pytest.MonkeyPatch):
    (own,) = [run for run in server.runs if run.group == "of 16"]
    home = cache_folder(server.url, Address(ENTITY, PROJECT)) / own.id
    (home / ".tmp-of-a-killed-process" / COPY).mkdir(parents=True)
    monkeypatch.setattr(fetching, "_PATIENCE_S", 0.1)
    with FileLock(home / LOCK_NAME):
        loaded = load_runs(ALL)
    assert len(loaded) == 1
    (skipped,) = loaded.skipped
    assert (str(skipped.path), "could not be acquired" in skipped.reason) == (f"{ALL}/{own.id}", True)
    assert len(load_runs(ALL)) == 2
    assert {entry.name for entry in home.iterdir()} == {COPY, LOCK_NAME}


def test_what_wandb_sync_uploads_is_read_back(made: Path, copied: Path, server: Server, tmp_path: Path):
    """The whole way round, with W&B's own commands: logged offline, uploaded, listed, downloaded."""
    expected, server.runs = {run.id: run for run in server.runs}, []
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in copied.glob("offline-run-*")]
    wandb_command = str(Path(sys.executable).parent / "wandb")
    command = [wandb_command, "sync", *map(str, folders)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert {run.id for run in server.runs} == set(expected)
    for run in server.runs:
        uploaded = {name: content for name, content in run.files.items() if name.startswith(f"{COPY}/")}
        own = {name: content for name, content in expected[run.id].files.items() if name.startswith(f"{COPY}/")}
        assert uploaded == own
    assert_same(load_runs(ALL), load_runs(made / "out"))
    (one,) = load_runs(f"{ALL}/group=sweep of 16").manifests.values()
    assert one["config"]["trigger"]["num_samples"] == 16


def test_a_run_that_is_logged_online_can_be_read_back(server: Server, tmp_path: Path):
    server.runs = []
    config = LoggerConfig(mode="online", entity=ENTITY, project=PROJECT)
    path = drive(tmp_path / "out", [WandbObserver(config)], stop_before=2, status="interrupted")
    assert [entry.reason for entry in load_runs(ALL).unfinished] == [UNFINISHED]
    drive(tmp_path / "out", [WandbObserver(config)])  # resumed
    assert [run.id for run in server.runs] == [read_manifest(path)["wandb_id"]]
    assert_same(load_runs(ALL), load_runs(path))
    (folder, *_) = (path / "wandb").glob("run-*")
    assert load_runs([ALL, folder]).manifests == load_runs(path).manifests


def test_one_run_or_one_group_can_be_asked_for(server: Server):
    (own,) = [run for run in server.runs if run.group == "of 16"]
    other = next(run for run in server.runs if run.group == "of 24")
    own.group = "http://x//16"
    for address in (f"{ALL}/{own.id}", f"{ALL}/group=http://x//16"):
        (manifest,) = load_runs(address).manifests.values()
        assert manifest["config"]["trigger"]["num_samples"] == 16
        assert manifest["wandb_id"] == own.id
    assert len(load_runs([f"{ALL}/group=http://x//16", f"{ALL}/{other.id}"])) == 2


def test_the_commands_read_from_the_server(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", ALL, "--out", str(tmp_path / "report")]) == 0
    assert "num_samples=24" in capsys.readouterr().out
    assert main(["runs", f"root={ALL}/group=of 16"]) == 0
    assert "amount" in capsys.readouterr().out
    server.runs.append(ServedRun("other", {"output.log": b""}))
    assert main(["runs", f"root={ALL}"]) == 0
    assert f"left out  {ALL}/other: {NO_COPY}" in capsys.readouterr().out.splitlines()
    assert main(["runs", f"root={ALL}/other"]) == 0
    assert capsys.readouterr().out == f"There are no runs in {ALL}/other.\n\nleft out  {ALL}/other: {NO_COPY}\n"
    assert main(["report", f"{ALL}x"]) == 2
    assert "there is no project" in capsys.readouterr().err


def test_a_wrong_key_is_told_as_such(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log_in(monkeypatch, server.url, tmp_path / "home", key="9876543210" * 4)
    with pytest.raises(RequestError, match="W&B wants a login"):
        load_runs(ALL)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"wandb:{ENTITY}/elsewhere", r"there is no project me/elsewhere in W&B"),
        (f"{ALL}/nothing", r"the project me/modyn_bench has no run nothing"),
        (f"{ALL}/group=nobody", r"the project me/modyn_bench has no group nobody"),
        ("wandb:me", "write wandb:ENTITY/PROJECT"),
        ("wandb:../me", "write wandb:ENTITY/PROJECT"),
        (f"{ALL}/..", "write wandb:ENTITY/PROJECT"),
        (f"{ALL}/a/b", "write wandb:ENTITY/PROJECT"),
    ],
)
def test_what_is_not_there_is_named(server: Server, address: str, message: str):
    with pytest.raises(RequestError, match=message):
        load_runs(address)


def test_no_login_is_told_with_what_to_do(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log_in(monkeypatch, server.url, tmp_path / "home", key=None)
    with pytest.raises(RequestError, match="run `wandb login`"):
        load_runs(ALL)


def test_what_the_server_lacks_or_cuts_off_is_skipped_by_name(server: Server):
    done = [run for run in server.runs if f"{COPY}/DONE" in run.files]
    del done[0].files[f"{COPY}/models.parquet"]
    done[1].sizes[f"{COPY}/stages.parquet"] = 10**6
    server.runs.append(ServedRun("of-another-program", {"output.log": b""}))
    loaded = load_runs(ALL)
    assert len(loaded) == 0
    skipped = {str(entry.path): entry.reason for entry in loaded.skipped}
    assert "models.parquet is missing on the server" in skipped[f"{ALL}/{done[0].id}"]
    assert "of 1,000,000 bytes" in skipped[f"{ALL}/{done[1].id}"]
    assert skipped[f"{ALL}/of-another-program"] == NO_COPY
    done[1].sizes.clear()
    assert len(load_runs(ALL)) == 1  # nothing half-downloaded was kept


@pytest.mark.parametrize("page", [0, 1])
def test_a_run_whose_files_the_server_refuses_is_skipped_alone(server: Server, page: int):
    refused = next(run for run in server.runs if f"{COPY}/DONE" in run.files)

    def refuses(query: str, variables: dict[str, Any]) -> bool:
        return "query RunFiles(" in query and variables["name"] == refused.id and bool(variables["fileCursor"]) == page

    server.refuses = refuses
    loaded = load_runs(ALL)
    assert len(loaded) == 1
    (skipped,) = loaded.skipped
    assert str(skipped.path) == f"{ALL}/{refused.id}"
    assert "could not be downloaded" in skipped.reason
    assert "permission denied" in skipped.reason


@pytest.mark.parametrize("page", [0, 1])
def test_a_list_of_runs_that_the_server_refuses_is_told(server: Server, page: int, capsys: pytest.CaptureFixture[str]):
    server.refuses = lambda query, variables: "query Runs(" in query and bool(variables["cursor"]) == page
    with pytest.raises(RunError, match=r"W&B's server could not be asked \(.*permission denied"):
        load_runs(ALL)
    assert main(["runs", f"root={ALL}"]) == 1
    assert "permission denied" in capsys.readouterr().err


def test_no_name_from_the_server_leads_out_of_the_cache(server: Server, tmp_path: Path):
    (own,) = [run for run in server.runs if run.group == "of 16"]
    own.files = {"../../../evil": b"evil", **own.files, f"../{COPY}/evil": b"evil"}
    server.runs.append(ServedRun("../../escaped", own.files))
    loaded = load_runs(ALL)
    assert len(loaded) == 2
    assert "its id is no name of a folder" in next(iter(loaded.skipped)).reason
    cache = cache_folder(server.url, Address(ENTITY, PROJECT))
    assert cache.is_relative_to(tmp_path / "home")
    assert {file.name for file in cache.rglob("*") if file.is_file()} == {*COPIED, LOCK_NAME}
    assert not [path for path in tmp_path.rglob("*") if path.name in ("evil", "escaped")]


def test_a_server_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        log_in(monkeypatch, f"http://127.0.0.1:{free.getsockname()[1]}", tmp_path / "home")
        monkeypatch.setattr(wandb.Api, "_HTTP_TIMEOUT", 1)
        with pytest.raises(RunError, match="W&B's server could not be asked"):
            load_runs(ALL)


def test_the_manifest_is_there_from_the_start(copied: Path):
    (unfinished,) = [folder for folder in copied.glob("offline-run-*") if "amount" not in folder.name]
    folder = unfinished / "files" / COPY
    assert [file.name for file in folder.iterdir()] == ["manifest.json"]
    assert read_manifest(folder)["wandb_id"] in unfinished.name
