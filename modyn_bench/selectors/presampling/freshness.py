"""Train on data that was used before and data that was not, in a fixed ratio."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.selectors.base import SelectionContext, Selector, draw_keys
from modyn_bench.selectors.key_set import KeySet
from modyn_bench.types import Selection, TriggerRecord


class Freshness(Selector):
    r"""Select the largest set of which a given share was never trained on, from all labelled data since the start.

    Of U samples that no earlier training selected, V that one did, and a ratio r,

    .. math:: T = \min(\lfloor U / r \rfloor, \lfloor V / (1 - r) \rfloor, \text{limit})

    are selected, :math:`\lfloor r T + 1/2 \rfloor` of them fresh, each kind drawn uniformly. What is not drawn stays
    fresh. The first training takes all, up to the limit. Where nothing is fresh, nothing is trained.

    Args:
        fresh_ratio: Share of samples that were never trained on, a fraction in (0, 1).
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> Freshness(0.9).mix(9, 100), Freshness(0.9).mix(100, 1), Freshness(0.9, limit=20).mix(100, 100)
        ((9, 1), (9, 1), (18, 2))

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference rounds both numbers down, each from its own side, and marks samples of other pipelines as used.
    """

    name = "freshness"
    state_fields = (*Selector.state_fields, "used")

    def __init__(self, fresh_ratio: float = 0.5, *, limit: int | None = None) -> None:
        super().__init__(history="all", limit=limit)
        if not 0 < fresh_ratio < 1:
            raise RequestError(f"selector.fresh_ratio={fresh_ratio} must be a fraction in (0, 1)")
        self.fresh_ratio = fresh_ratio
        self.used = KeySet()  # selected by an earlier training

    def mix(self, num_fresh: int, num_used: int) -> tuple[int, int]:
        """Return how many of so many fresh samples, and of so many used ones, are selected."""
        ratio = Fraction(str(self.fresh_ratio))  # as floats, 0.29 * 100 is below 29
        total = min(num_fresh // ratio, num_used // (1 - ratio))
        if self.limit is not None:
            total = min(total, self.limit)
        fresh = int(ratio * total + Fraction(1, 2))
        return fresh, total - fresh

    def select(self, context: SelectionContext) -> Selection:
        """Draw both kinds."""
        scope = self.scope(context)
        used = self.used.among(scope)
        fresh, old = np.flatnonzero(~used), np.flatnonzero(used)
        if self.num_trained:
            num_fresh, num_old = self.mix(len(fresh), len(old))
        else:
            num_fresh, num_old = min(len(fresh), self.limit or len(fresh)), 0
        chosen = [draw_keys(context.generator, fresh, num_fresh), draw_keys(context.generator, old, num_old)]
        return Selection.unweighted(scope.start + np.sort(np.concatenate(chosen)))

    def on_trigger(self, record: TriggerRecord, selection: Selection) -> None:
        """Take note of what was trained on."""
        super().on_trigger(record, selection)
        if record.model is None:
            return
        start = self.scope_start
        used = self.used.among(range(start, record.labelled_until))
        used[selection.keys - start] = True
        self.used.replace(start, used)
