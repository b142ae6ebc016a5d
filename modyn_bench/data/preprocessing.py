"""From stored columns to what a model gets: scaling, vocabularies and category ids, fitted on given samples only.

Shapes: n samples, F numeric features, C categorical features, L tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.data.vocabularies import IdTable, KnownIds, Vocabulary, fit_vocabularies
from modyn_bench.errors import DataError
from modyn_bench.types import FloatArray, IntArray

CLIP = 5.0
"""Standardised features are cut to so many deviations: later data may leave the fitted range by any factor."""

_FIT_ROWS = 1 << 18  # samples gathered at once while fitting


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a model has to know of its inputs. Constructor arguments of models that are named like this are filled in.

    Attributes:
        num_classes: Number of classes, those that have not been seen yet included.
        num_features: Numeric features F; the model gets ``numeric``, float32, shape (n, F).
        cardinalities: Number of ids of each categorical feature, the unknown category's id 0 included; the model gets
            ``categorical``, int64, shape (n, C).
        num_buckets: Number of token ids without padding: ids run from 1 to ``num_buckets``, 0 is padding.
        num_tokens: Tokens of a sample L; the model gets ``tokens``, int64, shape (n, L).
        vocabulary_hash: Identity of the vocabulary of the dataset's tokenizer; empty for hashed n-grams.
        pad_id: The tokenizer's own id of padding; its token 0 has this id here.
        image_shape: Channels, height, width; the model gets ``image``, float32 in [0, 1], shape (n, *image_shape).
    """

    num_classes: int
    num_features: int = 0
    cardinalities: tuple[int, ...] = ()
    num_buckets: int = 0
    num_tokens: int = 0
    vocabulary_hash: str = ""
    pad_id: int = 0
    image_shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """Type and shape of one sample of a column that a preprocessor hands out."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Preprocessor:
    """Turns stored columns into model inputs, with what it learned from the samples it was fitted on.

    ``x -> (x − mean) / σ`` for numeric features, cut to ±5, a missing or infinite value becoming the mean; a feature
    that is constant or missing throughout has σ = 1. A category gets its position, from 1, among the fitted samples'
    categories in lexical order, or, where the source numbers them, in the order of those numbers; any other one has id
    0. Tokens pass through; images are divided by 255.

    Args:
        schema: The store's columns and classes.
        mean: Of each numeric feature, shape (F,).
        scale: σ of each numeric feature, shape (F,).
        vocabularies: Of each categorical feature the known categories, as strings: they outlive a store's codes; or
            as the source's own ids.

    Example:
        >>> column = Column("numeric", "numeric", "float32", (1,), ("age",))
        >>> schema = Schema((column,), ("no", "yes"))
        >>> age = np.array([[20], [40], [9_000]], dtype=np.float32)
        >>> split = Split("train", np.arange(3), np.zeros(3, np.int64), {"numeric": age})
        >>> fitted = Preprocessor.fit(schema, split, np.array([0, 1]))
        >>> fitted.transform({"numeric": age[:2]})["numeric"].ravel().tolist()
        [-1.0, 1.0]
    """

    def __init__(
        self,
        schema: Schema,
        *,
        mean: FloatArray | None = None,
        scale: FloatArray | None = None,
        vocabularies: tuple[Vocabulary, ...] = (),
    ) -> None:
        self.schema = schema
        self.mean = np.zeros(0) if mean is None else mean
        self.scale = np.ones(0) if scale is None else scale
        self.vocabularies = vocabularies
        self.inputs = self._describe()
        self.outputs = {column.name: _output_of(column) for column in schema.inputs}
        self._kinds = {column.name: column.kind for column in schema.inputs}
        categorical = [column for column in schema.inputs if column.kind == "categorical"]
        self._ids = IdTable(categorical[0], vocabularies) if categorical else None

    @classmethod
    def fit(cls, schema: Schema, split: Split, keys: IntArray) -> Preprocessor:
        """Learn means, scales and vocabularies from the samples with the given keys, and from no other.

        Args:
            schema: The store's columns and classes.
            split: Where the samples lie.
            keys: Which ones, shape (n,).

        Raises:
            DataError: If there is no sample to learn from.
        """
        if not len(keys):
            raise DataError("preprocessing cannot be fitted on no sample at all: select at least one")
        mean, scale = None, None
        vocabularies: tuple[Vocabulary, ...] = ()
        for column in schema.inputs:
            array = split.columns[column.name]
            if column.kind == "numeric":
                mean, scale = _fit_scale(array, keys)
            elif column.kind == "categorical":
                vocabularies = fit_vocabularies(column, _chunks(array, keys))
        return cls(schema, mean=mean, scale=scale, vocabularies=vocabularies)

    def transform(
        self, columns: Mapping[str, NDArray[Any]], out: Mapping[str, NDArray[Any]] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Turn stored columns into model inputs. What becomes of a sample does not depend on its neighbours.

        Args:
            columns: Stored columns by name, each of shape (n, ...).
            out: Arrays to write to, by name; ``outputs`` says of which type and shape. New ones by default.
        """
        result = {}
        for name, stored in columns.items():
            spec = self.outputs[name]
            array = np.empty((len(stored), *spec.shape), dtype=spec.dtype) if out is None else out[name]
            if self._kinds[name] == "numeric":
                self._standardise(stored, array)
            elif self._ids is not None and self._kinds[name] == "categorical":
                self._ids.look_up(stored, array)
            elif self._kinds[name] == "image" and stored.dtype == np.uint8:
                np.divide(stored, np.float32(255), out=array, dtype=np.float32)
            else:
                np.copyto(array, stored)
            result[name] = array
        return result

    def to_json(self) -> dict[str, Any]:
        """Return what was learned as plain values for JSON; floats survive it exactly."""
        return {
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "vocabularies": [
                vocabulary.to_json() if isinstance(vocabulary, KnownIds) else list(vocabulary)
                for vocabulary in self.vocabularies
            ],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], schema: Schema) -> Preprocessor:
        """Rebuild a preprocessor for a store of the same columns, whose codes may differ.

        Raises:
            DataError: If it was fitted on other columns than the schema's.
        """
        preprocessor = cls(
            schema,
            mean=np.array(values["mean"], dtype=np.float64),
            scale=np.array(values["scale"], dtype=np.float64),
            vocabularies=tuple(
                KnownIds.from_json(vocabulary) if isinstance(vocabulary, dict) else tuple(vocabulary)
                for vocabulary in values["vocabularies"]
            ),
        )
        features = sum(column.shape[0] for column in schema.inputs if column.kind == "numeric")
        categorical = sum(column.shape[0] for column in schema.inputs if column.kind == "categorical")
        fitted = len(preprocessor.mean), len(preprocessor.vocabularies)
        if fitted != (features, categorical):
            raise DataError(
                f"the preprocessing was fitted on {fitted[0]} numeric and {fitted[1]} categorical features, but the "
                f"dataset has {features} and {categorical}: it belongs to another dataset"
            )
        return preprocessor

    def _describe(self) -> InputSpec:
        spec: dict[str, Any] = {"num_classes": self.schema.num_classes}
        for column in self.schema.inputs:
            if column.kind == "numeric":
                spec["num_features"] = column.shape[0]
            elif column.kind == "categorical":
                spec["cardinalities"] = tuple(len(vocabulary) + 1 for vocabulary in self.vocabularies)
            elif column.kind == "tokens":
                spec |= {"num_buckets": int(column.num_values or 0), "num_tokens": column.shape[0]}
                spec |= {"vocabulary_hash": column.vocabulary_hash, "pad_id": column.pad_id}
            else:
                spec["image_shape"] = column.shape
        return InputSpec(**spec)

    def _standardise(self, stored: NDArray[Any], out: NDArray[np.float32]) -> None:
        # float32 features in float32: the rounding is of the order of their own, and it is four times faster
        scaled: NDArray[Any] = out if stored.dtype == np.float32 else np.empty(stored.shape, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(stored, self.mean.astype(scaled.dtype), out=scaled)
            np.divide(scaled, self.scale.astype(scaled.dtype), out=scaled)
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        np.clip(scaled, -CLIP, CLIP, out=out, casting="same_kind")


def _output_of(column: Column) -> OutputColumn:
    floating = column.kind in ("numeric", "image")
    return OutputColumn(np.dtype(np.float32 if floating else np.int64), column.shape)


def _chunks(array: NDArray[Any], keys: IntArray, unit: FloatArray | None = None) -> Iterator[NDArray[Any]]:
    for start in range(0, len(keys), _FIT_ROWS):
        values = array[keys[start : start + _FIT_ROWS]]
        yield values if unit is None else values / unit


def _fit_scale(array: NDArray[Any], keys: IntArray, unit: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation of the finite values of each feature, in two passes over the samples.

    Where sums or squares exceed what a float holds, features are measured in powers of two, ``unit``, of their size.
    """
    num_features = array.shape[1]
    count, total, squares = np.zeros(num_features), np.zeros(num_features), np.zeros(num_features)
    low, high = np.full(num_features, np.inf), np.full(num_features, -np.inf)
    for values in _chunks(array, keys, unit):
        finite = np.isfinite(values)
        count += finite.sum(axis=0)
        with np.errstate(over="ignore"):
            total += np.where(finite, values, 0).sum(axis=0, dtype=np.float64)
        low = np.minimum(low, np.where(finite, values, np.inf).min(axis=0))
        high = np.maximum(high, np.where(finite, values, -np.inf).max(axis=0))
    mean = total / np.maximum(count, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        for values in _chunks(array, keys, unit):
            deviation = np.where(np.isfinite(values), values - mean, 0)
            squares += np.square(deviation).sum(axis=0)
    scale = np.sqrt(squares / np.maximum(count, 1))
    if unit is None and not np.isfinite([mean, scale]).all():
        size = np.where(count > 0, np.maximum(np.abs(low), np.abs(high)), 1.0)
        unit = np.ldexp(1.0, np.frexp(size)[1] - 1)
        return _fit_scale(array, keys, unit)
    if unit is not None:
        mean, scale = mean * unit, scale * unit
    return mean, np.where((low < high) & (scale > 0), scale, 1.0)
