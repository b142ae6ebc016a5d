"""Fire when scores have risen above their mean for long enough."""

from __future__ import annotations

import math

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.errors import RequestError


class PageHinkley(DecisionRule):
    r"""Fire when the scores' cumulative excess over their own mean rises by more than a limit.

    With the mean :math:`\bar s_{t-1}` of the scores before, the excess is

    .. math:: g_t = \max(0,\; g_{t-1} + s_t - \bar s_{t-1} - \delta), \qquad \text{fire if } g_t > \lambda

    While it cannot fire, g is kept at :math:`\lambda` at most, so that no low score fires later. The threshold that
    tables show is the score at which this happens, :math:`\bar s_{t-1} + \delta + \lambda -
    g_{t-1}`. After firing the rule begins anew.

    Args:
        limit: :math:`\lambda`, above 0, in the score's units.
        delta: :math:`\delta`, at least 0: the rise per score that is tolerated.
        min_history: Scores that are needed before it can fire; at least 1.
        reset_on_model: Begin anew whenever a model was trained.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> rule = PageHinkley(limit=1.5, delta=0.0, min_history=2)
        >>> [rule.update(score).fired for score in (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)]
        [False, False, False, False, True, False]

    Reference:
        Page, Continuous Inspection Schemes, Biometrika 41, 1954; Hinkley, Inference about the Change-Point from
        Cumulative Sum Tests, Biometrika 58, 1971.
    """

    name = "page_hinkley"
    state_fields = ("count", "mean", "excess")

    def __init__(
        self, limit: float = 0.05, *, delta: float = 0.005, min_history: int = 5, reset_on_model: bool = False
    ) -> None:
        super().__init__(reset_on_model=reset_on_model)
        if not 0 < limit < math.inf:
            raise RequestError(f"trigger.decision.limit={limit} must be above 0")
        if not 0 <= delta < math.inf:
            raise RequestError(f"trigger.decision.delta={delta} must be at least 0")
        if min_history < 1:
            raise RequestError(f"trigger.decision.min_history={min_history} must be at least 1")
        self.limit = limit
        self.delta = delta
        self.min_history = min_history
        self.count = 0
        self.mean = 0.0
        self.excess = 0.0  # g

    def threshold(self) -> float | None:
        """Return the score at which the excess passes the limit."""
        if self.count < self.min_history:
            return None
        return self.mean + self.delta + self.limit - self.excess

    def remember(self, score: float, *, fired: bool) -> None:
        """Add the score to excess and mean."""
        if fired:
            self._begin()
            return
        if self.count:
            self.excess = min(max(0.0, self.excess + score - self.mean - self.delta), self.limit)
        self.count += 1
        self.mean += (score - self.mean) / self.count

    def on_model(self) -> None:
        """Begin anew, if so configured."""
        if self.reset_on_model:
            self._begin()

    def _begin(self) -> None:
        self.count, self.mean, self.excess = 0, 0.0, 0.0
