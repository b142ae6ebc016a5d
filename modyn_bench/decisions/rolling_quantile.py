"""Fire above a quantile of the last scores."""

from __future__ import annotations

import numpy as np

from modyn_bench.decisions.base import HistoryRule
from modyn_bench.errors import RequestError


class RollingQuantile(HistoryRule):
    r"""Fire when the score exceeds the upper quantile of the last scores.

    .. math:: s_t > Q_{1-q}(s_{t-w}, \dots, s_{t-1})

    with linear interpolation between order statistics. With MMD² scores, q = 0.05 and w = 15 this is AutoDrift.

    Args:
        quantile: q in (0, 1): the share of the last scores that lies above the threshold.
        window: w, scores that are kept.
        min_history: Scores that are needed before there is a threshold.
        empty_history: Whether to ``fire`` or to ``hold`` until then.
        reset_on_model: Forget the history whenever a model was trained.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> rule = RollingQuantile(quantile=0.5, window=3)
        >>> [rule.update(score).threshold for score in (1.0, 3.0, 2.0, 9.0)]
        [None, 1.0, 2.0, 2.0]

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.
    """

    name = "rolling_quantile"

    def __init__(
        self,
        quantile: float = 0.05,
        *,
        window: int = 15,
        min_history: int = 1,
        empty_history: str = "hold",
        reset_on_model: bool = False,
    ) -> None:
        super().__init__(
            window=window, min_history=min_history, empty_history=empty_history, reset_on_model=reset_on_model
        )
        if not 0 < quantile < 1:
            raise RequestError(f"trigger.decision.quantile={quantile} must lie in (0, 1): it is a share")
        self.quantile = quantile

    def statistic(self) -> float:
        """Return the upper quantile."""
        return float(np.quantile(self.history, 1.0 - self.quantile))
