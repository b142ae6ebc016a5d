"""The contract of a decision rule: a score comes in, where high means fire, and a threshold and a decision go out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from modyn_bench.errors import RequestError
from modyn_bench.state import Stateful
from modyn_bench.types import Decision


class DecisionRule(Stateful, ABC):
    """Says of one score after another whether it is high enough to fire.

    A rule compares strictly, ``score > threshold``, and computes the threshold from the scores before this one. Its
    history is kept across triggers, unless ``reset_on_model`` says otherwise.

    Args:
        reset_on_model: Forget the history whenever a model was trained.
    """

    name: ClassVar[str]
    """What the rule is called: the name of its YAML file."""

    state_fields: ClassVar[tuple[str, ...]] = ("history",)

    def check_scores(self, what: str, smallest_p_value: float | None) -> None:
        """Check that the rule can decide on a kind of scores.

        Args:
            what: What the scores are, for the message.
            smallest_p_value: Of scores that are one minus a p-value, the smallest; else ``None``.

        Raises:
            RequestError: If it cannot.
        """

    def __init__(self, *, reset_on_model: bool = False) -> None:
        self.reset_on_model = reset_on_model
        self.history: list[float] = []

    def update(self, score: float) -> Decision:
        """Decide on a score, and remember it.

        Args:
            score: Finite; high means fire.

        Returns:
            Whether it fires, the score, and the threshold; the threshold is ``None`` where there is none yet.

        Raises:
            ValueError: If the score is not finite.
        """
        score = self._checked(score)
        threshold = self.threshold()
        fired = score > threshold if threshold is not None else self.fires_without_threshold()
        self.remember(score, fired=fired)
        return Decision(fired, score=score, threshold=threshold)

    def calibrate(self, scores: Iterable[float]) -> None:
        """Take scores that nothing is decided on, in order.

        Raises:
            ValueError: If a score is not finite.
        """
        for score in scores:
            self.remember(self._checked(score), fired=False)

    def on_model(self) -> None:
        """Take note that a model was trained."""
        if self.reset_on_model:
            self.history = []

    @abstractmethod
    def threshold(self) -> float | None:
        """Return what the next score must exceed, or ``None`` while that cannot be said."""

    def fires_without_threshold(self) -> bool:
        """Say whether a score fires while there is no threshold."""
        return False

    def remember(self, score: float, *, fired: bool) -> None:
        """Keep what later thresholds need of a score."""

    def _checked(self, score: float) -> float:
        """Return a score, of whatever numeric type, as a Python number: state and decisions hold no other."""
        if not math.isfinite(score):
            raise ValueError(f"decision rule {self.name} got the score {score}, which is not finite")
        return float(score)


class HistoryRule(DecisionRule):
    """A rule whose threshold is a statistic of the last scores.

    Args:
        window: Scores that are kept; at least 1.
        min_history: Scores that are needed before there is a threshold; at least 1, at most ``window``.
        empty_history: Whether to ``fire`` or to ``hold`` until then.
        reset_on_model: Forget the history whenever a model was trained.

    Raises:
        RequestError: If a value is out of range.
    """

    def __init__(
        self, *, window: int = 15, min_history: int = 1, empty_history: str = "hold", reset_on_model: bool = False
    ) -> None:
        super().__init__(reset_on_model=reset_on_model)
        if window < 1:
            raise RequestError(f"trigger.decision.window={window} must be at least 1")
        if not 1 <= min_history <= window:
            raise RequestError(f"trigger.decision.min_history={min_history} must lie in 1..{window}, the window")
        if empty_history not in ("fire", "hold"):
            raise RequestError(f"trigger.decision.empty_history={empty_history!r} must be fire or hold")
        self.window = window
        self.min_history = min_history
        self.empty_history = empty_history

    def threshold(self) -> float | None:
        """Return the statistic of the scores that are kept, once there are enough."""
        return self.statistic() if len(self.history) >= self.min_history else None

    @abstractmethod
    def statistic(self) -> float:
        """Return the threshold; there are scores."""

    def fires_without_threshold(self) -> bool:
        """Fire or hold, as configured."""
        return self.empty_history == "fire"

    def remember(self, score: float, *, fired: bool) -> None:
        """Keep the last scores."""
        self.history = [*self.history, score][-self.window :]
