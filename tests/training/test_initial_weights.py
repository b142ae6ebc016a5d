"""Layers that given weights leave fresh, files that lack counts, and the conversion of published files."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from worlds import images, numbers, trainer_of

from modyn_bench.config import TrainingConfig
from modyn_bench.errors import RequestError
from modyn_bench.models import ResNet
from modyn_bench.runs.identity import run_id
from modyn_bench.training.initial_weights import read_initial_weights
from modyn_bench.types import Selection

ROOT = Path(__file__).resolve().parents[2]
STILL = {"_target_": "torch.optim.SGD", "lr": 0.0}
MLP = {"_target_": "modyn_bench.models.TabularMLP", "hidden": [4]}
RESNET = {"_target_": "modyn_bench.models.ResNet", "small_images": True}
EVERY = Selection.unweighted(np.arange(20))


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def trained_from(file: Path, world, model, **options) -> dict[str, torch.Tensor]:
    trainer = trainer_of(world, model, optimizer=STILL, initial_weights=str(file), **options)
    trainer.rehearse()
    return state_of(trainer.fit(EVERY, None, last_key=19).module)


def test_fresh_layers_keep_their_initialisation_and_all_others_are_filled(tmp_path):
    world = numbers()
    fresh = state_of(trainer_of(world, MLP, optimizer=STILL).fit(EVERY, None, last_key=19).module)
    given = {name: torch.full_like(tensor, 0.5) for name, tensor in fresh.items()}
    given["head.weight"], given["head.bias"] = torch.ones(1000, 4), torch.ones(1000)  # of other classes
    save_file(given, tmp_path / "given.safetensors")
    state = trained_from(tmp_path / "given.safetensors", world, MLP, fresh_layers=["head"])
    for name, tensor in state.items():
        torch.testing.assert_close(tensor, fresh[name] if name.startswith("head.") else given[name], rtol=0, atol=0)
    bias_alone = {**given, "head.weight": fresh["head.weight"] + 1}
    save_file(bias_alone, tmp_path / "bias.safetensors")
    state = trained_from(tmp_path / "bias.safetensors", world, MLP, fresh_layers=["head.bias"])
    assert torch.equal(state["head.bias"], fresh["head.bias"])
    assert torch.equal(state["head.weight"], bias_alone["head.weight"])


def test_the_file_need_not_have_fresh_layers_and_a_prefix_is_a_whole_name(tmp_path):
    world = numbers()
    given = {"hidden.0.weight": torch.ones(4, 2), "hidden.0.bias": torch.ones(4)}
    save_file(given, tmp_path / "body.safetensors")
    state = trained_from(tmp_path / "body.safetensors", world, MLP, fresh_layers=["head"])
    assert torch.equal(state["hidden.0.weight"], given["hidden.0.weight"])
    with pytest.raises(RequestError, match=r"the model has no layer 'hea'; did you mean 'head'\?"):
        trained_from(tmp_path / "body.safetensors", world, MLP, fresh_layers=["hea"])


def test_every_model_of_a_run_that_starts_from_given_weights_gets_a_fresh_layer_of_its_own(tmp_path):
    world = numbers()
    start = state_of(trainer_of(world, MLP, optimizer=STILL).fit(EVERY, None, last_key=19).module)
    save_file(start, tmp_path / "given.safetensors")
    options = {"initial_weights": str(tmp_path / "given.safetensors"), "fresh_layers": ["head"], "optimizer": STILL}
    trainer = trainer_of(world, MLP, start_from="pretrained", **options)
    one = trainer.fit(EVERY, None, last_key=30)
    two = trainer.fit(EVERY, one, last_key=40)
    heads = [start["head.weight"], one.module.head.weight, two.module.head.weight]
    assert not any(torch.equal(a, b) for a, b in itertools.pairwise(heads))
    assert torch.equal(two.module.hidden[0].weight, start["hidden.0.weight"])
    previous = trainer_of(world, MLP, start_from="previous", **options)
    first = previous.fit(EVERY, None, last_key=30)
    assert torch.equal(previous.fit(EVERY, first, last_key=40).module.head.weight, first.module.head.weight)


def test_a_second_model_of_another_kind_needs_no_such_layer(tmp_path):
    save_file({"head.weight": torch.ones(3, 2), "head.bias": torch.ones(3)}, tmp_path / "given.safetensors")
    options = {"initial_weights": str(tmp_path / "given.safetensors"), "fresh_layers": ["head"]}
    trainer = trainer_of(numbers(), {**MLP, "hidden": []}, **options)
    trainer.second("alike").rehearse()
    trainer.second("other", model={"_target_": "worlds.WithNorm"}).rehearse()


def test_a_second_model_of_another_kind_may_start_from_weights_of_its_own(tmp_path):
    save_file({name: torch.ones(3) for name in ("a", "b")}, tmp_path / "of_the_first.safetensors")
    given = state_of(trainer_of(numbers(), {**MLP, "hidden": [7]}).fit(EVERY, None, last_key=1).module)
    save_file(given, tmp_path / "of_the_second.safetensors")
    options = {"initial_weights": str(tmp_path / "of_the_first.safetensors"), "fresh_layers": ["a"], "optimizer": STILL}
    own = {"initial_weights": str(tmp_path / "of_the_second.safetensors"), "fresh_layers": ["head.bias"]}
    for start_from in ("previous", "pretrained"):
        trainer = trainer_of(numbers(), MLP, start_from=start_from, **options)
        second = trainer.second("other", model={**MLP, "hidden": [7], **own})
        second.rehearse()
        state = state_of(second.fit(EVERY, None, last_key=19).module)
        assert [name for name in given if not torch.equal(given[name], state[name])] == ["head.bias"]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["fk"], r"training.fresh_layers: the model has no layer 'fk'; did you mean 'fc'\?"),
        (["layer4.1.conv"], r"no layer 'layer4.1.conv'; did you mean 'layer4.1.conv\d'\?"),
        (["zzz"], r"no layer 'zzz' \(layers: conv1, bn1, layer1, layer2, layer3, layer4, fc, and what lies in them\)"),
        ([""], r"the model has no layer ''"),
        ([], r"fc.weight is \(1000, 512\) there and \(2, 512\) in the model"),
        (["layer4"], r"\(training.fresh_layers names layers that it need not fit\): fc.bias is \(1000,\) there"),
    ],
)
def test_what_is_refused(layers, message, tmp_path):
    save_file(
        ResNet(image_shape=(1, 8, 8), num_classes=1000, small_images=True).state_dict(), tmp_path / "r.safetensors"
    )
    with pytest.raises(RequestError, match=message):
        trained_from(tmp_path / "r.safetensors", images(20), RESNET, fresh_layers=layers)


def test_fresh_layers_need_weights_that_fill_the_others():
    with pytest.raises(RequestError, match=r"training.fresh_layers=\['fc'\] needs training.initial_weights"):
        TrainingConfig(optimizer=STILL, fresh_layers=["fc"]).check()


class Tied(nn.Module):
    """Two layers of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight


