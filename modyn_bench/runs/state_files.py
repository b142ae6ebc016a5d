"""States of policies as JSON with the arrays split out. Types are preserved, floats keep every bit; no pickle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from modyn_bench.types import State

_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode_states(states: Mapping[str, State]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Split states, by owner, into a plain value for JSON and the arrays it refers to.

    Raises:
        TypeError: If a state holds anything but numbers, strings, ``None``, lists, dictionaries and arrays.

    Example:
        >>> encode_states({"trigger": {"count": 3, "scores": np.zeros(2)}})
        ({'trigger': {'count': 3, 'scores': {'$array': '0'}}}, {'0': array([0., 0.])})
    """
    arrays: dict[str, np.ndarray] = {}
    return {name: _encode(state, name, arrays) for name, state in states.items()}, arrays


def decode_states(encoded: object, arrays: Mapping[str, np.ndarray]) -> dict[str, State]:
    """Put together what ``encode_states`` took apart.

    Raises:
        KeyError: If an array is missing.
        ValueError: If the encoded value is none that ``encode_states`` makes.
    """
    if not isinstance(encoded, dict):
        raise ValueError(f"a mapping was expected, not a {type(encoded).__name__}")
    return {name: cast("State", _decode(state, arrays)) for name, state in encoded.items()}


def _encode(value: object, place: str, arrays: dict[str, np.ndarray]) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_encode(item, f"{place}[{index}]", arrays) for index, item in enumerate(value)]
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        name = str(len(arrays))
        arrays[name] = value
        return {"$array": name}
    if not isinstance(value, dict) or not all(type(key) in (str, int) for key in value):
        raise TypeError(
            f"the state {place} holds a {type(value).__name__}, which cannot be stored: use numbers, strings, None, "
            f"lists, dictionaries with string or whole-number keys, and arrays of numbers"
        )
    items = {key: _encode(item, f"{place}.{key}", arrays) for key, item in value.items()}
    if any(isinstance(key, int) or key.startswith("$") for key in items):
        return {"$items": [[key, item] for key, item in items.items()]}
    return items


def _decode(value: object, arrays: Mapping[str, np.ndarray]) -> object:
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value), "")
    if not tag.startswith("$"):
        return {key: _decode(item, arrays) for key, item in value.items()}
    content = value[tag]
    if tag == "$array":
        return arrays[content]
    if tag == "$float":
        return _FLOATS[content]
    if tag == "$items":
        return {key: _decode(item, arrays) for key, item in content}
    raise ValueError(f"the tag {tag} is unknown")
