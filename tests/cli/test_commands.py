"""The real command in processes of its own: exit codes, help, and a sweep from a file of one's own to the report."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modyn_bench.seeding import derive

ROOT = Path(__file__).resolve().parents[2]


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "modyn_bench.cli", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300, check=False
    )


@pytest.mark.parametrize("command", ["", "run", "prepare", "evaluate", "report", "runs"])
def test_every_command_explains_itself_with_examples(command: str, tmp_path: Path):
    done = call(tmp_path, *command.split(), "--help")
    assert done.returncode == 0
    assert "modyn-bench run" in done.stdout if not command else f"modyn-bench {command}" in done.stdout
    assert "examples:" in done.stdout or not command
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "trigger=tiem"], "did you mean 'time'?"),
        (["run", "sede=1"], "did you mean 'seed'?"),
        (["run", "seed=0", "-m", "trigger=glob(x*)", "selector=uniform"], "empty sweep"),
        (["run", "--config-dir", "nowhere"], "--config-dir=nowhere is no folder"),
        (["run", "--help", "--config-dir", "nowhere"], "--config-dir=nowhere is no folder"),
        (["run", "--multirn"], "unrecognized arguments: --multirn; did you mean '--multirun'?"),
        (["rnu"], "; did you mean 'run'?"),
        (["run", "root=/dev/null/x"], "root=/dev/null/x: /dev/null is a file"),
        (["run", "-m", "root=/dev/null", "seed=0,1"], "root=/dev/null: /dev/null is a file"),
        (["run", "root=/proc/x"], "root=/proc/x cannot be made"),
        (["run", "-m", "root=/proc/x", "seed=0,1"], "root=/proc/x cannot be made"),
        (["prepare", "dataset=table"], "dataset.path is missing"),
        (["evaluate", "nowhere"], "nowhere is no run directory"),
        (["evaluate"], "RUN_DIR"),
        (["report", "nowhere"], "nowhere"),
        (["report", ".", "--min-coverage", "1.5"], "--min-coverage=1.5 must be a share of the windows, from 0 to 1"),
        (["report", ".", "--min-coverage", "half"], "invalid float value: 'half'"),
        (["report", ".", "--evaluation", "e300277ff8"], "there is no finished run"),
        (["runs", "root=nowhere"], "root=nowhere is no folder"),
        (["runs", "root="], "root is empty"),
        (["runs", "root=a,b"], "root=a,b names several values"),
        (["runs", "rot=nowhere"], "root=DIR"),
    ],
)
def test_a_wrong_request_exits_with_2_and_leaves_nothing(words: list[str], said: str, tmp_path: Path):
    done = call(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_help_lists_every_option(tmp_path: Path):
    text = call(tmp_path, "run", "--help").stdout
    for file in (ROOT / "conf").glob("*/**/*.yaml"):
        group = file.parent.relative_to(ROOT / "conf")
        if group.parts[0] == "experiment":
            assert f"  '+{group}=glob(*)'  " in text
            assert file.stem in text
        else:
            assert f"  {group}={file.stem} " in text
    assert "  for trigger=drift:\n  trigger/distance=confidence_drop " in text
    assert "  training/augmentation=none           Training batches stay as they are\n" in text


def test_the_help_lists_the_users_own_options_too(tmp_path: Path):
    files = {
        "trigger/mine.yaml": "_target_: my_policy.Mine\n",
        "trigger/drift.yaml": "# Drift as I see it: anew.\ndefaults:\n  - /trigger/mood: good\n",
        "trigger/mood/good.yaml": "# A group of my own, with no end\n",
        "sampler/deep/er/dice.yaml": "# Throw dice.\n",
        "experiment/my_grid/first.yaml": "# @package _global_\n",
        "experiment/my_point.yaml": "# One point.\n",
    }
    for name, text in files.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    done = call(tmp_path, "run", "--help", "--config-dir", "conf")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [re.split(r"  +", line.strip(), maxsplit=1) for line in done.stdout.splitlines()]
    assert ["trigger=mine", "conf/trigger/mine.yaml"] in lines
    assert ["trigger=drift", "Drift as I see it"] in lines
    assert ["trigger/mood=good", "A group of my own, with no end"] in lines
    assert ["sampler/deep/er=dice", "Throw dice"] in lines
    assert ["experiment=my_point", "One point"] in lines
    assert ["'+experiment/my_grid=glob(*)'", "A grid, run with -m: first"] in lines
    assert ["trigger=time", "Retrain after a span of time, on a fixed grid"] in lines
    assert "  for trigger=drift:\n  trigger/mood=good" in done.stdout


def test_the_resolved_configuration_is_shown(tmp_path: Path):
    done = call(tmp_path, "run", "--show-config", "trigger=amount", "seed=3")
    assert done.returncode == 0
    assert "num_samples: 5000" in done.stdout
    assert "seed: 3" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_without_runs_it_says_so(tmp_path: Path):
    done = call(tmp_path, "runs", f"root={tmp_path}")
    assert (done.returncode, done.stdout) == (0, f"There are no runs in {tmp_path}.\n")


@pytest.mark.parametrize("word", ['root="ä, ö=1"', "root=ä, ö=1", "root='ä, ö=1'"])
def test_a_root_is_read_as_run_reads_it(word: str, tmp_path: Path):
    (tmp_path / "ä, ö=1").mkdir()
    done = call(tmp_path, "runs", word)
    assert (done.returncode, done.stdout) == (0, "There are no runs in ä, ö=1.\n")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table whose name has special characters, a policy, and four runs of a sweep."""
    folder = tmp_path_factory.mktemp("swept")
    generator = derive(0, "table")
    lines = ["when,x,kind"]
    for day in range(600):
        kind = generator.choice(["a", "b"])
        lines.append(f"{2000 + day // 336}-{day // 28 % 12 + 1:02d}-{day % 28 + 1:02d},{generator.normal():.3f},{kind}")
    (folder / "my file, v2.csv").write_text("\n".join(lines) + "\n")
    (folder / "my_policy.py").write_text(
        "from modyn_bench.triggers.amount import Amount\n\n\nclass Mine(Amount):\n    name = 'mine'\n"
    )
    (folder / "my_conf" / "trigger").mkdir(parents=True)
    (folder / "my_conf" / "trigger" / "mine.yaml").write_text("_target_: my_policy.Mine\nnum_samples: 100\n")
    done = call(folder, "run", "-m", *OPTIONS, "trigger=mine,amount", "trigger.num_samples=200", "seed=0,1")
    assert done.returncode == 0, done.stderr
    assert "4 of 4 jobs done" in done.stdout
    return folder


