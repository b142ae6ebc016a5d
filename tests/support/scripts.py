"""Calls the programs of experiments as a user does, and imports those of scripts."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def call(experiment: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Call an experiment's ``run.py`` in a folder."""
    command = [sys.executable, str(ROOT / "experiments" / experiment / "run.py"), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300, check=False
    )


def check_refused(experiment: str, folder: Path, words: list[str], said: str) -> None:
    """Check that a wrong option is told in the last line, where a file of that name lies in the folder."""
    (folder / "file").touch()
    done = call(experiment, folder, *words)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def load_script(name: str) -> ModuleType:
    """Import a program of the folder ``scripts``, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
