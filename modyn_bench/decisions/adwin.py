"""Fire when an adaptive window over the scores finds that their mean has risen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.errors import RequestError
from modyn_bench.types import Decision, State

if TYPE_CHECKING:
    from river.drift import ADWIN


class Adwin(DecisionRule):
    r"""Fire when ADWIN cuts its window because the newer scores' mean is higher.

    ADWIN keeps a window of scores and drops its older part when the means of two parts differ by more than chance, at
    confidence :math:`1 - \delta`, allows. Falling scores cut the window too, but do not fire. In river a window that
    was cut begins anew with the next score. The rule has no threshold to show.

    Args:
        delta: :math:`\delta` in (0, 1), the chance of a cut when nothing changes.
        min_history: Scores that are needed before a cut is looked for; at least 1.
        reset_on_model: Begin anew whenever a model was trained.

    Raises:
        RequestError: If a value is out of range, or river is not installed.

    Example:
        >>> rule = Adwin(delta=0.05, min_history=5)
        >>> fired = [rule.update(score).fired for score in [0.0] * 40 + [1.0] * 20]
        >>> fired.index(True) in range(41, 60)
        True

    Reference:
        Bifet and Gavaldà, Learning from Time-Changing Data with Adaptive Windowing, SDM 2007; as river implements it.
    """

    name = "adwin"

    def __init__(self, delta: float = 0.05, *, min_history: int = 5, reset_on_model: bool = False) -> None:
        super().__init__(reset_on_model=reset_on_model)
        if not 0 < delta < 1:
            raise RequestError(f"trigger.decision.delta={delta} must lie in (0, 1)")
        if min_history < 1:
            raise RequestError(f"trigger.decision.min_history={min_history} must be at least 1")
        try:
            import river  # noqa: F401 - asked for here, so that a request is refused before anything starts
        except ImportError as error:
            raise RequestError("trigger.decision: adwin needs river: pip install 'modyn_bench[river]'") from error
        self.delta = delta
        self.min_history = min_history
        self._rose = False  # at the last score
        self._adwin: ADWIN | None = None  # made anew from the history, which says everything about it

    def threshold(self) -> None:
        """Return nothing: ADWIN compares no single score."""

    def update(self, score: float) -> Decision:
        """Add a score to the window, and fire if that cuts it and the mean has risen."""
        decision = super().update(score)
        fired = self._rose
        if fired:
            self._begin()
        return Decision(fired, score=decision.score)

    def remember(self, score: float, *, fired: bool) -> None:
        """Add the score to the window."""
        adwin = self._window()
        before = adwin.estimation
        if adwin.drift_detected:  # the window that was cut begins anew
            self.history = []
        adwin.update(score)
        self.history.append(score)
        self._rose = bool(adwin.drift_detected) and adwin.estimation > before

    def on_model(self) -> None:
        """Begin anew, if so configured."""
        if self.reset_on_model:
            self._begin()

    def load_state_dict(self, state: State) -> None:
        """Take over a history; the window is made of it when it is next needed."""
        super().load_state_dict(state)
        self._adwin = None

    def _begin(self) -> None:
        self.history, self._adwin = [], None

    def _window(self) -> Any:  # noqa: ANN401 - river has no types
        if self._adwin is None:
            from river.drift import ADWIN

            self._adwin = ADWIN(delta=self.delta, clock=1, grace_period=self.min_history)  # type: ignore[no-untyped-call]
            for score in self.history:
                self._adwin.update(score)  # type: ignore[no-untyped-call]
        return self._adwin
