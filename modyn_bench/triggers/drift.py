"""Retrain when the newest samples have drifted away from those of the last training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modyn_bench.decisions.base import DecisionRule
from modyn_bench.decisions.rolling_quantile import RollingQuantile
from modyn_bench.drift.base import Distance, Reads
from modyn_bench.drift.mmd import Mmd
from modyn_bench.drift.pca import Pca
from modyn_bench.drift.vectors import FeatureVectors
from modyn_bench.errors import ContractError, RequestError, check_part, placed
from modyn_bench.seeding import derive, lowest_priorities
from modyn_bench.triggers.base import Trigger, View
from modyn_bench.triggers.batched import Batched, Window
from modyn_bench.triggers.votes import COMBINATIONS, votes_to_exceed
from modyn_bench.triggers.windows import DetectionWindows
from modyn_bench.types import Decision, IntArray, TriggerRecord

if TYPE_CHECKING:
    import torch

REPRESENTATIONS = ("embedding", "first_embedding", "features")


@dataclass
class Detector:
    """A distance, and the rule that decides on its scores."""

    distance: Distance
    decision: DecisionRule


class Drift(Batched):
    r"""Fire when the distance of the current window to the reference is decided to be drift.

    At the end of every block a distance compares the newest samples with those before the last trigger, and a rule
    decides on the score. A distance between labels compares the newest labelled samples with those that were labelled
    at the last trigger. By default this is AutoDrift: MMD² on the newest model's embeddings, compared with the 0.95
    quantile of its last 15 values.

    Args:
        distance: How far two windows are apart.
        decision: Whether a score fires.
        detectors: Further detectors by name, each with a ``distance`` and a ``decision``; then ``combine`` decides.
        combine: Fire where ``any``, a ``majority`` or ``all`` of the detectors fire at the same block.
        at_least: Fire where this many do, in place of ``combine``.
        windows: Which samples are compared.
        representation: What distances between vectors compare: the ``embedding`` (the newest model's), the
            ``first_embedding`` (that of the run's first model, which stays the same), or the ``features`` (as stored).
        num_components: Project vectors on so many principal components of the reference; ``None`` for all.
        sample_size: Samples that are drawn from each window, in samples; ``None`` for all. The draw depends on a
            sample's key alone, so that windows that overlap share what they draw.
        interval: Samples between decisions.
        warmup_intervals: Blocks of warm-up.
        warmup_trigger: The policy in charge of the warm-up.
        first_block: ``fire`` or ``hold`` while there is no model or no reference.
        calibration: ``retrospective`` or ``running``.

    Raises:
        RequestError: If a value is out of range.

    Example:
        >>> import numpy as np
        >>> from modyn_bench.types import Arrivals
        >>> stream = Arrivals(np.arange(10), np.arange(10), np.zeros(10, np.int64))
        >>> Drift(interval=4).next_decision(stream).position
        4

    Reference:
        Böther et al., Modyn: Data-Centric Machine Learning Pipeline Orchestration, SIGMOD 2025, section 3 (AutoDrift).

    Deviation:
        The reference system draws samples without a seed, embeds the reference at every decision anew, and fires at the
        first score after the warm-up whatever it is.
    """

    name = "drift"
    state_fields = (*Batched.state_fields, "first_labelled", "last_labelled", "rules")

    def __init__(
        self,
        *,
        distance: Distance | None = None,
        decision: DecisionRule | None = None,
        detectors: Mapping[str, Mapping[str, Any]] | None = None,
        combine: str = "any",
        at_least: int | None = None,
        windows: DetectionWindows | None = None,
        representation: str = "embedding",
        num_components: int | None = None,
        sample_size: int | None = 5000,
        interval: int = 1000,
        warmup_intervals: int = 4,
        warmup_trigger: Trigger | None = None,
        first_block: str = "fire",
        calibration: str = "retrospective",
    ) -> None:
        super().__init__(
            interval=interval,
            warmup_intervals=warmup_intervals,
            warmup_trigger=warmup_trigger,
            first_block=first_block,
            calibration=calibration,
        )
        check_part("trigger.distance", distance, Distance, "trigger/distance=mmd")
        check_part("trigger.decision", decision, DecisionRule, "trigger/decision=threshold")
        check_part("trigger.windows", windows, DetectionWindows, "trigger.windows.current_size=1y")
        first = Detector(distance or Mmd(), decision or RollingQuantile())
        further = _further(detectors or {})
        if first.distance.name in further:
            raise RequestError(
                f"trigger.detectors.{first.distance.name} is called like trigger.distance: give it another name"
            )
        self.detectors = {first.distance.name: first, **further}
        self.rules = {name: detector.decision for name, detector in self.detectors.items()}
        for name, detector in self.detectors.items():
            with placed(f"trigger.detectors.{name}" if name in further else "trigger"):
                detector.decision.check_scores(f"distance {detector.distance.name}", detector.distance.smallest_p_value)
        if combine not in COMBINATIONS:
            raise RequestError(f"trigger.combine={combine!r} must be one of {', '.join(COMBINATIONS)}")
        if at_least is not None and not 1 <= at_least <= len(self.detectors):
            raise RequestError(f"trigger.at_least={at_least} must lie in 1..{len(self.detectors)}, the detectors")
        if representation not in REPRESENTATIONS:
            raise RequestError(f"trigger.representation={representation!r} must be one of {', '.join(REPRESENTATIONS)}")
        if sample_size is not None and sample_size < 2:
            raise RequestError(f"trigger.sample_size={sample_size} must be at least 2, or null for all")
        if num_components is not None:
            Pca(num_components)
        self.combine = combine
        self.at_least = at_least
        self.windows = windows or DetectionWindows()
        self.representation = representation
        self.num_components = num_components
        self.sample_size = sample_size
        self.first_labelled: int | None = None  # keys below this were labelled at the first trigger with a label
        self.last_labelled: int | None = None  # and at the last one
        self._fitted: dict[str, _Fitted] = {}  # made anew where it is missing: no state

    @property
    def uses_first_model(self) -> bool:
        """Whether vectors are embeddings of the first model."""
        return self.representation == "first_embedding" or super().uses_first_model

    @property
    def needs_embedding(self) -> bool:
        """Whether some distance reads vectors, and these are embeddings."""
        return "vectors" in self._reads and self.representation != "features"

    @property
    def _reads(self) -> set[Reads]:
        return {detector.distance.reads for detector in self.detectors.values()}

    def ready(self, view: View) -> bool:
        """Say whether there is a reference, and a model where one is needed."""
        needs_model = self.needs_embedding or "probabilities" in self._reads
        return self.last_trigger is not None and not (needs_model and view.model_id is None)

    def evaluate(self, view: View) -> Decision:
        """Score the current window by every detector, and combine what their rules say."""
        decided = {}
        for name, (score, passes) in self._scores(view).items():
            decision = Decision(False) if score is None else self.rules[name].update(score)
            decided[name] = replace(decision, forward_passes=passes)
        return self._combined(decided)

    def observe(self, view: View) -> Decision:
        """Score the current window, and calibrate the rules on the scores."""
        observed = {}
        for name, (score, passes) in self._scores(view).items():
            if score is not None:
                self.rules[name].calibrate([score])
            observed[name] = Decision(False, score=score, forward_passes=passes)
        return next(iter(observed.values())) if len(observed) == 1 else Decision(False, members=observed)

    def window(self, view: View) -> Window:
        """Return the current window, among all samples and among those that are labelled."""
        return {kind: [keys.start, keys.stop] for kind, keys in self._current(view).items()}

    def calibrate(self, view: View, windows: Sequence[Window]) -> None:
        """Score every window of the warm-up but the last as reference against the last as current window."""
        for name, detector in self.detectors.items():
            kind = _kind(detector.distance.reads)
            *references, latest = (range(*window[kind]) for window in windows)
            scores = (self._score(view, name, reference, latest) for reference in references)
            self.rules[name].calibrate(score for score in scores if score is not None)

    def on_trigger(self, record: TriggerRecord) -> None:
        """Note where the trigger fell, and tell the rules of a new model."""
        super().on_trigger(record)
        if record.num_labelled and self.first_labelled is None:
            self.first_labelled = record.labelled_until
        self.last_labelled = record.labelled_until
        self._fitted = {}  # as after a resume, so that both embed the reference anew
        if record.model is not None:
            for rule in self.rules.values():
                rule.on_model()

    def _scores(self, view: View) -> dict[str, tuple[float | None, float]]:
        """Return every detector's score and the forward passes that it cost.

        Embeddings come first, because class probabilities come along with them, but not the other way round.
        """
        references, currents = self._references(view), self._current(view)
        scores = {}
        for name in sorted(self.detectors, key=lambda name: self.detectors[name].distance.reads != "vectors"):
            kind = _kind(self.detectors[name].distance.reads)
            passes = view.forward_passes
            score = self._score(view, name, references[kind], currents[kind])
            scores[name] = score, view.forward_passes - passes
        return {name: scores[name] for name in self.detectors}

    def _ends(self, view: View) -> dict[str, tuple[int, int | None, int | None]]:
        """Return, by kind of samples, where they end now, and where they ended at the first and the last trigger."""
        return {
            "arrived": (view.num_arrived, self.first_trigger, self.last_trigger),
            "labelled": (view.num_labelled, self.first_labelled, self.last_labelled),
        }

    def _current(self, view: View) -> dict[str, range]:
        """Return the current window by kind of samples."""
        return {
            kind: self.windows.current(view, end=end, last_trigger=last)
            for kind, (end, _, last) in self._ends(view).items()
        }

    def _references(self, view: View) -> dict[str, range]:
        """Return the reference by kind of samples."""
        return {
            kind: self.windows.of_reference(view, end=end, first_trigger=first, last_trigger=last)
            for kind, (end, first, last) in self._ends(view).items()
        }

    def _score(self, view: View, name: str, reference: range, current: range) -> float | None:
        """Return a detector's score; ``None`` where a window holds too few samples for its distance."""
        distance = self.detectors[name].distance
        old, new = self._drawn(view, reference), self._drawn(view, current)
        if min(len(old), len(new)) < distance.min_samples:
            return None
        fitted = self._fitted.get(name)
        if fitted is None or fitted.model_id != view.model_id or not np.array_equal(fitted.reference, old):
            fitted = _Fitted(
                distance, view, old, representation=self.representation, num_components=self.num_components
            )
            self._fitted[name] = fitted
        score = fitted.score(view, new)
        if not math.isfinite(score):
            raise ContractError(
                f"distance {distance.name} ({type(distance).__name__}) of keys {old[0]}..{old[-1]} and "
                f"{new[0]}..{new[-1]} is {score}: {self.rules[name].name} cannot decide on it; a score must be finite"
            )
        return score

    def _drawn(self, view: View, window: range) -> IntArray:
        """Return the keys that are drawn from a window, in order."""
        size = len(window) if self.sample_size is None else self.sample_size
        return lowest_priorities(window, size, view.seed, "drift", "reservoir")

    def _combined(self, decisions: Mapping[str, Decision]) -> Decision:
        if len(decisions) == 1:
            (only,) = decisions.values()
            return only
        votes = float(sum(decision.fired for decision in decisions.values()))
        threshold = votes_to_exceed(self.combine, len(decisions), at_least=self.at_least)
        return Decision(votes > threshold, score=votes, threshold=threshold, members=dict(decisions))


class _Fitted:
    """A distance that has taken a reference, and what turns keys into what it compares."""

    def __init__(
        self, distance: Distance, view: View, reference: IntArray, *, representation: str, num_components: int | None
    ) -> None:
        self.reference = reference
        self.model_id = view.model_id
        self._distance = distance
        self._representation = representation
        self._pca = None if num_components is None or distance.reads != "vectors" else Pca(num_components)
        self._vectors = FeatureVectors()
        if distance.reads == "vectors" and representation == "features":
            self._vectors.fit(view.features(reference))
        values = self._values(view, reference)
        if self._pca is not None:
            self._pca.fit(values)
        place = (int(reference[0]), int(reference[-1]))
        distance.fit(self._projected(values), derive(view.seed, "drift", distance.name, "reference", *place))

    def score(self, view: View, current: IntArray) -> float:
        values = self._projected(self._values(view, current))
        place = (int(current[0]), int(current[-1]))
        return self._distance.score(values, derive(view.seed, "drift", self._distance.name, "current", *place))

    def _projected(self, values: torch.Tensor) -> torch.Tensor:
        return values if self._pca is None else self._pca.transform(values)

    def _values(self, view: View, keys: IntArray) -> torch.Tensor:
        import torch

        return torch.from_numpy(self._read(view, keys)).to(view.device)

    def _read(self, view: View, keys: IntArray) -> NDArray[Any]:
        if self._distance.reads == "labels":
            return view.labels(keys)
        if self._distance.reads == "probabilities":
            return view.predict(keys)
        if self._representation == "features":
            return self._vectors.transform(view.features(keys))
        return view.embed(keys, model="first" if self._representation == "first_embedding" else "newest")


def _kind(reads: Reads) -> str:
    """Return which samples a distance's windows lie among."""
    return "labelled" if reads == "labels" else "arrived"


def _further(detectors: Mapping[str, Mapping[str, Any]]) -> dict[str, Detector]:
    """Return the further detectors by name.

    Raises:
        RequestError: If one lacks its distance or its decision.
    """
    made = {}
    for name, parts in detectors.items():
        distance, decision = parts.get("distance"), parts.get("decision")
        if not isinstance(distance, Distance) or not isinstance(decision, DecisionRule):
            raise RequestError(
                f"trigger.detectors.{name} needs a distance and a decision: add them with "
                f"+trigger/distance@trigger.detectors.{name}.distance=kolmogorov_smirnov and "
                f"+trigger/decision@trigger.detectors.{name}.decision=threshold"
            )
        made[str(name)] = Detector(distance, decision)
    return made
