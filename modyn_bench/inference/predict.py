"""Predicting a whole split once: everything any metric needs, so that no model ever runs twice on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from modyn_bench.data.loading import super_batches
from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.data.store import Split
from modyn_bench.errors import RunError
from modyn_bench.inference.forward import Forward, evaluating, to_numpy
from modyn_bench.seeding import forked_global_state
from modyn_bench.types import Predictions

_LABELS = "labels"


def predict(
    module: nn.Module,
    preprocessor: Preprocessor,
    split: Split,
    *,
    batch_size: int = 4096,
    keep_probabilities: bool = False,
    device: str = "cpu",
    precision: str = "32-true",
    seed: int = 0,
    on_samples: Callable[[int], None] | None = None,
) -> Predictions:
    """Run a model once over a split.

    Args:
        module: The model.
        preprocessor: What its training fitted.
        split: The samples; every one is predicted.
        batch_size: Samples of a forward pass; the bits of the results depend on it.
        keep_probabilities: Keep all class probabilities, as float16.
        device: Where to run: ``cpu``, ``gpu``, ``mps``.
        precision: Lightning's name of the precision.
        seed: What a model draws that is random even in eval mode derives from it.
        on_samples: Told how many more samples are done.

    Raises:
        RunError: If the model returns NaN.

    Example:
        >>> from modyn_bench.data.store import Column, Schema
        >>> schema = Schema((Column("numeric", "numeric", "float32", (2,), ("a", "b")),), ("no", "yes"))
        >>> split = Split("test", np.arange(1), np.array([1]), {"numeric": np.array([[1, 0]], np.float32)})
        >>> predict(nn.Identity(), Preprocessor(schema, mean=np.zeros(2), scale=np.ones(2)), split).label_rank.tolist()
        [1]
    """
    num_samples, num_classes = len(split), preprocessor.inputs.num_classes
    forward = Forward(module, num_classes=num_classes, device=device, precision=precision)
    predictions = _empty(num_samples, num_classes if keep_probabilities else None)
    columns = {name: split.columns[name] for name in preprocessor.outputs} | {_LABELS: split.labels}
    keys = np.arange(num_samples, dtype=np.int64)
    start = 0
    with evaluating(module), forked_global_state(seed, "prediction"):
        for group in super_batches(columns, keys, [keys], batch_size=batch_size, preprocessor=preprocessor):
            labels = group.arrays.pop(_LABELS)
            for lo in range(0, len(group), batch_size):
                part = slice(lo, min(lo + batch_size, len(group)))
                logits = forward({name: array[part] for name, array in group.arrays.items()})
                size = part.stop - part.start
                _fill(predictions, slice(start, start + size), logits, torch.from_numpy(labels[part]))
                start += size
                if on_samples is not None:
                    on_samples(size)
    if np.isnan(predictions.loss).any():
        key = int(np.flatnonzero(np.isnan(predictions.loss))[0])
        raise RunError(
            f"model {type(module).__name__} returned NaN for sample {key} of the {split.name} split: its training "
            "diverged; lower training.optimizer.lr or set training.clip_norm"
        )
    return predictions


def _empty(num_samples: int, num_classes: int | None) -> Predictions:
    return Predictions(
        first_key=0,
        predicted=np.empty(num_samples, dtype=np.int32),
        confidence=np.empty(num_samples, dtype=np.float64),
        label_rank=np.empty(num_samples, dtype=np.int32),
        label_probability=np.empty(num_samples, dtype=np.float32),
        loss=np.empty(num_samples, dtype=np.float32),
        probabilities=None if num_classes is None else np.empty((num_samples, num_classes), dtype=np.float16),
    )


def _fill(predictions: Predictions, rows: slice, logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Write what a batch's logits say; among equal logits the lower class comes first.

    The first of the largest logits is taken out of the softmax's sum, ``1 + others``, because beside its 1 the others
    of a sure model would be rounded away, and with them the order in which it is sure.
    """
    labels = labels.to(logits.device)[:, None]
    predicted = logits.argmax(dim=1, keepdim=True)
    shifted = logits - logits.gather(1, predicted)
    odds = shifted.exp()  # against the predicted class
    others = odds.scatter(1, predicted, 0.0).sum(dim=1)
    label_logits = shifted.gather(1, labels)
    loss = others.log1p() - label_logits[:, 0]
    predictions.predicted[rows] = predicted[:, 0].cpu().numpy()
    predictions.confidence[rows] = 1.0 / (1.0 + to_numpy(others).astype(np.float64))
    predictions.label_rank[rows] = _ranks(shifted, label_logits, labels).cpu().numpy()
    predictions.label_probability[rows] = to_numpy((-loss).exp())
    predictions.loss[rows] = to_numpy(loss)
    if predictions.probabilities is not None:
        predictions.probabilities[rows] = to_numpy((odds / (1.0 + others[:, None])).half())


def _ranks(logits: torch.Tensor, label_logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return how many classes come before the label, shape (B,): those with a larger logit, or an equal lower class."""
    ranks = (logits > label_logits).sum(dim=1)
    equal = logits == label_logits
    (tied,) = (equal.sum(dim=1) > 1).nonzero(as_tuple=True)
    if len(tied):
        lower = torch.arange(logits.shape[1], device=logits.device) < labels[tied]
        ranks[tied] += (equal[tied] & lower).sum(dim=1)
    return ranks
