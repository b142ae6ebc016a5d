"""Train on a uniform share of the data in scope."""

from __future__ import annotations

from fractions import Fraction

from modyn_bench.errors import RequestError
from modyn_bench.selectors.base import History, SelectionContext, Selector, as_keys, check_limit, draw
from modyn_bench.types import Selection


class Uniform(Selector):
    r"""Select a uniform share of the scope, without replacement.

    Draws :math:`k = \max(1, \lfloor \text{ratio} \cdot N \rfloor)` of the N samples in scope, at most ``limit``.

    Args:
        ratio: Share of the scope, a fraction in (0, 1].
        history: 0: new data only; k: and that of the last k trainings; ``all``: everything.
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.
        warmup_triggers: How many trainings at the start take the whole scope, up to the limit.

    Raises:
        RequestError: If an option is out of range.

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.
    """

    name = "uniform"

    def __init__(
        self,
        *,
        ratio: float = 0.25,
        history: History = 0,
        limit: int | None = None,
        warmup_triggers: int = 0,
    ) -> None:
        super().__init__(history=history)
        if not 0 < ratio <= 1:
            raise RequestError(f"selector.ratio={ratio} must be a fraction in (0, 1]")
        if warmup_triggers < 0:
            raise RequestError(f"selector.warmup_triggers={warmup_triggers} must be at least 0")
        self.ratio = ratio
        self._share = Fraction(ratio).limit_denominator(10**9)  # as floats, 0.29 * 100 is below 29
        self.limit = check_limit(limit)
        self.warmup_triggers = warmup_triggers

    def select(self, context: SelectionContext) -> Selection:
        """Return a uniform draw from the scope, or all of it during the warm-up."""
        scope = self.scope(context)
        size = len(scope)
        if size and self.num_trained >= self.warmup_triggers:
            size = max(1, int(self._share * size))
        if self.limit is not None:
            size = min(size, self.limit)
        if size == len(scope):
            return Selection.unweighted(as_keys(scope))
        return Selection.unweighted(draw(context.generator, scope, size))
