"""The grids' commands, as their scripts give them: as many jobs as the paper has, which the preflight accepts."""

from __future__ import annotations

import itertools
import os
import re
import struct
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from hydra.core.override_parser.types import Override
from language import write_language_model
from PIL import Image

from modyn_bench.cli import main
from modyn_bench.commands.composing import Composer
from modyn_bench.preflight import check_jobs
from scripts import ROOT

sys.path.append(str(ROOT / "experiments"))
from labels import label_of

EXPERIMENTS = ROOT / "experiments"
TOLD = yaml.safe_load((EXPERIMENTS / "paper.yaml").read_text())
FILES = {"yearbook": "yearbook.parquet", "arxiv": "titles.tsv", "criteo": "criteo", "cglm": "cglm.csv"}


@dataclass(frozen=True)
class Grid:
    """A script, its arguments, and the number of jobs that its commands make together."""

    script: str
    words: tuple[str, ...]
    jobs: int
    distilbert: bool = False

    @property
    def name(self) -> str:
        return self.script.partition("/")[0]

    def __str__(self) -> str:
        words = (self.script, *(word for word in self.words if "=" not in word))
        return " ".join([*words, "with DistilBERT"] if self.distilbert else words)


PAPER = [
    Grid("yearbook_triggering/run.sh", (FILES["yearbook"],), 228),
    Grid("arxiv_triggering/run.sh", (FILES["arxiv"],), 50),
    Grid("paper_selection/run.sh", ("yearbook", FILES["yearbook"]), 93),
    Grid("paper_selection/run.sh", ("arxiv", FILES["arxiv"]), 84),
    Grid("paper_selection/run.sh", ("cglm", FILES["cglm"]), 84),
    Grid("arxiv_baselines/run.sh", (FILES["arxiv"],), 16),
    Grid("yearbook_policies/run.sh", (FILES["yearbook"],), 217),
    Grid("throughput/run.sh", ("criteo", FILES["criteo"]), 2),  # of 48: the other knobs have no meaning here
    Grid("throughput/run.sh", ("cglm", FILES["cglm"]), 2),  # of 44
]
DISTILBERT = [replace(grid, distilbert=True) for grid in PAPER if FILES["arxiv"] in grid.words]
SMALL_IMAGES = ["dataset.size=32", "model.depth=18", "training.batch_size=16"]
SMALL = [
    Grid("yearbook_triggering/small.sh", (), 31),
    Grid("arxiv_triggering/small.sh", (), 54),
    Grid("paper_selection/small.sh", (), 31),
    Grid("arxiv_baselines/small.sh", (), 16),
    Grid("yearbook_policies/small.sh", (), 17),
    Grid("throughput/small.sh", (), 12),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a user's folder with the grids' files in small, and programs that write down how they are called."""
    folder = tmp_path_factory.mktemp("user")
    write_yearbook(folder)
    generator = np.random.default_rng(0)
    lines = ["arxiv_id\tcreated\tprimary_cat\ttitle"]
    days = pd.date_range("1988-01-01", "2019-12-31", 200).strftime("%Y-%m-%d")
    lines += [f'{i}\t{day}\t{"cs" if i % 2 else "math"}.AG\tOn "{i}" things' for i, day in enumerate(days)]
    (folder / FILES["arxiv"]).write_text("\n".join(lines) + "\n")
    write_language_model(folder / "distilbert", max_position_embeddings=512)
    (folder / FILES["criteo"]).mkdir()
    for day in range(3):
        (folder / FILES["criteo"] / f"day_{day}.bin").write_bytes(clicks(generator, 80))
    write_landmarks(folder, generator)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "modyn-bench").write_text('#!/bin/sh\n{ printf "%s\\0" "$@"; printf "\\n\\0"; } >> calls\n')
    (programs / "python").write_text("#!/bin/sh\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    return folder


def clicks(generator: np.random.Generator, count: int) -> bytes:
    """Return a day of Criteo's clicks after the usual preprocessing: label, 13 numbers, 26 categories."""
    records = []
    for row in range(count):
        numbers, categories = generator.standard_normal(13), generator.integers(0, 9, 26)
        records.append(struct.pack("<i13f26i", row % 2, *numbers, *categories))
    return b"".join(records)


def write_landmarks(folder: Path, generator: np.random.Generator) -> None:
    """Write photographs as Google Landmarks has them, in folders by the beginning of their names, and their table."""
    lines = ["id,landmark_id,upload_date,url"]
    years = pd.date_range("2003-02-01", "2020-11-30", 120).as_unit("s").astype(np.int64)
    for row, time in enumerate(years):
        name, landmark = f"{row:016x}", (137, 20409, 138982)[row % 3]
        file = folder / "/".join(name[-3:]) / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 128, (30 + row % 7, 40, 3)).astype(np.uint8)
        pixels[..., row % 3] += 100
        Image.fromarray(pixels).save(file)
        lines.append(f"{file.relative_to(folder).with_suffix('')},{landmark},{time},https://example.org/{row}")
    (folder / FILES["cglm"]).write_text("\n".join(lines) + "\n")


