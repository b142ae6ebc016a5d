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
_MOST_KEYS = 16


@dataclass(frozen=True)
class Options:
    """The keys of the resolved configuration whose values are not the same for all policies, seeds aside.

    Attributes:
        keys: Dotted: the classes of policies, each under the key of its group, then the others in the order of the
            configuration.
        values: Policy -> key -> value as text; a policy without a key lacks it.
    """

    keys: tuple[str, ...]
    values: Mapping[str, Mapping[str, str]]

    @property
    def told(self) -> tuple[str, ...]:
        """The keys that have several values among the policies that have them; all keys where there is none.

        What some policies lack, and all others have the same, goes with what these have in place.
        """
        return tuple(key for key in self.keys if len(self._found(key)) > 1) or self.keys

    @property
    def shown(self) -> tuple[str, ...]:
        """The keys of the page's table: all, or those that are told where these are many."""
        return self.keys if len(self.keys) <= _MOST_KEYS else self.told

    def table(self, keys: Sequence[str]) -> list[list[str]]:
        """Return header and cells of some keys: a column per policy, or a row per policy where these are many."""
        rows = [["option", *self.values]]
        rows += [[key, *(of.get(key, _NONE) for of in self.values.values())] for key in keys]
        if len(self.values) <= _MAX_COLUMNS:
            return rows
        turned = [list(row) for row in zip(*rows, strict=True)]
        return [["policy", *turned[0][1:]], *turned[1:]]

    def in_words(self, most: int = 4) -> str:
        """Name the keys that are told, and their values."""
        told = [_counted(key, sorted(self._found(key), key=by_number)) for key in self.told[:most]]
        more = [f"{len(self.told) - most} more options"] if len(self.told) > most else []
        *first, last = [*told, *more]
        return f"{', '.join(first)} and {last}" if first else last

    def _found(self, key: str) -> set[str]:
        return {of[key] for of in self.values.values() if key in of}


def differing_options(configs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Options:
    """Find the options in which policies differ.

    Args:
        configs: Policy -> the resolved configurations of its runs.

    Example:
        >>> time = {"trigger": {"_target_": "triggers.time.Time", "every": "1y"}, "seed": 0}
        >>> amount = {"trigger": {"_target_": "triggers.amount.Amount"}, "seed": 1}
        >>> options = differing_options({"time": [time], "amount": [amount]})
        >>> options.table(options.keys)
        [['option', 'time', 'amount'], ['trigger', 'time', 'amount'], ['trigger.every', '1y', '-']]
        >>> options.told
        ('trigger',)
    """
    values = {policy: _of_policy(own) for policy, own in configs.items()}
    keys = dict.fromkeys(key for of in values.values() for key in of)
    differing = [key for key in keys if len({of.get(key) for of in values.values()}) > 1]
    rank = {key: place for place, key in enumerate(dict.fromkeys(key.partition(".")[0] for key in keys))}
    classes = {key for own in configs.values() for config in own for key in _classes(config)}
    differing.sort(key=lambda key: (key not in classes, rank[key.partition(".")[0]]))
    return Options(tuple(differing), values)


def _classes(config: Mapping[str, Any]) -> set[str]:
    """Return the keys that a class stands under."""
    return {key.removesuffix(_TARGET) for key in flatten(config) if key.endswith(_TARGET)}


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
