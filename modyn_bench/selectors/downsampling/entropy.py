"""Train on the samples whose prediction has the highest entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Outputs
from modyn_bench.selectors.downsampling.odds import log_odds_of_others
from modyn_bench.selectors.downsampling.scored import Scored

if TYPE_CHECKING:
    import torch

_SURE = -15.0  # log-odds below which log(1 + x) is x in float32


class Entropy(Scored):
    r"""Choose the samples whose predicted probabilities have the highest entropy.

    .. math:: s_i = \log H_i, \qquad H_i = -\sum_c p_{ic} \log p_{ic}
        = \log\Big(1 + \sum_{c \ne \hat y} e^{o_c}\Big) - \sum_{c \ne \hat y} p_{ic}\, o_c

    with o the log-odds against the predicted class. The logarithm keeps the order of samples whose entropy is too small
    for a number; both terms are positive, so that no digits are lost. Of equal scores the first.

    Takes the options of every downsampling.

    Shape:
        Logits (n, C); scores (n,).

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 0.0], [300.0, 0.0], [200.0, 0.0]])
        >>> Entropy().score(Outputs(logits, logits[:, 0].long(), None, None, None, {})).round().tolist()
        [-0.0, -294.0, -195.0]

    Reference:
        Settles, Active Learning Literature Survey, 2009, section 3.1 (Shannon, 1948).

    Deviation:
        The reference adds 1e-6 to every probability before its logarithm, so that sure samples lose their order.
    """

    name = "entropy"

    def score(self, outputs: Outputs) -> torch.Tensor:
        """Return the logarithm of the entropy."""
        import torch

        others = log_odds_of_others(outputs.logits)
        against = others.logsumexp(dim=1)
        total = torch.nn.functional.softplus(against)  # log of the sum of all odds
        terms = torch.where(others.isneginf(), others, others + torch.log(-others))
        log_total = torch.where(against < _SURE, against, torch.log(total))
        return torch.logaddexp(log_total, terms.logsumexp(dim=1) - total)
