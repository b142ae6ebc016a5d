"""What lies ahead in the stream has no way into what is trained before it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import result_bytes, run_small, small_store

from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.data.recipes.table import TableRecipe
from modyn_bench.data.store import SampleStore, Split
from modyn_bench.jobs import run_job
from modyn_bench.preflight import check_jobs
from modyn_bench.seeding import derive
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.time import Time

CHANGE = 30  # the future begins at this second


def changed_ahead(store: SampleStore, scale: float) -> SampleStore:
    """The same store, but after ``CHANGE`` every feature and label of the train split is another."""
    train = store.splits["train"]
    late = train.timestamps >= CHANGE
    features = np.where(late[:, None], train.columns["numeric"] * scale + 5, train.columns["numeric"])
    labels = np.where(late, (train.labels + 1) % 3, train.labels)
    split = Split("train", train.timestamps, labels, {"numeric": features.astype(np.float32)})
    return SampleStore(
        store.path,
        name=store.name,
        schema=store.schema,
        fingerprint=f"{store.fingerprint}-{scale}",
        notes=(),
        splits={**store.splits, "train": split},
    )


@pytest.mark.parametrize("scale", [1000.0, -1e-3])
def test_triggers_before_a_change_do_not_know_of_it(scale: float, tmp_path: Path) -> None:
    """Byte by byte: selections, models with their preprocessing, predictions, states, decisions."""
    store = small_store([i // 2 for i in range(100)])
    results = []
    for each in (store, changed_ahead(store, scale)):
        trigger = Ensemble({"t": Time("8s")})
        run = run_small(tmp_path / each.fingerprint, each, trigger, Uniform(ratio=0.6, history=2))
        results.append(result_bytes(run))
    triggers = pd.read_parquet(run / "triggers.parquet")
    before = triggers[triggers.fired_at < CHANGE].trigger_index.tolist()
    assert before == [0, 1, 2]
    names = [name for name in results[0] if name.split("/")[0] == "triggers" and int(name.split("/")[1]) in before]
    assert any("predictions" in name for name in names)
    for name in names:
        if "/model/" not in name:  # older models are not kept
            assert results[0][name] == results[1][name], name
    late = "triggers/00005/predictions.npz"
    assert results[0][late] != results[1][late]  # the change is felt once it has arrived


def leaking_table(path: Path, *, leak: bool) -> Path:
    """A feature whose later values are a million times larger, or not, and a category that comes late."""
    generator = derive(0, "leak")
    n = 600
    label = generator.integers(0, 2, n)
    late = np.arange(n) >= 400
    x = generator.normal(size=n) + 0.5 * label
    frame = pd.DataFrame(
        {
            "x": np.where(late & leak, x * 1e6, x),
            "c": np.where(late & leak, "unseen", np.where(label == 1, "p", "q")),
            "y": label,
        }
    )
    frame.to_csv(path, index=False)
    return path


def test_scaling_and_vocabularies_are_the_first_triggers(tmp_path: Path) -> None:
    """Through the command's own path, from file to model: the fitted state is that of the first 150 rows alone."""
    fitted = []
    for leak in (False, True):
        folder = tmp_path / str(leak)
        folder.mkdir()
        path = leaking_table(folder / "table.csv", leak=leak)
        overrides = [
            "dataset=table",
            f"dataset.path={path}",
            "dataset.timestamp=null",
            "dataset.label=y",
            "dataset.test_split=block",
            "dataset.test_block=50",
            "trigger=amount",
            "trigger.num_samples=100",
            "logger=none",
            "runs.keep_models=all",
            f"root={folder / 'outputs'}",
            f"data_dir={folder / 'stores'}",
        ]
        result = run_job(check_jobs(overrides)[0].config)
        saved = [
            json.loads(file.read_text())["preprocessing"]
            for file in sorted(result.path.glob("triggers/*/model/model.json"))
        ]
        recipe = TableRecipe(path=str(path), timestamp=None, label="y", test_split="block", test_block=50)
        store = recipe.prepare(folder / "stores")
        by_hand = Preprocessor.fit(store.schema, store.splits["train"], np.arange(100))
        assert len(saved) >= 4
        assert all(each == by_hand.to_json() for each in saved)
        fitted.append(saved[0])
    assert fitted[0] == fitted[1]
    assert abs(fitted[1]["mean"][0]) < 1
    assert "unseen" not in fitted[1]["vocabularies"][0]
