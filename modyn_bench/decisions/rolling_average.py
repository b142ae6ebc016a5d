"""Fire when the score exceeds the average of the last scores by a deviation."""

from __future__ import annotations

import math

import numpy as np

from modyn_bench.decisions.base import HistoryRule
from modyn_bench.errors import RequestError


class RollingAverage(HistoryRule):
    r"""Fire when the score exceeds the average of the last ones by more than a deviation.

    .. math:: s_t > \bar s + \delta \quad\text{(absolute)} \qquad s_t > \bar s + \delta |\bar s| \quad\text{(relative)}

    with :math:`\bar s` the mean of the last w scores.

    Args:
        deviation: :math:`\delta`, at least 0: in the score's units, or as a share of the average.
        absolute: Whether the deviation is in the score's units.
        window: w, scores that are kept.
        min_history: Scores that are needed before there is a threshold.
        empty_history: Whether to ``fire`` or to ``hold`` until then.
        reset_on_model: Forget the history whenever a model was trained.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> rule = RollingAverage(deviation=1.0, window=2)
        >>> [rule.update(score).threshold for score in (1.0, 3.0, 2.0)]
        [None, 2.0, 4.0]

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference multiplies the signed average, so that negative scores get a threshold below their average.
    """

    name = "rolling_average"

    def __init__(
        self,
        deviation: float = 0.05,
        *,
        absolute: bool = False,
        window: int = 15,
        min_history: int = 1,
        empty_history: str = "hold",
        reset_on_model: bool = False,
    ) -> None:
        super().__init__(
            window=window, min_history=min_history, empty_history=empty_history, reset_on_model=reset_on_model
        )
        if not 0 <= deviation < math.inf:
            raise RequestError(f"trigger.decision.deviation={deviation} must be at least 0 and finite")
        self.deviation = deviation
        self.absolute = absolute

    def statistic(self) -> float:
        """Return the average and the deviation on top."""
        average = float(np.clip(np.mean(self.history), min(self.history), max(self.history)))  # rounding may leave them
        return average + self.deviation * (1.0 if self.absolute else abs(average))
