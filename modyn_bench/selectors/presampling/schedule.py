"""Policies that take turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modyn_bench.errors import RequestError, check_part
from modyn_bench.selectors.base import SelectionContext, Selector
from modyn_bench.types import Selection

if TYPE_CHECKING:
    from modyn_bench.selectors.downsampling.base import Downsampler


class Schedule(Selector):
    r"""Select by one policy after another: each takes over after its number of trainings.

    The active one is that with the largest :math:`\text{after}_i` not above the number of trainings so far. All take
    the stream and are told of every trigger, so that histories, passes and warm-ups go back to the start of the run.

    Args:
        policies: Policies by name.
        after: The number of trainings after which each takes over, by name; the one that is not named here begins.

    Raises:
        RequestError: If it is not clear which policy begins, or which is next.

    Example:
        >>> from modyn_bench.selectors.new_data import NewData
        >>> turns = Schedule({"early": NewData(history="all"), "late": NewData(history=1)}, after={"late": 2})
        >>> turns.num_trained = 2
        >>> turns.active.history
        1

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference schedules downsamplings alone.
    """

    name = "schedule"
    state_fields = (*Selector.state_fields, "policies")

    def __init__(self, policies: Mapping[str, Selector], *, after: Mapping[str, int]) -> None:
        super().__init__()
        for name, policy in policies.items():
            example = f"selector@selector.policies.{name}=uniform"
            check_part(_place(name), policy, Selector, example, needed=True)
        _check_turns(policies, after)
        self.policies = dict(policies)
        self.starts = {name: after.get(name, 0) for name in policies}

    @property
    def parts(self) -> Mapping[str, Selector]:
        """All policies."""
        return {_place(name): policy for name, policy in self.policies.items()}

    @property
    def turn(self) -> str:
        """The name of the policy whose turn it is."""
        begun = (name for name, start in self.starts.items() if start <= self.num_trained)
        return max(begun, key=lambda name: self.starts[name])

    @property
    def active(self) -> Selector:
        """The policy whose turn it is."""
        return self.policies[self.turn]

    def context_of_active(self, context: SelectionContext) -> SelectionContext:
        """Return what the policy whose turn it is may use."""
        return context.inside(_place(self.turn))

    @property
    def downsampler(self) -> Downsampler | None:
        """That of the active policy."""
        return self.active.downsampler

    def select(self, context: SelectionContext) -> Selection:
        """Ask the active policy."""
        return self.active.select(self.context_of_active(context))

    def select_all(self, context: SelectionContext) -> Selection:
        """Ask the active policy."""
        return self.active.select_all(self.context_of_active(context))

    def scope(self, context: SelectionContext) -> range:
        """Return the active policy's scope."""
        return self.active.scope(self.context_of_active(context))

    @property
    def oldest_key(self) -> int:
        """The lowest of the policies whose turn is or will be."""
        begun = max(start for start in self.starts.values() if start <= self.num_trained)
        return min(self.policies[name].oldest_key for name, start in self.starts.items() if start >= begun)


def _place(name: str) -> str:
    return f"selector.policies.{name}"


def _check_turns(policies: Mapping[str, Selector], after: Mapping[str, int]) -> None:
    """Check that one policy begins, and that no two take over together."""
    for name, start in after.items():
        if name not in policies:
            raise RequestError(f"selector.after.{name} must be one of the policies: {', '.join(policies)}")
        if isinstance(start, bool) or not isinstance(start, int) or start < 1:
            raise RequestError(f"selector.after.{name}={start!r} must be a number of trainings, at least 1")
        if list(after.values()).count(start) > 1:
            raise RequestError(f"selector.after.{name}={start} must differ from that of any other policy")
    first = [name for name in policies if name not in after]
    if not first:
        raise RequestError(f"selector.after={dict(after)} must leave out one of the policies, which begins")
    if len(first) > 1:
        raise RequestError(
            f"selector.after={dict(after)} must leave out one policy, which begins, not {', '.join(first)}: give the "
            f"others a number of trainings, as in +selector.after.{first[-1]}=5"
        )
