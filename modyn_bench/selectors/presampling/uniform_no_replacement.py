"""Train on every sample in scope once before any comes twice."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from modyn_bench.selectors.base import History, SelectionContext, draw_keys
from modyn_bench.selectors.key_set import KeySet
from modyn_bench.selectors.presampling.base import Options, Presampler
from modyn_bench.types import IntArray, Selection, TriggerRecord


class UniformNoReplacement(Presampler):
    r"""Select a share of the scope in passes: no sample comes twice before all that are in scope came once.

    Draws :math:`k = \max(1, \lfloor \text{ratio} \cdot N \rfloor)` samples that the current pass has not used. If only
    :math:`r < k` are left, it takes those, and begins a new pass, of which it draws the other :math:`k - r` among the
    samples that it has not just taken. What arrives during a pass belongs to it.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> UniformNoReplacement(ratio=0.5).share.of(9)
        4

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference counts the r samples that end a pass as used in the new one as well, and forgets after a restart
        which pass it was in.
    """

    name = "uniform_no_replacement"
    state_fields = (*Presampler.state_fields, "used")

    def __init__(self, *, history: History = 0, **options: Unpack[Options]) -> None:
        super().__init__(history=history, **options)
        self.used = KeySet()  # in the current pass

    def presample(self, scope: range, budget: int, context: SelectionContext) -> IntArray:
        """Draw among what the pass has not used; where too little is left, all of it and some of the rest."""
        used = self.used.among(scope)
        unused = np.flatnonzero(~used)
        if budget <= len(unused):
            return scope.start + draw_keys(context.generator, unused, budget)
        chosen = ~used
        chosen[draw_keys(context.generator, np.flatnonzero(used), budget - len(unused))] = True
        return scope.start + np.flatnonzero(chosen)

    def on_trigger(self, record: TriggerRecord, selection: Selection) -> None:
        """Take note of what the pass has used; forget what has left the scope."""
        scope = range(self.scope_start, record.labelled_until)
        super().on_trigger(record, selection)
        if record.model is None:
            return
        chosen = np.zeros(len(scope), dtype=bool)
        chosen[selection.keys[selection.keys >= scope.start] - scope.start] = True
        used = _used_after(self.used.among(scope), chosen)
        self.used.replace(self.scope_start, used[self.scope_start - scope.start :])


def _used_after(used: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what the pass has used after a selection; where it took all that was left and more, a new one began."""
    again = used & chosen
    return again if again.any() and (used | chosen).all() else used | chosen
