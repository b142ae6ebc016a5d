"""The paper's network for Yearbook, on a table of pixels."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


class YearbookNet(nn.Module):
    """Four blocks of convolution, batch normalisation, ReLU and pooling, averaged over the image; a linear head.

    Args:
        num_features: Pixels of the square image, given as features.
        num_classes: Number of classes.
        width: Channels of every block.

    Shape:
        Input: (B, num_features), float32. Output: (B, num_classes).

    Raises:
        ValueError: If the features are no square image of at least 16 × 16.

    Example:
        >>> YearbookNet(num_features=1024, num_classes=2)(torch.zeros(3, 1024)).shape
        torch.Size([3, 2])
    """

    def __init__(self, *, num_features: int, num_classes: int, width: int = 32) -> None:
        super().__init__()
        self.side = round(num_features**0.5)
        if self.side**2 != num_features or self.side < 16:
            raise ValueError(f"{num_features} features are no square image of at least 16 × 16 pixels")
        channels = [1, width, width, width, width]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(inner, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU(), nn.MaxPool2d(2))
                for inner, outer in pairwise(channels)
            )
        )
        self.head = nn.Linear(width, num_classes)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch."""
        images = pixels.reshape(len(pixels), 1, self.side, self.side)
        logits: torch.Tensor = self.head(self.blocks(images).mean(dim=(2, 3)))
        return logits
