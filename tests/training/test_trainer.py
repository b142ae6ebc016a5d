"""Trainings on small data: against a hand-written loop, to the bit across saving and processes, and their refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from worlds import ADAGRAD, LINEAR, SGD, images, numbers, table, text, trainer_of

from modyn_bench.config import TrainingConfig
from modyn_bench.errors import RequestError, RunError
from modyn_bench.inference.predict import predict
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.types import Selection

ROOT = Path(__file__).resolve().parents[2]


def first(count: int, start: int = 0) -> Selection:
    return Selection.unweighted(np.arange(start, start + count))


def weights_of(trained) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trained.module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate": 3},
        {"clip_norm": 0.05},
        {"clip_norm": 0.05, "accumulate": 2, "drop_last": True},
        {"shuffle": False, "num_samples": 150},
        {"schedule": {"_target_": "torch.optim.lr_scheduler.LinearLR", "total_iters": None, "end_factor": 0.0}},
        {"schedule": {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.5, "interval": "epoch"}},
    ],
)
def test_it_computes_what_a_hand_written_loop_does(options):
    world = numbers(200)
    rng = np.random.default_rng(1)
    keys = np.sort(rng.choice(200, 90, replace=False))
    weights = rng.random(90).astype(np.float32) * 2
    trainer = trainer_of(world, {**LINEAR, "hidden": [5]}, **options)
    start = trainer.fit(first(10), None, last_key=9)
    trained = trainer.fit(Selection(keys, weights), start, last_key=150)

    module = start.module
    x = torch.from_numpy(start.preprocessor.transform({"numeric": world[1].columns["numeric"][keys]})["numeric"])
    y, w = torch.from_numpy(world[1].labels[keys]), torch.from_numpy(weights)
    plan = TrainingPlan(90, trainer.config, 0, 150)
    steps, rate = 0, 0.1
    kind = (options.get("schedule") or {}).get("_target_", "")
    for epoch in range(plan.num_epochs):
        members: list[int] = []
        for batch in plan.batches(epoch):
            members += plan.order(epoch)[batch.start : batch.start + batch.size].tolist()
            if not batch.steps:
                continue
            lr = rate
            if "Linear" in kind:
                lr = 0.1 * (1 / 3 + (0 - 1 / 3) * steps / plan.num_optimizer_steps)
            losses = nn.functional.cross_entropy(module(x[members]), y[members], reduction="none")
            module.zero_grad()
            ((losses * w[members]).sum() / len(members)).backward()
            if "clip_norm" in options:
                nn.utils.clip_grad_norm_(module.parameters(), options["clip_norm"])
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter -= lr * parameter.grad
            members, steps = [], steps + 1
        rate *= 0.5 if "Exponential" in kind else 1
    for name, expected in module.state_dict().items():
        torch.testing.assert_close(trained.module.state_dict()[name], expected, rtol=1e-4, atol=1e-6)
    assert trained.num_optimizer_steps == steps == plan.num_optimizer_steps
    assert trained.forward_passes == trained.backward_passes == plan.num_trained
    assert trained.num_epochs == plan.num_epochs


@pytest.mark.parametrize("world", [table(), text(), images()], ids=["table", "text", "images"])
def test_the_zoo_learns(world):
    rate = {"_target_": "torch.optim.Adagrad", "lr": 0.1}
    trainer = trainer_of(world, epochs=12, optimizer=rate, batch_size=16)
    trained = trainer.fit(first(len(world[1])), None, last_key=len(world[1]) - 1)
    predictions = predict(trained.module, trained.preprocessor, world[1])
    assert (predictions.label_rank == 0).mean() > 0.85


def test_the_parent_stays_as_it_is_and_is_where_the_next_one_starts():
    trainer = trainer_of(table())
    parent = trainer.fit(first(100), None, last_key=99)
    before = weights_of(parent)
    child = trainer.fit(first(100, 100), parent, last_key=199)
    assert same(before, weights_of(parent))
    assert not same(before, weights_of(child))
    assert child.preprocessor is parent.preprocessor
    again = trainer.fit(first(100, 100), parent, last_key=199)
    assert same(weights_of(child), weights_of(again))
    assert all(parameter.grad is None for parameter in child.module.parameters())


def test_scratch_starts_anew_and_keeps_the_first_preprocessing():
    trainer = trainer_of(table(), start_from="scratch")
    parent = trainer.fit(first(100), None, last_key=99)
    a = trainer.fit(first(100, 100), parent, last_key=199)
    other = trainer.fit(first(50), None, last_key=49)
    b = trainer.fit(first(100, 100), type(other)(other.module, parent.preprocessor), last_key=199)
    assert same(weights_of(a), weights_of(b))
    assert a.preprocessor is parent.preprocessor


def test_preprocessing_on_all_data_is_a_choice():
    world = table()
    seen = trainer_of(world).fit(first(50), None, last_key=49).preprocessor
    everything = trainer_of(world, fit_on="all").fit(first(50), None, last_key=49).preprocessor
    np.testing.assert_allclose(seen.mean, world[1].columns["numeric"][:50].mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(everything.mean, world[1].columns["numeric"].mean(axis=0, dtype=np.float64))


def test_pretrained_weights_are_where_models_start(tmp_path):
    world = numbers()
    given = {"head.weight": torch.ones(3, 2), "head.bias": torch.arange(3.0)}
    save_file(given, tmp_path / "start.safetensors")
    nothing = {"_target_": "torch.optim.SGD", "lr": 0.0}
    options = {"optimizer": nothing, "initial_weights": str(tmp_path / "start.safetensors")}
    for start_from in ("previous", "pretrained"):
        trainer = trainer_of(world, LINEAR, start_from=start_from, **options)
        assert same(weights_of(trainer.fit(first(50), None, last_key=49)), given)
    moved = trainer_of(world, LINEAR).fit(first(50), None, last_key=49)
    assert same(weights_of(trainer.fit(first(50, 50), moved, last_key=99)), given)
    assert same(weights_of(trainer.second("alike").fit(first(50), None, last_key=49)), given)
    other = trainer.second("other", model={**LINEAR, "hidden": [4]})  # that the weights are not for
    assert not same(weights_of(other.fit(first(50), None, last_key=49)), given)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"head.weight": torch.ones(3, 2)}, "it lacks head.bias"),
        ({"head.weight": torch.ones(3, 2), "head.bias": torch.ones(3), "x": torch.ones(1)}, "it has x"),
        ({"head.weight": torch.ones(4, 2), "head.bias": torch.ones(3)}, r"head.weight is \(4, 2\)"),
    ],
)
def test_pretrained_weights_that_do_not_fit_are_refused(tmp_path, tensors, message):
    save_file(tensors, tmp_path / "start.safetensors")
    trainer = trainer_of(numbers(), LINEAR, initial_weights=str(tmp_path / "start.safetensors"))
    with pytest.raises(RequestError, match=message):
        trainer.fit(first(50), None, last_key=49)


@pytest.mark.parametrize("left_out", ["first.weight", "second.weight"])
def test_pretrained_weights_may_name_a_shared_tensor_once(tmp_path, left_out):
    state = trainer_of(numbers(), {"_target_": "worlds.Tied"}).fit(first(50), None, last_key=49).module.state_dict()
    save_file({name: value for name, value in state.items() if name != left_out}, tmp_path / "tied.safetensors")
    nothing = {"_target_": "torch.optim.SGD", "lr": 0.0}
    options = {"optimizer": nothing, "initial_weights": str(tmp_path / "tied.safetensors")}
    trained = trainer_of(numbers(), {"_target_": "worlds.Tied"}, seed=1, **options).fit(first(50), None, last_key=49)
    assert same(weights_of(trained), state)


def test_pretrained_weights_that_are_no_file(tmp_path):
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name, message in (("absent.safetensors", "not there"), ("text.safetensors", "no safetensors file")):
        trainer = trainer_of(numbers(), LINEAR, initial_weights=str(tmp_path / name))
        with pytest.raises(RequestError, match=message):
            trainer.fit(first(50), None, last_key=49)


@pytest.mark.parametrize("carry", [False, True])
@pytest.mark.parametrize(
    ("world", "optimizer"),
    [
        (table(), {"_target_": "torch.optim.AdamW", "lr": 0.01}),
        (text(), ADAGRAD),
        (text(), {"e": {"_target_": "torch.optim.SparseAdam", "params": "embedding"}, "h": {**SGD, "momentum": 0.9}}),
    ],
    ids=["adam", "adagrad", "two"],
)
def test_training_goes_on_from_a_saved_model_to_the_bit(tmp_path, world, optimizer, carry):
    def trainer():
        return trainer_of(world, optimizer=optimizer, carry_optimizer=carry)

    a = trainer().fit(first(100), None, last_key=99)
    straight = trainer().fit(first(100, 100), a, last_key=199)
    trainer().save(a, tmp_path / "a")
    loaded = trainer().load(tmp_path / "a")
    resumed = trainer().fit(first(100, 100), loaded, last_key=199)
    trainer().save(straight, tmp_path / "straight")
    trainer().save(resumed, tmp_path / "resumed")
    trainer().save(loaded, tmp_path / "loaded")
    assert bytes_of(tmp_path / "straight") == bytes_of(tmp_path / "resumed")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "loaded")
    fresh = trainer_of(world, optimizer=optimizer).fit(first(100, 100), a, last_key=199)
    assert same(weights_of(fresh), weights_of(straight)) is not carry


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from modyn_bench.types import Selection
from worlds import text, trainer_of
trainer = trainer_of(text(), seed=3)
a = trainer.fit(Selection.unweighted(np.arange(100)), None, last_key=99)
trainer.save(trainer.fit(Selection.unweighted(np.arange(100, 200)), a, last_key=199), Path(sys.argv[1]))
"""


