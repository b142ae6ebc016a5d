"""Fire when scores have lain above their usual level for long enough, measured in their usual spread."""

from __future__ import annotations

import math

import numpy as np

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.errors import RequestError


class Cusum(DecisionRule):
    r"""Fire when the cumulative standardised excess of the scores passes a limit.

    Mean :math:`\mu` and standard deviation :math:`\sigma` come from the first n scores and then stay:

    .. math:: g_t = \max(0,\; g_{t-1} + (s_t - \mu) / \sigma - k), \qquad \text{fire if } g_t > h

    It needs no knowledge of the score's units. The threshold that tables show is the score at which it fires,
    :math:`\mu + \sigma (k + h - g_{t-1})`. After firing the excess begins at 0; level and spread stay. In calibration,
    which never fires, g is kept at h at most.

    Args:
        limit: h, above 0, in standard deviations.
        slack: k, at least 0, in standard deviations: half the shift that is to be found soonest.
        min_history: n, scores that level and spread are taken from; at least 2.
        reset_on_model: Take level and spread anew whenever a model was trained.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> rule = Cusum(limit=2.0, slack=0.5, min_history=2)
        >>> [rule.update(score).fired for score in (-1.0, 1.0, 0.0, 2.0, 2.0)]
        [False, False, False, False, True]

    Reference:
        Page, Continuous Inspection Schemes, Biometrika 41, 1954.
    """

    name = "cusum"
    state_fields = ("history", "excess")

    def __init__(
        self, limit: float = 4.0, *, slack: float = 0.5, min_history: int = 10, reset_on_model: bool = False
    ) -> None:
        super().__init__(reset_on_model=reset_on_model)
        if not 0 < limit < math.inf:
            raise RequestError(f"trigger.decision.limit={limit} must be above 0")
        if not 0 <= slack < math.inf:
            raise RequestError(f"trigger.decision.slack={slack} must be at least 0")
        if min_history < 2:
            raise RequestError(f"trigger.decision.min_history={min_history} must be at least 2, or there is no spread")
        self.limit = limit
        self.slack = slack
        self.min_history = min_history
        self.excess = 0.0

    def threshold(self) -> float | None:
        """Return the score at which the excess passes the limit."""
        if len(self.history) < self.min_history:
            return None
        level, spread = self._usual()
        return level + spread * (self.slack + self.limit - self.excess)

    def remember(self, score: float, *, fired: bool) -> None:
        """Take level and spread from the first scores, and add up the excess of later ones."""
        if len(self.history) < self.min_history:
            self.history = [*self.history, score]
        elif fired:
            self.excess = 0.0
        else:
            level, spread = self._usual()
            self.excess = min(max(0.0, self.excess + (score - level) / spread - self.slack), self.limit)

    def on_model(self) -> None:
        """Begin anew, if so configured."""
        if self.reset_on_model:
            self.history, self.excess = [], 0.0

    def _usual(self) -> tuple[float, float]:
        """Return level and spread; scores that were all the same have next to none."""
        level = float(np.mean(self.history))
        return level, max(float(np.std(self.history)), 1e-9 * max(abs(level), 1.0))
