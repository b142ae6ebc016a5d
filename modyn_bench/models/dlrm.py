"""The recommendation model of click logs: embeddings and numbers, their pairwise products, two perceptrons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from modyn_bench.errors import RequestError


class DLRM(nn.Module):
    """Classifies clicks by the products of all pairs of embeddings.

    With ``z_0 = bottom(numeric)`` and ``z_c = E_c[categorical_c]``, all of length D::

        logits = head(top([z_0, <z_i, z_j> for all i > j]))

    The paper has one output, the logit of a click; here there is one per class, as losses and metrics take them: for
    two classes, the difference of the two is that logit.

    Args:
        num_features: Numeric features F.
        cardinalities: Number of ids of each of the C categorical features.
        num_classes: Number of classes.
        embedding_dim: Length D of all embeddings.
        bottom: Sizes of the layers over the numbers; the last must be D.
        top: Sizes of the hidden layers over the products.
        max_rows: Features with more ids share rows, ``id mod max_rows``; ``None``: every id has a row of its own.
        sparse: Whether gradients of the embeddings are sparse. A trainer whose optimiser takes no sparse gradients
            turns this off.

    Shape:
        Input: ``{"numeric": (B, F) float32, "categorical": (B, C) int64}``. Output: (B, num_classes).

    Raises:
        RequestError: If the dataset lacks numbers or categories, or sizes do not fit.

    Example:
        >>> model = DLRM(num_features=2, cardinalities=(5, 3), num_classes=2, embedding_dim=4, bottom=[4], top=[8])
        >>> model({"numeric": torch.zeros(6, 2), "categorical": torch.zeros(6, 2, dtype=torch.int64)}).shape
        torch.Size([6, 2])

    Reference:
        Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems,
        arXiv:1906.00091, section 2; initial values as in the authors' program.
    """

    starts: torch.Tensor
    rows: torch.Tensor
    pairs: torch.Tensor

    def __init__(
        self,
        *,
        num_features: int,
        cardinalities: Sequence[int],
        num_classes: int,
        embedding_dim: int = 16,
        bottom: Sequence[int] = (64, 16),
        top: Sequence[int] = (64, 32),
        max_rows: int | None = None,
        sparse: bool = True,
    ) -> None:
        super().__init__()
        if not num_features or not cardinalities:
            lacking = "categorical" if num_features else "numeric"
            raise RequestError(f"DLRM multiplies numbers and categories, and the dataset has no {lacking} features")
        if not bottom or bottom[-1] != embedding_dim:
            raise RequestError(f"model.bottom={list(bottom)} must end with model.embedding_dim={embedding_dim}")
        if max_rows is not None and max_rows < 1:
            raise RequestError(f"model.max_rows={max_rows} must be at least 1, or null")
        rows = torch.tensor([count if max_rows is None else min(count, max_rows) for count in cardinalities])
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("starts", rows.cumsum(0) - rows, persistent=False)
        self.register_buffer("pairs", _pairs(1 + len(cardinalities)), persistent=False)
        # one table for all features: one look-up however many there are
        self.embedding = nn.Embedding(int(rows.sum()), embedding_dim, sparse=sparse)
        for part in torch.split(self.embedding.weight.detach(), rows.tolist()):
            nn.init.uniform_(part, -(len(part) ** -0.5), len(part) ** -0.5)
        self.bottom = _layers(num_features, bottom)
        width = embedding_dim + len(self.pairs)
        self.top = _layers(width, top)
        self.head = _linear(top[-1] if top else width, num_classes)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits of a batch."""
        numbers = self.bottom(batch["numeric"])
        embedded = self.embedding(batch["categorical"] % self.rows + self.starts)
        vectors = torch.cat([numbers[:, None].to(embedded.dtype), embedded], dim=1)  # (B, 1 + C, D)
        products = torch.bmm(vectors, vectors.transpose(1, 2)).flatten(1).index_select(1, self.pairs)
        logits: torch.Tensor = self.head(self.top(torch.cat([numbers, products], dim=1)))
        return logits


def _pairs(count: int) -> torch.Tensor:
    """Return where in a flattened square matrix the entries i > j stand, shape (count * (count - 1) / 2,)."""
    places = torch.tril_indices(count, count, offset=-1)
    return places[0] * count + places[1]


def _layers(width: int, sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in sizes:
        layers += [_linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*layers)


def _linear(width: int, size: int) -> nn.Linear:
    layer = nn.Linear(width, size)
    nn.init.xavier_normal_(layer.weight)
    nn.init.normal_(layer.bias, std=size**-0.5)
    return layer
