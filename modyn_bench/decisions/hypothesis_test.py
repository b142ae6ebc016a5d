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

    def check_scores(self, what: str, smallest_p_value: float | None) -> None:
        """Refuse scores that are not one minus a p-value, and p-values that never fall below the level."""
        if smallest_p_value is None:
            raise RequestError(
                f"trigger/decision=hypothesis_test decides on p-values, but {what} gives none: use "
                "trigger/distance=kernel_two_sample, kolmogorov_smirnov or cramer_von_mises, or another decision"
            )
        if smallest_p_value >= self.level:
            raise RequestError(
                f"trigger.decision.level={self.level} is never undercut: the smallest p-value of {what} is "
                f"{smallest_p_value:.4g}; raise trigger.distance.num_permutations"
            )

    def threshold(self) -> float:
        """Return one minus the level."""
        return 1.0 - self.level
