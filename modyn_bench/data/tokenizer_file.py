"""A tokenizer with a vocabulary of its own, from a file: what a pretrained language model was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.fingerprint import hash_values
from modyn_bench.data.store import Column
from modyn_bench.data.tokenizing import smallest_dtype
from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import tokenizers

FILE = "tokenizer.json"
_PADDING = ("[PAD]", "<pad>")
_BATCH = 4096  # texts tokenised at once: what the package returns of one is large


@dataclass(frozen=True)
class TokenizerFile:
    """Turns texts into ids by a ``tokenizer.json`` of the package ``tokenizers``.

    Special tokens are put around a text as the file says, and what is longer than ``max_tokens`` with them is cut off,
    the special tokens being kept. In a store 0 is padding, so where the tokenizer's own padding has another id, the two
    change places: ``pad_id`` in the column tells a model to change them back.

    Attributes:
        path: The file, or a folder that holds it under the name ``tokenizer.json``.
        max_tokens: Ids kept per text, special tokens included.
    """

    path: str
    max_tokens: int

    def check(self) -> None:
        """Raise ``RequestError`` if there is no such tokenizer, it cannot be used, or a text would have no place."""
        special = self._tokenizer.num_special_tokens_to_add(False)
        if self.max_tokens <= special:
            raise RequestError(
                f"dataset.max_tokens={self.max_tokens} must be above {special}: "
                f"so many special tokens dataset.tokenizer={self.path} puts around each text"
            )
        _ = self.pad_id

    @property
    def file(self) -> Path:
        """The file.

        Raises:
            RequestError: If it is not there.
        """
        place = Path(self.path).expanduser()
        if place.is_file():
            return place
        if (place / FILE).is_file():
            return place / FILE
        if not place.is_dir():
            raise RequestError(
                f"dataset.tokenizer={self.path}: there is no such file or folder; one of the Hugging Face hub comes by "
                "`hf download NAME --local-dir FOLDER`"
            )
        raise RequestError(
            f"dataset.tokenizer={self.path}: the folder holds no {FILE}; where it has another kind of tokenizer, "
            "transformers' AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) writes one"
        )

    @cached_property
    def pad_id(self) -> int:
        """The tokenizer's own id of padding.

        Raises:
            RequestError: If it has none, or one that is none of its ids.
        """
        if self._tokenizer.padding is not None:
            own = int(self._tokenizer.padding["pad_id"])
            if own > (largest := max(self._tokenizer.get_vocab(with_added_tokens=True).values())):
                raise RequestError(
                    f"dataset.tokenizer={self.path} pads with the id {own}, but its ids end with {largest}: mend the "
                    f"section padding of {self.file}"
                )
            return own
        for token in _PADDING:
            found = self._tokenizer.token_to_id(token)
            if found is not None:
                return found
        raise RequestError(
            f"dataset.tokenizer={self.path} has no token for padding ({' or '.join(_PADDING)}), as those of models "
            "that write text have none: take the tokenizer of a model that reads, such as DistilBERT's"
        )

    def column(self, source: str) -> Column:
        """Return what a store keeps of the ids of a text column."""
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        largest = max(vocabulary.values())
        return Column(
            "tokens",
            "tokens",
            smallest_dtype(largest),
            (self.max_tokens,),
            (source,),
            num_values=largest,
            vocabulary_hash=hash_values(vocabulary),
            pad_id=self.pad_id,
        )

    def encode(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return ids, shape (n, max_tokens), padded with 0."""
        tokenizer, pad_id, column = self._tokenizer, self.pad_id, self.column("")
        out = np.full((len(texts), self.max_tokens), pad_id, dtype=column.dtype)
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        for start in range(0, len(texts), _BATCH):
            batch = tokenizer.encode_batch_fast(list(texts[start : start + _BATCH]))
            for row, encoded in enumerate(batch, start):
                out[row, : len(encoded.ids)] = encoded.ids
        return swapped(out, pad_id)

    @cached_property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise RequestError(
                f"dataset.tokenizer={self.path} needs tokenizers: pip install 'modyn_bench[text]'"
            ) from error
        file = self.file
        try:
            return Tokenizer.from_file(str(file))
        except Exception as error:  # the package raises no narrower one
            raise RequestError(
                f"dataset.tokenizer={self.path}: {file} is no {FILE} of the package tokenizers ({error})"
            ) from error


def swapped(ids: NDArray[Any], pad_id: int) -> NDArray[Any]:
    """Let padding be 0, and what was 0 be where padding was.

    Example:
        >>> swapped(np.array([0, 7, 2, 1, 1]), 1).tolist()
        [1, 7, 2, 0, 0]
    """
    if pad_id == 0:
        return ids
    return np.where(ids == pad_id, 0, np.where(ids == 0, pad_id, ids)).astype(ids.dtype)
