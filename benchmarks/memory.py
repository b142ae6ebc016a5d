"""Memory over many trainings: resident size must not grow.

Run: ``python benchmarks/memory.py [--fits 500]`` (a minute or two). A model of 17 MB, each training from the last one,
saved every 50 trainings as a run saves it. Printed are the resident size as trainings pass and its growth from the
tenth of them on. Without collecting after each training, Lightning's reference cycles keep every model alive.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from modyn_bench.config import TrainingConfig
from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.inference.predict import predict
from modyn_bench.seeding import derive
from modyn_bench.training.trained import TrainedModel
from modyn_bench.training.trainer import ModelTrainer
from modyn_bench.types import Selection

NUM_BUCKETS, SAMPLES = 65_535, 256


def resident_megabytes() -> float:
    """Resident size of this process, from Linux's own account."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """Train again and again, and print the resident size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=500)
    fits = parser.parse_args().fits
    schema = Schema((Column("tokens", "tokens", "uint16", (16,), num_values=NUM_BUCKETS),), tuple("abcdefgh"))
    generator = derive(0, "benchmark")
    total = SAMPLES * 40
    tokens = generator.integers(1, NUM_BUCKETS + 1, (total, 16)).astype(np.uint16)
    split = Split("train", np.arange(total), generator.integers(0, 8, total), {"tokens": tokens})
    config = TrainingConfig(epochs=1, batch_size=64, optimizer={"_target_": "torch.optim.Adagrad", "lr": 0.05})
    model = {"_target_": "modyn_bench.models.auto"}
    trainer = ModelTrainer(model=model, config=config, schema=schema, split=split, seed=0)
    trained: TrainedModel | None = None
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(fits):
            keys = (np.arange(SAMPLES) + index * SAMPLES) % total
            trained = trainer.fit(Selection.unweighted(keys), trained, last_key=index)
            if index % 50 == 0:
                trainer.save(trained, Path(folder))
                predict(trained.module, trained.preprocessor, split)
            sizes.append(resident_megabytes())
            if index % max(fits // 10, 1) == 0 or index == fits - 1:
                print(f"training {index:5d}   resident {sizes[-1]:8.1f} MB", flush=True)
    assert trained is not None
    model_size = sum(tensor.numel() * tensor.element_size() for tensor in trained.module.state_dict().values()) / 2**20
    first = min(10, fits - 1)
    growth = sizes[-1] - sizes[first]
    print(f"growth from training {first} to {fits - 1}: {growth:.1f} MB; one model has {model_size:.1f} MB")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