OPTIONS = [
    "--config-dir=my_conf",
    "dataset=table",
    'dataset.path="my file, v2.csv"',
    "dataset.timestamp=when",
    "dataset.label=kind",
    "data_dir=stores",
    "logger=none",
    "training.epochs=1",
    "evaluation.windows.sliced.every=30d",
]


def test_a_sweep_makes_one_run_for_each_job(swept: Path):
    done = call(swept, "runs")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert sorted((row[3], row[5]) for row in rows) == [("amount", "0"), ("amount", "1"), ("mine", "0"), ("mine", "1")]
    assert {row[1] for row in rows} == {"done"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trigger=performance", "trigger.metric=top_2_accuracy"], "trigger.metric: top_2_accuracy is always 1"),
        (["replay.start=2030-01-01"], "no sample lies between replay.start=2030-01-01 and replay.stop=None"),
        (
            ["selector=rho_loss", "+model@selector.irreducible_model=convnet"],
            "selector.irreducible_model: the convolutional model with 3 blocks needs images",
        ),
    ],
)
def test_what_does_not_suit_the_dataset_is_a_wrong_request(swept: Path, words: list[str], said: str):
    done = call(swept, "run", *OPTIONS, "root=refused", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"modyn-bench: the request was wrong; nothing was started\n{said}")
    assert not (swept / "refused").exists()


def test_a_locked_run_is_refused_alone_and_skipped_by_a_sweep(swept: Path, tmp_path: Path):
    """The lock is held by this process, through the run's own class."""
    from modyn_bench.runs.lock import RunLock

    (run,) = swept.glob("outputs/*amount*seed1*")
    words = [*OPTIONS, "trigger=amount", "trigger.num_samples=200"]
    lock = RunLock(run)
    try:
        alone = call(swept, "run", *words, "seed=1")
        sweep = call(swept, "run", "-m", *words, "seed=0,1")
    finally:
        lock.release()
    assert (alone.returncode, sweep.returncode) == (1, 0)
    assert f"process {os.getpid()}" in alone.stderr
    assert f"process {os.getpid()}" in sweep.stderr
    assert "1 of 2 jobs done, 1 skipped" in sweep.stdout


