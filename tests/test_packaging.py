"""What is built, what it declares, and how the Makefile finds a Python."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def build(source: Path, target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_code_options_types_and_the_bundled_sample(wheel: Path) -> None:
    held = names(wheel)
    options = {f"modyn_bench/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert options <= held
    assert len(options) > 10
    assert {"modyn_bench/py.typed", "modyn_bench/cli.py"} <= held
    assert {f"modyn_bench/analysis/page/page.{kind}" for kind in ("css", "js")} <= held
    assert any(name.endswith(".parquet") for name in held)
    assert {name.split("/")[0] for name in held} == {"modyn_bench", f"modyn_bench-{PROJECT['version']}.dist-info"}


def test_an_unpacked_wheel_finds_its_own_options(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "from modyn_bench.commands.composing import conf_directory; print(conf_directory())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()) == (tmp_path / "modyn_bench" / "conf").resolve()


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    source = build(ROOT, "sdist", tmp_path)
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert names(build(unpacked, "wheel", tmp_path / "again")) == names(wheel)


def imported(folder: str) -> set[str]:
    """Return the distributions whose modules the files of a folder import."""
    modules: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(str(node.module).split(".")[0])
    modules -= {*sys.stdlib_module_names, "modyn_bench", "tests"}
    known = packages_distributions()
    return {canonicalize_name(known[module][0]) for module in modules if module in known}


def declared(*extras: str) -> set[str]:
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return {canonicalize_name(Requirement(text).name) for texts in lists for text in texts}


def test_what_the_package_imports_is_declared_and_the_reverse() -> None:
    assert imported("modyn_bench") - declared("text", "river", "workspaces") == set()
    assert declared() - imported("modyn_bench") == set()


def test_what_the_tests_import_is_declared() -> None:
    brought_along = {"packaging", "pyyaml"}  # by pytest and omegaconf
    assert imported("tests") - declared("dev") - brought_along == set()


def test_constraints_pin_every_requirement_to_one_version_that_satisfies_it() -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    pins = dict(line.split("==") for line in lines if line)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in pins)
    assert all(re.fullmatch(r"[0-9a-z.]+", version) for version in pins.values())  # no addresses, no local builds
    texts = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]
    for requirement in map(Requirement, texts):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)], prereleases=True)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestMake:
    @pytest.fixture
    def clone(self, tmp_path: Path) -> Path:
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, tmp_path)
        return tmp_path

    def make(self, clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "PYTHON")}
        return subprocess.run(["make", *arguments], cwd=clone, env=environment, capture_output=True, text=True)

    def python(self, clone: Path, name: str, script: str) -> str:
        path = clone / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def test_help_lists_what_there_is(self, clone: Path) -> None:
        listed = self.make(clone).stdout
        assert all(f"make {target} " in listed for target in ("install", "run", "test", "lint", "types"))

    def test_a_wrong_python_is_explained(self, clone: Path) -> None:
        old = self.python(clone, "old", "exit 1")
        result = self.make(clone, "install", f"PYTHON={old}")
        assert result.returncode != 0
        assert "Python 3.11, 3.12 or 3.13 is needed" in result.stderr
        assert not (clone / ".venv").exists()

    def test_a_missing_ensurepip_is_explained(self, clone: Path) -> None:
        script = f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"'
        split = self.python(clone, "split", script)
        result = self.make(clone, "install", f"PYTHON={split}")
        assert result.returncode != 0
        assert "apt install python3-venv" in result.stderr
        assert not (clone / ".venv").exists()

    def test_a_command_that_does_not_run_is_passed_over(self, clone: Path) -> None:
        shim = self.python(clone, "shim", "exit 127")
        result = self.make(clone, ".venv/bin/python", f"PYTHON={shim} {sys.executable}")
        assert result.returncode == 0, result.stderr
        assert (clone / ".venv" / "bin" / "pip").exists()
