"""The options of recipes that may read text: how it becomes token ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from modyn_bench.data.recipes.base import Recipe
from modyn_bench.data.tokenizer_file import TokenizerFile
from modyn_bench.data.tokenizing import Tokenizer
from modyn_bench.data.tokens import HashedNgrams
from modyn_bench.errors import RequestError

_OF_NGRAMS = ("num_buckets", "ngrams")


@dataclass(kw_only=True)
class TextRecipe(Recipe):
    """A source that may have text.

    Attributes:
        tokenizer: Text: a ``tokenizer.json``, or a folder that holds one; ``None``: hashed word n-grams.
        num_buckets: Text: number of hash buckets of the word n-grams.
        ngrams: Text: longest n-gram, in words.
        max_tokens: Text: n-grams, or the tokenizer's tokens, kept per sample.
    """

    tokenizer: str | None = None
    num_buckets: int = 65_535
    ngrams: int = 2
    max_tokens: int = 64

    @property
    def tokens(self) -> Tokenizer:
        """How text becomes ids."""
        if self.tokenizer is None:
            return HashedNgrams(self.num_buckets, self.ngrams, self.max_tokens)
        return TokenizerFile(self.tokenizer, self.max_tokens)

    @property
    def option_files(self) -> Mapping[str, Path | None]:
        """The tokenizer's file."""
        tokens = self.tokens
        return {"tokenizer": tokens.file if isinstance(tokens, TokenizerFile) else None}

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range, or has no effect."""
        super().check()
        defaults = {field.name: field.default for field in fields(self)}
        for key in _OF_NGRAMS:
            if self.tokenizer is not None and getattr(self, key) != defaults[key]:
                raise RequestError(
                    f"dataset.{key}={getattr(self, key)} is of hashed n-grams and has no effect with "
                    f"dataset.tokenizer={self.tokenizer}: leave one of them out"
                )
