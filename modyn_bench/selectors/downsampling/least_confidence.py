"""Train on the samples whose predicted class is least probable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Outputs
from modyn_bench.selectors.downsampling.odds import log_odds_of_others
from modyn_bench.selectors.downsampling.scored import Scored

if TYPE_CHECKING:
    import torch


class LeastConfidence(Scored):
    r"""Choose the samples whose most probable class is the least probable.

    .. math:: s_i = \log \frac{1 - p_i}{p_i}, \qquad p_i = \max_c \mathrm{softmax}(z_i)_c

    which orders samples as :math:`1 - p_i` does, but keeps digits where p is nearly 1. Of equal scores the first.

    Takes the options of every downsampling.

    Shape:
        Logits (n, C); scores (n,).

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 0.0], [300.0, 0.0], [200.0, 0.0]])
        >>> LeastConfidence().score(Outputs(logits, logits[:, 0].long(), None, None, None, {})).tolist()
        [0.0, -300.0, -200.0]

    Reference:
        Culotta and McCallum, Reducing Labeling Effort for Structured Prediction Tasks, AAAI 2005; Settles, Active
        Learning Literature Survey, 2009, section 3.1.

    Deviation:
        The reference compares the largest logits, which are not on one scale: adding a number to all logits of a sample
        changes its rank, but nothing of what the model says.
    """

    name = "least_confidence"

    def score(self, outputs: Outputs) -> torch.Tensor:
        """Return the log-odds that the predicted class is not the right one."""
        return log_odds_of_others(outputs.logits).logsumexp(dim=1)
