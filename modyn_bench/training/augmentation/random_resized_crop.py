"""Crops of random size and shape, enlarged to the image's size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import grid_sample

from modyn_bench.errors import RequestError
from modyn_bench.training.augmentation.draws import Draws
from modyn_bench.training.augmentation.images import ImageAugmentation
from modyn_bench.types import FloatArray, IntArray

_ATTEMPTS = 10


class Boxes(NamedTuple):
    """Which part of each image is kept, in whole pixels; each of shape (n,)."""

    top: IntArray
    left: IntArray
    height: IntArray
    width: IntArray


class RandomResizedCrop(ImageAugmentation):
    r"""Cuts a box of random area, shape and place out of each image, and enlarges it to the image's size.

    .. math:: h = \sqrt{a / r}, \quad w = \sqrt{a r}, \quad a / HW \sim U(scale), \quad \log r \sim U(\log ratio)

    rounded to pixels; its place is uniform among those where it fits. A box that is too wide or too high is drawn anew,
    up to ten times, and is then the largest one in the middle whose shape is allowed. Pixels in between are
    interpolated linearly, from those within the box alone.

    Args:
        scale: Least and largest share of the image's area, in (0, 1].
        ratio: Least and largest width by height, above 0.

    Shape:
        (n, C, H, W), before and after.

    Raises:
        RequestError: If a range is none.

    Example:
        >>> crop = RandomResizedCrop(scale=(0.25, 0.25), ratio=(1, 1))
        >>> boxes = crop.boxes(Draws(np.arange(5), 0), height=32, width=32)
        >>> boxes.height.tolist(), boxes.width.tolist()
        ([16, 16, 16, 16, 16], [16, 16, 16, 16, 16])

    Reference:
        Szegedy et al., Going Deeper with Convolutions, CVPR 2015, section 6.

    Deviation:
        The reference crops the photograph before it is made smaller; here the stored image is cropped, so a small box
        has as few pixels as it covers there.
    """

    def __init__(self, *, scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3)) -> None:
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise RequestError(f"scale={list(scale)} must be [least, largest], both in (0, 1]")
        if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
            raise RequestError(f"ratio={list(ratio)} must be [least, largest], both above 0")
        self.scale = float(scale[0]), float(scale[1])
        self.ratio = float(ratio[0]), float(ratio[1])

    def augment(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Return a crop of each image."""
        height, width = images.shape[-2:]
        boxes = self.boxes(draws, height=height, width=width)
        return crop_and_resize(images, boxes)

    def boxes(self, draws: Draws, *, height: int, width: int) -> Boxes:
        """Return a box within height × width pixels for each sample."""
        box_height, box_width = self._largest(len(draws), height, width)
        pending = np.ones(len(draws), dtype=bool)
        for attempt in range(_ATTEMPTS):
            area = height * width * _between(*self.scale, draws.uniform(f"area{attempt}"))
            log_ratio = _between(math.log(self.ratio[0]), math.log(self.ratio[1]), draws.uniform(f"ratio{attempt}"))
            high = np.rint(np.sqrt(area / np.exp(log_ratio))).astype(np.int64)
            wide = np.rint(np.sqrt(area * np.exp(log_ratio))).astype(np.int64)
            fits = pending & (high > 0) & (high <= height) & (wide > 0) & (wide <= width)
            box_height, box_width = np.where(fits, high, box_height), np.where(fits, wide, box_width)
            pending &= ~fits
            if not pending.any():
                break
        top = np.floor(draws.uniform("top") * (height - box_height + 1)).astype(np.int64)
        left = np.floor(draws.uniform("left") * (width - box_width + 1)).astype(np.int64)
        top = np.where(pending, (height - box_height) // 2, top)
        left = np.where(pending, (width - box_width) // 2, left)
        return Boxes(top, left, box_height, box_width)

    def _largest(self, num_samples: int, height: int, width: int) -> tuple[IntArray, IntArray]:
        """Return height and width of the largest box whose shape is allowed, each of shape (n,)."""
        low, high = self.ratio
        box_height = max(min(height, round(width / low)), 1)
        box_width = max(min(width, round(height * high)), 1)
        return np.full(num_samples, box_height), np.full(num_samples, box_width)


def crop_and_resize(images: torch.Tensor, boxes: Boxes) -> torch.Tensor:
    """Return the part of each image within its box, enlarged to the image's size; one pass over all of them.

    Args:
        images: Shape (n, C, H, W).
        boxes: Of the n images.
    """
    height, width = images.shape[-2:]
    rows = _coordinates(boxes.top, boxes.height, height)
    columns = _coordinates(boxes.left, boxes.width, width)
    y = torch.from_numpy(rows).to(images.device, images.dtype)[:, :, None].expand(-1, -1, width)
    x = torch.from_numpy(columns).to(images.device, images.dtype)[:, None, :].expand(-1, height, -1)
    return grid_sample(images, torch.stack([x, y], dim=-1), mode="bilinear", align_corners=False)


def _coordinates(start: IntArray, length: IntArray, size: int) -> FloatArray:
    """Return where the pixels of an enlarged box lie in the image, from −1 to 1 as its edges, shape (n, size)."""
    centres = (np.arange(size) + 0.5) / size * length[:, None] - 0.5
    pixels = start[:, None] + np.clip(centres, 0, length[:, None] - 1)  # nothing beyond the box is looked at
    places: FloatArray = (2 * pixels + 1) / size - 1
    return places


def _between(low: float, high: float, share: FloatArray) -> FloatArray:
    return low + (high - low) * share
