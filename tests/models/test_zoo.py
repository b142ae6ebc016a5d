"""The zoo's models: shapes, what becomes of padding, and what they refuse."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from modyn_bench.data.preprocessing import InputSpec
from modyn_bench.errors import RequestError
from modyn_bench.models import ConvNet, HashedTextClassifier, TabularMLP, auto
from modyn_bench.models.build import build_model


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        (InputSpec(num_classes=2, num_features=3), TabularMLP),
        (InputSpec(num_classes=2, cardinalities=(3, 4)), TabularMLP),
        (InputSpec(num_classes=2, num_features=3, cardinalities=(3, 4)), TabularMLP),
        (InputSpec(num_classes=2, num_buckets=9, num_tokens=4), HashedTextClassifier),
        (InputSpec(num_classes=2, image_shape=(1, 8, 8)), ConvNet),
    ],
)
def test_auto_suits_the_inputs(inputs, kind):
    assert type(auto(inputs)) is kind
    assert type(build_model({"_target_": "modyn_bench.models.auto"}, inputs)) is kind


@pytest.mark.parametrize(
    "inputs", [InputSpec(num_classes=2), InputSpec(num_classes=2, num_features=1, num_buckets=9, num_tokens=4)]
)
def test_auto_refuses_what_no_model_takes(inputs):
    with pytest.raises(RequestError, match="model=auto"):
        build_model({"_target_": "modyn_bench.models.auto"}, inputs)


def test_the_text_model_is_the_mean_of_embeddings_without_padding():
    model = HashedTextClassifier(num_buckets=9, num_classes=3, embedding_dim=4)
    table, tokens = model.embedding.weight.detach(), torch.tensor([[3, 5, 0, 0], [0, 0, 0, 0]])
    expected = nn.functional.linear(
        torch.stack([table[[3, 5]].mean(0), torch.zeros(4)]), model.head.weight, model.head.bias
    )
    torch.testing.assert_close(model(tokens), expected)
    model(tokens).sum().backward()
    assert model.embedding.weight.grad.is_sparse
    assert set(model.embedding.weight.grad.coalesce().indices()[0].tolist()) == {3, 5}


def test_categories_of_different_features_do_not_share_embeddings():
    model = TabularMLP(num_classes=2, cardinalities=(3, 2), hidden=[4])
    codes = torch.tensor([[1, 0], [0, 1], [2, 1]])
    assert model.embedding.num_embeddings == 5
    assert (codes + model.offsets).tolist() == [[1, 3], [0, 4], [2, 4]]
    assert model(codes).shape == (3, 2)


def test_images_too_small_are_refused():
    with pytest.raises(RequestError, match="at least 8 pixels"):
        ConvNet(image_shape=(1, 7, 30), num_classes=2)
    with pytest.raises(RequestError, match=r"dataset has none"):
        TabularMLP(num_classes=2)


class Theirs(nn.Module):
    """A model that was not written for us."""

    def __init__(self, num_features: int, num_classes: int, backbone: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(num_features, num_classes)


def test_arguments_of_any_model_are_filled_in_by_name_unless_given():
    inputs = InputSpec(num_classes=4, num_features=3)
    linear = {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}
    target = f"{Theirs.__module__}.Theirs"
    sys.modules.setdefault(Theirs.__module__, sys.modules[Theirs.__module__])
    model = build_model({"_target_": target, "num_features": None, "backbone": linear}, inputs)
    assert (model.head.in_features, model.head.out_features) == (3, 4)
    assert isinstance(model.backbone, nn.Linear)
    assert build_model({"_target_": target, "num_classes": 7}, inputs).head.out_features == 7


def test_importing_the_zoo_does_not_import_torch():
    script = "import sys, modyn_bench.models; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_name_that_is_not_in_the_zoo():
    import modyn_bench.models as models

    with pytest.raises(AttributeError, match="no Resnet"):
        _ = models.Resnet
