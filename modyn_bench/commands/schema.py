"""Checking plain values against type hints, all problems at once; the hints are those of dataclasses and constructors.

A hint that says nothing about plain values (a class of ours, a callable) accepts everything: what a value of it means
is checked where it is built.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from modyn_bench.commands.messages import listed, nearest, shown

_WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    list: "a list",
    dict: "a mapping",
}
Built = TypeVar("Built")
_LISTS = (list, tuple, set, frozenset, Sequence)
_MAPPINGS = (dict, Mapping)


def field_hints(schema: type) -> dict[str, Any]:
    """Return the type hints of a dataclass's fields, by name."""
    hints = get_type_hints(schema)
    return {field.name: hints[field.name] for field in dataclasses.fields(schema)}


def check_value(key: str, value: object, hint: object) -> list[str]:
    """Return what is wrong with a value, as lines for the user; empty if nothing is.

    Args:
        key: Where the value stands, as written on the command line.
        value: Numbers, strings, ``None``, lists and dictionaries of these.
        hint: A type hint.

    Example:
        >>> check_value("training.epochs", "three", int)
        ["training.epochs='three' must be a whole number"]
        >>> check_value("trigger.clock", "noon", Literal["last_sample", "grid_line"])
        ["trigger.clock='noon' must be one of grid_line, last_sample"]
    """
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and not _is_target(value):
        return _check_dataclass(key, value, hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _check_union(key, value, arguments)
    if origin is Literal:
        return [] if value in arguments else [f"{key}={shown(value)} must be one of {listed(map(str, arguments))}"]
    if (origin or hint) in _MAPPINGS and not _is_target(value):
        if not isinstance(value, Mapping):
            return [_wrong(key, value, dict)]
        inner = arguments[1] if len(arguments) == 2 else Any
        return [problem for name, item in value.items() for problem in check_value(f"{key}.{name}", item, inner)]
    if (origin or hint) in _LISTS and not _is_target(value):
        if not isinstance(value, list):
            return [_wrong(key, value, list)]
        inner = arguments[0] if arguments else Any
        return [problem for i, item in enumerate(value) for problem in check_value(f"{key}[{i}]", item, inner)]
    return [] if _is_plain(value, hint) else [_wrong(key, value, hint)]


def build(schema: type[Built], value: Mapping[str, Any]) -> Built:
    """Build an instance of a dataclass from values that ``check_value`` accepted; what is not given has its default."""
    hints = field_hints(schema)
    return schema(**{name: _convert(item, hints[name]) for name, item in value.items()})


def _check_dataclass(key: str, value: object, schema: type) -> list[str]:
    if not isinstance(value, Mapping):
        return [_wrong(key, value, dict)]
    hints = field_hints(schema)
    problems = []
    for name, item in value.items():
        if name in hints:
            problems += check_value(f"{key}.{name}", item, hints[name])
        else:
            problems.append(f"{key}.{name}: unknown key{nearest(str(name), hints)} (keys: {listed(hints)})")
    return problems


def _check_union(key: str, value: object, alternatives: Sequence[object]) -> list[str]:
    answers = [check_value(key, value, alternative) for alternative in alternatives]
    if [] in answers:
        return []
    if isinstance(value, (Mapping, list)):  # the alternative of the value's own kind says more than the list of kinds
        inner = [answer for answer in answers if not answer[0].startswith(f"{key}=")]
        if inner:
            return inner[0]
    words: list[str] = []
    for alternative in alternatives:
        literals = get_args(alternative) if get_origin(alternative) is Literal else ()
        words += [str(literal) for literal in literals] or [_word(alternative)]
    return [f"{key}={shown(value)} must be {', '.join(words[:-1])} or {words[-1]}"]


def _is_plain(value: object, hint: object) -> bool:
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if hint is type(None) or hint is None:
        return value is None
    return True


def _is_target(value: object) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _wrong(key: str, value: object, hint: object) -> str:
    hint_of_text = f"; write {key}='\"{value}\"' for text" if hint is str and isinstance(value, (int, float)) else ""
    return f"{key}={shown(value)} must be {_word(hint)}{hint_of_text}"


def _word(hint: object) -> str:
    kind = get_origin(hint) or hint
    kind = list if kind in _LISTS else dict if kind in _MAPPINGS else kind
    return _WORDS.get(kind) or str(getattr(kind, "__name__", kind))


def _convert(value: object, hint: object) -> object:
    """Turn mappings into dataclasses and whole numbers into floats where the hint asks for it."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return build(hint, value)
    arguments = get_args(hint)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if float in (hint, *arguments) and int not in (hint, *arguments) else value
    if isinstance(value, Mapping) and get_origin(hint) in _MAPPINGS:
        return {name: _convert(item, arguments[1]) for name, item in value.items()}
    return value
