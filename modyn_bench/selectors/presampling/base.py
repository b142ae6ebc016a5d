"""What policies share that choose a share of the scope before any model is asked."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypedDict

from modyn_bench.selectors.base import History, SelectionContext, Selector, as_keys
from modyn_bench.selectors.share import Share
from modyn_bench.types import IntArray, Selection


class Options(TypedDict, total=False):
    """What every policy that selects a share takes beside a history, as ``Presampler`` describes it."""

    ratio: float
    size: int | None
    limit: int | None
    warmup_triggers: int


class Presampler(Selector):
    """Selects a share of the scope, at most ``limit``; all of it during the warm-up, or ``limit`` of it drawn alike.

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

    @property
    def fills_budget(self) -> bool:
        """Whether the policy always selects its whole budget."""
        return True

    def select(self, context: SelectionContext) -> Selection:
        """Return the policy's share of the scope, or all of it during the warm-up."""
        if self.warming_up:
            return self.select_all(context)
        scope = self.scope(context)
        budget = self._limited(self.share.of(len(scope)))
        if not budget or (budget == len(scope) and self.fills_budget):
            return Selection.unweighted(as_keys(scope))
        return Selection.unweighted(self.presample(scope, budget, context))

    def select_all(self, context: SelectionContext) -> Selection:
        """Return the whole scope, or as much of it as the limit allows, drawn as always."""
        scope = self.scope(context)
        budget = self._limited(len(scope))
        if budget == len(scope):
            return Selection.unweighted(as_keys(scope))
        return Selection.unweighted(self.presample(scope, budget, context))

    def _limited(self, budget: int) -> int:
        return budget if self.limit is None else min(budget, self.limit)

    @abstractmethod
    def presample(self, scope: range, budget: int, context: SelectionContext) -> IntArray:
        """Choose keys of the scope, which is not empty: distinct, in order, and at most as many as the budget."""
