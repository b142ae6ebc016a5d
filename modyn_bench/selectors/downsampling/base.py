"""The contract of policies that choose among the trigger training set while the model is trained.

The trainer asks like this, for every batch that is scored, or once every ``period`` epochs for the whole set::

    description = policy.describe(outputs)         # pure: a row for each sample
    choice = policy.downsample(description, labels, budget, turn)

Torch is imported inside functions only. Shapes: n samples, C classes, e columns of an embedding, k chosen.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, TypedDict

import numpy as np

from modyn_bench.errors import ContractError, RequestError
from modyn_bench.selectors.base import History, SelectionContext, Selector
from modyn_bench.selectors.groups import proportional_shares, systematic_shares
from modyn_bench.selectors.share import Share
from modyn_bench.types import FloatArray, IntArray, Selection

if TYPE_CHECKING:
    import torch

Need: TypeAlias = Literal["outputs", "loss", "gradient", "embedding", "history"]
"""What a policy describes samples by: the model's outputs, their loss, its gradient with respect to the outputs, the
embedding (the input of the last layer), or what was recorded when they were last trained on."""

Random: TypeAlias = Callable[..., np.random.Generator]
"""Derives a generator from names: the same names give the same numbers, others independent ones."""

MODES = ("batch_then_sample", "sample_then_batch")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model says of n samples, float32 on its device; what a policy does not need is ``None``.

    Attributes:
        logits: Shape (n, C).
        labels: Class indices, shape (n,), int64.
        losses: Training loss of each sample, shape (n,).
        gradients: Gradient of each sample's loss with respect to its logits, shape (n, C).
        embeddings: Input of the model's last layer, shape (n, e).
        columns: What the selection says of each sample, by name, each of shape (n,).
    """

    logits: torch.Tensor
    labels: torch.Tensor
    losses: torch.Tensor | None
    gradients: torch.Tensor | None
    embeddings: torch.Tensor | None
    columns: Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Choice:
    """Samples that were chosen.

    Attributes:
        positions: Where they stand among those that were described, distinct, shape (k,), int64.
        weights: How many of the n samples each stands for, so that they sum up to n, exactly or in expectation, shape
            (k,); ``None`` where all stand for as many. What ``downsample`` returns is scaled to a mean of 1 instead.
    """

    positions: torch.Tensor
    weights: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """When a choice is made, and where its randomness comes from.

    Attributes:
        epoch: The epoch that is trained next, from 0.
        num_epochs: Epochs of this training.
        random: The only source of randomness. It is the same at every choice from a whole set, and another one for
            every batch that is scored; what must differ from epoch to epoch names the epoch.
    """

    epoch: int
    num_epochs: int
    random: Random


class SharedOptions(TypedDict, total=False):
    """What every downsampling policy takes, as ``Downsampler`` describes it."""

    history: History
    limit: int | None
    limit_by: str
    warmup_triggers: int
    mode: str | None
    balance: bool


class Options(SharedOptions, total=False):
    """What those take as well whose budget is a share."""

    ratio: float
    size: int | None
    period: int


