"""What policies share that choose a share of the scope before any model is asked."""

from __future__ import annotations

from abc import abstractmethod

from modyn_bench.selectors.base import History, SelectionContext, Selector, as_keys
from modyn_bench.selectors.share import Share
from modyn_bench.types import IntArray, Selection


class Presampler(Selector):
    """Selects a share of the scope, at most ``limit``; all of it, up to the limit, during the warm-up.

    Args:
        ratio: Share of the scope, a fraction in (0, 1].
        size: A number of samples in place of the ratio; ``None`` for the ratio.
        history: 0: new data only; k: and that of the last k trainings; ``all``: everything.
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.
        warmup_triggers: How many trainings at the start take the whole scope, up to the limit.

    Raises:
        RequestError: If an option is out of range.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.25,
        size: int | None = None,
        history: History = 0,
        limit: int | None = None,
        warmup_triggers: int = 0,
    ) -> None:
        super().__init__(history=history, limit=limit, warmup_triggers=warmup_triggers)
        self.share = Share(ratio, size)

    def select(self, context: SelectionContext) -> Selection:
        """Return the policy's share of the scope, or all of it during the warm-up."""
        scope = self.scope(context)
        budget = len(scope) if self.warming_up else self.share.of(len(scope))
        if self.limit is not None:
            budget = min(budget, self.limit)
        if budget == len(scope):
            return Selection.unweighted(as_keys(scope))
        return Selection.unweighted(self.presample(scope, budget, context))

    @abstractmethod
    def presample(self, scope: range, budget: int, context: SelectionContext) -> IntArray:
        """Choose keys of the scope, distinct and in order, at most as many as the budget, which is smaller than it."""
