"""Train on the samples that the model was most wrong about when it was last trained on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Outputs
from modyn_bench.selectors.downsampling.recorded import Recorded

if TYPE_CHECKING:
    import torch


class El2n(Recorded):
    r"""Choose the samples with the largest error norm in the last training pass over them.

    .. math:: s_i = \| \mathrm{softmax}(z_i) - \mathrm{onehot}(y_i) \|_2

    Those never trained on come first, so that with a ``period`` of 1 the first epochs pass over the whole set; equal
    scores are drawn from. The scores cost no pass, as they come from the passes of the training itself.

    Takes the options of every downsampling; ``mode`` is ``sample_then_batch``.

    Shape:
        Logits (n, C); records (n, 1), from 0 to √2.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import torch
        >>> logits, labels = torch.tensor([[90.0, 0.0], [90.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1, 1])
        >>> outputs = Outputs(logits, labels, None, None, None, {})
        >>> El2n().record(outputs, torch.full((3, 1), torch.nan)).square().round(decimals=2).flatten().tolist()
        [0.0, 2.0, 0.5]

    Reference:
        Paul, Ganguli and Dziugaite, Deep Learning on a Data Diet: Finding Important Examples Early in Training, NeurIPS
        2021, section 2 (EL2N).

    Deviation:
        The paper takes the expectation over several initialisations, at one epoch early in training, and prunes once.
        Here it is one model's, of the epoch in which the sample was last trained on, and chosen by again while training
        goes on: no mean over epochs, which would mix models that the score tells apart.
    """

    name = "el2n"

    def record(self, outputs: Outputs, before: torch.Tensor) -> torch.Tensor:
        """Return the error norms, shape (n, 1)."""
        from torch.linalg import vector_norm
        from torch.nn.functional import one_hot

        errors = outputs.logits.softmax(dim=1) - one_hot(outputs.labels, outputs.logits.shape[1])
        norms: torch.Tensor = vector_norm(errors, dim=1, keepdim=True)
        return norms