def write_yearbook(folder: Path) -> None:
    """Write the file as Wild-Time-Data has it, and turn it into a table by the grids' program."""
    generator = np.random.default_rng(0)
    with h5py.File(folder / "yearbook.hdf5", "w") as file:
        for year, split in itertools.product(range(1930, 1935), ("train", "test")):
            group = file.create_group(f"{year}/{split}")
            group["images"] = generator.integers(0, 256, (12, 32, 32), dtype=np.uint8)
            group["labels"] = generator.integers(0, 2, 12)
    program = [sys.executable, str(EXPERIMENTS / "yearbook_to_parquet.py"), "yearbook.hdf5", FILES["yearbook"]]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{FILES['yearbook']}: 120 portraits\n"), done.stderr


def commands(grid: Grid, folder: Path) -> list[list[str]]:
    """Return the overrides of every command that a script gives, in their order."""
    (folder / "calls").unlink(missing_ok=True)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    environment |= {"DISTILBERT": "distilbert"} if grid.distilbert else {}
    call = [str(EXPERIMENTS / grid.script), *grid.words]
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls = [call.split("\0")[:-1] for call in (folder / "calls").read_text().split("\n\0")[:-1]]
    assert all(call[:2] == ["run", "--multirun"] for call in calls)
    return [call[2:] for call in calls]


def values_of(override: Override, composer: Composer) -> list[str]:
    """Return what an override sweeps over, or its only value, with its key."""
    if not override.is_sweep_override():
        return [override.input_line or ""]
    if override.get_value_string() == "glob(*)":
        values = composer.options(override.key_or_group)
    else:
        values = [str(value) for value in override.sweep_string_iterator()]
    return [f"{override.get_key_element()}={value}" for value in values]


def in_short(command: list[Override], composer: Composer) -> list[str]:
    """Return a command with the ends of what it sweeps over, but all options of groups, and one seed."""
    short = []
    for override in command:
        values = values_of(override, composer)
        if override.key_or_group not in composer.groups:
            values = values[:1] if override.key_or_group == "seed" else list(dict.fromkeys([values[0], values[-1]]))
        key = override.get_key_element()
        short.append(",".join([values[0], *(value.removeprefix(f"{key}=") for value in values[1:])]))
    return short


def shape(command: list[Override], composer: Composer) -> tuple[str, ...]:
    """Return the keys of a command, and its choices of options: commands of one shape differ in numbers alone."""
    return tuple((one.input_line or "") if one.key_or_group in composer.groups else one.key_or_group for one in command)


def form(label: str) -> str:
    """Return a label without its numbers."""
    return re.sub(r"\d[\d.]*", "#", label)


