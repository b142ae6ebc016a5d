"""What ingest gets of the input columns that were read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.hashing import HashArray
from modyn_bench.data.ingest import Gather, GatherBytes
from modyn_bench.data.store import Column
from modyn_bench.types import IntArray

Problems: TypeAlias = Mapping[str, NDArray[np.bool_]]
"""What is wrong with rows, and which ones, shape (n,)."""


class InputColumns(ABC):
    """Input columns that were read.

    Attributes:
        columns: As the store holds them.
        notes: What was done to the source, with counts.
        problems: Rows whose input turned out to be unusable when it was read.
    """

    columns: tuple[Column, ...]
    notes: list[str]
    problems: Problems = MappingProxyType({})

    @property
    @abstractmethod
    def gathers(self) -> Mapping[str, Gather]:
        """How ingest gets the fixed-width columns of rows."""

    @property
    def blobs(self) -> Mapping[str, GatherBytes]:
        """How ingest gets the payloads of rows."""
        return {}

    @abstractmethod
    def hashes(self) -> dict[str, HashArray]:
        """Return hashes of the values under the names of their columns, shape (n,) each."""

    def keep(self, rows: IntArray) -> None:
        """Leave out all rows but these, which have no problem; for inputs that can have one."""
        raise NotImplementedError(f"{type(self).__name__} finds no problems")
