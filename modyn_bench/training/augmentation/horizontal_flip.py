"""Mirror images."""

from __future__ import annotations

import torch

from modyn_bench.errors import RequestError
from modyn_bench.training.augmentation.draws import Draws
from modyn_bench.training.augmentation.images import ImageAugmentation


class HorizontalFlip(ImageAugmentation):
    """Mirrors each image, left and right, with a probability.

    Args:
        probability: In [0, 1].

    Shape:
        (n, C, H, W), before and after.

    Raises:
        RequestError: If the probability is none.

    Example:
        >>> import numpy as np
        >>> HorizontalFlip(probability=1.0)(torch.arange(3.0).view(1, 1, 1, 3), Draws(np.array([0]), 0)).tolist()
        [[[[2.0, 1.0, 0.0]]]]
    """

    def __init__(self, *, probability: float = 0.5) -> None:
        if not 0 <= probability <= 1:
            raise RequestError(f"probability={probability} must be in [0, 1]")
        self.probability = probability

    def augment(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Return the images, some of them mirrored."""
        flipped = torch.from_numpy(draws.uniform("flip") < self.probability).to(images.device)
        return torch.where(flipped[:, None, None, None], images.flip(-1), images)
