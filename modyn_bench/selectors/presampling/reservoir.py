"""Train on new data and a buffer of fixed size, a uniform sample of all that came before."""

from __future__ import annotations

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.seeding import lowest_priorities
from modyn_bench.selectors.base import SelectionContext, Selector, as_keys
from modyn_bench.types import Selection


class Reservoir(Selector):
    r"""Select the data that is new since the last training, and a replay buffer of older data.

    The buffer holds the ``size`` samples with the lowest random numbers :math:`h(\text{seed}, \text{key})`. That is a
    uniform sample without replacement of whatever is labelled, as reservoir sampling keeps one, and changes by as few
    samples as it can while data arrives. With ``with_new=false`` new data competes for places in the buffer, and the
    buffer is all that is trained on.

    Args:
        size: Samples in the buffer; all, where there are fewer.
        with_new: Train on all new data and a buffer of what is older, instead of a buffer of everything.

    Raises:
        RequestError: If the size is out of range.

    Example:
        >>> buffer = lowest_priorities(range(100), 5, 0, "reservoir")
        >>> set(lowest_priorities(range(101), 5, 0, "reservoir")) - set(buffer) <= {100}
        True

    Reference:
        Vitter, Random Sampling with a Reservoir, ACM TOMS 1985; Chaudhry et al., On Tiny Episodic Memories in
        Continual Learning, 2019 (new data with a buffer); Prabhu et al., GDumb, ECCV 2020 (the buffer alone).
    """

    name = "reservoir"

    def __init__(self, size: int = 1000, *, with_new: bool = True) -> None:
        super().__init__(history="all")
        if size < 1:
            raise RequestError(f"selector.size={size} must be at least 1 sample")
        self.size = size
        self.with_new = with_new

    def select(self, context: SelectionContext) -> Selection:
        """Return the buffer, and new data behind it."""
        scope = self.scope(context)
        new_start = min(max(self.new_start, scope.start), scope.stop) if self.with_new else scope.stop
        buffer = lowest_priorities(range(scope.start, new_start), self.size, context.seed, "reservoir")
        return Selection.unweighted(np.concatenate([buffer, as_keys(range(new_start, scope.stop))]))