def test_another_process_writes_the_same_bytes(tmp_path):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "there")], check=True, env=environment)
    trainer = trainer_of(text(), seed=3)
    torch.rand(5)  # the global state has no say
    a = trainer.fit(first(100), None, last_key=99)
    trainer.save(trainer.fit(first(100, 100), a, last_key=199), tmp_path / "here")
    assert bytes_of(tmp_path / "here") == bytes_of(tmp_path / "there")


def test_seeds_and_data_change_the_model_and_the_global_state_is_left_alone():
    state = torch.random.get_rng_state()
    models = [
        weights_of(trainer_of(table(), seed=seed).fit(first(100), None, last_key=last_key))
        for seed, last_key in [(0, 99), (1, 99), (0, 98), (0, 99)]
    ]
    assert same(models[0], models[3])
    assert not same(models[0], models[1])
    assert not same(models[0], models[2])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_dropout_draws_from_the_run_seed():
    model = {"_target_": "modyn_bench.models.TabularMLP", "dropout": 0.5}
    a, b = (weights_of(trainer_of(table(), model).fit(first(100), None, last_key=99)) for _ in range(2))
    assert same(a, b)


def test_weights_count():
    world = numbers()
    keys = np.arange(60)
    trainer = trainer_of(world, LINEAR, shuffle=False, batch_size=60, epochs=1)
    start = trainer.fit(first(10), None, last_key=9)
    zero = np.where(keys < 30, 0, 1).astype(np.float32)
    zeroed = trainer.fit(Selection(keys, zero), start, last_key=59)
    halves = trainer_of(world, LINEAR, shuffle=False, batch_size=30, epochs=1, optimizer={**SGD, "lr": 0.05})
    alone = halves.fit(first(30, 30), start, last_key=59)  # half the samples, half the rate: the same step
    for name, tensor in weights_of(alone).items():
        torch.testing.assert_close(weights_of(zeroed)[name], tensor)


