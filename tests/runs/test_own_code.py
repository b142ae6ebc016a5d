"""A policy or model that is edited is another one: its code is part of a run's identity."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modyn_bench.runs.identity import run_id
from modyn_bench.runs.naming import name_runs
from modyn_bench.runs.own_code import own_code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_pkg" / "deep").mkdir(parents=True)
    (tmp_path / "my_pkg" / "__init__.py").write_text("")
    (tmp_path / "my_pkg" / "deep" / "__init__.py").write_text("from . import rules\n")
    (tmp_path / "my_pkg" / "deep" / "rules.py").write_text("LIMIT = 1\n")
    (tmp_path / "my_policy.py").write_text(
        "import json\nimport numpy\nclass Mine:\n    def decide(self):\n        from my_pkg.deep.rules import LIMIT\n"
    )
    (tmp_path / "aside.py").write_text("x = 1\n")
    return tmp_path


CONFIG = {"trigger": {"_target_": "my_policy.Mine", "inner": [{"_target_": "torch.nn.Linear"}]}, "seed": 0}


def test_what_it_names_and_all_that_this_imports_is_found_and_libraries_are_not(folder: Path) -> None:
    assert list(own_code(CONFIG)) == ["my_pkg", "my_pkg.deep", "my_pkg.deep.rules", "my_policy"]
    assert own_code({"model": {"_target_": "modyn_bench.models.auto"}, "x": {"_target_": "nowhere.at_all"}}) == {}
    assert not [name for name in ("my_policy", "my_pkg") if name in sys.modules], "modules are read, not imported"


@pytest.mark.parametrize("file", ["my_policy.py", "my_pkg/deep/rules.py", "my_pkg/deep/__init__.py"])
def test_an_edit_gives_another_run(folder: Path, file: str) -> None:
    before = run_id(CONFIG, "f")
    assert run_id(CONFIG, "f") == before
    (folder / "aside.py").write_text("x = 2\n")
    assert run_id(CONFIG, "f") == before
    (folder / file).write_text((folder / file).read_text() + "\nMORE = 2\n")
    assert run_id(CONFIG, "f") != before


def test_a_module_that_cannot_be_read_is_hashed_and_leads_nowhere(folder: Path) -> None:
    (folder / "my_policy.py").write_text("from my_pkg import (\n")
    assert list(own_code(CONFIG)) == ["my_policy"]


def test_runs_that_differ_by_their_code_alone_are_told_apart() -> None:
    manifests = [
        {"config": CONFIG, "fingerprint": "f", "dataset": {"name": "d"}, "code": {"my_policy": code}} for code in "ab"
    ]
    names = name_runs(manifests, seeds=False)
    assert len(set(names)) == 2
    assert all(name.startswith("code=") for name in names)


def test_folders_without_an_init_file_and_what_hydra_finds_are_followed(folder: Path) -> None:
    (folder / "bare" / "inner").mkdir(parents=True)
    (folder / "bare" / "inner" / "nets.py").write_text("import my_pkg.loose.more\n")
    (folder / "my_pkg" / "loose").mkdir()
    (folder / "my_pkg" / "loose" / "more.py").write_text("")
    assert list(own_code({"model": {"_target_": "bare.inner.nets.Net"}})) == [
        "bare.inner.nets",
        "my_pkg",
        "my_pkg.loose.more",
    ]
    rule = {"_target_": "hydra.utils.get_method", "path": "my_policy.Mine.decide"}
    assert "my_policy" in own_code({"trigger": {"rule": rule}})