class Downsampler(Selector):
    """Takes the scope, up to the limit, as the trigger training set, and chooses among it while the model is trained.

    Args:
        ratio: Share of what is scored that is trained on, a fraction in (0, 1].
        size: A number of samples in place of the ratio, of the trigger training set; ``None`` for the ratio.
        history: 0: new data only; k: and that of the last k trainings; ``all``: everything.
        limit: Upper bound on the size of the trigger training set, in samples; ``None`` for none.
        limit_by: What stays within the limit: ``newest``, ``uniform`` or ``balanced``.
        warmup_triggers: How many trainings at the start train on all of it.
        mode: ``batch_then_sample``: score batch after batch while training, and train on the best of each;
            ``sample_then_batch``: score the whole set, and train for epochs on the best of it. ``None``: the first that
            the policy can be used in.
        period: With ``sample_then_batch``: epochs between two scorings of the whole set; 0: once per training.
        balance: Choose the share of each class apart.

    Raises:
        RequestError: If an option is out of range, or has no effect.
    """

    needs: tuple[Need, ...] = ("outputs",)
    """What ``describe`` reads, which may depend on options; nothing: no sample is scored, descriptions are empty."""

    modes: ClassVar[tuple[str, ...]] = MODES
    """The modes that the policy can be used in."""

    record_size: ClassVar[int] = 0
    """Numbers that ``record`` keeps of each sample; 0 for none."""

    own_budget: ClassVar[bool] = False
    """Whether the policy says itself how many it chooses, whatever the budget."""

    expected_share: float = 1.0
    """Of a policy with a budget of its own: the share that it chooses in an epoch, on average, as far as is known."""

    by_class: bool = False
    """Whether every class is chosen from apart, whatever ``balance`` says."""

    def __init__(
        self,
        *,
        ratio: float = 0.25,
        size: int | None = None,
        history: History = 0,
        limit: int | None = None,
        limit_by: str = "newest",
        warmup_triggers: int = 0,
        mode: str | None = None,
        period: int = 1,
        balance: bool = False,
    ) -> None:
        super().__init__(history=history, limit=limit, limit_by=limit_by, warmup_triggers=warmup_triggers)
        if mode is not None and mode not in self.modes:
            raise RequestError(f"selector.mode={mode!r} must be {' or '.join(self.modes)} with {self.name}")
        if period < 0:
            raise RequestError(f"selector.period={period} must be at least 0; 0 scores once per training")
        self.share = Share(ratio, size)
        self.mode = mode or self.modes[0]
        if period != 1 and self.mode == "batch_then_sample":
            raise RequestError(
                f"selector.period={period} has no effect where batches are scored: set selector.mode=sample_then_batch"
            )
        self.period = period
        self.balance = balance

    @property
    def needs_embedding(self) -> bool:
        """Whether ``describe`` reads embeddings."""
        return "embedding" in self.needs

    @property
    def downsampler(self) -> Downsampler | None:
        """The policy itself, or what a warm-up trains with."""
        return self.warm_up if self.warming_up else self

    @property
    def warm_up(self) -> Downsampler | None:
        """What takes everything in a warm-up while this policy records; ``None`` where it records nothing."""
        return _WarmUp(self) if self.record_size else None

    @property
    def recorder(self) -> Downsampler:
        """The policy that records what is trained on: this one."""
        return self

    def select(self, context: SelectionContext) -> Selection:
        """Return the scope, cut to the limit, and what the policy must know of it beforehand."""
        keys = self.within_limit(context)
        return Selection.unweighted(keys) if self.warming_up or not len(keys) else self.prepare(keys, context)

    def prepare(self, keys: IntArray, context: SelectionContext) -> Selection:
        """Return a trigger training set made of keys that are in order, with columns that ``describe`` reads.

        What it uses without training on it is ``held_out``; what it leaves out of both counts as not chosen.
        """
        return Selection.unweighted(keys)

    def describe(self, outputs: Outputs) -> torch.Tensor:
        """Return a row for each sample, shape (n, d); where it is a score, higher means train on it first. Pure.

        A policy that needs the history alone is not asked: its descriptions are what ``record`` returned last, NaN
        where a sample was never trained on.
        """
        raise ContractError(f"selector {self.name} needs {self.needs}, but describes nothing")

    @abstractmethod
    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose among n samples.

        Args:
            description: What ``describe`` says of each, shape (n, d), on the model's device.
            labels: Class indices, shape (n,).
            budget: How many to choose, 1 to n; fewer are allowed.
            turn: The epoch, and randomness.
        """

    def begin(self, records: torch.Tensor, *, continues: bool) -> torch.Tensor:
        """Return what is known of samples when a training begins, shape (n, record_size). Pure.

        Args:
            records: What was kept of them so far; NaN where they were never trained on, shape (n, record_size).
            continues: Whether the model goes on from the last one, rather than starting anew.
        """
        return records

    def record(self, outputs: Outputs, before: torch.Tensor) -> torch.Tensor:
        """Return what is kept of samples that were just passed forward in training, shape (n, record_size).

        Args:
            outputs: What the model said of them in that pass, weights not applied.
            before: What was kept of them so far; NaN where they were never trained on, shape (n, record_size).
        """
        raise ContractError(f"selector {self.name} keeps no record")

    def downsample(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose among n samples, class by class where that is asked for, with weights whose mean is 1.

        Takes what ``choose`` takes.

        Raises:
            ContractError: If the policy chooses more than the budget, or none.
        """
        import torch

        if not (self.balance or self.by_class):
            choice = self.choose(description, labels, budget, turn)
        else:
            choice = self._class_by_class(description, labels, budget, turn)
        num_chosen = len(choice.positions)
        if not 1 <= num_chosen <= budget and not self.own_budget:
            raise ContractError(
                f"selector {self.name} chose {num_chosen} of {len(labels)} samples, but may choose 1..{budget}"
            )
        if choice.weights is None:
            return Choice(choice.positions)
        return Choice(choice.positions, (choice.weights * (num_chosen / len(labels))).to(torch.float32))

    def _class_by_class(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        import torch

        counts = np.bincount(labels.cpu().numpy())
        shares, chances = _class_shares(counts, budget, turn)
        members_of = torch.split(torch.argsort(labels, stable=True), counts.tolist())
        positions, weights, weighted = [], [], False
        for group in np.flatnonzero(shares):
            members = members_of[group]
            own = replace(turn, random=partial(turn.random, "class", int(group)))
            choice = self.choose(description[members], labels[members], int(shares[group]), own)
            positions.append(members[choice.positions])
            alike = torch.full((len(choice.positions),), len(members) / len(choice.positions), device=members.device)
            weights.append((alike if choice.weights is None else choice.weights) / float(chances[group]))
            weighted = weighted or choice.weights is not None
        return Choice(torch.cat(positions), torch.cat(weights) if weighted else None)


def _class_shares(counts: IntArray, budget: int, turn: Turn) -> tuple[IntArray, FloatArray]:
    """Return how many to choose of each class, and with which probability that is at least one, both of shape (C,)."""
    if budget >= np.count_nonzero(counts):
        return proportional_shares(counts, budget), np.ones(len(counts))
    num_samples = int(counts.sum())
    offset = int(turn.random("classes", turn.epoch).integers(num_samples))
    return systematic_shares(counts, budget, offset), np.minimum(counts * (budget / num_samples), 1.0)


class _WarmUp(Downsampler):
    """Takes everything in every epoch, while the policy that is warming up records.

    Args:
        policy: The policy that records.
    """

    name = "warm_up"
    needs = ()
    modes = ("sample_then_batch",)

    def __init__(self, policy: Downsampler) -> None:
        super().__init__(ratio=1.0, period=0)
        self._policy = policy

    @property
    def recorder(self) -> Downsampler:
        """The policy that is warming up."""
        return self._policy

    def choose(self, description: torch.Tensor, labels: torch.Tensor, budget: int, turn: Turn) -> Choice:
        """Choose all."""
        import torch

        return Choice(torch.arange(len(labels), device=labels.device))


def highest(scores: torch.Tensor, budget: int) -> torch.Tensor:
    """Return the positions of the highest of some scores (n,), in order of position; of equal ones the first, (k,)."""
    import torch

    order = torch.sort(scores, descending=True, stable=True).indices
    return order[:budget].sort().values
