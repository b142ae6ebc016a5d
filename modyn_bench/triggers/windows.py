"""Which samples a drift policy compares: ranges of keys, which depend on where triggers fell and on nothing else."""

from __future__ import annotations

from modyn_bench.errors import RequestError
from modyn_bench.timespan import parse_duration
from modyn_bench.triggers.base import View

REFERENCES = ("last_trigger", "sliding", "fixed")


class DetectionWindows:
    """The reference and the current window, each so many samples or so much time long.

    The current window ends with the newest sample. The reference ends, as ``reference`` says, with the last sample
    before the last trigger, right before the current window, or with the last sample before the first trigger. Both are
    ranges of keys: no sample is lost or comes twice, however long a block is. Where fewer samples have arrived than a
    window asks for, it holds what there is. Windows of labels are the same among the samples that are labelled.

    Args:
        reference_size: Length of the reference: samples, or a duration such as ``1y``, which reaches back from its last
            sample and holds that very point in time as well.
        current_size: Likewise of the current window.
        reference: ``last_trigger``, ``sliding`` or ``fixed``.
        overlap: Whether the current window may hold samples of before the last trigger.

    Raises:
        RequestError: If a length is not above 0, or there is no such reference.

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference system copies samples that are still current into the next reference, and loses those of a block
        that exceeds the window.
    """

    def __init__(
        self,
        reference_size: int | str = 1000,
        current_size: int | str = 1000,
        *,
        reference: str = "last_trigger",
        overlap: bool = True,
    ) -> None:
        self.reference_size = _length(reference_size, "trigger.windows.reference_size")
        self.current_size = _length(current_size, "trigger.windows.current_size")
        if reference not in REFERENCES:
            raise RequestError(f"trigger.windows.reference={reference!r} must be one of {', '.join(REFERENCES)}")
        self.reference = reference
        self.overlap = overlap

    def current(self, view: View, *, end: int, last_trigger: int | None) -> range:
        """Return the keys of the current window.

        Args:
            view: Of what has arrived.
            end: Keys below this may be compared: those that have arrived, or are labelled.
            last_trigger: Likewise at the last trigger; ``None`` before it.
        """
        start = view.first_key if self.overlap or last_trigger is None else last_trigger
        return _back_from(view, end, self.current_size, start)

    def of_reference(self, view: View, *, end: int, first_trigger: int | None, last_trigger: int | None) -> range:
        """Return the keys of the reference, given the same, and the first trigger; none before that."""
        if first_trigger is None or last_trigger is None:
            return range(0)
        if self.reference == "sliding":
            end = self.current(view, end=end, last_trigger=last_trigger).start
        else:
            end = first_trigger if self.reference == "fixed" else last_trigger
        return _back_from(view, end, self.reference_size, view.first_key)


def _length(size: int | str, key: str) -> tuple[str, int]:
    """Return a length as ``samples`` or ``seconds`` and a number."""
    if isinstance(size, int):
        if size < 1:
            raise RequestError(f"{key}={size} must be at least 1 sample, or a duration such as 1y")
        return "samples", size
    return "seconds", parse_duration(size, key)


def _back_from(view: View, end: int, size: tuple[str, int], start: int) -> range:
    """Return the keys from ``size`` before ``end``, but not before ``start``."""
    unit, length = size
    if end <= start:
        return range(end, end)
    if unit == "samples":
        return range(max(end - length, start), end)
    import numpy as np

    newest = int(view.timestamps(np.array([end - 1]))[0])
    return range(max(view.first_key_since(newest - length), start), end)
