"""How much is trained: a plan from epochs, samples or sample passes, and from what a policy chooses."""

from __future__ import annotations

import math
from dataclasses import replace

from modyn_bench.config import TrainingConfig
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.training.plan import TrainingPlan
from modyn_bench.types import BACKWARD

TRAINED = 1.0 + BACKWARD
"""Sample passes of training on a sample: one forward, one backward."""


def plan_training(
    num_samples: int,
    config: TrainingConfig,
    policy: Downsampler | None,
    *,
    seed: int,
    last_key: int,
    passes: float | None = None,
) -> TrainingPlan:
    """Plan a training on a trigger training set; a policy that chooses less than it may makes fewer steps of it.

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
    chosen = num_samples
    if policy is not None and not policy.own_budget:
        chosen = policy.share.of(num_samples)
    limited = passes is not None or config.num_samples is not None
    if policy is not None and policy.own_budget and limited:
        chosen = max(round(policy.expected_share * num_samples), 1)  # so that the epochs suffice, on average
    pooled = num_samples if policy is not None and policy.mode == "batch_then_sample" else None
    plan = TrainingPlan(chosen, config, seed, last_key, world_size=config.devices, num_pooled=pooled)
    if passes is None:
        return plan
    return _of_about(plan, _trained_within(passes, num_samples, plan, policy))


def _trained_within(passes: float, num_samples: int, plan: TrainingPlan, policy: Downsampler | None) -> int:
    """Return how many samples can be trained on, scorings included: of pools, or of the whole set now and then.

    Args:
        passes: Sample passes that may be used.
        num_samples: Samples of the whole set.
        plan: What an epoch trains on.
        policy: What chooses it.
    """
    if plan.num_pooled is not None:
        return max(int(passes / (TRAINED + plan.num_pooled / plan.num_samples)), 1)
    scored = num_samples if policy is not None and policy.needs and "history" not in policy.needs else 0
    if not scored:
        return max(int(passes / TRAINED), 1)
    assert policy is not None
    if not policy.period:
        return max(int((passes - scored) / TRAINED), 1)
    round_trained = policy.period * plan.epoch_samples
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
