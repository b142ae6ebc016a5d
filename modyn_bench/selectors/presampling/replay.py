"""Train on new data and a uniform sample of old data, so many for each new one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.selectors.base import History, SelectionContext, Selector, draw
from modyn_bench.selectors.groups import proportional_shares
from modyn_bench.types import Selection


class Replay(Selector):
    r"""Select all data that is new since the last training, and replay old samples in proportion to it.

    With N new and M older samples in scope, :math:`\min(M, \lfloor \text{replay\_ratio} \cdot N \rfloor)` of the older
    are drawn uniformly, anew for every training. Beyond the limit both are drawn, in the same proportion.

    Args:
        replay_ratio: Old samples per new one, above 0.
        history: Which data is replayed: that of the last k trainings, or ``all``.
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> Replay(history=0)
        Traceback (most recent call last):
        modyn_bench.errors.RequestError: selector.history=0 leaves nothing to replay: it must be a number ...
    """

    name = "replay"

    def __init__(self, replay_ratio: float = 1.0, *, history: History = "all", limit: int | None = None) -> None:
        super().__init__(history=history, limit=limit)
        if history == 0:
            raise RequestError("selector.history=0 leaves nothing to replay: it must be a number of triggers, or all")
        if not 0 < replay_ratio < float("inf"):
            raise RequestError(f"selector.replay_ratio={replay_ratio} must be a number of old samples per new one")
        self.replay_ratio = replay_ratio

    def select(self, context: SelectionContext) -> Selection:
        """Return new data behind the old data that is drawn."""
        scope = self.scope(context)
        middle = min(max(self.new_start, scope.start), scope.stop)
        old, new = range(scope.start, middle), range(middle, scope.stop)
        ratio = Fraction(str(self.replay_ratio))  # as floats, 0.29 * 100 is below 29
        counts = np.array([min(len(old), int(ratio * len(new))), len(new)])
        if self.limit is not None and counts.sum() > self.limit:
            counts = proportional_shares(counts, self.limit)
        drawn = [draw(context.generator, part, int(count)) for part, count in zip((old, new), counts, strict=True)]
        return Selection.unweighted(np.concatenate(drawn))
