"""Which runs are the same: ids from all that can change a result, and from nothing else.

``run_id`` covers every key of the resolved configuration, the content fingerprint of the source, and the code of the
user's own that the configuration names: who edits a policy gets a new run. Left out are
places (root, data_dir, the dataset's paths: the fingerprint stands for what lies there), what only watches (logger,
hydra, the experiment's name), what changes speed or disk space alone (replay.chunk_size, runs.keep_models), and the
evaluation, which is made from kept predictions and has an id of its own; of it only ``batch_size`` and ``split``
change the predictions. Whether class probabilities are kept is left out too: a finished run that lacks them refuses
the metrics that need them. For any other place that a key names, such as the folder of a pretrained model, what lies
there counts, and not where it is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modyn_bench.data.fingerprint import hash_place
from modyn_bench.data.places import data_dir
from modyn_bench.errors import RequestError
from modyn_bench.runs.own_code import own_code

ADDED: dict[tuple[str, str], object] = {}
"""Keys that later versions added, with their value at introduction: ``(where, key) -> value``.

``where`` is the ``_target_`` of the mapping that holds the key, or its dotted place where it has none, such as
``("training", "ema")``; the top level is ``""``. Such a key is left out of ids only while it equals this value, so that
runs of earlier versions keep their id.
"""

NOT_RESULTS = frozenset({"root", "data_dir", "logger", "hydra", "experiment", "replay.chunk_size", "runs.keep_models"})
PREDICTION_KEYS = ("batch_size", "split")
"""Keys of the evaluation that change predictions, so that they are part of a run's identity."""

NOT_EVALUATION = frozenset({*PREDICTION_KEYS, "max_probabilities_bytes"})
_PATH_KEY = re.compile(r"(.*_)?(path|paths|file|files|dir|folder|tokenizer|weights)")
_CONTENT = "content"
_LONGEST_PREFIX = 80  # with seed, hash and token it stays below the 128 characters of a W&B name


def run_id(config: Mapping[str, Any], fingerprint: str) -> str:
    """Return a run's id: what a person recognises, then a hash of all that can change a result.

    Args:
        config: The resolved configuration.
        fingerprint: The content fingerprint of the dataset's source.

    Raises:
        RequestError: If ``training.initial_weights`` names no file, or a value is no plain value.

    Example:
        >>> config = {"dataset": {"_target_": "recipes.arxiv.ArxivRecipe"}, "trigger": {"_target_": "time.Time"},
        ...           "selector": {"_target_": "new_data.NewData"}, "seed": 0}
        >>> run_id(config, "f00d")
        'arxiv-time-new_data-seed0-d54a7199f3'
    """
    names = [short_name(config.get(group)) for group in ("dataset", "trigger", "selector")]
    prefix = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", name) for name in names)[:_LONGEST_PREFIX]
    seed = re.sub(r"[^0-9]+", "_", str(config.get("seed", 0)))[:20]
    return f"{prefix.strip('_-')}-seed{seed}-{identity(config, fingerprint)[:10]}"


def identity(config: Mapping[str, Any], fingerprint: str) -> str:
    """Return the full hash of which ``run_id`` shows the first ten digits."""
    kept = _that_counts(config)
    _check_weights(kept.get("training"))
    code = own_code(kept)
    content = _by_content(kept, data_dir(config))
    everything: dict[str, object] = {"config": _canonical(content, ""), "fingerprint": fingerprint}
    return _hash(everything | {"code": code} if code else everything)


