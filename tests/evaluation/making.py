"""Triggers, models and test splits for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modyn_bench.config import EvaluationConfig, WindowsConfig
from modyn_bench.seeding import derive
from modyn_bench.types import ModelRecord, Predictions, TriggerRecord


def trigger(
    index: int,
    fired_at: int,
    *,
    model_id: int | None,
    available_at: int | None = None,
    data: tuple[int | None, int | None] = (None, None),
) -> TriggerRecord:
    """Return a trigger at a time, with a model unless ``model_id`` is ``None``, that serves at once by default."""
    model = None
    if model_id is not None:
        model = ModelRecord(
            model_id=model_id,
            trigger_index=index,
            parent_model_id=None,
            data_first_timestamp=data[0],
            data_last_timestamp=data[1],
            available_at=fired_at if available_at is None else available_at,
            num_samples_selected=1,
            num_epochs=1,
            num_optimizer_steps=1,
            forward_passes=1.0,
            backward_passes=2.0,
        )
    return TriggerRecord(
        trigger_index=index,
        fired_at=fired_at,
        first_timestamp=data[0],
        last_timestamp=data[1],
        num_arrived=1,
        num_labelled=1,
        num_selected=1,
        num_empty_periods=0,
        labelled_until=1,
        model=model,
    )


def triggers_at(fired_at: Sequence[int], available_at: Sequence[int] | None = None) -> list[TriggerRecord]:
    """Return triggers that all trained, each on the data since the one before."""
    made = []
    for index, time in enumerate(fired_at):
        first = 0 if index == 0 else fired_at[index - 1] + 1
        available = None if available_at is None else available_at[index]
        made.append(trigger(index, time, model_id=index, available_at=available, data=(first, time)))
    return made


def predictions_by_model(labels: np.ndarray, num_classes: int, *, seed: int = 0):
    """Return a function from a model's id to random predictions, better for later models."""

    def predictions(model_id: int) -> Predictions:
        generator = derive(seed, "predictions", model_id)
        n = len(labels)
        right = generator.random(n) < 0.3 + 0.1 * (model_id % 6)
        predicted = np.where(right, labels, generator.integers(0, num_classes, n)).astype(np.int32)
        probability = generator.uniform(0.2, 1.0, n).astype(np.float32)
        return Predictions(
            first_key=0,
            predicted=predicted,
            confidence=probability,
            label_rank=np.where(predicted == labels, 0, generator.integers(1, max(num_classes, 2), n)).astype(np.int32),
            label_probability=probability,
            loss=-np.log(probability),
        )

    return predictions


def config_of(metrics: Sequence[str] = ("accuracy",), **windows: dict) -> EvaluationConfig:
    """Return a checked configuration with these named sets of windows."""
    config = EvaluationConfig(
        windows={name: WindowsConfig(**options) for name, options in windows.items()}, metrics=list(metrics)
    )
    config.check()
    return config