@pytest.mark.parametrize("size", [1, 3, 33])
def test_few_samples_train_batch_normalisation_too(size):
    trainer = trainer_of(numbers(), {"_target_": "worlds.WithNorm"})
    trained = trainer.fit(first(size), None, last_key=size - 1)
    assert all(torch.isfinite(tensor).all() for tensor in weights_of(trained).values())
    assert trained.forward_passes == 2 * size
    assert all(layer.training for layer in trained.module.modules())


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_precisions_train_save_and_predict(tmp_path, precision):
    world = text()
    trainer = trainer_of(world, precision=precision)
    trained = trainer.fit(first(100), None, last_key=99)
    trainer.save(trained, tmp_path)
    loaded = trainer.load(tmp_path)
    assert same(weights_of(trained), weights_of(loaded))
    types = {tensor.dtype for tensor in weights_of(trained).values()}
    assert types == {{"64-true": torch.float64, "bf16-true": torch.bfloat16}.get(precision, torch.float32)}
    a, b = (predict(model.module, model.preprocessor, world[1], precision=precision) for model in (trained, loaded))
    assert np.isfinite(a.loss).all()
    assert a.loss.tobytes() == b.loss.tobytes()


def test_shared_weights_survive_saving(tmp_path):
    trainer = trainer_of(numbers(), {"_target_": "worlds.Tied"})
    trained = trainer.fit(first(50), None, last_key=49)
    trainer.save(trained, tmp_path)
    loaded = trainer.load(tmp_path)
    assert loaded.module.second.weight is loaded.module.first.weight
    assert same(weights_of(trained), weights_of(loaded))


