"""Residual networks for images, whose parameters are called as those of published ImageNet weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from modyn_bench.errors import RequestError

NUM_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of each of the four layers, by depth."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green and blue of ImageNet's training images in [0, 1]; what published weights were trained with."""


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut; the block of depths 18 and 34.

    Args:
        channels: Channels C of the input.
        width: Channels W of the convolutions, and of the output.
        stride: How many times smaller the output is each way.

    Shape:
        Input: (B, C, H, W'). Output: (B, W, H / stride, W' / stride).
    """

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, width, stride)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the block's output."""
        shortcut = inputs if self.downsample is None else self.downsample(inputs)
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        outputs: torch.Tensor = self.relu(self.bn2(self.conv2(hidden)) + shortcut)
        return outputs


class Bottleneck(nn.Module):
    """A 1×1, a 3×3 and a 1×1 convolution beside a shortcut; the block of depths from 50 on.

    The 3×3 convolution has the stride, as in the published weights, which the paper gives to the first 1×1.

    Args:
        channels: Channels C of the input.
        width: Channels W of the 3×3 convolution; the output has four times as many.
        stride: How many times smaller the output is each way.

    Shape:
        Input: (B, C, H, W'). Output: (B, 4 W, H / stride, W' / stride).
    """

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, 4 * width, stride)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the block's output."""
        shortcut = inputs if self.downsample is None else self.downsample(inputs)
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        hidden = self.relu(self.bn2(self.conv2(hidden)))
        outputs: torch.Tensor = self.relu(self.bn3(self.conv3(hidden)) + shortcut)
        return outputs


class ResNet(nn.Module):
    """Classifies images by a residual network: convolutions whose blocks add to what they were given.

    Parameters and buffers have the names and shapes of torchvision's and timm's ResNets, so that published weights
    fill it: ``training.initial_weights=FILE training.fresh_layers=[fc]`` where the classes are others. Images come in
    [0, 1], as the dataset hands them out; they are normalised in here, ``(x − mean) / std`` by channel.

    Args:
        image_shape: Channels, height, width. The first convolution has as many channels.
        num_classes: Number of classes.
        depth: 18, 34, 50, 101 or 152 layers.
        small_images: Whether to look at every pixel: the first convolution is 3×3 and keeps the size, and no pooling
            follows, as for images of 32 pixels. Published weights are for ``False``.
        mean: Of each channel; ``None``: ImageNet's for three channels, and the average of these for other images.
        std: Of each channel, above 0; ``None``: the same of ImageNet's standard deviations.

    Shape:
        Input: (B, *image_shape), float32 in [0, 1]. Output: (B, num_classes).

    Raises:
        RequestError: If there are no images, or an option is out of range.

    Example:
        >>> ResNet(image_shape=(3, 32, 32), num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    Reference:
        He et al., Deep Residual Learning for Image Recognition, CVPR 2016, sections 3 and 4.2 (``small_images``);
        initialisation: He et al., Delving Deep into Rectifiers, ICCV 2015, equation 14.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        num_classes: int,
        depth: int = 18,
        small_images: bool = False,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if depth not in NUM_BLOCKS:
            raise RequestError(f"model.depth={depth} must be one of {', '.join(map(str, NUM_BLOCKS))}")
        if len(image_shape) != 3:
            found = f"of shape {tuple(image_shape)}" if len(image_shape) else "none"
            raise RequestError(f"model=resnet needs images of channels × height × width, and the dataset has {found}")
        channels = image_shape[0]
        self.register_buffer("mean", _by_channel("mean", mean, IMAGENET_MEAN, channels), persistent=False)
        self.register_buffer("std", _by_channel("std", std, IMAGENET_STD, channels), persistent=False)
        block = BasicBlock if depth < 50 else Bottleneck
        self.conv1 = _conv(channels, 64, 3) if small_images else _conv(channels, 64, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        layers: list[nn.Sequential] = []
        channels = 64
        for number, num_blocks in enumerate(NUM_BLOCKS[depth]):
            width, blocks = 64 << number, []
            for place in range(num_blocks):
                blocks.append(block(channels, width, stride=2 if number and not place else 1))
                channels = width * block.expansion
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.fc = nn.Linear(channels, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch."""
        hidden = self.maxpool(self.relu(self.bn1(self.conv1((images - self.mean) / self.std))))
        hidden = self.layer4(self.layer3(self.layer2(self.layer1(hidden))))
        logits: torch.Tensor = self.fc(hidden.mean(dim=(2, 3)))
        return logits


def _conv(channels: int, width: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False)


def _shortcut(channels: int, width: int, stride: int) -> nn.Module | None:
    """Return what brings a block's input to the shape of its output; ``None`` where it has that shape."""
    if stride == 1 and channels == width:
        return None
    return nn.Sequential(_conv(channels, width, 1, stride), nn.BatchNorm2d(width))


def _by_channel(name: str, given: Sequence[float] | None, of_imagenet: Sequence[float], channels: int) -> torch.Tensor:
    """Return a number for each channel, shape (channels, 1, 1)."""
    values = list(of_imagenet) if given is None else list(given)
    if given is None and channels != len(values):
        values = [sum(values) / len(values)] * channels
    if len(values) != channels:
        raise RequestError(
            f"model.{name}={values} must have one number for each of the images' channels, which are {channels}"
        )
    if name == "std" and min(values) <= 0:
        raise RequestError(f"model.std={values} must be above 0")
    return torch.tensor(values, dtype=torch.float32).reshape(channels, 1, 1)
