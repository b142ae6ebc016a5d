"""What training batches are changed by at random, whole batches at once, on the device; nothing else ever is."""

from __future__ import annotations

from modyn_bench.training.augmentation.draws import Draws
from modyn_bench.training.augmentation.horizontal_flip import HorizontalFlip
from modyn_bench.training.augmentation.random_resized_crop import RandomResizedCrop

__all__ = ["Draws", "HorizontalFlip", "RandomResizedCrop"]
