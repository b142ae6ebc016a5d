"""Evaluations of a finished run: its own, those under other options beside it, and how to make one that it lacks."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modyn_bench.config import WindowsConfig
from modyn_bench.errors import RunError
from modyn_bench.runs.directory import EVALUATIONS
from modyn_bench.runs.files import json_bytes, read_json, replace_file
from modyn_bench.runs.identity import NOT_EVALUATION, PREDICTION_KEYS, evaluation_id
from modyn_bench.runs.manifest import MANIFEST

CONFIG = "config.json"

_PLAIN = re.compile(r"[A-Za-z_][\w-]*|-?\d+[smhdwy]")
_NO_TEXT = ("null", "true", "false", "nan", "inf")


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Keep what an evaluation was asked for beside its tables."""
    replace_file(folder / CONFIG, json_bytes(dict(config)))


def read_config(folder: Path) -> dict[str, Any]:
    """Return what an evaluation was asked for; empty if it was not kept.

    Raises:
        RunError: If the file is damaged.
    """
    if not (folder / CONFIG).is_file():
        return {}
    config: dict[str, Any] = read_json(folder / CONFIG)
    return config


def evaluations_of(path: Path, manifest: Mapping[str, Any]) -> dict[str, Path]:
    """Return the folders of a run's evaluations by id, the one that the run was made with first.

    Args:
        path: The run's directory.
        manifest: Its manifest.
    """
    folder = path / EVALUATIONS
    others = sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    found = {evaluation_id(own_config(manifest)): path}
    return found | {entry.name: entry for entry in others if (entry / "evaluations.parquet").is_file()}


def told_config(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one of a run's evaluations was asked for, where that is known; else nothing."""
    try:
        config = config_of(folder, manifest)
    except RunError:  # another one's damage is no reason not to read this one
        return {}
    return config if "windows" in config else {}


def config_of(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one of a run's evaluations was asked for; of one that did not keep it, what all of a run's share."""
    own = own_config(manifest)
    if (folder / MANIFEST).is_file():
        return own
    return read_config(folder) or {key: own[key] for key in PREDICTION_KEYS if key in own}


def own_config(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the evaluation that a run was made with."""
    return dict(manifest["config"].get("evaluation") or {})


def overrides(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return what makes one evaluation of another, as ``modyn-bench evaluate`` takes it.

    Args:
        base: The options that the run was made with.
        wanted: Those to reach.

    Example:
        >>> base = {"metrics": ["accuracy"], "windows": {"sliced": {"kind": "sliced", "every": "1y"}}}
        >>> yearly = {"kind": "sliding", "every": "1y", "radius": "1y", "start": None}
        >>> overrides(base, {"metrics": ["accuracy", "ece"], "windows": base["windows"] | {"yearly": yearly}})
        ['evaluation.metrics=[accuracy,ece]', '+evaluation.windows.yearly={kind:sliding,every:1y,radius:1y}']
        >>> overrides(base, {**base, "windows": {"sliced": {"kind": "sliced", "every": "26w"}}})
        ['evaluation.windows.sliced.every=26w']
    """
    words = [
        f"evaluation.{key}={_written(value)}"
        for key, value in wanted.items()
        if key != "windows" and key not in NOT_EVALUATION and base.get(key) != value
    ]
    before, after = base.get("windows") or {}, wanted.get("windows") or {}
    defaults = asdict(WindowsConfig())
    for name, options in after.items():
        if name not in before:
            told = {key: value for key, value in options.items() if key == "kind" or value != defaults.get(key)}
            words.append(f"+evaluation.windows.{name}={_written(told)}")
            continue
        changed = {key: value for key, value in options.items() if before[name].get(key, defaults.get(key)) != value}
        words += [f"evaluation.windows.{name}.{key}={_written(value)}" for key, value in changed.items()]
    return words + [f"~evaluation.windows.{name}" for name in before if name not in after]


def command(path: Path, words: list[str]) -> str:
    """Return the command that evaluates a run under these options."""
    return shlex.join(["modyn-bench", "evaluate", str(path), *words])


def _written(value: object) -> str:
    """A value as Hydra reads it; texts that it could take for something else are quoted."""
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_written(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_written, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT:
        return value
    return '"' + value.replace('"', '\\"') + '"'
