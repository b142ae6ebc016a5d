"""Short labels for runs, made of what differs between them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from modyn_bench.runs.identity import NOT_RESULTS, PREDICTION_KEYS, is_path_key, short_name

GROUPS = ("dataset", "model", "trigger", "selector")
_UNNAMED = (*sorted(NOT_RESULTS), "evaluation", "seed")


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted keys; lists stay as they are.

    Example:
        >>> flatten({"seed": 0, "trigger": {"every": "1y"}})
        {'seed': 0, 'trigger.every': '1y'}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def by_content(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's configuration in which places, such as a model's folder, are called after what lay there.

    So runs from two copies of a folder are alike, and runs before and after its content changed are not.

    Example:
        >>> by_content({"config": {"model": {"path": "a/b"}, "seed": 0}, "places": {"model.path": "0123456789abcdef"}})
        {'model': {'path': '01234567'}, 'seed': 0}
    """
    digests = manifest.get("places") or {}

    def replaced(value: object, key: str) -> Any:  # noqa: ANN401 - any configuration value
        if key in digests:
            return digests[key][:8]
        if isinstance(value, Mapping):
            return {inner: replaced(item, f"{key}.{inner}" if key else str(inner)) for inner, item in value.items()}
        return value

    config: dict[str, Any] = replaced(manifest["config"], "")
    return config


def name_runs(manifests: Sequence[Mapping[str, Any]], *, seeds: bool = True) -> list[str]:
    """Return a label per run, made of what differs between them.

    First dataset, model, trigger and selector where they differ, each with those of its own options that differ among
    the runs that chose it, then other keys. A run that differs from none is called by its trigger and selector. Runs
    of an experiment are called by its points where these tell them apart as well.

    Args:
        manifests: The runs' manifests.
        seeds: Tell seeds apart, and any two runs that are still called the same, so that labels are unique. Without,
            runs that differ by their seed alone share a label.

    Example:
        >>> time = {"_target_": "triggers.time.Time", "every": "1y"}
        >>> configs = [{"trigger": time | {"every": every}, "training": {"epochs": 1}} for every in ("1y", "26w")]
        >>> configs += [{"trigger": {"_target_": "triggers.amount.Amount"}, "training": {"epochs": 1}}]
        >>> name_runs([{"config": config, "fingerprint": "f", "dataset": {"name": "arxiv"}} for config in configs])
        ['time every=1y', 'time every=26w', 'amount']
    """
    manifests = [{**manifest, "config": by_content(manifest)} for manifest in manifests]
    parts: list[list[str]] = [[] for _ in manifests]
    for group in GROUPS:
        _name_group(group, manifests, parts)
    rest = [
        {key: value for key, value in flatten(manifest["config"]).items() if _is_named(key)} for manifest in manifests
    ]
    for part, options in zip(parts, differing(rest), strict=True):
        part.extend(options)
    _tell_apart(parts, [f"data={manifest['fingerprint'][:6]}" for manifest in manifests])
    _tell_apart(parts, [f"code={_digest(manifest.get('code'))}" for manifest in manifests])
    parts = _points(manifests, parts) or parts
    if seeds and len({manifest["config"].get("seed") for manifest in manifests}) > 1:
        for part, manifest in zip(parts, manifests, strict=True):
            part.append(f"seed={manifest['config'].get('seed')}")
    names = [" / ".join(part) or _default_name(manifest) for part, manifest in zip(parts, manifests, strict=True)]
    told = [
        (name, None if seeds else manifest["config"].get("seed"))
        for name, manifest in zip(names, manifests, strict=True)
    ]
    twice = {name for (name, _), count in Counter(told).items() if count > 1}
    if twice:  # of one seed, and yet different runs: by something that no key shows, as the content of a file
        hashes = [str(manifest["run_id"]).rpartition("-")[2] for manifest in manifests]
        return [f"{name} / {own}" if name in twice else name for name, own in zip(names, hashes, strict=True)]
    return names


def name_policy(manifest: Mapping[str, Any], overrides: Sequence[str] = ()) -> str:
    """Return what one run's policy is called where there are no others to tell it apart from.

    Trigger and selector, or the experiment's point, and what it was asked for beside them; as in ``name_runs`` neither
    the seed nor what changes no result. Nor the dataset, which is no policy: runs on several are told apart by that.

    Args:
        manifest: The run's manifest.
        overrides: Those of the command that made the run.

    Example:
        >>> time = {"_target_": "triggers.time.Time", "every": "26w"}
        >>> manifest = {"config": {"trigger": time, "selector": {"name": "uniform"}}, "dataset": {"name": "arxiv"}}
        >>> name_policy(manifest, ["trigger.every=26w", "selector=uniform", "training.epochs=2", "seed=3"])
        'time every=26w / uniform / training.epochs=2'
    """
    point = manifest["config"].get("experiment")
    words: dict[str, list[str]] = {group: [] for group in GROUPS}
    rest: list[str] = []
    for override in overrides:
        sign, key, value = _split(override)
        group, _, option = key.partition(".")
        if group in GROUPS and not option:
            words[group].insert(0, choice(group, manifest))
        elif group in GROUPS:
            words[group].append(f"{sign}{option}{value}")
        elif group not in (*GROUPS, "experiment") and _is_named(key):
            rest.append(f"{sign}{key}{value}")
    for group in () if point else ("trigger", "selector"):
        if choice(group, manifest) not in words[group][:1]:
            words[group].insert(0, choice(group, manifest))
    shown = [" ".join(words[group]) for group in GROUPS if words[group] and group != "dataset"]
    return " / ".join([*([str(point)] if point else []), *shown, *rest])


