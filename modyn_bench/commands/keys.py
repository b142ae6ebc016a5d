"""What to say of keys that are not there: the nearest match, or how a key is added that the option leaves out."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, get_args, get_origin

from omegaconf import DictConfig, OmegaConf

from modyn_bench.commands.messages import listed, nearest
from modyn_bench.commands.schema import field_hints
from modyn_bench.commands.targets import OF_HYDRA, read_signature
from modyn_bench.config import SECTIONS
from modyn_bench.errors import RequestError


def near_key(config: DictConfig, key: str, groups: frozenset[str], *, removed: bool = False) -> str:
    """Describe where a key leaves the configuration: the nearest match, and the keys that are there.

    Args:
        config: What was composed so far.
        key: A key that is not in it, as written on the command line.
        groups: Names of groups, for nearest matches.
        removed: Whether it was to be removed, so that what may be added is of no use.
    """
    node: Any = config
    path: list[str] = []
    for part in key.split("."):
        if not isinstance(node, DictConfig):
            return f" ({'.'.join(path)} is no mapping)"
        if part not in node:
            there = [str(name) for name in node if name not in OF_HYDRA]
            where = f"keys of {'.'.join(path)}" if path else "keys"
            known = {*there, *(frozenset() if removed else _names(node, path))}
            extra = frozenset() if path else public(groups)
            return f"{nearest(part, known | extra)} ({where}: {listed(known)})"
        path.append(part)
        node = OmegaConf.select(node, part, throw_on_missing=False)
    return ""


def nothing_there(config: DictConfig, key: str, groups: frozenset[str]) -> str | None:
    """Say that a part is null one of whose keys is to be set, and how it is chosen; ``None`` if there is no such part.

    Args:
        config: What was composed so far.
        key: As written on the command line.
        groups: Names of groups, whose options may be chosen for the part.
    """
    parts = key.split(".")
    node: Any = config
    for depth, part in enumerate(parts[:-1], start=1):
        if not isinstance(node, DictConfig) or part not in node:
            return None
        node = OmegaConf.select(node, part, throw_on_missing=False)
        if node is None:
            at, group = ".".join(parts[:depth]), f"{parts[0]}/{part}"
            chosen = group if depth == 2 else f"{group}@{at}"
            return f"{at} is null" + (f": choose one first, as in {chosen}=NAME" if group in groups else "")
    return None


def how_to_add(config: DictConfig, key: str, line: str) -> str | None:
    """Say how a key is given that may stand there, but that the chosen option's file leaves out; else ``None``.

    Args:
        config: What was composed so far.
        key: A key that is not in it.
        line: The override as it was given.
    """
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent, throw_on_missing=False) if parent else None
    if not isinstance(node, DictConfig) or name in node or name not in _names(node, parent.split(".")):
        return None
    return f"{line}: the chosen option leaves this key out; add it by a +, as in {shlex.quote(f'+{line}')}"


def public(groups: frozenset[str]) -> frozenset[str]:
    """Return the groups that are not Hydra's own."""
    return frozenset(group for group in groups if group.partition("/")[0] != "hydra")


def _names(node: DictConfig, path: list[str]) -> frozenset[str]:
    """Return the keys that may stand in a mapping: a section's options, or the parameters of what it makes."""
    target = OmegaConf.select(node, "_target_", throw_on_missing=False)
    if isinstance(target, str):
        with suppress(RequestError):  # told when the target is checked
            signature = read_signature(target)
            return frozenset(signature.names if signature is not None else ())
        return frozenset()
    hint: Any = SECTIONS.get(path[0]) if path else None
    for part in path[1:]:
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            hint = field_hints(hint).get(part)
        else:
            hint = get_args(hint)[1] if get_origin(hint) in (dict, Mapping) else None
    return frozenset(field_hints(hint)) if isinstance(hint, type) and dataclasses.is_dataclass(hint) else frozenset()
