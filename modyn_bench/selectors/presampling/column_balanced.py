"""Train on as many samples of every value of a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import RequestError
from modyn_bench.selectors.base import History, SelectionContext
from modyn_bench.selectors.presampling.balanced import Balanced, BalancedOptions
from modyn_bench.types import IntArray

BINNINGS = ("quantile", "width")


class ColumnBalanced(Balanced):
    """Select from every value of one of the dataset's columns, or every bin of values, as evenly as sizes allow.

    Bins are made of the scope. Those of equal ``width`` make rare values as frequent as common ones. ``quantile`` bins
    hold equally many samples but for ties, so that balancing them is stratified sampling. A missing number is a group
    of its own.

    Args:
        column: The column's name in the source.
        bins: For numbers: into how many bins the values go; ``None``: every distinct value is a group.
        binning: ``quantile`` or ``width``.

    Raises:
        RequestError: If an option is out of range, or bins are to be made of categories.

    Example:
        >>> into_bins(np.array([0.0, 1.0, 9.0, np.nan, 10.0]), 2, "width").tolist()
        [0, 0, 1, 2, 1]
    """

    name = "column_balanced"

    def __init__(
        self,
        column: str | None = None,
        *,
        bins: int | None = None,
        binning: str = "width",
        history: History = 0,
        **options: Unpack[BalancedOptions],
    ) -> None:
        super().__init__(history=history, **options)
        if bins is not None and bins < 2:
            raise RequestError(f"selector.bins={bins} must be at least 2, or null for a group per value")
        if binning not in BINNINGS:
            raise RequestError(f"selector.binning={binning!r} must be {' or '.join(BINNINGS)}")
        self.column = column
        self.bins = bins
        self.binning = binning

    def check_dataset(self, *, columns: Mapping[str, str]) -> None:
        """Check that there is such a column, and that what goes into bins are numbers."""
        if self.column is None or self.column not in columns:
            known = f"it must be one of {', '.join(columns)}" if columns else "it has none of numbers or categories"
            raise RequestError(f"selector.column={self.column or 'null'} is no column of the dataset: {known}")
        if self.bins is not None and columns[self.column] != "numeric":
            raise RequestError(
                f"selector.bins={self.bins} is for numbers, but column {self.column} holds categories: leave it out, "
                "and every category is a group"
            )

    def groups(self, keys: IntArray, context: SelectionContext) -> IntArray:
        """Return the number of each key's value or bin."""
        assert self.column is not None
        values = context.column(self.column, keys)
        return by_value(values) if self.bins is None else into_bins(values, self.bins, self.binning)


def by_value(values: NDArray[Any]) -> IntArray:
    """Number the distinct of some values (n,), missing ones among them, by where they come first, shape (n,)."""
    import pandas as pd

    return pd.factorize(values, use_na_sentinel=False)[0].astype(np.int64, copy=False)


def into_bins(values: NDArray[Any], num_bins: int, binning: str) -> IntArray:
    """Return the bin of each number, and behind the last bin those that are missing, shape (n,)."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(len(values), dtype=np.int64)
    inner = np.arange(1, num_bins) / num_bins
    if binning == "quantile":
        edges = np.quantile(known, inner)
    else:
        edges = known.min() + inner * (float(known.max()) - float(known.min()))
    bins = np.searchsorted(edges, values, side="left")
    bins[np.isnan(values)] = num_bins
    return bins
