"""Which columns a model learns from: a text, features, or an image; and what becomes of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.data.columns.base import InputColumns, Problems
from modyn_bench.data.columns.features import FeatureColumns
from modyn_bench.data.columns.image_sources import ImageSource, image_source
from modyn_bench.data.columns.images import ImageColumn
from modyn_bench.data.columns.texts import TextColumn
from modyn_bench.data.tokenizing import Tokenizer
from modyn_bench.data.tokens import HashedNgrams
from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    import pyarrow as pa

_SAVED_INDEX = re.compile(r"__index_level_\d+__")  # pandas writes the index of a frame as such a column


def is_saved_index(name: str) -> bool:
    """Whether a column is the index of a saved data frame, which is no feature unless it is named."""
    return _SAVED_INDEX.fullmatch(name) is not None


@dataclass(frozen=True, kw_only=True)
class Inputs(ABC):
    """Which columns are the inputs; ``taken`` are those that are the label or the time."""

    @property
    @abstractmethod
    def named(self) -> dict[str, tuple[str, ...]]:
        """The columns that the configuration names, by its keys."""

    @abstractmethod
    def names(self, known: Sequence[str], taken: Collection[str]) -> tuple[str, ...]:
        """Return those of the source's columns that are read."""

    @abstractmethod
    def read(self, table: pa.Table, *, taken: Collection[str], origin: str, data_dir: Path) -> InputColumns:
        """Return the inputs of a table's rows; ``data_dir`` is where temporary files may go."""

    @abstractmethod
    def check(self, *, label: str, taken: Collection[str]) -> None:
        """Raise ``RequestError`` if options contradict one another."""

    def check_columns(self, known: Sequence[str], *, taken: Collection[str], origin: str) -> None:  # noqa: B027
        """Raise ``RequestError`` if the columns, which exist, cannot be the inputs."""

    def resolved(self, known: Sequence[str], taken: Collection[str]) -> Inputs:
        """Return the same inputs with their columns named, so that others need not be read."""
        return self

    def problems(self, table: pa.Table, *, origin: str) -> Problems:
        """Return the rows without a usable input, as far as it can be told at once."""
        return {}

    @property
    def verbatim(self) -> Collection[str]:
        """Columns in which no text means a missing value."""
        return ()

    @property
    def exact(self) -> Collection[str]:
        """Columns in which numbers are names."""
        return ()

    @property
    def inferred(self) -> Collection[str]:
        """Columns of text, of those that are resolved, whose types are what their values write."""
        return ()


@dataclass(frozen=True, kw_only=True)
class TextInput(Inputs):
    """A text column.

    Attributes:
        text: The column.
        drop: Columns that are left out, as all others are.
        tokens: How text becomes ids.
    """

    text: str
    drop: tuple[str, ...] = ()
    tokens: Tokenizer = field(default_factory=HashedNgrams)

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """The text column, and those that are left out."""
        return {"text": (self.text,), "drop": self.drop}

    def names(self, known: Sequence[str], taken: Collection[str]) -> tuple[str, ...]:
        """Return the text column."""
        return (self.text,)

    def check(self, *, label: str, taken: Collection[str]) -> None:
        """Raise ``RequestError`` if the text has another role, or options of the tokens are out of range."""
        if self.text in taken:
            raise RequestError(f"dataset.text={self.text!r} is the label or the timestamp too: choose another column")
        self.tokens.check()

    def read(self, table: pa.Table, *, taken: Collection[str], origin: str, data_dir: Path) -> InputColumns:
        """Return the text and its tokens."""
        return TextColumn(table, self.text, tokens=self.tokens, origin=origin)

    @property
    def verbatim(self) -> Collection[str]:
        """The text column."""
        return (self.text,)


