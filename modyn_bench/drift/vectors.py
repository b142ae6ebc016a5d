"""Rows of numbers from stored input columns, for distances on raw features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.hashing import mix

_CATEGORY_BUCKETS = 32  # of one categorical feature
_TOKEN_BUCKETS = 256
_FARTHEST = 1e9  # standard deviations; what lies beyond is as far, and no float32 overflows


class FeatureVectors:
    """Turns the input columns of samples into vectors, scaled as a reference is.

    Numeric features are standardised by the reference's mean and standard deviation, a missing one becomes the mean.
    Each categorical feature becomes a one-hot vector of 32 hashed buckets; tokens become the shares of 256 hashed
    buckets; images become their pixels in [0, 1].

    Example:
        >>> vectors = FeatureVectors()
        >>> vectors.fit({"numeric": np.array([[0.0], [2.0]])})
        >>> vectors.transform({"numeric": np.array([[5.0], [np.nan]])}).tolist()
        [[4.0], [0.0]]
    """

    def fit(self, reference: Mapping[str, NDArray[Any]]) -> None:
        """Take mean and standard deviation of the numeric features.

        Args:
            reference: Columns by name, each of shape (n, ...).
        """
        numeric = reference.get("numeric")
        if numeric is None:
            return
        values = np.ma.masked_invalid(np.asarray(numeric, dtype=np.float64))
        self._mean = values.mean(axis=0).filled(0.0)
        spread = values.std(axis=0).filled(0.0)
        self._spread = np.where(spread > 0, spread, 1.0)

    def transform(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the vectors, shape (n, d)."""
        parts = [self._transform(name, np.asarray(column)) for name, column in columns.items()]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _transform(self, name: str, column: NDArray[Any]) -> NDArray[Any]:
        if name == "numeric":
            scaled = (column.astype(np.float64) - self._mean) / self._spread
            return np.clip(np.where(np.isfinite(scaled), scaled, 0.0), -_FARTHEST, _FARTHEST)
        if name == "categorical":
            buckets = _bucket(column, _CATEGORY_BUCKETS)
            return np.eye(_CATEGORY_BUCKETS)[buckets].reshape(len(column), -1)
        if name == "tokens":
            return _shares(column)
        flat = column.reshape(len(column), -1).astype(np.float64)
        return flat / 255.0 if column.dtype == np.uint8 else flat


def _bucket(values: NDArray[Any], num_buckets: int) -> NDArray[np.int64]:
    return (mix(values.astype(np.uint64) + np.uint64(1)) % np.uint64(num_buckets)).astype(np.int64)


def _shares(tokens: NDArray[Any]) -> NDArray[np.float64]:
    """Return how the tokens of each row, padding left out, are spread over the buckets."""
    rows, places = np.nonzero(tokens)
    cells = rows * _TOKEN_BUCKETS + _bucket(tokens[rows, places], _TOKEN_BUCKETS)
    counts = np.bincount(cells, minlength=len(tokens) * _TOKEN_BUCKETS).reshape(len(tokens), _TOKEN_BUCKETS)
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares
