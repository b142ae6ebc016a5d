"""How unsure a model is, on scales on which very sure and very unsure samples keep their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def log_odds_of_others(logits: torch.Tensor) -> torch.Tensor:
    r"""Return the log-odds of every other class against the predicted one, and −∞ for that, (n, C) to (n, C).

    .. math:: o_c = z_c - \max_j z_j = \log(p_c / p_{\hat y})

    Beside the predicted class' probability, which is nearly 1 where a model is sure, these are not rounded away. Of
    equal logits one is the predicted class, so that another has log-odds 0.

    Example:
        >>> import torch
        >>> log_odds_of_others(torch.tensor([[1.0, 3.0, 3.0], [200.0, 0.0, 100.0]])).tolist()
        [[-2.0, -inf, 0.0], [-inf, -200.0, -100.0]]
    """
    predicted = logits.argmax(dim=1, keepdim=True)
    return (logits - logits.gather(1, predicted)).scatter(1, predicted, float("-inf"))
