"""Hashed word n-grams: text to fixed-width rows of token ids, once, at ingest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.hashing import HashArray, combine, hash_texts, mix
from modyn_bench.data.store import Column
from modyn_bench.data.tokenizing import smallest_dtype
from modyn_bench.errors import RequestError

_WORD_OR_END = re.compile(r"\w+|\n")
_BATCH = 65_536


@dataclass(frozen=True)
class HashedNgrams:
    """Turns texts into ids of hashed word n-grams.

    A text is lower-cased and split into words (runs of letters, digits and underscores). At each word the n-grams that
    start there follow in order of length: ``a b c`` with n up to 2 gives ``a, a b, b, b c, c``. Each gets the id
    ``1 + hash mod num_buckets``; ids beyond ``max_tokens`` are cut off, missing ones are 0 (padding). Nothing is
    fitted, so nothing looks into the future.

    Attributes:
        num_buckets: Number of ids; up to 65,535 fit two bytes each.
        ngrams: Longest n-gram, in words.
        max_tokens: Ids kept per text.

    Example:
        >>> tokens = HashedNgrams(num_buckets=1000, ngrams=2, max_tokens=4)
        >>> ids = tokens.encode(["Dark matter", "dark-matter!", ""])
        >>> bool((ids[0] == ids[1]).all()), (ids > 0).sum(axis=1).tolist()
        (True, [3, 3, 0])
    """

    num_buckets: int = 65_535
    ngrams: int = 2
    max_tokens: int = 64

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        for key in ("num_buckets", "ngrams", "max_tokens"):
            if getattr(self, key) < 1:
                raise RequestError(f"dataset.{key}={getattr(self, key)} must be at least 1")
        if self.num_buckets > 2**31 - 2:
            raise RequestError(f"dataset.num_buckets={self.num_buckets} must be below 2**31 - 1")

    def column(self, source: str) -> Column:
        """Return what a store keeps of the ids of a text column."""
        dtype = smallest_dtype(self.num_buckets)
        return Column("tokens", "tokens", dtype, (self.max_tokens,), (source,), num_values=self.num_buckets)

    def encode(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return ids, shape (n, max_tokens), padded with 0."""
        out = np.zeros((len(texts), self.max_tokens), dtype=smallest_dtype(self.num_buckets))
        for start in range(0, len(texts), _BATCH):
            self._encode_batch(texts[start : start + _BATCH], out[start : start + _BATCH])
        return out

    def _encode_batch(self, texts: Sequence[str], out: NDArray[Any]) -> None:
        words, lengths = _word_hashes(texts)
        rows = np.repeat(np.arange(len(texts)), lengths)
        positions = np.arange(len(words)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        remaining = lengths[rows] - positions
        slots = _first_slot(positions, lengths[rows], self.ngrams)
        grams = mix(words)
        for order in range(1, self.ngrams + 1):
            if order > 1:  # the gram of this order that starts at a word: the shorter one there, and one word more
                grams = combine(grams[:-1], words[order - 1 :])
                rows, slots, remaining = rows[:-1], slots[:-1], remaining[:-1]
            fits = (remaining >= order) & (slots + order - 1 < self.max_tokens)
            ids = 1 + grams[fits] % np.uint64(self.num_buckets)
            out[rows[fits], slots[fits] + order - 1] = ids.astype(out.dtype)
            if len(grams) <= 1:
                break


def _word_hashes(texts: Sequence[str]) -> tuple[HashArray, NDArray[np.int64]]:
    """Return the hashes of all words behind one another, and the number of words of each text."""
    joined = "\n".join(text.replace("\n", " ") for text in texts) + "\n"
    found = _WORD_OR_END.findall(joined.lower())
    code_of = dict.fromkeys(found)
    code_of.update({word: code for code, word in enumerate(code_of)})
    codes = np.fromiter(map(code_of.__getitem__, found), dtype=np.int64, count=len(found))
    is_end = codes == code_of["\n"]
    ends = np.flatnonzero(is_end)
    lengths = np.diff(ends, prepend=-1) - 1
    return hash_texts(code_of, len(code_of))[codes[~is_end]], lengths


def _first_slot(positions: NDArray[np.int64], lengths: NDArray[np.int64], ngrams: int) -> NDArray[np.int64]:
    """Return where the grams that start at a word begin: each word before it starts min(ngrams, words left) of them."""
    full = np.minimum(positions, np.maximum(lengths - ngrams + 1, 0))
    tail = positions - full
    slots: NDArray[np.int64] = full * ngrams + tail * (lengths - full) - tail * (tail - 1) // 2
    return slots
