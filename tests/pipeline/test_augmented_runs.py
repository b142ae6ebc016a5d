"""Runs whose training batches are augmented: stopped anywhere, on two devices, and evaluated on what is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from small import result_bytes, run_small, small_store
from stopping import StopsAfterTrigger, StopsInTraining

from modyn_bench.data.store import SampleStore
from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.downsampling.loss import Loss
from modyn_bench.selectors.downsampling.rho_loss import RhoLoss
from modyn_bench.selectors.new_data import NewData
from modyn_bench.training.augmentation import Draws
from modyn_bench.triggers.amount import Amount


class Noise:
    """Adds noise of both kinds: drawn for a sample, and from torch's global state."""

    def __call__(self, batch: torch.Tensor, draws: Draws) -> torch.Tensor:
        return batch + torch.from_numpy(draws.uniform("noise")).to(batch)[:, None] + 0.1 * torch.rand_like(batch)


class Blind:
    """Leaves nothing to be seen."""

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(batch)


NOISE = {"augmentation": {"own": {"_target_": f"{__name__}.Noise"}}}
SELECTORS: dict[str, Callable[[], Selector]] = {
    "new_data": NewData,
    "loss": lambda: Loss(ratio=0.5),
    "loss_of_all": lambda: Loss(ratio=0.5, mode="sample_then_batch"),
    "rho_loss": lambda: RhoLoss(ratio=0.5, holdout_ratio=0.3),
}


@pytest.fixture(scope="module")
def store() -> SampleStore:
    """100 samples, two a second at seconds 0 to 49."""
    return small_store([i // 2 for i in range(100)])


@pytest.mark.parametrize("name", SELECTORS)
def test_stopped_anywhere_it_ends_with_the_same_bytes(name: str, store: SampleStore, tmp_path: Path) -> None:
    expected = run_small(tmp_path / "whole", store, Amount(25), SELECTORS[name](), training=NOISE)
    plain = run_small(tmp_path / "plain", store, Amount(25), SELECTORS[name]())
    assert result_bytes(plain) != result_bytes(expected)
    for stops in (StopsInTraining(5), StopsAfterTrigger(2)):
        root = tmp_path / type(stops).__name__
        with pytest.raises(KeyboardInterrupt):
            run_small(root, store, Amount(25), SELECTORS[name](), training=NOISE, observers=[stops])
        resumed = run_small(root, store, Amount(25), SELECTORS[name](), training=NOISE)
        assert result_bytes(resumed) == result_bytes(expected)


def test_what_is_evaluated_is_not_augmented(store: SampleStore, tmp_path: Path) -> None:
    """A model that was trained blind has the same answer for all; evaluated blind, one that sees had it as well."""
    untrained = {"optimizer": {"_target_": "torch.optim.SGD", "lr": 0.0}}
    blind = {**untrained, "augmentation": {"_target_": f"{__name__}.Blind"}}
    one = run_small(tmp_path / "plain", store, Amount(50), training=untrained)
    other = run_small(tmp_path / "blind", store, Amount(50), training=blind)
    tables = [pd.read_parquet(run / "evaluations.parquet") for run in (one, other)]
    pd.testing.assert_frame_equal(*tables)


def test_the_same_run_has_the_same_bytes_on_two_devices_again(store: SampleStore, tmp_path: Path) -> None:
    training = {**NOISE, "devices": 2, "batch_size": 8}
    runs = [run_small(tmp_path / name, store, Amount(50), training=training) for name in ("one", "other")]
    assert result_bytes(runs[0]) == result_bytes(runs[1])
