"""Deciding which rows are held out for evaluation, by rules that rows appended later do not disturb."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.hashing import HashArray, combine, hash_text
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive_seed
from modyn_bench.timespan import parse_duration
from modyn_bench.types import IntArray

METHODS = ("hash", "block")


@dataclass(frozen=True)
class SplitRule:
    """How the test split is held out of a source that has none of its own.

    ``hash``: a row is held out if a seeded hash of its content, as a fraction of 2**64, is below ``fraction``. Equal
    rows stay together, and neither order nor other rows matter: rows appended later leave the old ones where they are.
    The content is what the store keeps of a row: time (if the source has one), label and inputs. Where that is only a
    handful of different rows, the share held out can be far from ``fraction``; ingest notes what it came to.

    ``block``: for autocorrelated streams, in which a random test row would lie between near-copies of itself in the
    train split. The stream is cut into blocks of fixed length, and block i is held out if floor((i + 1) f + u) exceeds
    floor(i f + u), with a seeded offset u: blocks alternate evenly, e.g. every fourth for f = 1/4. Blocks are ``block``
    consecutive samples in time order, or time intervals from the epoch on if it is a duration; rows appended at the end
    change nothing before them. Duplicates stay together only within a block.

    Of a source that is larger than is needed, rows are left out altogether by another seeded hash of their content.

    Attributes:
        method: ``hash`` or ``block``.
        fraction: Share of the rows to hold out, in (0, 1).
        seed: Another seed holds out other rows.
        block: Length of a block: a number of samples, or a duration such as ``1w``.
        used: Share of the rows that is used at all, in (0, 1].
    """

    method: str = "hash"
    fraction: float = 0.25
    seed: int = 0
    block: Any = 500
    used: float = 1.0

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        if self.method not in METHODS:
            raise RequestError(f"dataset.test_split={self.method!r} must be one of {', '.join(METHODS)}")
        if not 0 < self.fraction < 1:
            raise RequestError(f"dataset.test_fraction={self.fraction} must lie between 0 and 1, both excluded")
        if not 0 < self.used <= 1:
            raise RequestError(f"dataset.used_fraction={self.used} must lie in (0, 1]")
        if isinstance(self.block, bool) or (isinstance(self.block, int) and self.block < 1):
            raise RequestError(f"dataset.test_block={self.block} must be at least 1 sample, or a duration such as 1w")
        if not isinstance(self.block, int):
            parse_duration(self.block, "dataset.test_block")

    def kept(self, content: HashArray) -> NDArray[np.bool_]:
        """Return which rows are used at all, from the hash of each row's content, shape (n,)."""
        return _below(content, self.used, derive_seed(self.seed, "used"))

    def held_out(self, content: HashArray, timestamps: IntArray) -> NDArray[np.bool_]:
        """Return which rows are held out.

        Args:
            content: Hash of each row's content, in time order, shape (n,).
            timestamps: UTC seconds, non-decreasing, shape (n,).

        Returns:
            True for the rows of the test split, shape (n,).
        """
        if self.method == "hash":
            return _below(content, self.fraction, derive_seed(self.seed, "test_split", "hash"))
        if isinstance(self.block, int):
            blocks = np.arange(len(timestamps)) // min(self.block, len(timestamps) + 1)
        else:
            blocks = timestamps // parse_duration(self.block, "dataset.test_block")
        offset = derive_seed(self.seed, "test_split", "block") / 2.0**63
        before = np.floor(blocks * self.fraction + offset)
        return np.asarray(np.floor((blocks + 1) * self.fraction + offset) > before)


def _below(content: HashArray, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Return where a seeded hash, as a fraction of 2**64, is below a fraction; everywhere, if that is 1."""
    if fraction == 1:
        return np.ones(len(content), dtype=bool)
    return combine(content, np.uint64(seed)) < np.uint64(min(int(fraction * 2.0**64), 2**64 - 1))


def content_hash(num_rows: int, parts: Iterable[tuple[str, HashArray]]) -> HashArray:
    """Return one hash per row from the hashes of its named parts; the order of the parts does not matter.

    Args:
        num_rows: Number of rows n.
        parts: Column names, each with the hashes of its values, shape (n,).
    """
    total = np.zeros(num_rows, dtype=np.uint64)
    for name, hashes in sorted(parts, key=lambda part: part[0]):
        total = combine(combine(total, np.uint64(hash_text(name))), hashes)
    return total
