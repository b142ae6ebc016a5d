"""Whose records of samples are whose."""

from __future__ import annotations

from modyn_bench.errors import RequestError
from modyn_bench.parts import with_parts
from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.downsampling.base import Downsampler


def check_records(selector: Selector) -> None:
    """Check that policies of one name, which share their records, keep as many numbers of each sample.

    Raises:
        RequestError: If two do not; the message names both.
    """
    known: dict[str, tuple[str, int]] = {}  # where a policy of a name stands first, and the width of its records
    for place, policy in with_parts("selector", selector):
        if isinstance(policy, Downsampler):
            first, size = known.setdefault(policy.name, (place, policy.record_size))
            if policy.record_size != size:
                raise RequestError(
                    f"{first}={policy.name} and {place}={policy.name} keep {size} and {policy.record_size} numbers of "
                    "each sample under one name: give the class of one a name of its own"
                )
