"""Types of command-line arguments for programs beside ``modyn-bench``, such as those of experiments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def whole_number(most: int) -> Callable[[str], int]:
    """Return a type of whole numbers from 1 to a bound.

    Example:
        >>> whole_number(9)("3")
        3
    """

    def read(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 to {most}")
        return int(text)

    return read


def folder(text: str) -> Path:
    """Read the name of a folder, which may have to be made."""
    path = Path(text)
    if any(each.exists() and not each.is_dir() for each in (path, *path.parents)):
        raise argparse.ArgumentTypeError(f"{text!r} is or lies in a file; name a folder")
    return path
