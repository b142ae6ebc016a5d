"""Train on a uniform share of the data in scope."""

from __future__ import annotations

from modyn_bench.selectors.base import SelectionContext, draw
from modyn_bench.selectors.presampling.base import Presampler
from modyn_bench.types import IntArray


class Uniform(Presampler):
    r"""Select a uniform share of the scope, without replacement.

    Draws :math:`k = \max(1, \lfloor \text{ratio} \cdot N \rfloor)` of the N samples in scope, at most ``limit``.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> Uniform(ratio=0.5).share.of(9)
        4

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.
    """

    name = "uniform"

    def presample(self, scope: range, budget: int, context: SelectionContext) -> IntArray:
        """Draw the budget."""
        return draw(context.generator, scope, budget)
