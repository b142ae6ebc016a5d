"""Retrain when enough policies say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from modyn_bench.errors import RequestError, check_part
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.triggers.votes import COMBINATIONS, votes_to_exceed
from modyn_bench.types import Arrivals, Decision, DecisionPoint, TriggerRecord

Rule = Callable[[Mapping[str, bool]], bool]


class Ensemble(Trigger):
    r"""Fire when the votes of the members satisfy a rule.

    All members advance together to the earliest decision of any; only those due there are asked. A vote to fire stands
    until the ensemble fires or any trigger happens, while its owner goes on deciding. Members may be ensembles.

    Args:
        members: Policies by name; at least one.
        rule: ``majority`` (:math:`\sum_i v_i > n / 2`), ``any``, ``all``, or a callable from the votes by name to
            whether to fire.
        at_least: Fire at this many votes, in place of ``rule``.

    Raises:
        RequestError: If there is no member, or the rule is unknown or can never be met.

    Example:
        >>> import numpy as np
        >>> from modyn_bench.triggers.amount import Amount
        >>> stream = Arrivals(np.arange(9), np.arange(9), np.zeros(9, np.int64))
        >>> both = Ensemble({"two": Amount(2), "three": Amount(3)}, rule="all")
        >>> both.next_decision(stream).position
        2

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3.

    Deviation:
        The reference refuses performance and cost policies and ensembles as members.
    """

    name = "ensemble"
    state_fields = ("votes", "members")

    def __init__(
        self, members: Mapping[str, Trigger], *, rule: str | Rule = "majority", at_least: int | None = None
    ) -> None:
        if not members:
            raise RequestError("trigger.members is empty: add one with +trigger@trigger.members.NAME=amount")
        for name, member in members.items():
            check_part(f"trigger.members.{name}", member, Trigger, f"+trigger@trigger.members.{name}=amount")
        if at_least is not None and not 1 <= at_least <= len(members):
            raise RequestError(f"trigger.at_least={at_least} must lie in 1..{len(members)}, the number of members")
        if isinstance(rule, str) and rule not in COMBINATIONS:
            raise RequestError(
                f"trigger.rule={rule!r} must be one of {', '.join(COMBINATIONS)}, or a function by _target_"
            )
        self.members: dict[str, Trigger] = dict(members)
        self.rule = rule
        self.at_least = at_least
        self.votes = dict.fromkeys(self.members, False)
        self._due: tuple[str, ...] = ()  # a note of the last next_decision, made anew by every call: no state

    @property
    def parts(self) -> Mapping[str, Trigger]:
        """All members."""
        return {f"trigger.members.{name}": member for name, member in self.members.items()}

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        """Return the earliest decision of any member."""
        points = {name: member.next_decision(arrivals) for name, member in self.members.items()}
        known = [point for point in points.values() if point is not None]
        earliest = min(known, key=lambda point: point.order, default=None)
        self._due = tuple(
            name for name, point in points.items() if earliest and point and point.order == earliest.order
        )
        return earliest

    def consume(self, part: Arrivals) -> None:
        """Let every member take the samples."""
        for member in self.members.values():
            member.consume(part)

    def decide(self, view: View) -> Decision:
        """Ask the members that are due, and apply the rule to the votes that stand."""
        decisions: dict[str, Decision] = {}
        for name in self._due:
            passes = view.forward_passes
            decision = self.members[name].decide(view)
            decisions[name] = replace(decision, forward_passes=view.forward_passes - passes)
            self.votes[name] = self.votes[name] or decision.fired
        num_votes, threshold = float(sum(self.votes.values())), self._threshold()
        fired = self._by_function() if threshold is None else num_votes > threshold
        if fired:
            self._clear()
        empty = max((decision.num_empty_periods for decision in decisions.values()), default=0)
        return Decision(fired, score=num_votes, threshold=threshold, num_empty_periods=empty, members=decisions)

    def on_trigger(self, record: TriggerRecord) -> None:
        """Clear the votes, and tell the members."""
        self._clear()
        for member in self.members.values():
            member.on_trigger(record)

    def _threshold(self) -> float | None:
        """Return what the number of votes must exceed; ``None`` where a function decides."""
        if self.at_least is None and not isinstance(self.rule, str):
            return None
        return votes_to_exceed(str(self.rule), len(self.votes), at_least=self.at_least)

    def _by_function(self) -> bool:
        assert not isinstance(self.rule, str)
        return bool(self.rule(dict(self.votes)))

    def _clear(self) -> None:
        self.votes = dict.fromkeys(self.members, False)
