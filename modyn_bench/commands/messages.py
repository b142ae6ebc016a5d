"""Words for wrong requests: nearest matches and the quoted form of values with special characters."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the name that is nearest, or nothing.

    Example:
        >>> nearest("tiem", ["amount", "time"]), nearest("zzz", ["amount", "time"])
        ("; did you mean 'time'?", '')
    """
    by_lower: dict[str, str] = {}
    for candidate in known:
        by_lower.setdefault(candidate.lower(), candidate)
    match = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.55)
    return f"; did you mean {by_lower[match[0]]!r}?" if match else ""


def listed(names: Iterable[str]) -> str:
    """Return names in alphabetical order, separated by commas; ``none`` if there are none."""
    return ", ".join(sorted(names)) or "none"


def shown(value: object) -> str:
    """Return a plain value as it is written on the command line, texts in quotes.

    Example:
        >>> shown(None), shown(True), shown("three"), shown(3)
        ('null', 'true', "'three'", '3')
    """
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def quoted(key: str, value: str) -> str:
    """Return an override in the form that survives both the shell and Hydra's grammar.

    Example:
        >>> print(quoted("dataset.path", "my file, v2.csv"))
        'dataset.path="my file, v2.csv"'
    """
    from hydra.core.override_parser.types import Quote, QuotedString

    return shlex.quote(f"{key}={QuotedString(value, Quote.double).with_quotes()}")


def refers(key: str, error: Exception) -> str:
    """Say that a value refers to a key that is not there, and what to do where it is meant as it stands."""
    return (
        f"{key}: {str(error).splitlines()[0]}; ${{KEY}} refers to another key, so that no value can hold ${{ itself: "
        "rename the file or column"
    )
