"""How far a composite model's confidence is from its accuracy, over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from modyn_bench.analysis.finished import finished_run, whole_predictions
from modyn_bench.config import EvaluationConfig, evaluation_config
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.composite import VARIANTS, assign
from modyn_bench.evaluation.windows import WindowSet, build_window_sets
from modyn_bench.metrics import compute
from modyn_bench.metrics.windowed import Windowed
from modyn_bench.runs.directory import RunDirectory

_MEASURES = ["ece", "accuracy", "confidence", "overconfidence"]


def calibration_over_time(
    run: Path, *, window_set: str | None = None, variant: str = "currently_active", ece_bins: int | None = None
) -> pd.DataFrame:
    r"""Return the calibration of a run's composite model in every window.

    .. math:: \text{ECE} = \sum_{b=1}^{B} \frac{n_b}{n} | \text{accuracy}_b - \text{confidence}_b |, \qquad
        \text{overconfidence} = \text{confidence} - \text{accuracy}

    Confidence is the mean probability of the predicted class. The expected calibration error is that of the metric
    ``ece``; it cannot be negative and grows with noise in small windows, overconfidence has a sign and does not.

    Args:
        run: The directory of a finished run.
        window_set: One of the run's; default: the first that is no offset from a model's data.
        variant: ``currently_active`` or ``currently_trained``, by windows' anchors.
        ece_bins: B; ``None``: as the run's evaluation says.

    Returns:
        One row per window: window_id, window_start, window_end, anchor, num_samples, model_id (null where none serves),
        ece, accuracy, confidence, overconfidence (null where no model serves, or the window has fewer samples than
        ``evaluation.min_window_samples``).

    Raises:
        RequestError: If there is no such set, or an option is wrong.
        RunError: If the run is not finished, locked or damaged.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3; Ovadia et al., Can You Trust Your
        Model's Uncertainty? Evaluating Predictive Uncertainty under Dataset Shift, NeurIPS 2019 (over shifted data).
    """
    if variant not in VARIANTS:
        raise RequestError(f"variant={variant!r} must be one of {', '.join(VARIANTS)}")
    if ece_bins is not None and ece_bins < 1:
        raise RequestError(f"ece_bins={ece_bins} must be at least 1, or None for the evaluation's")
    with finished_run(run) as opened:
        config = evaluation_config(opened.config["evaluation"])
        windows = _windows(opened, config, window_set)
        models = [part.record.model for part in opened.parts() if part.record.model is not None]
        serving = assign([model.available_at for model in models], windows.anchors).of(variant)
        measures = {name: np.full(len(windows), np.nan) for name in _MEASURES}
        for place in np.unique(serving[serving >= 0]).tolist():
            served = (serving == place) & (windows.num_samples >= config.min_window_samples)
            of_model = _measure(opened, models[place].model_id, windows.bounds[served], ece_bins or config.ece_bins)
            for name, values in of_model.items():
                measures[name][served] = values
    ids = pd.array([models[place].model_id if place >= 0 else None for place in serving], dtype="Int64")
    return pd.DataFrame(
        {
            "window_id": windows.ids,
            "window_start": windows.starts,
            "window_end": windows.ends,
            "anchor": windows.anchors,
            "num_samples": windows.num_samples,
            "model_id": ids,
            **measures,
        }
    )


def _windows(run: RunDirectory, config: EvaluationConfig, wanted: str | None) -> WindowSet:
    """Return a set of the run's windows."""
    times, _ = run.test_split()
    sets = {made.name: made for made in build_window_sets(config, times, [part.record for part in run.parts()])}
    shared = [name for name in config.windows if sets[name].model_ids is None]
    if wanted is not None and wanted not in shared:
        raise RequestError(
            f"window_set={wanted!r} is none that a composite model is made of in {run.path}; "
            f"there is {', '.join(shared) or 'none'}"
        )
    if not shared:
        raise RequestError(f"{run.path} was evaluated on offset windows alone, of which no composite model is made")
    return sets[wanted or shared[0]]


def _measure(run: RunDirectory, model_id: int, bounds: np.ndarray, ece_bins: int) -> dict[str, np.ndarray]:
    """Return a model's measures in windows of the test split, each of shape (W,)."""
    _, labels = run.test_split()
    predictions = whole_predictions(run, model_id, len(labels))
    windows = Windowed(bounds, len(labels))
    num_classes = len(run.manifest["dataset"]["classes"])
    ece = compute("ece", predictions, labels, bounds, num_classes=num_classes, ece_bins=ece_bins)
    accuracy = compute("accuracy", predictions, labels, bounds, num_classes=num_classes)
    sizes = np.where(windows.sizes > 0, windows.sizes, np.nan)
    confidence = windows.sum(predictions.confidence) / sizes
    return {"ece": ece, "accuracy": accuracy, "confidence": confidence, "overconfidence": confidence - accuracy}
