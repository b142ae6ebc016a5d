"""Whole runs on two devices: what stands in their tables, and stopped in the middle of trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from small import result_bytes, run_small, small_store
from stopping import StopsInTraining

from modyn_bench.data.store import SampleStore
from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.downsampling.forgetting import Forgetting
from modyn_bench.selectors.downsampling.loss import Loss
from modyn_bench.selectors.downsampling.rho_loss import RhoLoss
from modyn_bench.selectors.new_data import NewData
from modyn_bench.triggers.amount import Amount

POLICIES: dict[str, Callable[[], Selector]] = {
    "new_data": NewData,
    "loss": Loss,
    "forgetting": lambda: Forgetting(history=1),
    "rho_loss": lambda: RhoLoss(holdout="twin", mode="sample_then_batch", history=1),
}


@pytest.fixture(scope="module")
def store() -> SampleStore:
    """91 samples, two a second."""
    return small_store([i // 2 for i in range(91)])


def run(root: Path, store: SampleStore, selector: Selector, *, stop: int = 0) -> Path:
    training = {
        "batch_size": 8,
        "devices": 2,
        "carry_optimizer": True,
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.1},
    }
    return run_small(
        root, store, Amount(30), selector, training=training, observers=[StopsInTraining(stop)] if stop else []
    )


@pytest.mark.parametrize("name", POLICIES)
def test_a_run_on_two_devices_is_counted_and_resumes_to_the_same_bytes(
    name: str, store: SampleStore, tmp_path: Path
) -> None:
    path = run(tmp_path / "whole", store, POLICIES[name]())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", store, POLICIES[name](), stop=3)
    assert result_bytes(run(tmp_path / "parts", store, POLICIES[name]())) == result_bytes(path)
    stages, models = pd.read_parquet(path / "stages.parquet"), pd.read_parquet(path / "models.parquet")
    assert len(models) == 4
    train = stages[stages.stage == "train"].set_index("trigger_index")
    for index in models.trigger_index:
        selection = pd.read_parquet(path / "triggers" / f"{index:05d}" / "selection.parquet")
        uses = selection.num_uses.sum() if "num_uses" in selection else 2 * len(selection)
        assert uses == train.backward_passes[index] == train.forward_passes[index]
