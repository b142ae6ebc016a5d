"""What the trainer would hand to a downsampling policy, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from modyn_bench.seeding import derive
from modyn_bench.selectors.downsampling.base import Choice, Downsampler, Outputs, Turn, highest


def outputs_of(
    logits: torch.Tensor | list[list[float]],
    labels: torch.Tensor | list[int] | None = None,
    *,
    embeddings: torch.Tensor | None = None,
    columns: Mapping[str, torch.Tensor] | None = None,
    label_smoothing: float = 0.0,
) -> Outputs:
    """Outputs with cross-entropy losses and their gradients, which autograd takes sample by sample."""
    logits = torch.as_tensor(logits, dtype=torch.float32).detach()
    labels = torch.zeros(len(logits), dtype=torch.int64) if labels is None else torch.as_tensor(labels)
    leaf = logits.clone().requires_grad_()
    losses = cross_entropy(leaf, labels, reduction="none", label_smoothing=label_smoothing)
    (gradients,) = torch.autograd.grad(losses.sum(), leaf)
    return Outputs(logits, labels, losses.detach(), gradients, embeddings, columns or {})


def random_outputs(num_samples: int, *, num_classes: int = 3, seed: int = 0) -> Outputs:
    """Everything that any policy asks for, at random; every class is there where there are enough samples."""
    generator = derive(seed, "outputs")
    labels = torch.from_numpy(generator.permutation(np.arange(num_samples) % num_classes))
    draw = lambda *shape: torch.from_numpy(generator.normal(size=shape)).float()  # noqa: E731
    columns = {"irreducible_loss": draw(num_samples).abs()}
    return outputs_of(2 * draw(num_samples, num_classes), labels, embeddings=draw(num_samples, 4), columns=columns)


def random_of(seed: int) -> Callable[..., np.random.Generator]:
    return lambda *names: derive(seed, *names)


def description_of(policy: Downsampler, outputs: Outputs) -> torch.Tensor:
    """What the trainer describes samples by: scores, records, or nothing."""
    if not policy.needs:
        return torch.empty(len(outputs.labels), 0)
    if policy.needs == ("history",):
        recorder = policy.recorder
        return recorder.record(outputs, torch.full((len(outputs.labels), recorder.record_size), torch.nan))
    return policy.describe(outputs)


def chosen(
    policy: Downsampler,
    outputs: Outputs,
    budget: int | None = None,
    *,
    random: Callable[..., np.random.Generator] | None = None,
    epoch: int = 0,
    num_epochs: int = 10,
) -> Choice:
    """Describe and choose, as the trainer does."""
    budget = policy.share.of(len(outputs.labels)) if budget is None else budget
    description = description_of(policy, outputs)
    random = random or random_of(0)
    return policy.downsample(description, outputs.labels, budget, Turn(epoch, num_epochs, random))


class Hardest(Downsampler):
    """The highest losses, each standing for as many as all."""

    name = "hardest"
    needs = ("loss",)

    def describe(self, outputs: Outputs) -> torch.Tensor:
        assert outputs.losses is not None
        return outputs.losses[:, None]

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        return Choice(highest(description[:, 0], budget))
