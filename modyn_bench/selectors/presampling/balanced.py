"""What policies share that select from groups of samples as evenly as their sizes allow."""

from __future__ import annotations

from abc import abstractmethod
from typing import Unpack

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.selectors.base import History, SelectionContext, as_keys
from modyn_bench.selectors.groups import draw_from_groups, equal_shares, fair_shares
from modyn_bench.selectors.presampling.base import Options, Presampler
from modyn_bench.types import IntArray

FILLS = {"exact": fair_shares, "equal": equal_shares}


class BalancedOptions(Options, total=False):
    """What every policy that balances groups takes beside a history, as ``Balanced`` describes it."""

    fill: str


class Balanced(Presampler):
    r"""Divides its budget over groups, and draws each group's part uniformly without replacement.

    ``exact``: a group of :math:`c_g` samples gives :math:`\min(c_g, L)`, with the largest whole :math:`L` that the
    budget allows; what is left goes one each to groups that are drawn. ``equal``: every group gives as many as the
    smallest one has, or the even share if that is smaller, so that the budget is not always filled.

    Args:
        ratio: Share of the scope, a fraction in (0, 1].
        size: A number of samples in place of the ratio; ``None`` for the ratio.
        fill: ``exact`` or ``equal``.
        history: 0: new data only; k: and that of the last k trainings; ``all``: everything.
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.
        warmup_triggers: How many trainings at the start take the whole scope, up to the limit.

    Raises:
        RequestError: If an option is out of range.

    Deviation:
        The reference gives less than the fair share where groups are of equal size, and drops the newest samples where
        it rounds up to fill the budget.
    """

    def __init__(self, *, fill: str = "exact", history: History = 0, **options: Unpack[Options]) -> None:
        super().__init__(history=history, **options)
        if fill not in FILLS:
            raise RequestError(f"selector.fill={fill!r} must be {' or '.join(FILLS)}")
        self.fill = fill

    @property
    def fills_budget(self) -> bool:
        """Whether groups may give unequal numbers of samples."""
        return self.fill == "exact"

    def presample(self, scope: range, budget: int, context: SelectionContext) -> IntArray:
        """Draw each group's part."""
        keys = as_keys(scope)
        groups = self.groups(keys, context)
        shares = FILLS[self.fill](np.bincount(groups), budget, context.generator)
        return keys[draw_from_groups(groups, shares, context.generator)]

    @abstractmethod
    def groups(self, keys: IntArray, context: SelectionContext) -> IntArray:
        """Return the group of each key of the scope, from 0, shape (n,)."""