def _split(override: str) -> tuple[str, str, str]:
    """Return an override's ``~`` if it has one, its key as it stands in the configuration, and ``=VALUE``."""
    key, equals, value = override.lstrip("+~").partition("=")
    return ("~" if override.startswith("~") else ""), key.rpartition("@")[2].replace("/", "."), f"{equals}{value}"


def _points(manifests: Sequence[Mapping[str, Any]], parts: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the runs' experiment points in place of their parts, or nothing if they do not stand for the same."""
    points = [manifest["config"].get("experiment") for manifest in manifests]
    pairs = set(zip(points, map(tuple, parts), strict=True))
    if None in points or not len(pairs) == len(set(points)) == len(set(map(tuple, parts))):
        return []
    folders = {str(point).rpartition("/")[0] for point in points}
    return [[str(point).rpartition("/")[2] if len(folders) == 1 else str(point)] for point in points]


def choice(group: str, manifest: Mapping[str, Any]) -> str:
    """Return what a run's choice in a group is called; a dataset by the name it has in its store."""
    if group == "dataset" and manifest["dataset"].get("name"):
        return str(manifest["dataset"]["name"])
    return short_name(manifest["config"].get(group))


def _name_group(group: str, manifests: Sequence[Mapping[str, Any]], parts: list[list[str]]) -> None:
    """Add what tells a group's choices apart: their names, and the options in which equal choices differ."""
    choices = [choice(group, manifest) for manifest in manifests]
    shown: list[list[str]] = [[name] if len(set(choices)) > 1 else [] for name in choices]
    for name in set(choices):
        members = [index for index, other in enumerate(choices) if other == name]
        options = []
        for index in members:
            config = manifests[index]["config"].get(group)
            flat = flatten(config) if isinstance(config, Mapping) else {}
            options.append(
                {key: value for key, value in flat.items() if group != "dataset" or not is_path_key(key)},
            )
        for index, words in zip(members, differing(options), strict=True):
            shown[index].extend(words)
    for part, words in zip(parts, shown, strict=True):
        if words:
            part.append(" ".join(words))


def differing_keys(manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the dotted keys in which runs differ, as W&B's config has them, each with single values alone.

    What is chosen in a group stands first, as ``chosen.trigger``; then what name_runs would name, then the seed.

    Example:
        >>> manifests = [{"config": {"trigger": {"every": every}, "seed": 0, "root": every}, "dataset": {"name": "a"}}
        ...              for every in ("1y", "26w")]
        >>> differing_keys(manifests)
        ['trigger.every']
    """
    chosen = [{f"chosen.{group}": choice(group, manifest) for group in GROUPS} for manifest in manifests]
    flat = [flatten(by_content(manifest)) for manifest in manifests]
    runs = [{**own, **options} for own, options in zip(chosen, flat, strict=True)]
    return [
        key for key in dict.fromkeys(key for run in runs for key in run) if _can_be_axis(key) and _differs(key, runs)
    ]


def _can_be_axis(key: str) -> bool:
    if key.endswith("_target_"):  # the group's choice says it
        return False
    group, _, option = key.partition(".")
    of_group = group in GROUPS and not (group == "dataset" and is_path_key(option))
    return of_group or group in ("chosen", "seed") or (group not in GROUPS and _is_named(key))


def _differs(key: str, runs: Sequence[Mapping[str, Any]]) -> bool:
    values = [run.get(key) for run in runs]
    return not any(isinstance(value, (list, dict)) for value in values) and len(set(map(_text, values))) > 1


def differing(options: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return, for each mapping, ``key=value`` of the keys whose values are not the same in all."""
    keys = dict.fromkeys(key for option in options for key in option)
    differing = [key for key in keys if len({_text(option[key]) if key in option else None for option in options}) > 1]
    last = Counter(key.rpartition(".")[2] for key in differing)
    short = {key: key.rpartition(".")[2] if last[key.rpartition(".")[2]] == 1 else key for key in differing}
    return [[f"{short[key]}={_text(option[key])}" for key in differing if key in option] for option in options]


def _digest(code: object) -> str:
    """Return a short name of the user's own code that a run used."""
    return hashlib.sha256(json.dumps(code or {}, sort_keys=True).encode()).hexdigest()[:6]


def _tell_apart(parts: list[list[str]], words: Sequence[str]) -> None:
    """Add a word to the parts of those that are otherwise called the same, if their words differ."""
    same: dict[tuple[str, ...], list[int]] = {}
    for index, part in enumerate(parts):
        same.setdefault(tuple(part), []).append(index)
    for members in same.values():
        if len({words[index] for index in members}) > 1:
            for index in members:
                parts[index].append(words[index])


def _default_name(manifest: Mapping[str, Any]) -> str:
    return " / ".join(choice(group, manifest) for group in ("trigger", "selector"))


def changes_results(key: str) -> bool:
    """Say whether a dotted key can make results differ: it is part of a run's identity, and is not the seed."""
    of_predictions = key in {f"evaluation.{name}" for name in PREDICTION_KEYS}
    return of_predictions or not _is_below(key, _UNNAMED)


def _is_named(key: str) -> bool:
    """Say whether a key outside the groups can tell runs apart."""
    return changes_results(key) and not _is_below(key, GROUPS)


def _is_below(key: str, places: Sequence[str]) -> bool:
    return any(key == place or key.startswith(f"{place}.") for place in places)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
