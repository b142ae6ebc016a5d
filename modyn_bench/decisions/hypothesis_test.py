"""Fire when a p-value is below a level."""

from __future__ import annotations

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.errors import RequestError


class HypothesisTest(DecisionRule):
    r"""Fire when a test rejects: the score is :math:`1 - p`, and fires where :math:`p < \alpha`.

    For distances whose score is one minus a p-value, such as ``kernel_two_sample``. With B permutations the smallest
    possible p-value is :math:`1 / (1 + B)`, which must lie below the level.

    Args:
        level: :math:`\alpha` in (0, 1), the share of false alarms when nothing changes.

    Raises:
        RequestError: If the level is out of range.

    Example:
        >>> rule = HypothesisTest(level=0.25)
        >>> [rule.update(1 - p).fired for p in (0.5, 0.25, 0.125)]
        [False, False, True]

    Reference:
        Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, section 2.
    """

    name = "hypothesis_test"
    state_fields = ()

    def __init__(self, level: float = 0.05) -> None:
        super().__init__()
        if not 0 < level < 1:
            raise RequestError(f"trigger.decision.level={level} must lie in (0, 1)")
        self.level = level

    def threshold(self) -> float:
        """Return one minus the level."""
        return 1.0 - self.level
