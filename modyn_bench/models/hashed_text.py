"""A linear classifier over the mean of hashed token embeddings."""

from __future__ import annotations

import torch
from torch import nn


class HashedTextClassifier(nn.Module):
    """Classifies text by the mean embedding of its hashed word n-grams.

    ``logits = W · mean(E[t] for t in tokens, t ≠ 0) + b``; a text without a token has the embedding 0.

    Args:
        num_buckets: Number of token ids without padding.
        num_classes: Number of classes.
        embedding_dim: Length of the embedding.
        sparse: Whether gradients of the embeddings are sparse. A trainer whose optimiser takes no sparse gradients
            turns this off.

    Shape:
        Input: (B, L), int64, 0 is padding. Output: (B, num_classes).

    Example:
        >>> model = HashedTextClassifier(num_buckets=100, num_classes=3)
        >>> model(torch.tensor([[5, 7, 0], [0, 0, 0]])).shape
        torch.Size([2, 3])

    Reference:
        Joulin et al., Bag of Tricks for Efficient Text Classification, EACL 2017, section 2.
    """

    def __init__(self, *, num_buckets: int, num_classes: int, embedding_dim: int = 64, sparse: bool = True) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(num_buckets + 1, embedding_dim, mode="mean", sparse=sparse)
        self.head = nn.Linear(embedding_dim, num_classes)
        nn.init.normal_(self.embedding.weight, std=embedding_dim**-0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch."""
        kept = tokens != 0  # padding is left out rather than looked up: most of a padded batch is padding
        lengths = kept.sum(dim=1)
        logits: torch.Tensor = self.head(self.embedding(tokens[kept], lengths.cumsum(0) - lengths))
        return logits