def places(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the identity of what lies at each place that the configuration names outside the dataset, by dotted key.

    Args:
        config: The resolved configuration.
    """
    found: dict[str, str] = {}

    def walk(value: object, key: str) -> None:
        if isinstance(value, Mapping):
            if set(value) == {_CONTENT} and is_path_key(key.rpartition(".")[2]):
                found[key] = value[_CONTENT]
            for inner, item in value.items():
                walk(item, f"{key}.{inner}" if key else str(inner))

    walk(_by_content(_that_counts(config), data_dir(config)), "")
    return found


def _that_counts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a configuration can change a result, but for what the dataset's fingerprint stands for."""
    kept: dict[str, Any] = {key: value for key, value in config.items() if key not in NOT_RESULTS}
    for group, leave_out in (("replay", {"chunk_size"}), ("runs", {"keep_models"})):
        if isinstance(kept.get(group), Mapping):
            kept[group] = {key: value for key, value in kept[group].items() if key not in leave_out}
    if isinstance(kept.get("evaluation"), Mapping):
        kept["evaluation"] = {key: kept["evaluation"][key] for key in PREDICTION_KEYS if key in kept["evaluation"]}
    if isinstance(kept.get("dataset"), Mapping):
        kept["dataset"] = {key: value for key, value in kept["dataset"].items() if not is_path_key(str(key))}
    return kept


def pipeline_id(config: Mapping[str, Any], fingerprint: str) -> str:
    """Return what is the same for exactly those runs that differ by their seed alone: a hash of all else.

    Args:
        config: The resolved configuration.
        fingerprint: The content fingerprint of the dataset's source.

    Raises:
        RequestError: As ``run_id``.

    Example:
        >>> one, other, changed = ({"seed": 0, "lr": 1}, {"seed": 1, "lr": 1}, {"seed": 0, "lr": 2})
        >>> [pipeline_id(config, "f00d") == pipeline_id(one, "f00d") for config in (other, changed)]
        [True, False]
    """
    return identity({key: value for key, value in config.items() if key != "seed"}, fingerprint)[:10]


def evaluation_id(evaluation: Mapping[str, Any]) -> str:
    """Return the id of an evaluation: a hash of the keys that change a table, but no prediction.

    Args:
        evaluation: The section of that name of the resolved configuration.

    Example:
        >>> one = evaluation_id({"metrics": ["accuracy"], "batch_size": 64})
        >>> one == evaluation_id({"metrics": ["accuracy"], "batch_size": 32}), one == evaluation_id({"metrics": []})
        (True, False)
    """
    kept = {key: value for key, value in evaluation.items() if key not in NOT_EVALUATION}
    return _hash(_canonical(kept, "evaluation"))[:10]


def short_name(group: object) -> str:
    """Return what a group's choice is called: its ``name`` key if it has one, else its class in snake case.

    Example:
        >>> short_name({"_target_": "modyn_bench.selectors.new_data.NewData"}), short_name({"name": "bank"})
        ('new_data', 'bank')
    """
    if not isinstance(group, Mapping):
        return "none"
    if isinstance(group.get("name"), str) and group["name"]:
        return str(group["name"])
    last = str(group.get("_target_", "none")).rpartition(".")[2]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).lower()
    return re.sub(r"_(recipe|trigger|selector)$", "", snake)


def is_path_key(key: str) -> bool:
    """Say whether a key names a place, whose content counts; the dataset's fingerprint stands for that of its own.

    Example:
        >>> is_path_key("path"), is_path_key("test_path"), is_path_key("tokenizer"), is_path_key("timestamp")
        (True, True, True, False)
    """
    return _PATH_KEY.fullmatch(key) is not None


def _by_content(value: object, cache: Path) -> Any:  # noqa: ANN401 - any configuration value
    """Return a value with each place that exists, and that a key names, replaced by the identity of what lies there."""
    if isinstance(value, Mapping):
        return {
            key: _at(item, cache) if is_path_key(str(key)) else _by_content(item, cache) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_by_content(item, cache) for item in value]
    return value


def _at(place: object, cache: Path) -> Any:  # noqa: ANN401 - any configuration value
    if isinstance(place, str) and place and Path(place).expanduser().exists():
        return {_CONTENT: hash_place(Path(place).expanduser(), cache)}
    return _by_content(place, cache)


def _check_weights(training: object) -> None:
    """Raise if the weights that models start from are not there; under other keys, what is no place may be a word."""
    weights = training.get("initial_weights") if isinstance(training, Mapping) else None
    if weights is not None and not Path(str(weights)).expanduser().is_file():
        raise RequestError(
            f"training.initial_weights={weights} cannot be read (no such file): name a safetensors file, or null"
        )


def _canonical(value: object, place: str) -> object:
    """Return a value in which order and form of keys no longer matter, but the types of values do."""
    if isinstance(value, Mapping):
        where = str(value.get("_target_", place))
        items = []
        for key, item in value.items():
            canonical = _canonical(item, f"{place}.{key}" if place else str(key))
            added = (where, str(key))
            if added in ADDED and _text(canonical) == _text(_canonical(ADDED[added], "")):
                continue
            items.append([type(key).__name__, str(key), canonical])
        return {"mapping": sorted(items, key=lambda item: item[:2])}
    if isinstance(value, (list, tuple)):
        return [_canonical(item, place) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise RequestError(f"{place}={value!r} is a {type(value).__name__}: write a number, a text, a list or a mapping")


def _text(canonical: object) -> str:
    return json.dumps(canonical, separators=(",", ":"), sort_keys=True)


def _hash(canonical: object) -> str:
    return hashlib.blake2b(_text(canonical).encode(), digest_size=32).hexdigest()
