"""Train on as many samples of every trigger's new data."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.selectors.base import History, SelectionContext
from modyn_bench.selectors.presampling.balanced import Balanced, BalancedOptions
from modyn_bench.types import IntArray, Selection, TriggerRecord


class TriggerBalanced(Balanced):
    """Select from the data that was new at each training, this one included, as evenly as their sizes allow.

    Args:
        history: k: new data and that of the last k trainings; ``all``: everything.

    Raises:
        RequestError: If an option is out of range, or the history is 0, which leaves nothing to balance.

    Example:
        >>> TriggerBalanced(history=0)
        Traceback (most recent call last):
        modyn_bench.errors.RequestError: selector.history=0 leaves one group: it must be a number of triggers, or all

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.
    """

    name = "trigger_balanced"
    state_fields = (*Balanced.state_fields, "ends")

    def __init__(self, *, history: History = "all", **options: Unpack[BalancedOptions]) -> None:
        super().__init__(history=history, **options)
        if history == 0:
            raise RequestError("selector.history=0 leaves one group: it must be a number of triggers, or all")
        self.ends: list[int] = []  # where the new data of each training ended that is in scope, oldest first

    def on_trigger(self, record: TriggerRecord, selection: Selection) -> None:
        """Take note of where the new data ended."""
        super().on_trigger(record, selection)
        if record.model is not None:
            self.ends = [end for end in [*self.ends, record.labelled_until] if end > self.scope_start]

    def groups(self, keys: IntArray, context: SelectionContext) -> IntArray:
        """Return at which training of those in scope each key was new."""
        return np.searchsorted(np.array(self.ends, dtype=np.int64), keys, side="right")
