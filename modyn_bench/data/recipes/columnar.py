"""The options of sources with named columns: which column is the time, which the label, which the inputs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from modyn_bench.data.columns import FeatureInputs, Inputs, Roles, TextInput
from modyn_bench.data.columns.common import written
from modyn_bench.data.recipes.base import Recipe, plain
from modyn_bench.data.recipes.text import TextRecipe
from modyn_bench.errors import RequestError


@dataclass(kw_only=True)
class ColumnarRecipe(Recipe):
    """A source with named columns, some of which are the inputs.

    Attributes:
        timestamp: The time column; a list is year, month, day, hour, minute, second; ``None``: row order is time, one
            second a row. ISO dates and datetimes (UTC unless they say otherwise), or numbers since 1970.
        timestamp_unit: Of numbers: ``s``, ``ms``, ``us``, ``ns``, or ``auto`` by their magnitude.
        label: The label column.
        label_threshold: Make two classes of a numeric label: at most, and above this.
        classes: The classes in the order of their indices; ``None``: the distinct labels, sorted.
        invalid_rows: Rows without a label, a readable time or a usable input: ``error``, or ``drop``, which is noted
            with counts.
    """

    timestamp: Any
    label: str
    timestamp_unit: str = "auto"
    label_threshold: float | None = None
    classes: list[Any] | None = None
    invalid_rows: str = "error"

    @property
    @abstractmethod
    def inputs(self) -> Inputs:
        """Which columns are the inputs."""

    @property
    def roles(self) -> Roles:
        """Which column is what.

        Raises:
            RequestError: If a list of columns is something else.
        """
        classes = names_of("classes", self.classes, of=object)
        return Roles(
            timestamp=names_of("timestamp", [self.timestamp] if isinstance(self.timestamp, str) else self.timestamp),
            timestamp_unit=self.timestamp_unit,
            label=self.label,
            label_threshold=self.label_threshold,
            classes=None if classes is None else tuple(written(value) for value in classes),
            inputs=self.inputs,
            invalid_rows=self.invalid_rows,
        )

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range or options contradict one another."""
        super().check()
        self.roles.check()


@dataclass(kw_only=True)
class TextOrFeaturesRecipe(TextRecipe, ColumnarRecipe):
    """A source whose inputs are a text, or numbers and categories.

    Attributes:
        text: The text column, instead of ``features``.
        features: The feature columns; ``None``: all that have no other role.
        drop: Columns to leave out, for instance because they leak the label.
        categorical: Features that are categories although they are numbers.
        numeric: Features that are numbers although they are text.
    """

    text: str | None = None
    features: list[str] | None = None
    drop: list[str] | None = None
    categorical: list[str] | None = None
    numeric: list[str] | None = None

    @property
    def inputs(self) -> Inputs:
        """The text column if there is one, else the features.

        Raises:
            RequestError: If both are given, or a list of columns is something else.
        """
        features, drop = names_of("features", self.features), names_of("drop", self.drop) or ()
        categorical, numeric = (names_of(key, getattr(self, key)) or () for key in ("categorical", "numeric"))
        self.tokens.check()
        if self.text is None:
            return FeatureInputs(features=features, drop=drop, categorical=categorical, numeric=numeric)
        if features is not None or categorical or numeric:
            raise RequestError("dataset.text and dataset.features exclude one another: set one of them to null")
        return TextInput(text=self.text, drop=drop, tokens=self.tokens)

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range, or has no effect."""
        if self.tokenizer is not None and self.text is None:
            raise RequestError("dataset.tokenizer is for text: name its column by dataset.text, or leave it out")
        super().check()


def image_shape(size: Any, channels: int) -> tuple[int, int, int]:  # noqa: ANN401 - any configured value
    """Return channels, height and width.

    Raises:
        RequestError: If one is out of range.
    """
    size = plain(size)
    sides = size if isinstance(size, list) else [size, size]
    if len(sides) != 2 or not all(type(side) is int and side >= 1 for side in sides):
        raise RequestError(f"dataset.size={size!r} must be a number of pixels, or [height, width]")
    if channels not in (1, 3):
        raise RequestError(f"dataset.channels={channels} must be 3 (colour) or 1 (grey)")
    return channels, sides[0], sides[1]


def names_of(key: str, value: Any, *, of: type = str) -> tuple[Any, ...] | None:  # noqa: ANN401 - any configured value
    """Return the distinct names in a configured list, or ``None``.

    Raises:
        RequestError: If it is no such list.
    """
    value = plain(value)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, of) for name in value):
        raise RequestError(f"dataset.{key}={value!r} must be a list of column names, such as [a,b]")
    if len(set(map(str, value))) < len(value):
        raise RequestError(f"dataset.{key}={value!r} names something twice")
    return tuple(value)
