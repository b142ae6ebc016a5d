"""Jobs through Hydra in processes of their own: failures, skipped jobs, interrupts, exit codes; nothing is trained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stands for the job: what it does depends on the seed.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from modyn_bench import cli
from modyn_bench.commands.running import run_jobs
from modyn_bench.errors import DataError, RequestError
from modyn_bench.jobs import JobResult
from modyn_bench.preflight import check_jobs
from modyn_bench.runs.lock import RunLocked

def run_job(config, *, sweep=None, overrides=()):
    seed, trigger = config["seed"], config["trigger"]["_target_"].rpartition(".")[2]
    if seed == 1: raise ZeroDivisionError("a mistake of the program")
    if seed == 2: raise DataError("row 7 has no label")
    if seed == 3: raise RequestError("the metric does not suit the data")
    if seed == 4: raise RunLocked(Path("outputs/x"), "process 4711 on host")
    if seed == 5: raise KeyboardInterrupt
    if seed == 6:  # as Lightning does on an interrupt
        try: raise KeyboardInterrupt
        except KeyboardInterrupt: sys.exit(1)
    if seed == 7:
        print("waiting", flush=True)
        time.sleep(60)
    point = f" as {config['experiment']}" if config["experiment"] else ""
    return JobResult("finished", Path("outputs"), f"did {trigger} with seed {seed} in {sweep}{point}")

def run(words):
    multirun = "-m" in words
    overrides = [word for word in words if word != "-m"]
    jobs = check_jobs(overrides, multirun=multirun)
    return run_jobs(overrides, num_jobs=len(jobs), multirun=multirun, program="modyn-bench", run_job=run_job)

cli._run = run
sys.exit(cli.main(["run", *sys.argv[1:]]))
"""


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    file = tmp_path / "script" / "fake.py"
    file.parent.mkdir()
    file.write_text(SCRIPT)
    return [sys.executable, str(file)]


