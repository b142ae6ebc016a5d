"""The residual network: against another library's, its names and sizes as published, and what it refuses."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn

from modyn_bench.data.preprocessing import InputSpec
from modyn_bench.errors import RequestError
from modyn_bench.models import ResNet
from modyn_bench.models.build import build_model, copies_faithfully

PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}  # parameters
SHAPES = {  # of torchvision's ResNet-50
    "conv1.weight": (64, 3, 7, 7),
    "bn1.running_var": (64,),
    "layer1.0.conv1.weight": (64, 64, 1, 1),
    "layer1.0.conv3.weight": (256, 64, 1, 1),
    "layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "layer1.0.downsample.1.num_batches_tracked": (),
    "layer2.0.conv2.weight": (128, 128, 3, 3),
    "layer3.5.bn3.bias": (1024,),
    "layer4.0.downsample.0.weight": (2048, 1024, 1, 1),
    "layer4.2.conv2.weight": (512, 512, 3, 3),
    "fc.weight": (1000, 2048),
    "fc.bias": (1000,),
}
SIZES = {18: ("basic", (64, 128, 256, 512), (2, 2, 2, 2)), 50: ("bottleneck", (256, 512, 1024, 2048), (3, 4, 6, 3))}


def resnet(depth: int = 18, *, num_classes: int = 10, **options) -> ResNet:
    return ResNet(**{"image_shape": (3, 64, 64), "num_classes": num_classes, "depth": depth} | options)


def names_of_resnet18() -> set[str]:
    """The state's names, spelt from the architecture: blocks, the shortcuts of the last three layers, the head."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = {"conv1.weight", "fc.weight", "fc.bias", *(f"bn1.{part}" for part in norm)}
    for block in (f"layer{layer}.{place}" for layer in (1, 2, 3, 4) for place in (0, 1)):
        names |= {f"{block}.conv{number}.weight" for number in (1, 2)}
        names |= {f"{block}.bn{number}.{part}" for number in (1, 2) for part in norm}
        if block in ("layer2.0", "layer3.0", "layer4.0"):
            names |= {f"{block}.downsample.0.weight", *(f"{block}.downsample.1.{part}" for part in norm)}
    return names


@pytest.mark.parametrize("depth", PUBLISHED)
def test_it_has_as_many_parameters_as_published(depth):
    with torch.device("meta"):
        model = ResNet(image_shape=(3, 224, 224), num_classes=1000, depth=depth)
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[depth]


def test_its_state_has_the_published_names_and_shapes():
    state = resnet(50, num_classes=1000).state_dict()
    assert len(state) == 320
    assert {name: tuple(state[name].shape) for name in SHAPES} == SHAPES
    assert set(resnet().state_dict()) == names_of_resnet18()


def randomised(model: nn.Module) -> nn.Module:
    """Give normalisations statistics and factors of their own, so that no two layers do the same."""
    generator = torch.Generator().manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model.eval()


def in_their_words(name: str) -> str:
    """Translate a name of the state into that of the other library's network."""
    kinds = {"conv": "convolution", "bn": "normalization", "0": "convolution", "1": "normalization"}
    if found := re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn)(\d)\.(\w+)", name):
        layer, block, kind, number, part = found.groups()
        return f"resnet.encoder.stages.{int(layer) - 1}.layers.{block}.layer.{int(number) - 1}.{kinds[kind]}.{part}"
    if found := re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.(\d)\.(\w+)", name):
        layer, block, kind, part = found.groups()
        return f"resnet.encoder.stages.{int(layer) - 1}.layers.{block}.shortcut.{kinds[kind]}.{part}"
    if found := re.fullmatch(r"(conv|bn)1\.(\w+)", name):
        return f"resnet.embedder.embedder.{kinds[found[1]]}.{found[2]}"
    return name.replace("fc.", "classifier.1.")


@pytest.mark.parametrize("depth", SIZES)
def test_it_computes_what_another_librarys_does(depth):
    transformers = pytest.importorskip("transformers")
    kind, widths, blocks = SIZES[depth]
    config = transformers.ResNetConfig(layer_type=kind, hidden_sizes=list(widths), depths=list(blocks), num_labels=10)
    theirs = transformers.ResNetForImageClassification(config)
    ours = randomised(resnet(depth))
    theirs.load_state_dict({in_their_words(name): tensor for name, tensor in ours.state_dict().items()})
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        normalised = (images - mean[:, None, None]) / std[:, None, None]
        torch.testing.assert_close(ours(images), theirs.eval()(normalised).logits, rtol=1e-4, atol=1e-3)


def test_images_are_normalised_by_channel():
    given = resnet(mean=[0.1, 0.2, 0.3], std=[1, 2, 4])
    raw = resnet(mean=[0, 0, 0], std=[1, 1, 1])
    raw.load_state_dict(given.state_dict())
    images = torch.rand(2, 3, 64, 64)
    normalised = (images - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([1.0, 2, 4]).view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(given.eval()(images), raw.eval()(normalised))
    assert not {"mean", "std"} & set(given.state_dict()), "published weights have none"


def test_grey_images_have_one_channel_and_the_average_of_colours():
    model = resnet(image_shape=(1, 28, 28))
    assert model.conv1.weight.shape == (64, 1, 7, 7)
    assert model.mean.item() == pytest.approx((0.485 + 0.456 + 0.406) / 3)
    assert model.std.item() == pytest.approx((0.229 + 0.224 + 0.225) / 3)
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_small_images_keep_their_size_up_to_the_second_layer():
    seen = {}
    for small in (False, True):
        model = resnet(image_shape=(3, 32, 32), small_images=small)
        model.layer1.register_forward_hook(lambda _, __, output, small=small: seen.update({small: output.shape}))
        model(torch.rand(2, 3, 32, 32))
    assert seen == {False: (2, 64, 8, 8), True: (2, 64, 32, 32)}


def test_convolutions_start_with_the_variance_of_their_fan_out():
    model = resnet(50)
    for layer in (model.layer3[2].conv2, model.layer4[0].conv3, model.layer4[0].downsample[0]):
        fan_out = layer.out_channels * math.prod(layer.kernel_size)
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.02)
        assert abs(layer.weight.mean().item()) < 0.02 * math.sqrt(2 / fan_out)


def test_it_is_made_from_what_the_data_tell():
    target = {"_target_": "modyn_bench.models.ResNet", "image_shape": None, "num_classes": None, "mean": None}
    model = build_model(target, InputSpec(num_classes=7, image_shape=(3, 40, 30)))
    assert model.fc.out_features == 7
    assert copies_faithfully(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 20}, r"model.depth=20 must be one of 18, 34, 50, 101, 152"),
        ({"image_shape": ()}, r"model=resnet needs images of .*, and the dataset has none"),
        ({"mean": [0.5]}, r"model.mean=\[0.5\] must have one number for each of the images' channels, which are 3"),
        ({"std": [1, 0, 1]}, r"model.std=\[1, 0, 1\] must be above 0"),
    ],
)
def test_what_it_refuses(options, message):
    with pytest.raises(RequestError, match=message):
        resnet(**options)