@dataclass(frozen=True, kw_only=True)
class FeatureInputs(Inputs):
    """Columns of numbers and categories.

    Attributes:
        features: The columns; ``None``: every one that has no other role.
        drop: Columns that are left out.
        categorical: Features that are categories whatever their type.
        numeric: Features that are numbers whatever their type.
    """

    features: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """The features that are named, and the columns that are left out."""
        named = {"features": self.features or (), "drop": self.drop}
        return named | {"categorical": self.categorical, "numeric": self.numeric}

    def names(self, known: Sequence[str], taken: Collection[str]) -> tuple[str, ...]:
        """Return the features: those that are named, else every column that has no other role."""
        if self.features is not None:
            return tuple(name for name in self.features if name not in self.drop)
        others = {*taken, *self.drop}
        return tuple(name for name in known if name not in others and not is_saved_index(name))

    def check(self, *, label: str, taken: Collection[str]) -> None:
        """Raise ``RequestError`` if a feature is two things at once."""
        both = set(self.categorical) & set(self.numeric)
        if both:
            raise RequestError(f"dataset.categorical and dataset.numeric both name {', '.join(sorted(both))}")
        if self.features is not None and label in self.features:
            raise RequestError(f"dataset.features names the label {label!r}: take it out, it would leak")

    def check_columns(self, known: Sequence[str], *, taken: Collection[str], origin: str) -> None:
        """Raise ``RequestError`` if there is no feature, or what is to be one is none."""
        inputs = set(self.names(known, taken))
        for key in ("categorical", "numeric"):
            for name in sorted(set(self.named[key]) - inputs):
                raise RequestError(f"dataset.{key} names {name!r}, which is no feature")
        if not inputs:
            raise RequestError(f"{origin} has no column besides time and label: there is nothing to learn from")

    def resolved(self, known: Sequence[str], taken: Collection[str]) -> FeatureInputs:
        """Return the same features by their names."""
        return replace(self, features=self.names(known, taken), drop=())

    def read(self, table: pa.Table, *, taken: Collection[str], origin: str, data_dir: Path) -> InputColumns:
        """Return the numbers and categories."""
        names = self.names(table.column_names, taken)
        return FeatureColumns(table, names, categorical=self.categorical, numeric=self.numeric, origin=origin)

    @property
    def exact(self) -> Collection[str]:
        """The features that are categories."""
        return self.categorical

    @property
    def inferred(self) -> Collection[str]:
        """The features that are not declared categories."""
        return set(self.features or ()) - set(self.categorical)


@dataclass(frozen=True, kw_only=True)
class ImageInput(Inputs):
    """A column of images.

    Attributes:
        image: The column: names of files, or the images themselves.
        folder: Where the files lie; ``None``: names are refused.
        suffix: What is appended to each name.
        shape: Channels, height and width to which images are brought.
    """

    image: str
    folder: Path | None
    shape: tuple[int, int, int]
    suffix: str | None = None

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """The column."""
        return {"image": (self.image,)}

    def names(self, known: Sequence[str], taken: Collection[str]) -> tuple[str, ...]:
        """Return the column."""
        return (self.image,)

    def check(self, *, label: str, taken: Collection[str]) -> None:
        """Raise ``RequestError`` if the column has another role."""
        if self.image in taken:
            raise RequestError(f"dataset.image={self.image!r} is the label or the timestamp too: choose another column")

    def source(self, table: pa.Table, *, origin: str) -> ImageSource:
        """Return the encoded images of a table's rows."""
        return image_source(table, self.image, folder=self.folder, suffix=self.suffix, origin=origin)

    def problems(self, table: pa.Table, *, origin: str) -> Problems:
        """Return the rows without an image, as far as it can be told without reading any."""
        return self.source(table, origin=origin).problems()

    def read(self, table: pa.Table, *, taken: Collection[str], origin: str, data_dir: Path) -> InputColumns:
        """Decode the images."""
        return ImageColumn(self.source(table, origin=origin), self.image, shape=self.shape, data_dir=data_dir)

    @property
    def verbatim(self) -> Collection[str]:
        """The column: a file may be called as missing values are written."""
        return (self.image,)

    @property
    def exact(self) -> Collection[str]:
        """The column: files may be called by numbers."""
        return (self.image,)
