"""How many votes make a decision, of policies that have voted or of a policy's detectors."""

from __future__ import annotations

COMBINATIONS = ("any", "majority", "all")


def votes_to_exceed(combine: str, count: int, *, at_least: int | None = None) -> float:
    """Return the number of votes that must be exceeded, as every threshold must be.

    Args:
        combine: ``any``, ``majority`` or ``all``.
        count: How many could vote.
        at_least: So many votes, in place of ``combine``.

    Example:
        >>> [votes_to_exceed(combine, 3) for combine in COMBINATIONS], votes_to_exceed("any", 3, at_least=2)
        ([0.0, 1.5, 2.0], 1.0)
    """
    if at_least is not None:
        return at_least - 1.0
    return {"any": 0.0, "majority": count / 2, "all": count - 1.0}[combine]
