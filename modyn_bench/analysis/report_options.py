"""In which options the compared policies differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modyn_bench.analysis.text import by_number
from modyn_bench.runs.identity import is_path_key, short_name
from modyn_bench.runs.naming import changes_results, flatten

_TARGET = "._target_"
_NONE = "-"  # where a policy has no such option
_MAX_COLUMNS = 6


@dataclass(frozen=True)
class Options:
    """The keys of the resolved configuration whose values are not the same for all policies, seeds aside.

    Attributes:
        keys: Dotted, in the order of the configuration; a policy's class stands under the key of its group.
        values: Policy -> key -> value as text; a policy without a key lacks it.
    """

    keys: tuple[str, ...]
    values: Mapping[str, Mapping[str, str]]

    def table(self) -> list[list[str]]:
        """Return header and cells: a column per policy, or a row per policy where these are many."""
        rows = [["option", *self.values]]
        rows += [[key, *(of.get(key, _NONE) for of in self.values.values())] for key in self.keys]
        if len(self.values) <= _MAX_COLUMNS:
            return rows
        turned = [list(row) for row in zip(*rows, strict=True)]
        return [["policy", *turned[0][1:]], *turned[1:]]

    def in_words(self, most: int = 4) -> str:
        """Name the keys that have several values; those that some policies lack go with what others have in place."""
        found = {key: {of[key] for of in self.values.values() if key in of} for key in self.keys}
        several = [key for key in self.keys if len(found[key]) > 1] or list(self.keys)
        told = [_counted(key, sorted(found[key], key=by_number)) for key in several[:most]]
        more = [f"{len(several) - most} more options"] if len(several) > most else []
        *first, last = [*told, *more]
        return f"{', '.join(first)} and {last}" if first else last


def differing_options(configs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Options:
    """Find the options in which policies differ.

    Args:
        configs: Policy -> the resolved configurations of its runs.

    Example:
        >>> time = {"trigger": {"_target_": "triggers.time.Time", "every": "1y"}, "seed": 0}
        >>> amount = {"trigger": {"_target_": "triggers.amount.Amount"}, "seed": 1}
        >>> differing_options({"time": [time], "amount": [amount]}).table()
        [['option', 'time', 'amount'], ['trigger', 'time', 'amount'], ['trigger.every', '1y', '-']]
    """
    values = {policy: _of_policy(own) for policy, own in configs.items()}
    keys = dict.fromkeys(key for of in values.values() for key in of)
    differing = [key for key in keys if len({of.get(key) for of in values.values()}) > 1]
    rank = {key: place for place, key in enumerate(dict.fromkeys(key.partition(".")[0] for key in keys))}
    return Options(tuple(sorted(differing, key=lambda key: rank[key.partition(".")[0]])), values)


def _of_policy(configs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what a policy's runs have set; what differs between them stands side by side."""
    found: dict[str, list[str]] = {}
    for config in configs:
        for key, value in flatten(config).items():
            if changes_results(key) and not _is_path(key):
                name, text = _told(key, value)
                if text not in found.setdefault(name, []):
                    found[name].append(text)
    return {name: ", ".join(texts) for name, texts in found.items()}


def _counted(key: str, values: Sequence[str], most: int = 8) -> str:
    return f"{key} ({', '.join(values)})" if len(values) <= most else f"{key} ({len(values)} values)"


def _is_path(key: str) -> bool:
    """Say whether a key names where a dataset lies, which is not what it is."""
    return key.startswith("dataset.") and is_path_key(key.removeprefix("dataset."))


def _told(key: str, value: object) -> tuple[str, str]:
    if key.endswith(_TARGET):
        return key.removesuffix(_TARGET), short_name({"_target_": value})
    return key, value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