@pytest.mark.parametrize("grid", sorted(TOLD["grids"]))
def test_the_papers_jobs_are_counted(grid: str):
    jobs = sum(other.jobs for other in PAPER if other.name == grid)
    assert jobs == TOLD["grids"][grid]["here"]
    (small,) = [other.jobs for other in SMALL if other.name == grid]
    assert small == TOLD["grids"][grid]["small"]


@pytest.fixture
def user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(ROOT)
    return folder


@pytest.mark.parametrize("grid", PAPER + DISTILBERT + SMALL, ids=str)
def test_a_grid_has_as_many_jobs_as_it_says_and_they_are_in_order(grid: Grid, user: Path):
    with Composer() as composer:
        given = [composer.parse(command)[0] for command in commands(grid, user)]
        swept = [[values_of(override, composer) for override in command] for command in given]
        jobs = [job for values in swept for job in itertools.product(*values)]
        checked = {shape(command, composer): in_short(command, composer) for command in given}
    assert len(jobs) == grid.jobs
    assert len(set(jobs)) == grid.jobs, "no job comes twice"
    names = [
        label_of(grid.name, job.config) for command in checked.values() for job in check_jobs(command, multirun=True)
    ]
    assert len(set(names)) == len(names), "results tell all policies apart"
    if grid in PAPER and grid.words[0] not in ("arxiv", "cglm"):
        told = TOLD["grids"][grid.name]
        assert {form(policy) for policy in told["policies"]} <= {form(name) for name in names}


def first_job(grid: Grid, folder: Path) -> list[str]:
    with Composer() as composer:
        return [values_of(override, composer)[0] for override in composer.parse(commands(grid, folder)[0])[0]]


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (PAPER[0], ["trigger.every=3d"]),
        (PAPER[1], ["trigger.every=5y"]),
        (PAPER[7], ["trigger.num_samples=100"]),
        (PAPER[4], ["trigger.every=5y", *SMALL_IMAGES]),
        (PAPER[8], ["trigger.num_samples=100", "dataset.test_fraction=0.1", *SMALL_IMAGES]),
        *((grid, ["trigger.every=9y"]) for grid in DISTILBERT),
    ],
    ids=["yearbook", "arxiv", "criteo", "cglm", "cglm_throughput", *map(str, DISTILBERT)],
)
def test_files_of_the_papers_formats_are_read_and_trained_on(grid: Grid, words: list[str], user: Path, tmp_path: Path):
    job = [*first_job(grid, user), *words, f"root={tmp_path}", f"data_dir={tmp_path}/stores", "training.epochs=1"]
    assert main(["run", *job]) == 0
    (done,) = tmp_path.glob("*/DONE")
    models = pd.read_parquet(done.parent / "models.parquet")
    assert len(models) >= 1
    assert (models.num_samples_selected > 0).all()
    assert (models.num_optimizer_steps > 0).all()
    composite = pd.read_parquet(done.parent / "composite.parquet")
    assert composite[composite.metric == "accuracy"].value.dropna().between(0, 1).all()


def test_distilbert_is_trained_as_in_the_paper(user: Path):
    for grid in DISTILBERT:
        (job, *_) = check_jobs(first_job(grid, user))
        config = job.config
        assert config["model"]["_target_"] == "modyn_bench.models.PretrainedText"
        assert (config["dataset"]["max_tokens"], config["training"]["batch_size"]) == (300, 128)
        optimizer = config["training"]["optimizer"]
        assert (optimizer["_target_"], optimizer["lr"]) == ("torch.optim.AdamW", 2e-5)


