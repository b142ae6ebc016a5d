"""How well a pipeline's composite model does on every test sample, from the kept predictions of finished runs.

Shapes: n test samples, S seeds, T periods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from modyn_bench.analysis.finished import finished_run
from modyn_bench.analysis.sample_values import check_sample_values, sample_values
from modyn_bench.config import EvaluationConfig, WindowsConfig, section
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.composite import VARIANTS, assign
from modyn_bench.evaluation.costs import EVALUATION_STAGES
from modyn_bench.evaluation.windows import WindowSet, build_window_sets
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.timespan import SECONDS_PER_UNIT, parse_duration
from modyn_bench.types import BACKWARD, FloatArray, IntArray, ModelRecord, Predictions


@dataclass(frozen=True)
class CompositeScores:
    """What the composite model of one pipeline reaches on every test sample, by seed.

    Every sample counts once, in the period that holds it, and is scored by the model that serves this period.

    Attributes:
        name: The pipeline's name.
        metric: ``accuracy`` or ``top_<k>_accuracy`` (1 where a prediction is right, else 0), or ``loss``.
        variant: ``currently_active`` or ``currently_trained``.
        seeds: The runs' seeds, in increasing order.
        values: Shape (S, n); NaN where no model serves, and outside the periods.
        costs: Sample passes of each run, evaluation left out, shape (S,).
        fingerprint: Of the dataset's source.
        timestamps: Of the test split, in UTC seconds, shape (n,).
        labels: Its classes, shape (n,).
        periods: The period that holds each sample, shape (n,); -1 for none.
        starts: The periods' starts, in UTC seconds, shape (T,).
        every: Their length in words: ``26w``, ``1 month``, or ``1 window`` where lengths differ.
    """

    name: str
    metric: str
    variant: str
    seeds: tuple[int, ...]
    values: FloatArray
    costs: FloatArray
    fingerprint: str
    timestamps: IntArray
    labels: IntArray
    periods: IntArray
    starts: IntArray
    every: str


def composite_scores(
    runs: Sequence[Path],
    *,
    name: str,
    windows: str | WindowsConfig,
    metric: str = "accuracy",
    variant: str = "currently_active",
    min_window_samples: int = 1,
) -> CompositeScores:
    """Read what a pipeline reaches on every test sample from its runs, which differ by their seed.

    The periods are the windows of a set. Of a sliding set, whose windows overlap, they are slices of the length of one
    window, anchored at their starts: a sample of several windows would otherwise count several times, for several
    models. Sliced windows give what ``evaluations.parquet`` gives of them, averaged over their samples.

    Args:
        runs: The directories of finished runs.
        name: What to call the pipeline.
        windows: The name of a set of windows in the runs' own evaluation, or a set's options, such as
            ``WindowsConfig(every="26w")``.
        metric: ``accuracy``, ``top_<k>_accuracy`` or ``loss``.
        variant: ``currently_active`` or ``currently_trained``.
        min_window_samples: Periods with fewer test samples are left out, as an evaluation's windows are.

    Raises:
        RequestError: If two runs have one seed or different test splits; if windows depend on the triggers, or overlap
            without sliding; or if a loss is not finite.
        RunError: If a run is not finished, or is damaged.
    """
    check_sample_values(metric)
    if variant not in VARIANTS:
        raise RequestError(f"variant={variant!r} must be one of {', '.join(VARIANTS)}")
    if not runs:
        raise RequestError(f"{name} has no run: name at least one run directory")
    found = (_of_run(Path(path), name, windows, metric, variant, min_window_samples) for path in runs)
    scores = sorted(found, key=lambda own: own.seeds)
    for path, other in zip(runs[1:], scores[1:], strict=True):
        check_same_split(scores[0], other, f"a run of {name} ({path})")
    seeds = tuple(own.seeds[0] for own in scores)
    if len(set(seeds)) < len(seeds):
        raise RequestError(f"the runs of {name} have the seeds {seeds}: name one run for each seed")
    return replace(
        scores[0],
        seeds=seeds,
        values=np.concatenate([own.values for own in scores]),
        costs=np.concatenate([own.costs for own in scores]),
    )


def check_same_split(a: CompositeScores, b: CompositeScores, who: str) -> None:
    """Check that two were scored on the same test samples, in the same periods.

    Raises:
        RequestError: If they were not; it says what differs, beginning with ``who`` stands for b.
    """
    same = {
        "dataset": a.fingerprint == b.fingerprint,
        "timestamps of the test split": np.array_equal(a.timestamps, b.timestamps),
        "labels of the test split": np.array_equal(a.labels, b.labels),
        "periods": np.array_equal(a.starts, b.starts) and np.array_equal(a.periods, b.periods),
        "metric": a.metric == b.metric,
        "variant": a.variant == b.variant,
    }
    different = [what for what, equal in same.items() if not equal]
    if different:
        raise RequestError(
            f"{who} differs from {a.name} in its {' and '.join(different[:2])}, so their samples cannot be paired: "
            "take runs on one dataset and test split, scored on the same windows by the same metric and variant"
        )


def _of_run(
    path: Path, name: str, windows: str | WindowsConfig, metric: str, variant: str, min_window_samples: int
) -> CompositeScores:
    with finished_run(path) as run:
        timestamps, labels = run.test_split()
        config = _windows_config(run, windows)
        cut = _of_enough_samples(_periods(config, timestamps), min_window_samples)
        models = [part.record.model for part in run.parts() if part.record.model is not None]
        values = np.full(len(timestamps), np.nan)
        serving = assign([model.available_at for model in models], cut.anchors).of(variant)
        for index in np.unique(serving[serving >= 0]):
            bounds = cut.bounds[serving == index]
            _fill(values, bounds, models[index], run.predictions(models[index].model_id), metric, labels)
        tail = run.tail
        parts = [*run.parts(), *([tail] if tail is not None else [])]
        stages = [stage for part in parts for stage in part.stages if stage.stage not in EVALUATION_STAGES]
        if not np.isfinite(values[~np.isnan(values)]).all():
            raise RequestError(f"{path} has an infinite loss on a test sample, so no mean exists: compare by accuracy")
        return CompositeScores(
            name=name,
            metric=metric,
            variant=variant,
            seeds=(int(run.config.get("seed", 0)),),
            values=values[None],
            costs=np.array([sum(stage.forward_passes + BACKWARD * stage.backward_passes for stage in stages)]),
            fingerprint=str(run.manifest["fingerprint"]),
            timestamps=timestamps,
            labels=labels,
            periods=_period_of_samples(cut, len(timestamps)),
            starts=cut.starts,
            every=_in_words(config, cut),
        )


def _windows_config(run: RunDirectory, windows: str | WindowsConfig) -> WindowsConfig:
    """Return a set's options, by its name in the run's own evaluation."""
    if isinstance(windows, WindowsConfig):
        return windows
    sets = (run.config.get("evaluation") or {}).get("windows") or {}
    if windows not in sets:
        raise RequestError(
            f"{run.path} was evaluated on no windows named {windows}; there is {', '.join(sorted(sets)) or 'no set'}. "
            'Give one of these, or options such as WindowsConfig(every="26w")'
        )
    return section(WindowsConfig, sets[windows])


def _periods(config: WindowsConfig, timestamps: IntArray) -> WindowSet:
    """Cut the test split into windows that do not overlap, in time order."""
    config.check("periods")
    if config.kind in ("between_triggers", "offset"):
        raise RequestError(
            f"windows of kind {config.kind} depend on the triggers of each run, so samples cannot be paired by them: "
            "choose a set of kind sliced, sliding or static"
        )
    if config.kind == "sliding":
        length = 2 * parse_duration(config.radius)
        config = replace(config, kind="sliced", every=length, calendar=None, radius=None, anchor="start")
    (cut,) = build_window_sets(EvaluationConfig(windows={"periods": config}), timestamps, ())
    order = np.argsort(cut.starts, kind="stable")
    if np.any(cut.ends[order][:-1] > cut.starts[order][1:]):
        raise RequestError("static windows overlap, and a sample must lie in one period: choose a set of kind sliced")
    parts = {name: getattr(cut, name)[order] for name in ("ids", "starts", "ends", "anchors", "bounds")}
    return replace(cut, **parts)


def _of_enough_samples(cut: WindowSet, minimum: int) -> WindowSet:
    """Leave the windows with fewer test samples empty."""
    few = cut.bounds[:, 1] - cut.bounds[:, 0] < minimum
    if few.all():
        raise RequestError(f"no period holds {minimum} test samples (min_window_samples): choose longer windows")
    bounds = cut.bounds.copy()
    bounds[few, 1] = bounds[few, 0]
    return replace(cut, bounds=bounds)


def _fill(
    values: FloatArray,
    bounds: IntArray,
    model: ModelRecord,
    predictions: Predictions,
    metric: str,
    labels: IntArray,
) -> None:
    """Write a model's values into the samples of the periods that it serves."""
    first, end = predictions.first_key, predictions.first_key + len(predictions)
    asked = bounds[bounds[:, 1] > bounds[:, 0]]
    if len(asked) and (asked[:, 0].min() < first or asked[:, 1].max() > end):
        raise RequestError(
            f"the predictions of model {model.model_id} cover the test samples {first}..{end - 1}, but the periods it "
            f"serves ask for {asked[:, 0].min()}..{asked[:, 1].max() - 1}: choose windows within those of the run"
        )
    own = sample_values(metric, predictions, labels[first:end])
    for low, high in asked:
        values[low:high] = own[low - first : high - first]


def _period_of_samples(cut: WindowSet, num_samples: int) -> IntArray:
    periods = np.full(num_samples, -1, dtype=np.int64)
    for index, (low, high) in enumerate(cut.bounds):
        periods[low:high] = index
    return periods


def _in_words(config: WindowsConfig, cut: WindowSet) -> str:
    """Write the periods' length in the largest unit that it is a whole number of."""
    if config.calendar is not None and config.kind == "sliced":
        return f"1 {config.calendar}"
    lengths = np.unique(cut.ends - cut.starts)
    if len(lengths) > 1:
        return "1 window"
    size, unit = max((size, unit) for unit, size in SECONDS_PER_UNIT.items() if lengths[0] % size == 0)
    return f"{lengths[0] // size}{unit}"
