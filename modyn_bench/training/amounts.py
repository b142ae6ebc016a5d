"""How much is trained: epochs, samples or sample passes, as a plan of what is gathered and the steps that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from modyn_bench.config import TrainingConfig
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.types import BACKWARD

TRAINED = 1.0 + BACKWARD
"""Sample passes of training on a sample: one forward, one backward."""


@dataclass(frozen=True)
class Amounts:
    """What a training gathers, and what comes of it.

    Attributes:
        plan: Of the samples that are gathered: what is trained on, or, in batch-then-sample, what is scored.
        num_steps: Optimiser steps; fewer where a policy chooses fewer samples than it may.
        pool: Samples that are scored at once; 0 where batches are trained on as they are.
        num_trained: Samples that are trained on, counted once for each time.
    """

    plan: TrainingPlan
    num_steps: int
    pool: int
    num_trained: int

    @property
    def num_epochs(self) -> int:
        """Epochs begun."""
        return self.plan.num_epochs


def amounts(
    num_samples: int,
    config: TrainingConfig,
    policy: Downsampler | None,
    *,
    seed: int,
    last_key: int,
    passes: float | None = None,
) -> Amounts:
    """Plan a training on so many samples.

    Args:
        num_samples: Size of the trigger training set.
        config: Epochs or samples, batch size, accumulation.
        policy: What chooses among it; ``None``: all of it is trained on.
        seed: The run's seed.
        last_key: The data's last key.
        passes: Sample passes that may be used, a backward one counting twice; ``None``: as ``config`` says. At least
            one batch is trained on.

    Raises:
        RequestError: If there is no sample.
    """
    if policy is not None and policy.mode == "batch_then_sample":
        return _by_pools(num_samples, config, policy, seed, last_key, passes)
    chosen = num_samples
    if policy is not None and not policy.own_budget:
        chosen = policy.share.of(num_samples)
    limited = passes is not None or config.num_samples is not None
    if policy is not None and policy.own_budget and limited:
        chosen = max(round(policy.expected_share * num_samples), 1)  # so that the epochs suffice, on average
    plan = TrainingPlan(chosen, config, seed, last_key, world_size=config.devices)
    if passes is not None:
        plan = _of_about(plan, _trained_within(passes, num_samples, plan.epoch_samples, policy))
    return Amounts(plan, plan.num_optimizer_steps, 0, plan.num_passes)


def _trained_within(passes: float, num_samples: int, of_epoch: int, policy: Downsampler | None) -> int:
    """Return how many samples can be trained on, scorings of the whole set every ``period`` epochs included.

    Args:
        passes: Sample passes that may be used.
        num_samples: Samples of the whole set.
        of_epoch: Samples that an epoch trains on.
        policy: What chooses them.
    """
    scored = num_samples if policy is not None and policy.needs and "history" not in policy.needs else 0
    if not scored:
        return max(int(passes / TRAINED), 1)
    assert policy is not None
    if not policy.period:
        return max(int((passes - scored) / TRAINED), 1)
    round_trained = policy.period * of_epoch
    round_passes = scored + TRAINED * round_trained
    rounds = int(passes / round_passes)
    left = max(passes - rounds * round_passes - scored, 0.0)
    return max(rounds * round_trained + int(left / TRAINED), 1)


def _of_about(plan: TrainingPlan, num_samples: int) -> TrainingPlan:
    """Return a plan of whole batches with as nearly so many samples as there are, but at least one batch."""
    size, epoch = plan.global_batch_size, plan.epoch_samples
    epochs, rest = divmod(num_samples, epoch)
    above = min(math.ceil(rest / size) * size, epoch)
    below = max(math.ceil(above / size) - 1, 0) * size
    nearest = above if above - rest <= rest - below else below
    return replace(plan, config=replace(plan.config, num_samples=max(epochs * epoch + nearest, 1)))


def pool_budget(policy: Downsampler, num_samples: int, pool: int) -> int:
    """Return how many of a pool are chosen, so that over all pools the policy's share of the whole set is."""
    if policy.share.size is None:
        return policy.share.of(pool)
    return max(pool * policy.share.of(num_samples) // num_samples, 1)


def _by_pools(
    num_samples: int, config: TrainingConfig, policy: Downsampler, seed: int, last_key: int, passes: float | None
) -> Amounts:
    """Plan pools, each as large as fills one batch of the optimiser by what is chosen of it."""
    share = policy.share.ratio if policy.share.size is None else policy.share.of(num_samples) / num_samples
    pool = max(round(config.batch_size / share), 1)
    pooled = replace(config, batch_size=pool, accumulate=1, num_samples=None)
    plan = TrainingPlan(num_samples, pooled, seed, last_key, world_size=config.devices)
    of_epoch = sum(_chosen(plan, policy, num_samples, epoch=0))
    if passes is not None:
        plan = _of_about(plan, int(passes / (1.0 + TRAINED * of_epoch / plan.epoch_samples)))
    elif config.num_samples is not None:
        scored = math.ceil(config.num_samples * plan.epoch_samples / of_epoch)
        plan = replace(plan, config=replace(pooled, num_samples=max(scored, 1)))
    usual = _chosen(plan, policy, num_samples, epoch=0)
    last = _chosen(plan, policy, num_samples, epoch=plan.num_epochs - 1)
    trained = [one * (plan.num_epochs - 1) + other for one, other in zip(usual, last, strict=True)]
    num_steps = math.ceil(max(trained) / (config.batch_size * config.accumulate))  # no device steps without the others
    return Amounts(plan, num_steps, pool, sum(trained))


def _chosen(plan: TrainingPlan, policy: Downsampler, num_samples: int, *, epoch: int) -> list[int]:
    """Return how many samples each device chooses from its pools of an epoch."""
    return [
        sum(pool_budget(policy, num_samples, batch.size) for batch in own.batches(epoch) if not batch.padded)
        for own in (replace(plan, rank=rank) for rank in range(plan.world_size))
    ]