def test_layers_of_one_tensor_are_fresh_together(tmp_path):
    model, file = Tied(), tmp_path / "tied.safetensors"
    save_file({"first.weight": torch.ones(3, 3)}, file)
    before = model.first.weight.detach().clone()
    with pytest.raises(RequestError, match=r"second.weight and first.weight are one tensor"):
        read_initial_weights(model, file, ["second"])
    read_initial_weights(model, file, ["first", "second"])
    assert torch.equal(model.first.weight, before)


def test_the_layers_are_part_of_a_runs_identity(tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / "w.safetensors")
    training = {"initial_weights": str(tmp_path / "w.safetensors"), "fresh_layers": []}
    ids = {run_id({"training": {**training, "fresh_layers": layers}}, "f") for layers in ([], ["fc"], ["fc", "bn1"])}
    assert len(ids) == 3


def converted(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(ROOT / "scripts" / "weights_to_safetensors.py"), *words]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_of_torchvision_becomes_weights_that_a_model_starts_from(legacy, tmp_path):
    model = ResNet(image_shape=(1, 8, 8), num_classes=1000, small_images=True)
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "resnet18.pth", _use_new_zipfile_serialization=not legacy)
    done = converted(tmp_path, "resnet18.pth", "resnet18.safetensors")
    assert done.stdout.startswith("resnet18.safetensors: 102 tensors, "), done.stderr
    written = load_file(tmp_path / "resnet18.safetensors")
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], state[name]) for name in state)
    start = trained_from(tmp_path / "resnet18.safetensors", images(20), RESNET, fresh_layers=["fc"])
    assert torch.equal(start["layer3.0.conv1.weight"], state["layer3.0.conv1.weight"])
    assert start["fc.weight"].shape == (2, 512)


class Harmful:
    """What a pickle runs when it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("harm",)


def test_what_is_no_state_is_refused_in_a_line_and_nothing_of_it_is_run(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "checkpoint.pth")
    torch.save({"a": Harmful()}, tmp_path / "harmful.pth")
    (tmp_path / "text.pth").write_text("weights")
    for words, message in (
        (["checkpoint.pth", "x.safetensors"], "no tensors by name, but state_dict (dict), epoch (int); --key names"),
        (["checkpoint.pth", "x.safetensors", "--key", "ema"], "it has no 'ema', but state_dict (dict), epoch (int)"),
        (["harmful.pth", "x.safetensors"], "harmful.pth holds no weights: "),
        (["text.pth", "x.safetensors"], "text.pth holds no weights: "),
        (["none.pth", "x.safetensors"], "there is no file none.pth"),
        (["text.pth", "none/x.safetensors"], "there is no folder none for x.safetensors"),
    ):
        done = converted(tmp_path, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr.splitlines()[-1], done.stderr
    assert not (tmp_path / "harm").exists()
    assert not list(tmp_path.glob("*.safetensors"))
    assert converted(tmp_path, "checkpoint.pth", "x.safetensors", "--key", "state_dict").returncode == 0
