"""Composite models: which model serves a window.

Shapes: M models in trigger order, W windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modyn_bench.types import IntArray

NO_MODEL = -1
"""What stands in an assignment where no model serves the window."""

VARIANTS = ("currently_active", "currently_trained")


@dataclass(frozen=True)
class Assignment:
    """The model that serves each window, as its position in trigger order, or ``NO_MODEL``.

    Attributes:
        currently_active: Shape (W,).
        currently_trained: Shape (W,).
    """

    currently_active: IntArray
    currently_trained: IntArray

    def of(self, variant: str) -> IntArray:
        """Return one variant's models, shape (W,)."""
        return self.currently_active if variant == "currently_active" else self.currently_trained


def assign(available_at: Sequence[int], anchors: IntArray) -> Assignment:
    r"""Assign a model to every window.

    .. math:: \text{active}(w) = \max \{m : \text{available\_at}_m < \text{anchor}_w\}, \quad
        \text{trained}(w) = \min(\text{active}(w) + 1, M - 1)

    The currently active model is the newest one that is in service, strictly, before the anchor. Newest is by trigger
    order: where models take different times to get into service and an older one arrives after a newer, it never takes
    over; of several that get into service in the same second the last one serves. The currently trained model is the
    active one's successor in trigger order, whether or not it gets into service itself; the first model where none is
    active; the last model is its own successor.

    Args:
        available_at: When each model gets into service, in UTC seconds, shape (M,), in any order.
        anchors: The windows' anchors, in UTC seconds, shape (W,).

    Example:
        >>> made = assign([10, 40, 30], np.array([10, 11, 35, 99]))
        >>> made.currently_active.tolist(), made.currently_trained.tolist()
        ([-1, 0, 2, 2], [0, 1, 2, 2])

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025.

    Deviation:
        The reference compares the last training sample's time, as if training took none.
    """
    anchors = np.asarray(anchors, dtype=np.int64)
    available = np.asarray(available_at, dtype=np.int64)
    if not len(available):
        return Assignment(np.full(len(anchors), NO_MODEL), np.full(len(anchors), NO_MODEL))
    order = np.argsort(available, kind="stable")
    newest = np.concatenate([[NO_MODEL], np.maximum.accumulate(order)])  # of the first k to get into service
    active = newest[np.searchsorted(available[order], anchors, side="left")]
    return Assignment(active, np.minimum(active + 1, len(available) - 1))