def test_a_failed_product_fails_the_grid_and_stops_no_other(user: Path):
    (user / "calls").unlink(missing_ok=True)
    failing = user / "failing"
    failing.mkdir()
    (failing / "python").write_text("#!/bin/sh\n")
    (failing / "modyn-bench").write_text('#!/bin/sh\necho call >> calls\nexit "$STATUS"\n')
    for program in failing.iterdir():
        program.chmod(0o755)
    path = f"{failing}:{os.environ['PATH']}"
    for status, code, calls in ((1, 1, 2), (2, 2, 1), (130, 130, 1)):
        (user / "calls").unlink(missing_ok=True)
        environment = {**os.environ, "PATH": path, "STATUS": str(status)}
        done = subprocess.run([str(EXPERIMENTS / "paper_selection/small.sh")], cwd=user, env=environment, check=False)
        assert (done.returncode, len((user / "calls").read_text().split())) == (code, calls)


def finished(folder: Path, grid: str, *words: str) -> list[str]:
    """Return the words with which a script has its runs written down, when it is given overrides."""
    programs = folder / "noting"
    programs.mkdir(exist_ok=True)
    (programs / "modyn-bench").write_text("#!/bin/sh\n")
    (programs / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > noted\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "ROOT": "here"}
    subprocess.run([str(EXPERIMENTS / grid), *words], cwd=folder, env=environment, check=True, capture_output=True)
    return (folder / "noted").read_text().splitlines()


def test_only_a_grid_without_overrides_writes_over_what_is_committed(user: Path):
    program = str(EXPERIMENTS / "summarise.py")
    committed = str(EXPERIMENTS / "throughput" / "results.csv")
    small, paper = [program, "throughput", "small", "here"], [program, "throughput", "paper", "here/criteo"]
    assert finished(user, "throughput/small.sh") == [*small, "--out", committed]
    assert finished(user, "throughput/run.sh", "criteo", "clicks") == [*paper, "--out", committed]
    assert finished(user, "throughput/small.sh", "training.epochs=2") == [*small, "--out", "here/results.csv"]
    words = ("criteo", "clicks", "training.accelerator=gpu")
    assert finished(user, "throughput/run.sh", *words) == [*paper, "--out", "here/criteo/results.csv"]


@pytest.mark.parametrize("script", sorted(str(path.relative_to(EXPERIMENTS)) for path in EXPERIMENTS.glob("*/run.sh")))
def test_a_script_without_its_arguments_says_what_they_are(script: str, tmp_path: Path):
    done = subprocess.run([str(EXPERIMENTS / script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert f"usage: experiments/{script} " in done.stderr
    assert not list(tmp_path.iterdir())


def converted(folder: Path, source: str, target: str) -> str:
    """Return the last line in which the conversion of Yearbook refuses."""
    program = [sys.executable, str(EXPERIMENTS / "yearbook_to_parquet.py"), source, target]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()[-1].removeprefix("yearbook_to_parquet.py: error: ")


def test_a_file_that_is_not_yearbook_is_refused_in_a_line(tmp_path: Path):
    with h5py.File(tmp_path / "scaled.hdf5", "w") as file:
        for split in ("train", "test"):
            group = file.create_group(f"1930/{split}")
            group["images"] = np.full((12, 32, 32), 0.5, dtype=np.float32)
            group["labels"] = np.zeros(12, dtype=np.int64)
    (tmp_path / "text.hdf5").write_text("portraits")
    other = "is not Yearbook as Wild-Time-Data has it: "
    assert converted(tmp_path, "scaled.hdf5", "x.parquet") == (
        f"scaled.hdf5 {other}1930/train: images of float32, not of uint8 (0 to 255)"
    )
    assert converted(tmp_path, "text.hdf5", "x.parquet").startswith(f"text.hdf5 {other}")
    assert converted(tmp_path, "none.hdf5", "x.parquet") == "there is no file none.hdf5"
    assert converted(tmp_path, "text.hdf5", "none/x.parquet") == "there is no folder none for x.parquet"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scaled.hdf5", "text.hdf5"]


def test_pixels_become_an_image_of_the_right_side():
    from experiments.yearbook_net import YearbookNet

    with pytest.raises(ValueError, match="1000 features are no square image"):
        YearbookNet(num_features=1000, num_classes=2)
