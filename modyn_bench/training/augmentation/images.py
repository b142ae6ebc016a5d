"""What augmentations of images have in common: where the images are among a model's inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from modyn_bench.errors import RequestError
from modyn_bench.inference.forward import ModelInput
from modyn_bench.training.augmentation.draws import Draws

IMAGE = "image"


class ImageAugmentation(ABC):
    """Changes the images among a batch's inputs, and leaves the other ones as they are."""

    def __call__(self, inputs: ModelInput, draws: Draws) -> ModelInput:
        """Return the inputs with other images, of the same shape.

        Args:
            inputs: What the model gets: images, or tensors by name with ``image`` among them.
            draws: Random numbers of the n samples.

        Raises:
            RequestError: If there are no images.
        """
        images = inputs.get(IMAGE) if isinstance(inputs, dict) else inputs
        if images is None or images.dim() != 4 or not images.is_floating_point():
            found = ", ".join(inputs) if isinstance(inputs, dict) else f"inputs of shape {tuple(inputs.shape[1:])}"
            raise RequestError(f"{type(self).__name__} needs images, and the dataset has {found}")
        augmented = self.augment(images, draws)
        return {**inputs, IMAGE: augmented} if isinstance(inputs, dict) else augmented

    @abstractmethod
    def augment(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Return as many images, shape (n, C, H, W) as before."""
