"""The options that tables and Hugging Face datasets share: which column is what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modyn_bench.data.columns import Roles
from modyn_bench.data.columns.common import written
from modyn_bench.data.recipes.base import plain
from modyn_bench.data.recipes.text import TextRecipe
from modyn_bench.errors import RequestError


@dataclass(kw_only=True)
class ColumnarRecipe(TextRecipe):
    """A source with named columns.

    Attributes:
        timestamp: The time column; a list is year, month, day, hour, minute, second; ``None``: row order is time, one
            second a row. ISO dates and datetimes (UTC unless they say otherwise), or numbers since 1970.
        timestamp_unit: Of numbers: ``s``, ``ms``, ``us``, ``ns``, or ``auto`` by their magnitude.
        label: The label column.
        label_threshold: Make two classes of a numeric label: at most, and above this.
        classes: The classes in the order of their indices; ``None``: the distinct labels, sorted.
        text: The text column, instead of ``features``.
        features: The feature columns; ``None``: all that have no other role.
        drop: Columns to leave out, for instance because they leak the label.
        categorical: Features that are categories although they are numbers.
        numeric: Features that are numbers although they are text.
        invalid_rows: Rows without a label or a readable time: ``error``, or ``drop``, which is noted with counts.
    """

    timestamp: Any
    label: str
    timestamp_unit: str = "auto"
    label_threshold: float | None = None
    classes: list[Any] | None = None
    text: str | None = None
    features: list[str] | None = None
    drop: list[str] | None = None
    categorical: list[str] | None = None
    numeric: list[str] | None = None
    invalid_rows: str = "error"

    @property
    def roles(self) -> Roles:
        """Which column is what.

        Raises:
            RequestError: If a list of columns is something else.
        """
        classes = _names("classes", self.classes, of=object)
        return Roles(
            timestamp=_names("timestamp", [self.timestamp] if isinstance(self.timestamp, str) else self.timestamp),
            timestamp_unit=self.timestamp_unit,
            label=self.label,
            label_threshold=self.label_threshold,
            classes=None if classes is None else tuple(written(value) for value in classes),
            text=self.text,
            features=_names("features", self.features),
            drop=_names("drop", self.drop) or (),
            categorical=_names("categorical", self.categorical) or (),
            numeric=_names("numeric", self.numeric) or (),
            invalid_rows=self.invalid_rows,
            tokens=self.tokens,
        )

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range or options contradict one another."""
        super().check()
        if self.tokenizer is not None and self.text is None:
            raise RequestError("dataset.tokenizer is for text: name its column by dataset.text, or leave it out")
        self.roles.check()


def _names(key: str, value: Any, *, of: type = str) -> tuple[Any, ...] | None:  # noqa: ANN401 - any configured value
    value = plain(value)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, of) for name in value):
        raise RequestError(f"dataset.{key}={value!r} must be a list of column names, such as [a,b]")
    if len(set(map(str, value))) < len(value):
        raise RequestError(f"dataset.{key}={value!r} names something twice")
    return tuple(value)