def test_evaluate_writes_beside_what_is_there(swept: Path):
    (run,) = swept.glob("outputs/*amount*seed0*")
    before = (run / "evaluations.parquet").read_bytes()
    done = call(swept, "evaluate", str(run), "evaluation.metrics=[accuracy,ece]")
    assert done.returncode == 0, done.stderr
    assert "ece" in done.stdout
    assert (run / "evaluations.parquet").read_bytes() == before
    wrong = call(swept, "evaluate", str(run), "evaluation.metrics=[acuracy]")
    assert wrong.returncode == 2
    assert "accuracy" in wrong.stderr


def test_evaluate_keeps_what_the_predictions_fixed_and_needs_a_finished_run(swept: Path, tmp_path: Path):
    (run,) = swept.glob("outputs/*amount*seed0*")
    before = sorted(swept.rglob("*"))
    fixed = call(swept, "evaluate", str(run), "evaluation.split=train")
    assert fixed.returncode == 2
    assert "evaluation.split=train cannot be changed" in fixed.stderr
    unfinished = tmp_path / run.name
    shutil.copytree(run, unfinished)
    for name in ("DONE", "test_split.npz", "composite.parquet"):
        (unfinished / name).unlink()
    early = call(swept, "evaluate", str(unfinished), "evaluation.ece_bins=5")
    assert early.returncode == 2
    assert "is not finished: the run command that began it resumes it" in early.stderr
    assert "damaged" not in early.stderr
    assert sorted(swept.rglob("*")) == before


def test_a_finished_run_that_kept_its_last_model_alone_says_so_where_all_are_asked_for(swept: Path, tmp_path: Path):
    table = OPTIONS[2].replace('"my', f'"{swept}/my')
    words = [*OPTIONS[1:2], table, *OPTIONS[3:], "trigger=amount", "trigger.num_samples=200", "root=outputs"]
    first = call(tmp_path, "run", *words)
    assert first.returncode == 0, first.stderr
    assert "not kept" not in first.stdout + call(tmp_path, "run", *words).stdout
    again = call(tmp_path, "run", *words, "runs.keep_models=all")
    assert "\nnote      2 of 3 models were not kept: " in again.stdout
    (run,) = (tmp_path / "outputs").iterdir()
    assert f"delete {run.relative_to(tmp_path)} and run again" in again.stdout
    shutil.rmtree(run)
    anew = call(tmp_path, "run", *words, "runs.keep_models=all")
    assert (anew.returncode, "not kept" in anew.stdout) == (0, False)


def test_report_compares_and_skips_what_is_no_run(swept: Path):
    done = call(swept, "report", *map(str, swept.glob("outputs/*")), "--out", "compared")
    assert done.returncode == 0, done.stderr
    assert list((swept / "compared").rglob("*.png"))


def test_report_compares_evaluations_under_other_options_and_says_how_to_make_those_that_lack(swept: Path):
    first, second = sorted(swept.glob("outputs/*mine*"))
    yearly = "+evaluation.windows.yearly={kind: sliding, every: 90d, radius: 90d, start: '2000-01-01'}"
    words = ["evaluation.metrics=[f1_macro]", yearly, "~evaluation.windows.sliced"]
    made = call(swept, "evaluate", str(first), *words)
    assert made.returncode == 0, made.stderr
    (folder,) = [line.split()[1] for line in made.stdout.splitlines() if line.startswith("tables")]
    evaluation = Path(folder).name
    plain = call(swept, "report", str(first), str(second), "--out", "plain")
    assert f"1 of 2 runs have another evaluation, {evaluation}" in plain.stdout
    one = call(swept, "report", str(first), str(second), "--out", "one", "--evaluation", evaluation)
    assert one.returncode == 0, one.stderr
    (told,) = [line for line in one.stdout.splitlines() if line.startswith("skipped")]
    command = shlex.split(told.partition("make it by: ")[2])
    assert command[:2] == ["modyn-bench", "evaluate"]
    assert call(swept, *command[1:]).returncode == 0
    both = call(swept, "report", str(first), str(second), "--out", "both", "--evaluation", evaluation)
    assert "skipped" not in both.stdout
    assert "yearly windows" in both.stdout
    unknown = call(swept, "report", str(first), "--out", "unknown", "--evaluation", "0123456789")
    assert unknown.returncode == 2
    assert evaluation in unknown.stderr
    assert not (swept / "unknown").exists()


def test_prepare_shows_what_was_read(swept: Path):
    done = call(swept, "prepare", *OPTIONS)
    assert done.returncode == 0, done.stderr
    for part in ("train: ", "test: ", "numeric: numeric, float32", "classes   2: a, b", "note "):
        assert part in done.stdout
