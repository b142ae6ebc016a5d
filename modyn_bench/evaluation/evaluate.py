"""The evaluation matrix and the composite models, from kept predictions: two tables.

Shapes: n test samples, M models, W windows of a set, K metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from modyn_bench.config import EvaluationConfig
from modyn_bench.errors import DataError, RequestError, RunError
from modyn_bench.evaluation.composite import VARIANTS, Assignment, assign
from modyn_bench.evaluation.windows import WindowSet, build_window_sets
from modyn_bench.metrics import check_metric, compute, needs_probabilities
from modyn_bench.types import FloatArray, IntArray, ModelRecord, Predictions, TriggerRecord

EVALUATIONS_SCHEMA = pa.schema(
    [
        pa.field("window_set", pa.string(), nullable=False),
        pa.field("window_id", pa.int64(), nullable=False),
        pa.field("window_start", pa.int64(), nullable=False),
        pa.field("window_end", pa.int64(), nullable=False),
        pa.field("anchor", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("model_id", pa.int64(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("num_samples", pa.int64(), nullable=False),
        pa.field("currently_active", pa.bool_(), nullable=False),
        pa.field("currently_trained", pa.bool_(), nullable=False),
    ]
)
COMPOSITE_SCHEMA = pa.schema(
    [
        pa.field("window_set", pa.string(), nullable=False),
        pa.field("variant", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("aggregate", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("coverage", pa.float64(), nullable=False),
        pa.field("num_windows", pa.int64(), nullable=False),
        pa.field("num_triggers", pa.int64(), nullable=False),
    ]
)

ModelValues = Mapping[str, FloatArray]
"""One model's metrics by window set: shape (K, the set's windows that the model is evaluated in); NaN is undefined."""


@dataclass(frozen=True)
class EvaluationTables:
    """What an evaluation writes.

    Attributes:
        evaluations: The evaluation matrix, one row per window set, model, window and metric, in that order: sets by
            name, models and windows by id, metrics as configured. With ``evaluation.models: composite`` only the cells
            that a composite model serves. Offset windows belong to one model each, and to no composite model.
        composite: One row per window set, variant, metric and aggregate. ``coverage`` is the share of the set's
            ``num_windows`` windows, empty ones included, in which the composite model has a defined value;
            ``num_triggers`` counts the run's triggers that trained a model.
    """

    evaluations: pa.Table
    composite: pa.Table


def check_evaluation(config: EvaluationConfig, *, test_timestamps: IntArray, num_classes: int) -> None:
    """Check, before a model is trained, that an evaluation can be made once all are.

    Args:
        config: The evaluation's configuration.
        test_timestamps: Of the evaluated split, shape (n,).
        num_classes: C.

    Raises:
        RequestError: If an option is out of range, a metric does not exist or does not suit the classes, all class
            probabilities exceed their budget, or a set of windows lies outside the split.
        DataError: If the split is empty.
    """
    config.check()
    for metric in config.metrics:
        check_metric(metric, num_classes=num_classes, roc_auc_max_classes=config.roc_auc_max_classes)
        size = len(test_timestamps) * num_classes * 2
        if needs_probabilities(metric, num_classes=num_classes) and size > config.max_probabilities_bytes:
            raise RequestError(
                f"evaluation.metrics: {metric} needs all class probabilities, {size:,} bytes a model, but "
                f"evaluation.max_probabilities_bytes={config.max_probabilities_bytes:,}: raise it or drop the metric"
            )
    build_window_sets(config, test_timestamps, ())


def evaluate(
    config: EvaluationConfig,
    *,
    timestamps: IntArray,
    labels: IntArray,
    num_classes: int,
    triggers: Sequence[TriggerRecord],
    predictions: Callable[[int], Predictions],
) -> EvaluationTables:
    """Compute the evaluation matrix and the composite models of a run.

    Args:
        config: The evaluation's configuration.
        timestamps: Of the test split, non-decreasing, shape (n,).
        labels: Its class indices, shape (n,).
        num_classes: C.
        triggers: All triggers of the run, in order.
        predictions: Returns the predictions of a model, by its id; called once per model, so one model's are in memory
            at a time.

    Raises:
        RequestError: If a metric or a set of windows cannot be had.
        DataError: If the test split is empty, or a label is no class index.
        RunError: If predictions do not cover the windows.
    """
    timestamps, labels = np.asarray(timestamps), np.asarray(labels)
    if len(labels) != len(timestamps):
        raise DataError(f"the {config.split} split has {len(timestamps)} timestamps, but {len(labels)} labels")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise DataError(
            f"labels of the {config.split} split lie in {labels.min()}..{labels.max()}, but there are {num_classes} "
            "classes: a sample without a label cannot be evaluated"
        )
    check_evaluation(config, test_timestamps=timestamps, num_classes=num_classes)
    window_sets = build_window_sets(config, timestamps, triggers)

    def values(model_id: int) -> ModelValues:
        return model_values(
            config, window_sets, predictions(model_id), labels=labels, num_classes=num_classes, model_id=model_id
        )

    return assemble(config, window_sets, triggers=triggers, values=values)


def model_values(
    config: EvaluationConfig,
    window_sets: Sequence[WindowSet],
    predictions: Predictions,
    *,
    labels: IntArray,
    num_classes: int,
    model_id: int,
) -> ModelValues:
    """Compute one model's metrics in all of its windows: what remains of its predictions once they are dropped.

    Args:
        config: The evaluation's configuration.
        window_sets: From ``build_window_sets``.
        predictions: The model's; they may cover part of the split.
        labels: Of the whole split, shape (n,).
        num_classes: C.
        model_id: The model's id.

    Raises:
        RunError: If the predictions do not cover a window.
    """
    first, end = predictions.first_key, predictions.first_key + len(predictions)
    if end > len(labels):
        raise RunError(
            f"the predictions of model {model_id} cover the test samples {first}..{end - 1}, but the split holds "
            f"{len(labels)}: they were made for another one"
        )
    values = {}
    for windows in window_sets:
        of_model = windows.of_model(model_id)
        bounds = windows.bounds[of_model]
        sizes = bounds[:, 1] - bounds[:, 0]
        asked = bounds[sizes > 0]
        if len(asked) and (asked[:, 0].min() < first or asked[:, 1].max() > end):
            raise RunError(
                f"the predictions of model {model_id} cover the test samples {first}..{end - 1}, but windows of "
                f"{windows.name} ask for {asked[:, 0].min()}..{asked[:, 1].max() - 1}: give the windows to a new run"
            )
        positions = np.clip(bounds - first, 0, len(predictions))  # moves empty windows only
        made = np.empty((len(config.metrics), len(bounds)))
        for row, metric in enumerate(config.metrics):
            made[row] = compute(
                metric,
                predictions,
                labels[first:end],
                positions,
                num_classes=num_classes,
                f1_classes=config.f1_classes,
                ece_bins=config.ece_bins,
            )
        made[:, sizes < config.min_window_samples] = np.nan
        values[windows.name] = made
    return values


def assemble(
    config: EvaluationConfig,
    window_sets: Sequence[WindowSet],
    *,
    triggers: Sequence[TriggerRecord],
    values: Callable[[int], ModelValues],
) -> EvaluationTables:
    """Make the tables from every model's metrics.

    Args:
        config: The evaluation's configuration.
        window_sets: From ``build_window_sets``.
        triggers: All triggers of the run, in order.
        values: Returns a model's metrics, by its id; called once per model, in order.
    """
    models = [trigger.model for trigger in triggers if trigger.model is not None]
    cells = [values(model.model_id) for model in models]
    matrices: list[pa.Table] = []
    composites: list[pa.Table] = []
    for windows in window_sets:
        assignment = assign([model.available_at for model in models], windows.anchors)
        by_model = [each[windows.name] for each in cells]
        matrices.append(_matrix(config, windows, models, assignment, by_model))
        if windows.model_ids is None:
            composites.append(_composite(config, windows, assignment, by_model))
    return EvaluationTables(
        evaluations=pa.concat_tables([EVALUATIONS_SCHEMA.empty_table(), *matrices]).combine_chunks(),
        composite=pa.concat_tables([COMPOSITE_SCHEMA.empty_table(), *composites]).combine_chunks(),
    )


def _matrix(
    config: EvaluationConfig,
    windows: WindowSet,
    models: Sequence[ModelRecord],
    assignment: Assignment,
    cells: Sequence[FloatArray],
) -> pa.Table:
    """Return the rows of one set of windows: by model, window and metric."""
    num_metrics = len(config.metrics)
    places, owners, served, values = [], [], [], []
    for index, model in enumerate(models):
        place = windows.of_model(model.model_id)
        serves = np.stack([assignment.of(variant)[place] == index for variant in VARIANTS])
        if windows.model_ids is not None:
            serves[:] = False
        keep = serves.any(axis=0) | (config.models == "all") | (windows.model_ids is not None)
        places.append(place[keep])
        owners.append(np.full(int(keep.sum()), model.model_id))
        served.append(serves[:, keep])
        values.append(cells[index][:, keep].T.ravel())
    place = np.concatenate([np.zeros(0, np.int64), *places])
    active, trained = np.concatenate([np.zeros((2, 0), np.bool_), *served], axis=1)
    spread = place.repeat(num_metrics)
    num_rows = len(spread)
    columns = {
        "window_set": _constant(windows.name, num_rows),
        "window_id": windows.ids[spread],
        "window_start": windows.starts[spread],
        "window_end": windows.ends[spread],
        "anchor": windows.anchors[spread],
        "split": _constant(config.split, num_rows),
        "model_id": np.concatenate([np.zeros(0, np.int64), *owners]).repeat(num_metrics),
        "metric": _cycled(config.metrics, len(place)),
        "value": _nullable(np.concatenate([np.zeros(0), *values])),
        "num_samples": windows.num_samples[spread],
        "currently_active": active.repeat(num_metrics),
        "currently_trained": trained.repeat(num_metrics),
    }
    return pa.table([pa.array(column) for column in columns.values()], schema=EVALUATIONS_SCHEMA)


def _composite(
    config: EvaluationConfig, windows: WindowSet, assignment: Assignment, cells: Sequence[FloatArray]
) -> pa.Table:
    """Return the rows of one set of windows: by variant, metric and aggregate."""
    rows = []
    for variant in VARIANTS:
        serving = assignment.of(variant)
        values = np.full((len(config.metrics), len(windows)), np.nan)
        for index, cell in enumerate(cells):
            values[:, serving == index] = cell[:, serving == index]
        for metric, row in zip(config.metrics, values, strict=True):
            coverage = float(np.mean(~np.isnan(row)))
            rows += [
                {
                    "window_set": windows.name,
                    "variant": variant,
                    "metric": metric,
                    "aggregate": name,
                    "value": aggregate(name, row, lengths=windows.ends - windows.starts, sizes=windows.num_samples),
                    "coverage": coverage,
                    "num_windows": len(windows),
                    "num_triggers": len(cells),
                }
                for name in config.aggregates
            ]
    return pa.Table.from_pylist(rows, schema=COMPOSITE_SCHEMA)


def aggregate(name: str, values: FloatArray, *, lengths: IntArray, sizes: IntArray) -> float | None:
    r"""Average a composite model's values over the windows in which they are defined.

    .. math:: \frac{\sum_w c_w v_w}{\sum_w c_w}

    Args:
        name: The weights :math:`c_w`: ``mean`` gives every window the same, ``time_weighted`` its length,
            ``sample_weighted`` its number of samples.
        values: Shape (W,); NaN is undefined.
        lengths: Of the windows, in seconds, shape (W,).
        sizes: Test samples of the windows, shape (W,).

    Returns:
        The average, or ``None`` where no value is defined.

    Example:
        >>> values, lengths, sizes = np.array([1.0, 0.0, np.nan]), np.array([10, 30, 10]), np.array([9, 1, 0])
        >>> [aggregate(name, values, lengths=lengths, sizes=sizes) for name in ("mean", "time_weighted")]
        [0.5, 0.25]
        >>> aggregate("sample_weighted", values, lengths=lengths, sizes=sizes)
        0.9
    """
    defined = ~np.isnan(values)
    if not defined.any():
        return None
    weights = {"mean": np.ones_like(values), "time_weighted": lengths, "sample_weighted": sizes}[name][defined]
    return float((values[defined] * weights).sum() / weights.sum())


def _nullable(values: FloatArray) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _constant(text: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), count)


def _cycled(names: Sequence[str], times: int) -> pa.Array:
    codes = np.tile(np.arange(len(names), dtype=np.int32), times)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(names), pa.string())).cast(pa.string())
