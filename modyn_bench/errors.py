"""The errors that are meant for users: each says what was wrong, where, what was expected, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager


class RequestError(ValueError):
    """The request was wrong: a configuration key, value or path. Nothing was started (exit code 2)."""


class DataError(ValueError):
    """The data are not what the request says they are: an unreadable row, a missing label, an empty split."""


class RunError(RuntimeError):
    """A run directory is locked, foreign or corrupt, or a run cannot go on."""


class ContractError(RuntimeError):
    """A policy broke its contract, for instance by a decision that does not advance; the message names it."""


def check_part(key: str, part: object, kind: type, example: str, *, needed: bool = False) -> None:
    """Check that a part of a policy was made, and not merely named.

    Raises:
        RequestError: If it is not of the kind, ``None`` excepted where the part is not needed.
    """
    if (part is not None or needed) and not isinstance(part, kind):
        raise RequestError(f"{key}={part!r} is no {kind.__name__}: choose one as in {example}")


def relocate(message: str, place: str) -> str:
    """Rewrite a message of a policy, which takes itself for the outermost of its group, to where the policy stands.

    Example:
        >>> relocate("trigger.interval=0 must be at least 1", "trigger.members.drift")
        'trigger.members.drift.interval=0 must be at least 1'
        >>> relocate("use trigger/decision=threshold", "trigger.members.drift")
        'use trigger/decision@trigger.members.drift.decision=threshold'
    """
    group = place.partition(".")[0]
    if place == group:
        return message
    message = re.sub(rf"(?<![\w.]){group}\.", lambda _: f"{place}.", message)
    return re.sub(rf"(?<!\w){group}/(\w+)=", lambda part: f"{part[0][:-1]}@{place}.{part[1]}=", message)


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Let what is wrong with a policy inside another be told of where it stands, such as ``trigger.members.drift``.

    Raises:
        RequestError: The policy's, rewritten.
    """
    try:
        yield
    except RequestError as error:
        raise RequestError(relocate(str(error), place)) from None
