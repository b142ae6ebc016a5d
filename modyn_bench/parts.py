"""Policies that are made of others: where each of these stands in the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

from modyn_bench.errors import relocate


class HasParts(Protocol):
    """A policy that says which others it is made of."""

    @property
    def parts(self) -> Mapping[str, Any]:
        """Those by the place of each in the configuration, as if the policy was the outermost of its group."""


Policy = TypeVar("Policy", bound=HasParts)


def with_parts(place: str, policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Yield a policy and all that it is made of, at any depth, each with its place.

    Args:
        place: That of the policy.
        policy: A trigger or a selector.

    Example:
        >>> from modyn_bench.triggers.amount import Amount
        >>> from modyn_bench.triggers.ensemble import Ensemble
        >>> inner = Ensemble({"a": Amount(5)})
        >>> [place for place, _ in with_parts("trigger", Ensemble({"inner": inner}))]
        ['trigger', 'trigger.members.inner', 'trigger.members.inner.members.a']
    """
    yield place, policy
    for inner, part in policy.parts.items():
        yield from with_parts(relocate(inner, place), part)
