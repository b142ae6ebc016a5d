"""A small convolutional network for small images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from modyn_bench.errors import RequestError


class ConvNet(nn.Module):
    """Classifies images by blocks of convolution, ReLU and pooling, averaged over the image.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of classes.
        width: Channels of the first block; each further block has twice as many.
        num_blocks: Number of blocks; each halves height and width.

    Shape:
        Input: (B, *image_shape), float32. Output: (B, num_classes).

    Raises:
        RequestError: If the images are not channels × height × width, or smaller than the blocks allow.

    Example:
        >>> ConvNet(image_shape=(3, 32, 32), num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(self, *, image_shape: Sequence[int], num_classes: int, width: int = 32, num_blocks: int = 3) -> None:
        super().__init__()
        if len(image_shape) != 3 or min(image_shape[1:]) < 2**num_blocks:
            raise RequestError(
                f"the convolutional model with {num_blocks} blocks needs images of channels × height × width, at least "
                f"{2**num_blocks} pixels each way, and the dataset has {tuple(image_shape) or 'none'}"
            )
        blocks: list[nn.Module] = []
        channels = image_shape[0]
        for block in range(num_blocks):
            out = width * 2**block
            blocks += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch."""
        logits: torch.Tensor = self.head(self.blocks(images).mean(dim=(2, 3)))
        return logits
