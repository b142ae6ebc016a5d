"""Train on all data in scope."""

from __future__ import annotations

from modyn_bench.selectors.base import History, SelectionContext, Selector
from modyn_bench.types import Selection


class NewData(Selector):
    """Select every sample in scope; beyond a limit, the newest ones, a uniform draw, or one balanced over classes.

    Args:
        history: 0: new data only; k: and that of the last k trainings; ``all``: everything.
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.
        limit_by: What stays within the limit: ``newest`` (the last in time order), ``uniform`` or ``balanced``.

    Raises:
        RequestError: If an option is out of range.

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference applies its limit to each partition of the scope, so that the total can exceed it.
    """

    name = "new_data"

    def __init__(self, *, history: History = 0, limit: int | None = None, limit_by: str = "newest") -> None:
        super().__init__(history=history, limit=limit, limit_by=limit_by)

    def select(self, context: SelectionContext) -> Selection:
        """Return the scope, cut to the limit."""
        return Selection.unweighted(self.within_limit(context))
