"""Fire above a fixed threshold."""

from __future__ import annotations

import math

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.errors import RequestError


class Threshold(DecisionRule):
    r"""Fire when the score exceeds a fixed threshold: :math:`s_t > \theta`.

    Args:
        threshold: :math:`\theta`, in the score's units.

    Raises:
        RequestError: If the threshold is not finite.

    Example:
        >>> rule = Threshold(0.5)
        >>> [rule.update(score).fired for score in (0.4, 0.5, 0.6)]
        [False, False, True]

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference fires at the threshold itself as well.
    """

    name = "threshold"
    state_fields = ()

    def __init__(self, threshold: float = 0.05) -> None:
        super().__init__()
        if not math.isfinite(threshold):
            raise RequestError(f"trigger.decision.threshold={threshold} must be finite")
        self.fixed = threshold

    def threshold(self) -> float:
        """Return the fixed threshold."""
        return self.fixed
