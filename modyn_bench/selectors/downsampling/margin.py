"""Train on the samples whose two most probable classes are closest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Outputs
from modyn_bench.selectors.downsampling.odds import log_odds_of_others
from modyn_bench.selectors.downsampling.scored import Scored

if TYPE_CHECKING:
    import torch


class Margin(Scored):
    r"""Choose the samples with the smallest margin between the two most probable classes.

    .. math:: s_i = \log \frac{1 - m_i}{m_i}, \qquad m_i = p_{i, (1)} - p_{i, (2)}

    which orders samples as :math:`-m_i` does, but keeps digits where m is nearly 1, and where it is nearly 0. Of equal
    scores the first.

    Takes the options of every downsampling.

    Shape:
        Logits (n, C); scores (n,), ∞ where two classes are equally probable.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[1.0, 1.0, 0.0], [300.0, 0.0, 0.0], [200.0, 0.0, 0.0]])
        >>> Margin().score(Outputs(logits, logits[:, 0].long(), None, None, None, {})).round().tolist()
        [inf, -299.0, -199.0]

    Reference:
        Scheffer, Decomain and Wrobel, Active Hidden Markov Models for Information Extraction, IDA 2001; Settles, Active
        Learning Literature Survey, 2009, section 3.1.
    """

    name = "margin"

    def score(self, outputs: Outputs) -> torch.Tensor:
        """Return the log-odds of one minus the margin; both of its sides hold the same sum, which is left out."""
        import torch

        others = log_odds_of_others(outputs.logits)
        second = others.amax(dim=1)
        return torch.logaddexp(others.logsumexp(dim=1), second) - torch.log(-torch.expm1(second))
