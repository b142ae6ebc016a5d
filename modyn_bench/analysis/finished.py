"""Opening a finished run for what its tables do not hold: predictions of single samples, and when labels were known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modyn_bench.errors import RunError
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.types import Predictions


@contextmanager
def finished_run(path: Path) -> Iterator[RunDirectory]:
    """Open a finished run, which is locked meanwhile.

    Raises:
        RunError: If it is no run directory, is damaged or locked, or is not finished.
    """
    with RunDirectory.reopen(Path(path)) as run:
        if not run.done:
            raise RunError(f"{path} is not finished: run the same command again, which resumes it")
        yield run


def whole_predictions(run: RunDirectory, model_id: int, num_samples: int) -> Predictions:
    """Read what a model said of a test split of so many samples.

    Raises:
        RunError: If it did not predict all of them, or its predictions are damaged.
    """
    predictions = run.predictions(model_id)
    if predictions.first_key != 0 or len(predictions) != num_samples:
        raise RunError(
            f"model {model_id} of {run.path} predicted {len(predictions)} test samples from key "
            f"{predictions.first_key} on, but the test split has {num_samples}: delete the run and start it anew"
        )
    return predictions
