"""Train on the samples that the model has forgotten most often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.selectors.downsampling.base import Outputs
from modyn_bench.selectors.downsampling.recorded import Recorded

if TYPE_CHECKING:
    import torch


class Forgetting(Recorded):
    r"""Choose the samples with the most forgetting events: classified correctly in one pass, and wrongly in the next.

    .. math:: s_i = \sum_t [\, \hat y_i^{(t)} = y_i \,\wedge\, \hat y_i^{(t + 1)} \ne y_i \,]

    over the training passes t of the sample; :math:`\infty` until it is classified correctly for the first time. Those
    never trained on come first, so that with a ``period`` of 1 the first epochs pass over the whole set; equal counts
    are drawn from. The counts cost no pass, as they come from the passes of the training itself.

    Counts go on from training to training. Both passes of an event are of one model: where a training does not go on
    from the last model, its first pass over a sample is compared with none.

    Takes the options of every downsampling; ``mode`` is ``sample_then_batch``.

    Shape:
        Logits (n, C); records (n, 2): the count, and 1 where the model's last pass was correct.

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import torch
        >>> right, wrong = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> policy, record = Forgetting(), torch.full((1, 2), torch.nan)
        >>> for logits in (wrong, right, wrong, wrong, right, wrong):
        ...     record = policy.record(Outputs(logits, torch.tensor([0]), None, None, None, {}), record)
        >>> record.tolist()
        [[2.0, 0.0]]

    Reference:
        Toneva et al., An Empirical Study of Example Forgetting during Deep Neural Network Learning, ICLR 2019,
        section 3; its published code puts examples that are never learnt before all others.

    Deviation:
        The paper counts over a whole training and prunes once, before another. Here the counts so far choose while the
        training goes on.
    """

    name = "forgetting"
    record_size = 2

    def begin(self, records: torch.Tensor, *, continues: bool) -> torch.Tensor:
        """Return the counts, and that a model which starts anew was not correct so far, shape (n, 2)."""
        import torch

        counts, was_correct = records[:, 0], records[:, 1]
        return records if continues else torch.stack([counts, torch.where(was_correct == 1, 0.0, was_correct)], dim=1)

    def record(self, outputs: Outputs, before: torch.Tensor) -> torch.Tensor:
        """Return the counts, and whether this pass was correct, shape (n, 2)."""
        import torch

        correct = outputs.logits.argmax(dim=1) == outputs.labels
        counts, was_correct = before[:, 0], before[:, 1] == 1
        first = torch.where(correct, 0.0, torch.inf)  # for those that were never right, or never trained on
        counts = torch.where(counts.isfinite(), counts + (was_correct & ~correct), first)
        return torch.stack([counts, correct.to(counts.dtype)], dim=1)
