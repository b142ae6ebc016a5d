"""A multi-layer perceptron over numeric features and embedded categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from modyn_bench.errors import RequestError


class TabularMLP(nn.Module):
    """Classifies rows of a table: category embeddings beside the numeric features, then hidden layers.

    Args:
        num_classes: Number of classes.
        num_features: Numeric features F.
        cardinalities: Number of ids of each of the C categorical features.
        hidden: Sizes of the hidden layers.
        embedding_dim: Length of a category's embedding.
        dropout: Probability of dropping a hidden unit.

    Shape:
        Input: ``{"numeric": (B, F) float32, "categorical": (B, C) int64}``, or the one tensor that there is.
        Output: (B, num_classes).

    Raises:
        RequestError: If the dataset has neither numeric nor categorical features.

    Example:
        >>> model = TabularMLP(num_classes=2, num_features=1, cardinalities=(3,))
        >>> model({"numeric": torch.zeros(4, 1), "categorical": torch.zeros(4, 1, dtype=torch.int64)}).shape
        torch.Size([4, 2])
    """

    offsets: torch.Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        num_features: int = 0,
        cardinalities: Sequence[int] = (),
        hidden: Sequence[int] = (128, 64),
        embedding_dim: int = 8,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = num_features + embedding_dim * len(cardinalities)
        if width == 0:
            raise RequestError("the tabular model needs numeric or categorical features, and the dataset has none")
        self.embedding: nn.Embedding | None = None
        if cardinalities:  # one table for all features: one look-up however many there are
            starts = torch.tensor([0, *cardinalities[:-1]]).cumsum(0)
            self.register_buffer("offsets", starts, persistent=False)
            self.embedding = nn.Embedding(sum(cardinalities), embedding_dim)
            nn.init.normal_(self.embedding.weight, std=embedding_dim**-0.5)
        self.takes_numeric = num_features > 0
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = size
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(width, num_classes)

    def forward(self, batch: torch.Tensor | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits of a batch."""
        if isinstance(batch, torch.Tensor):
            batch = {"numeric" if self.takes_numeric else "categorical": batch}
        parts = [batch["numeric"]] if self.takes_numeric else []
        if self.embedding is not None:
            parts.append(self.embedding(batch["categorical"] + self.offsets).flatten(1))
        logits: torch.Tensor = self.head(self.hidden(torch.cat(parts, dim=1)))
        return logits
