"""Train on as many samples of every class."""

from __future__ import annotations

from modyn_bench.selectors.base import SelectionContext
from modyn_bench.selectors.presampling.balanced import Balanced
from modyn_bench.types import IntArray


class ClassBalanced(Balanced):
    """Select from every class of the scope as evenly as their sizes allow.

    Example:
        >>> ClassBalanced(fill="half")
        Traceback (most recent call last):
        modyn_bench.errors.RequestError: selector.fill='half' must be exact or equal

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.
    """

    name = "class_balanced"

    def groups(self, keys: IntArray, context: SelectionContext) -> IntArray:
        """Return the classes."""
        return context.labels(keys)
