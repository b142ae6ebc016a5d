"""State of policies: plain values that go to disk as JSON and npz, never as pickle."""

from __future__ import annotations

import copy
from typing import ClassVar

import numpy as np

from modyn_bench.errors import ContractError, RunError
from modyn_bench.types import State

_PLAIN = (int, float, str, bool, type(None), list, dict, np.ndarray)


class Stateful:
    """Gives a class ``state_dict`` and ``load_state_dict`` over the fields that ``state_fields`` names.

    A field that is itself stateful, or a dictionary of what is, is saved as its own state and loaded in place.

    What the constructor was given is configuration and is not saved; what changes while the stream runs is state and
    must be named here, or a resumed run differs from an uninterrupted one.

    Example:
        >>> class Counter(Stateful):
        ...     state_fields = ("count",)
        ...     def __init__(self) -> None:
        ...         self.count = 0
        >>> counter = Counter(); counter.count = 3
        >>> other = Counter(); other.load_state_dict(counter.state_dict()); other.count
        3
    """

    state_fields: ClassVar[tuple[str, ...]] = ()

    def state_dict(self) -> State:
        """Return a copy of the whole state: numbers, strings, ``None``, lists and dictionaries of these, arrays."""
        state: State = {}
        for name in self.state_fields:
            if not hasattr(self, name):
                raise ContractError(
                    f"{type(self).__name__}.state_fields names {name!r}, but there is no such attribute"
                )
            value = getattr(self, name)
            if isinstance(value, np.generic):
                value = value.item()
            parts = _parts(value)
            if parts is not None:
                state[name] = {part: inner.state_dict() for part, inner in parts.items()}
            elif isinstance(value, _PLAIN):
                state[name] = copy.deepcopy(value)
            else:
                raise ContractError(
                    f"{type(self).__name__}.{name} holds a {type(value).__name__}, which no state may hold: numbers, "
                    "texts, None, lists and dictionaries of these, and arrays can be saved"
                )
        return state

    def load_state_dict(self, state: State) -> None:
        """Take over a state that ``state_dict`` of the same configuration returned.

        Raises:
            RunError: If the state's fields are not this class's.
        """
        if set(state) != set(self.state_fields):
            raise RunError(
                f"the state saved for {type(self).__name__} has the fields {sorted(state)}, "
                f"but the class has {sorted(self.state_fields)}: it was written by another version or policy"
            )
        for name in self.state_fields:
            parts, saved = _parts(getattr(self, name)), state[name]
            if parts is None:
                setattr(self, name, copy.deepcopy(saved))
                continue
            if not isinstance(saved, dict) or set(saved) != set(parts):
                raise RunError(
                    f"the state saved for {type(self).__name__}.{name} is not that of {', '.join(parts) or 'nothing'}: "
                    "it was written by another policy"
                )
            for part, inner in parts.items():
                inner.load_state_dict(saved[part])  # type: ignore[arg-type]


def _parts(value: object) -> dict[str, Stateful] | None:
    """Return what is stateful in a field, by name; ``None`` where the field holds plain values."""
    if isinstance(value, Stateful):
        return {"state": value}
    if isinstance(value, dict) and value and all(isinstance(inner, Stateful) for inner in value.values()):
        return dict(value)
    return None
