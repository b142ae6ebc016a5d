"""Pretrained language models by the command, on the bundled titles: repeated, interrupted, moved, edited, wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from language import write_language_model
from safetensors.torch import load_file, save_file
from small import result_bytes

from modyn_bench.cli import main
from modyn_bench.tracking.progress import Progress

OPTIONS = [
    "dataset.used_fraction=0.003",
    "dataset.max_tokens=16",
    "model=pretrained_text",
    "training.optimizer={_target_: torch.optim.AdamW, lr: 1e-3}",
    "training.epochs=2",
    "logger=none",
]
DRIFT = [
    "trigger=drift",
    "trigger.interval=60",
    "trigger.warmup_intervals=1",
    "trigger.windows.reference_size=8y",
    "trigger.windows.current_size=8y",
    "trigger/decision=threshold",
    "trigger.decision.threshold=-1",
    "selector=margin",
]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder, with a language model."""
    folder = tmp_path_factory.mktemp("user")
    write_language_model(folder / "distilbert")
    return folder


def run(user: Path, root: str, *words: str, model: str = "distilbert") -> int:
    places = [f"{key}={user / model}" for key in ("dataset.tokenizer", "model.path")]
    return main(["run", *OPTIONS, *places, f"root={user / root}", f"data_dir={user / 'stores'}", *words])


def runs_of(user: Path, root: str) -> list[Path]:
    return sorted(path.parent for path in (user / root).glob("*/DONE"))


@pytest.fixture(scope="module")
def straight(user: Path) -> Path:
    assert run(user, "straight", *DRIFT) == 0
    (done,) = runs_of(user, "straight")
    return done


def test_a_policy_that_looks_at_embeddings_runs(straight):
    decisions = pd.read_parquet(straight / "decisions.parquet")
    assert decisions.score.notna().any()
    models = pd.read_parquet(straight / "models.parquet")
    assert len(models) > 2
    assert (models.backward_passes > 0).all()
    composite = pd.read_parquet(straight / "composite.parquet")
    assert composite[composite.metric == "accuracy"].value.dropna().between(0, 1).all()


def test_a_model_learns_and_is_written_with_all_its_weights(straight, user):
    (weights,) = (straight / "triggers").glob("*/model/*.safetensors")
    published, trained = load_file(user / "distilbert" / "model.safetensors"), load_file(weights)
    assert {f"encoder.{name}" for name in published} | {"head.weight", "head.bias"} == set(trained)
    moved = [name for name, value in published.items() if not value.equal(trained[f"encoder.{name}"])]
    assert len(moved) == len(published)


def test_repeated_and_interrupted_runs_have_the_same_bytes(straight, user, monkeypatch):
    expected = result_bytes(straight)
    assert run(user, "again", *DRIFT) == 0
    (again,) = runs_of(user, "again")
    assert (again.name, result_bytes(again)) == (straight.name, expected)
    committed = []

    def interrupt(self, record):
        committed.append(record)
        if len(committed) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "on_trigger", interrupt)
    assert run(user, "interrupted", *DRIFT) == 130
    assert runs_of(user, "interrupted") == []
    monkeypatch.undo()
    assert run(user, "interrupted", *DRIFT) == 0
    (resumed,) = runs_of(user, "interrupted")
    assert (resumed.name, result_bytes(resumed)) == (straight.name, expected)


def test_a_moved_folder_is_the_same_run_and_edited_weights_are_another(straight, user, capsys):
    shutil.copytree(user / "distilbert", user / "moved")
    assert run(user, "straight", *DRIFT, model="moved") == 0
    assert runs_of(user, "straight") == [straight], "it is done already"
    shutil.copytree(user / "distilbert", user / "edited")
    weights = load_file(user / "edited" / "model.safetensors")
    save_file({name: value * 1.5 for name, value in weights.items()}, user / "edited" / "model.safetensors")
    assert run(user, "straight", *DRIFT, model="edited") == 0
    assert len(runs_of(user, "straight")) == 2
    assert len(list((user / "stores" / "stores").glob("arxiv-*"))) == 1, "of all these there is one store"


def test_weights_that_change_while_a_run_goes_on_are_told(user, monkeypatch, capsys):
    shutil.copytree(user / "distilbert", user / "changing")
    weights = load_file(user / "changing" / "model.safetensors")

    def change(self, record):
        save_file({name: value * 1.5 for name, value in weights.items()}, user / "changing" / "model.safetensors")

    monkeypatch.setattr(Progress, "on_trigger", change)
    assert run(user, "changing-runs", "trigger.every=9y", model="changing") == 1
    assert "what model.path names changed while" in capsys.readouterr().err
    assert runs_of(user, "changing-runs") == []


def loss_of(user: Path, precision: str) -> float:
    words = ["trigger=never", "training.epochs=1", f"training.precision={precision}"]
    assert run(user, precision, *words) == 0
    (done,) = runs_of(user, precision)
    composite = pd.read_parquet(done / "composite.parquet")
    (loss,) = composite.query("metric == 'loss' and variant == 'currently_trained' and aggregate == 'mean'").value
    return loss


def test_other_precisions_round_alone(user):
    expected = loss_of(user, "32-true")
    assert loss_of(user, "64-true") == pytest.approx(expected, abs=0.02)  # it draws other numbers for dropout
    assert loss_of(user, "bf16-mixed") == pytest.approx(expected, abs=0.02)
    assert loss_of(user, "bf16-true") == pytest.approx(expected, abs=0.1)


def test_from_scratch_each_model_begins_with_the_folders_weights(user):
    """With a learning rate of 0 they are what they were, and W is another."""
    optimizer = "training.optimizer={_target_: torch.optim.SGD, lr: 0.0}"
    words = ["trigger.every=9y", "training.start_from=scratch", "training.epochs=1", "runs.keep_models=all", optimizer]
    assert run(user, "scratch", *words) == 0
    (done,) = runs_of(user, "scratch")
    models = [load_file(path) for path in sorted((done / "triggers").glob("*/model/*.safetensors"))]
    assert len(models) > 1
    published = load_file(user / "distilbert" / "model.safetensors")
    for model in models:
        assert all(value.equal(model[f"encoder.{name}"]) for name, value in published.items())
    assert not models[0]["head.weight"].equal(models[1]["head.weight"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dataset.tokenizer=null"], "hashed n-grams say nothing"),
        (["model.path=nowhere"], "model.path=nowhere: there is no such file or folder"),
        (["dataset.tokenizer=nowhere"], "dataset.tokenizer=nowhere: there is no such file or folder"),
        (["dataset.ngrams=1"], "dataset.ngrams=1 is of hashed n-grams"),
        (["dataset.max_tokens=65"], "set dataset.max_tokens=64 or less"),
        (
            [
                "selector=rho_loss",
                "+model@selector.irreducible_model=pretrained_text",
                "selector.irreducible_model.path=x",
            ],
            "selector.irreducible_model.path=x: there is no such file or folder",
        ),
    ],
)
def test_wrong_requests_start_nothing(words, told, user, capsys):
    assert run(user, "wrong", *words) == 2
    assert told in capsys.readouterr().err
    assert not (user / "wrong").exists()
