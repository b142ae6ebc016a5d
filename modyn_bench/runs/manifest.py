"""A run's manifest: what was asked for, on which data, and with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from modyn_bench.runs.files import damaged, read_json
from modyn_bench.runs.identity import identity, places, run_id
from modyn_bench.runs.own_code import own_code

MANIFEST = "manifest.json"
DONE = "DONE"
"""Marks a run directory that is complete; written after everything else."""

SCHEMA_VERSION = 1
"""Of the files in a run directory; a directory of another version is refused."""

_KEYS = {"schema_version", "run_id", "identity", "created", "config", "fingerprint", "dataset", "reproducible"}
_LIBRARIES = (
    "modyn_bench",
    "torch",
    "lightning",
    "transformers",
    "tokenizers",
    "numpy",
    "pyarrow",
    "safetensors",
    "hydra-core",
    "wandb",
)


def new_manifest(config: Mapping[str, Any], fingerprint: str, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of a new run.

    Args:
        config: The resolved configuration.
        fingerprint: The content fingerprint of the dataset's source.
        dataset: Its name, its classes, and what ingest did, as plain values.
    """
    own_id = run_id(config, fingerprint)
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": own_id,
        "identity": identity(config, fingerprint),
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "reproducible": (config.get("replay") or {}).get("activation_delay") != "measured",
        "wandb_id": f"{own_id}-{uuid.uuid4().hex[:8]}",
        "config": dict(config),
        "fingerprint": fingerprint,
        "code": own_code(config),
        "places": places(config),
        "dataset": dict(dataset),
        "versions": _versions(),
        "git": _git_state(),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the manifest of a run directory.

    Raises:
        RunError: If it is missing, damaged, or of another version.
    """
    path = folder / MANIFEST
    manifest = read_json(path)
    if not isinstance(manifest, dict) or "schema_version" not in manifest:
        raise damaged(path, "is no manifest of a run")
    if manifest["schema_version"] != SCHEMA_VERSION:
        raise damaged(path, f"has schema version {manifest['schema_version']}, but {SCHEMA_VERSION} is what is read")
    missing = _KEYS - set(manifest)
    if missing or not isinstance(manifest["config"], dict) or not isinstance(manifest["dataset"], dict):
        raise damaged(path, f"lacks {', '.join(sorted(missing)) or 'config or dataset'}")
    return manifest


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _git_state() -> dict[str, Any] | None:
    """Return the commit of the working directory's repository, where a user's own policies live."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    answers = []
    for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        try:
            done = subprocess.run(["git", *command], capture_output=True, text=True, timeout=5, env=environment)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        answers.append(done.stdout.strip())
    return {"commit": answers[0], "modified": bool(answers[1])}