def test_a_damaged_or_foreign_model_is_refused_by_name(tmp_path):
    trainer = trainer_of(numbers(), LINEAR)
    trainer.save(trainer.fit(first(50), None, last_key=49), tmp_path)
    with pytest.raises(RunError, match=r"model\.safetensors does not belong"):
        trainer_of(numbers()).load(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-3])
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
        trainer.load(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(RunError, match=r"model\.json lacks"):
        trainer.load(tmp_path)
    (tmp_path / "model.json").unlink()
    with pytest.raises(RunError, match=r"model\.json cannot be read"):
        trainer.load(tmp_path)


def test_a_training_that_diverges_says_where():
    trainer = trainer_of(numbers(), {**LINEAR, "hidden": [8, 8]}, epochs=30, optimizer={**SGD, "lr": 1e8})
    with pytest.raises(RunError, match=r"loss of batch \d+ of epoch \d+ .* is (nan|inf)"):
        trainer.fit(first(200), None, last_key=199)
    one_step = trainer_of(numbers(), LINEAR, epochs=1, batch_size=200, optimizer={**SGD, "lr": float("inf")})
    with pytest.raises(RunError, match="not finite after the last step"):
        one_step.fit(first(200), None, last_key=199)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (LINEAR, {"devices": 2, "accelerator": "mps"}, "devices=2: training.accelerator=mps"),
        (LINEAR, {"precision": "7-bit"}, "precision=.7-bit. must be one of 32-true"),
        (LINEAR, {"precision": "16-mixed"}, "precision=16-mixed is for GPUs"),
        (LINEAR, {"optimizer": {"_target_": "torch.optim.LBFGS"}}, "LBFGS cannot be used"),
        (LINEAR, {"schedule": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau"}}, "a validation metric"),
        ({"_target_": "worlds.Lazy"}, {}, "head.weight, head.bias has no shape before a batch has passed"),
        (LINEAR, {"accelerator": "gpu"}, "accelerator=gpu"),
        (LINEAR, {"loss": {"_target_": "torch.nn.CrossEntropyLos"}}, r"training\.loss"),
        (LINEAR, {"loss": {"_target_": "torch.nn.CrossEntropyLoss", "wight": 1}}, "wight"),
        (LINEAR, {"loss": {"_target_": "worlds.MeanLoss"}}, "one loss per sample"),
        ({"_target_": "worlds.Wrong"}, {}, r"returned shape \(32, 1\)"),
        ({"_target_": "modyn_bench.models.TabularMLP", "hiden": [3]}, {}, "hiden"),
        ({"_target_": "builtins.dict"}, {}, "makes a dict"),
        ({}, {}, "_target_ is missing"),
        ({**LINEAR, "embedding_layer": "had"}, {}, "embedding_layer=had is no layer"),
    ],
)
def test_what_cannot_be_trained_is_refused(model, options, message):
    if options.get("accelerator") == "gpu" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(RequestError, match=message):
        trainer_of(numbers(), model, **options).fit(first(50), None, last_key=49)


def test_an_empty_selection_is_refused():
    with pytest.raises(RequestError, match="no sample"):
        trainer_of(numbers()).fit(first(0), None, last_key=0)


def test_an_interrupt_stays_one_and_leaves_no_thread():
    trainer = trainer_of(numbers(), LINEAR, epochs=100_000)
    seen: list[int] = []

    def on_samples(count: int) -> None:
        seen.append(count)
        if len(seen) == 20:
            os.kill(os.getpid(), signal.SIGINT)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(first(200), None, last_key=199, on_samples=on_samples)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert threading.active_count() == before


def test_progress_is_told_sample_by_sample_of_every_pass():
    told: list[int] = []
    trained = trainer_of(numbers()).fit(first(75), None, last_key=74, on_samples=told.append)
    assert sum(told) == trained.forward_passes == 150


def test_process_wide_flags_are_restored():
    flags = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    trainer_of(numbers(), deterministic=True).fit(first(40), None, last_key=39)
    assert flags == (torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory)
    trainer_of(numbers(), threads=2)
    assert torch.get_num_threads() == 2
    trainer_of(numbers(), threads=1)
    assert torch.get_num_threads() == 1


def test_more_than_a_super_batch_trains_as_one_does(monkeypatch):
    import modyn_bench.data.loading as loading

    config = {"batch_size": 8, "epochs": 2}
    whole = weights_of(trainer_of(table(), **config).fit(first(400), None, last_key=399))
    monkeypatch.setattr(loading, "SUPER_BATCH_ROWS", 24)
    pieces = weights_of(trainer_of(table(), **config).fit(first(400), None, last_key=399))
    assert same(whole, pieces)


def test_the_configuration_is_checked():
    with pytest.raises(RequestError, match="batch_size"):
        trainer_of(numbers(), batch_size=0)
    assert TrainingConfig().devices == 1


@pytest.mark.parametrize(
    "model", ["Projected", "Counting", "Expanded", "Slashed", "Tied", "Closure", "Hooked", "Normed"]
)
def test_what_no_state_holds_is_the_same_after_loading(tmp_path, model):
    world = numbers()
    momentum = {**SGD, "momentum": 0.9}
    trainer = trainer_of(world, {"_target_": f"worlds.{model}"}, carry_optimizer=True, optimizer=momentum)
    one = trainer.fit(first(50), None, last_key=49)
    two = trainer.fit(first(50, 50), one, last_key=99)
    for trained in (one, two):
        trainer.save(trained, tmp_path)
        loaded = trainer.load(tmp_path)
        expected, found = (predict(made.module, made.preprocessor, world[1]).loss for made in (trained, loaded))
        assert expected.tobytes() == found.tobytes()
    alone, resumed = (trainer.fit(first(50, 100), parent, last_key=149) for parent in (two, loaded))
    for name, tensor in alone.module.state_dict().items():
        assert torch.equal(tensor, resumed.module.state_dict()[name])


@pytest.mark.parametrize("size", [48, 49])
def test_frozen_statistics_stay_also_where_a_batch_has_one_sample(size):
    trained = trainer_of(numbers(), {"_target_": "worlds.FrozenNorm"}, batch_size=16).fit(first(size), None, last_key=9)
    norm = trained.module.layers[1]
    assert norm.running_mean.tolist() == [0.0] * 4
    assert norm.running_var.tolist() == [1.0] * 4


def test_a_model_that_is_made_in_eval_mode_is_trained_in_training_mode():
    from worlds import BuiltInEval

    BuiltInEval.modes.clear()
    trainer_of(numbers(), {"_target_": "worlds.BuiltInEval"}).fit(first(50), None, last_key=49)
    assert BuiltInEval.modes == {True}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
@pytest.mark.parametrize("model", ["Closure", "Hooked", "Normed", "Tied", "WithNorm"])
def test_what_refers_to_itself_is_trained_like_any_other(model):
    trainer = trainer_of(numbers(), {"_target_": f"worlds.{model}"}, optimizer={**SGD, "lr": 0.0})
    untouched = weights_of(trainer.fit(first(60), None, last_key=59))
    trainer = trainer_of(numbers(), {"_target_": f"worlds.{model}"})
    one = trainer.fit(first(60), None, last_key=59)
    two = trainer.fit(first(60, 60), one, last_key=119)
    for earlier, later in ((untouched, weights_of(one)), (weights_of(one), weights_of(two))):
        moved = [name for name in earlier if not torch.equal(earlier[name], later[name])]
        assert len([name for name in moved if "running" not in name and "tracked" not in name]) >= 2


@pytest.mark.parametrize("options", [{"precision": "bf16-mixed"}])
def test_a_rehearsal_asks_for_no_more_than_training_does(options):
    trainer = trainer_of(numbers(), {"_target_": "worlds.HalfInside"}, **options)
    trainer.rehearse()
    assert trainer.fit(first(40), None, last_key=39).num_optimizer_steps


def test_a_rehearsal_changes_nothing(tmp_path):
    world = table()
    weights = []
    for rehearses in (False, True):
        trainer = trainer_of(world)
        if rehearses:
            trainer.rehearse()
        weights.append(weights_of(trainer.fit(first(300), None, last_key=299)))
    assert same(*weights)
    save_file(weights[0], tmp_path / "start.safetensors")
    trainer_of(world, initial_weights=str(tmp_path / "start.safetensors")).rehearse()