def call(
    script: list[str], folder: Path, *words: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    return subprocess.run(
        [*script, *words], cwd=folder, capture_output=True, text=True, env=environ, timeout=120, check=False
    )


def test_one_job_prints_its_summary(script: list[str], tmp_path: Path):
    done = call(script, tmp_path, "trigger=once")
    assert (done.returncode, done.stdout, done.stderr) == (0, "did Once with seed 0 in None\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script"], "Hydra left something behind"


@pytest.mark.parametrize(
    ("seed", "code", "said", "traceback"),
    [
        (1, 1, "ZeroDivisionError: a mistake of the program", True),
        (2, 1, "row 7 has no label", False),
        (3, 2, "the metric does not suit the data", False),
        (4, 1, "locked by process 4711 on host", False),
        (5, 130, "interrupted; the same command resumes", False),
        (6, 130, "interrupted; the same command resumes", False),
    ],
)
def test_one_job_that_fails(seed: int, code: int, said: str, traceback: bool, script: list[str], tmp_path: Path):
    done = call(script, tmp_path, f"seed={seed}")
    assert done.returncode == code
    assert done.stderr.count(said) == 1
    assert ("Traceback" in done.stderr) == traceback


def test_a_request_that_does_not_suit_the_data_is_told_as_any_wrong_one(script: list[str], tmp_path: Path):
    done = call(script, tmp_path, "seed=3")
    assert done.stderr == (
        "modyn-bench: the request was wrong; nothing was started\nthe metric does not suit the data\n"
    )


def test_a_traceback_is_shown_on_request(script: list[str], tmp_path: Path):
    done = call(script, tmp_path, "seed=2", environment={"MODYN_BENCH_TRACEBACK": "1"})
    assert "Traceback" in done.stderr
    assert "DataError: row 7 has no label" in done.stderr


def test_a_sweep_goes_on_after_failures_and_tells_them_again(script: list[str], tmp_path: Path):
    done = call(script, tmp_path, "-m", "seed=0,1,2,3,4", "trigger=time,once", "logger=none")
    assert done.returncode == 1
    assert done.stdout.count("did Time with seed 0 in sweep-") == 1
    assert done.stdout.count("did Once with seed 0 in sweep-") == 1
    assert "[9/10] seed=4 trigger=time" in done.stdout
    assert done.stderr.count("a mistake of the program\n") == 4, "two jobs, at once and at the end"
    assert done.stderr.count("Traceback") == 4
    assert done.stderr.count("row 7 has no label") == 4
    assert done.stderr.count("skipped: outputs/x is locked by process 4711 on host") == 2
    last = done.stderr[done.stderr.index("2 of 10 jobs done, 2 skipped, which another process runs, 6 failed") :]
    assert "[3/10] seed=1 trigger=time\nTraceback" in last
    assert "[8/10] seed=3 trigger=once\nthe metric does not suit the data" in last


def test_a_sweep_changes_keys_that_the_default_configuration_lacks(script: list[str], tmp_path: Path):
    words = ["trigger=amount,never,amount", "selector=uniform,new_data", "selector.history=all", "root=elsewhere"]
    done = call(script, tmp_path, "-m", "trigger=amount,ensemble", "++trigger.num_samples=[7]")
    assert done.returncode == 2
    done = call(script, tmp_path, "-m", *words, "training.optimizer={lr: 0.1}", "+evaluation.windows.w={kind: sliced}")
    assert done.returncode == 0, done.stderr
    assert "6 of 6 jobs done" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "script"]
    done = call(script, tmp_path, "-m", "trigger=amount,amount", "trigger.num_samples=7", "logger.tags=['a b',c]")
    assert done.returncode == 0, done.stderr
    done = call(script, tmp_path, "-m", "trigger=ensemble", "+trigger@trigger.members.more=never", "seed=0,8")
    assert done.returncode == 0, done.stderr
    assert "[2/2] seed=8\n" in done.stdout
    done = call(script, tmp_path, "-m", "trigger=amount,time", "selector.limit=null", "dataset.path=null", "seed=0,8")
    assert done.returncode == 2
    done = call(script, tmp_path, "-m", "trigger=amount,time", "selector.limit=null", "logger.group=null")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("multirun.yaml")) == []


@pytest.mark.parametrize("earlier", ["trigger=null", "trigger=amount", "trigger=amount,time"])
def test_of_several_values_for_one_key_the_last_counts(earlier: str, script: list[str], tmp_path: Path):
    done = call(script, tmp_path, "-m", earlier, "seed=0", "trigger=once")
    assert (done.returncode, done.stderr) == (0, "")
    assert "did Once with seed 0" in done.stdout
    assert "1 of 1 jobs done" in done.stdout


def test_a_sweep_without_failures_is_done(script: list[str], tmp_path: Path):
    done = call(script, tmp_path, "-m", "seed=0,4")
    assert done.returncode == 0
    assert done.stdout.endswith("1 of 2 jobs done, 1 skipped, which another process runs\n")


def test_an_interrupt_ends_a_sweep_and_tells_what_had_failed(script: list[str], tmp_path: Path):
    done = call(script, tmp_path, "-m", "seed=2,5,0")
    assert done.returncode == 130
    assert "did Time" not in done.stdout
    assert "0 of 3 jobs done, 1 failed" in done.stderr
    assert "interrupted; the same command resumes" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_cleanly(number: int, code: int, script: list[str], tmp_path: Path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*script, "seed=7"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert "interrupted; the same command resumes" in stderr
    assert "Traceback" not in stderr


def test_an_experiment_names_the_sweep(script: list[str], tmp_path: Path):
    done = call(script, tmp_path, "-m", "+experiment/arxiv_first_look=glob(yearly*)")
    assert done.returncode == 0
    assert done.stdout.count("in arxiv_first_look as arxiv_first_look/yearly_") == 3
    assert "as arxiv_first_look/yearly_uniform_quarter\n" in done.stdout
