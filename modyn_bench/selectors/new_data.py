"""Train on all data in scope."""

from __future__ import annotations

from typing import Literal

from modyn_bench.errors import RequestError
from modyn_bench.selectors.base import History, SelectionContext, Selector, as_keys, check_limit, draw
from modyn_bench.types import Selection


class NewData(Selector):
    """Select every sample in scope; beyond a limit, the newest ones or a uniform draw.

    Args:
        history: 0: new data only; k: and that of the last k trainings; ``all``: everything.
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.
        limit_by: What stays within the limit: ``newest`` (the last in time order) or ``uniform``.

    Raises:
        RequestError: If an option is out of range.

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference applies its limit to each partition of the scope, so that the total can exceed it.
    """

    name = "new_data"

    def __init__(
        self,
        *,
        history: History = 0,
        limit: int | None = None,
        limit_by: Literal["newest", "uniform"] = "newest",
    ) -> None:
        super().__init__(history=history)
        if limit_by not in ("newest", "uniform"):
            raise RequestError(f"selector.limit_by={limit_by!r} must be newest or uniform")
        self.limit = check_limit(limit)
        self.limit_by = limit_by

    def select(self, context: SelectionContext) -> Selection:
        """Return the scope, cut to the limit."""
        scope = self.scope(context)
        if self.limit is None or len(scope) <= self.limit:
            return Selection.unweighted(as_keys(scope))
        if self.limit_by == "newest":
            return Selection.unweighted(as_keys(scope[-self.limit :]))
        return Selection.unweighted(draw(context.generator, scope, self.limit))
