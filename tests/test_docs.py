"""What README and the documents say is true: links lead somewhere, commands are accepted, code runs."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from language import write_language_model

from modyn_bench.cli import main

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "experiments/**/*.md", "benchmarks/**/*.md", "notebooks/**/*.md")
    for path in ROOT.glob(pattern)
)
_BLOCK = re.compile(r"^```(\w*)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: Path
    language: str
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}: {self.file or self.text.strip().splitlines()[0]}"


BLOCKS = [Block(path, *match.groups(default="")) for path in DOCUMENTS for match in _BLOCK.finditer(path.read_text())]


def commands(*programs: str) -> list[str]:
    """Return the distinct command lines of the shell blocks that begin with a program, without their comments."""
    lines = []
    for block in BLOCKS:
        if block.language in ("sh", "bash", "console"):
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].removeprefix(".venv/bin/") in programs:
                    lines.append(shlex.join(words[1:]))
    return list(dict.fromkeys(lines))


def slugs(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    prose = _BLOCK.sub("", document.read_text())
    broken = []
    for link in _LINK.findall(prose):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in slugs(target)):
            broken.append(link)
    assert broken == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's working directory: data and a language model of their own, the policies of the documents, no more."""
    folder = tmp_path_factory.mktemp("user")
    generator = np.random.default_rng(0)
    lines = ["ts,size,colour,y"]
    for day in range(1200):
        size, colour = generator.normal(), generator.integers(3)
        label = "yes" if size + (day > 600) * colour > 0 else "no"
        lines.append(f"{np.datetime64('2020-01-01') + day},{size:.4f},{'rgb'[colour]},{label}")
    (folder / "my.csv").write_text("\n".join(lines) + "\n")
    write_language_model(folder / "distilbert")
    (folder / "photos").mkdir()
    (folder / "photos.csv").write_text("id,file,taken,shows\n1,photos/1.jpg,2020-01-01,cat\n")
    (folder / "cglm.csv").write_text("id,landmark_id,upload_date\n1,5,1300000000\n")
    for name in ("resnet18", "resnet50"):  # whose commands are checked, and not run
        (folder / f"{name}.safetensors").touch()
    (folder / "criteo").mkdir()
    (folder / "criteo" / "day_0.bin").write_bytes(bytes(2 * 160))
    (folder / "visits.bin").write_bytes(bytes(2 * 40))
    for block in BLOCKS:
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
    return folder


@pytest.mark.parametrize("line", commands("modyn-bench"))
def test_commands_are_accepted(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modyn_bench.preflight import check_evaluation, check_jobs
    from modyn_bench.runs.fetching import Address

    monkeypatch.chdir(folder)
    command, *words = shlex.split(line)
    if command in ("run", "prepare"):
        check = "--show-config" if "--help" not in words else ""
        assert _exit_code(["run", *words, check] if check else [command, *words]) == 0
    elif command == "evaluate":
        check_evaluation(check_jobs([])[0].config["evaluation"], words[1:])
    else:  # these are really run below, and on W&B's runs in tests/runs/test_copies.py and tests/tracking
        assert command in ("report", "runs", "workspace")
        addresses = [word.removeprefix("root=") for word in words if "wandb:" in word]
        for address in [f"wandb:{words[0]}"] if command == "workspace" else addresses:
            Address.parse(address)


def _exit_code(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize("line", commands("make"))
def test_make_has_the_targets(line: str) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [word for word in shlex.split(line) if "=" not in word and word not in targets] == []


@pytest.mark.parametrize("line", commands("python", "python3"))
def test_scripts_exist(line: str) -> None:
    assert all((ROOT / word).exists() for word in shlex.split(line) if word.endswith(".py"))


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_compiles_and_examples_hold(block: Block) -> None:
    if ">>>" not in block.text:
        compile(block.text, str(block), "exec")
        return
    examples = doctest.DocTestParser().get_doctest(block.text, {}, str(block), str(block.document), 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples).failed == 0


@pytest.mark.slow
def test_a_table_a_trigger_and_a_selector_of_ones_own(folder: Path) -> None:
    table = ["dataset=table", "dataset.path=my.csv", "dataset.timestamp=ts", "dataset.label=y"]
    policies = ["--config-dir", "my_conf", "trigger=label_shift", "trigger.interval=100", "selector=every_nth"]
    common = ["logger=none", "data_dir=stores", "training.epochs=1"]
    for words in (["run", *table, *policies, *common], ["report", "outputs"], ["runs"]):
        done = subprocess.run(
            [sys.executable, "-m", "modyn_bench.cli", *words], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    (run,) = (path for path in (folder / "outputs").iterdir() if (path / "DONE").exists())
    import pandas as pd

    decisions = pd.read_parquet(run / "decisions.parquet")
    assert set(decisions["policy"]) == {"label_shift"}
    scored = decisions.dropna(subset=["score"])
    assert (scored["fired"] == (scored["score"] > scored["threshold"])).all()
    assert scored["fired"].any()
    selected = pd.read_parquet(run / "triggers" / "00000" / "selection.parquet")
    assert selected["key"].tolist() == list(range(0, 100, 2))
