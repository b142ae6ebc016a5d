"""Batches, budgets and shares of devices, against definitions by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.config import TrainingConfig
from modyn_bench.errors import RequestError
from modyn_bench.training.plan import TrainingPlan

plans = st.fixed_dictionaries(
    {
        "num_samples": st.integers(1, 70),
        "batch_size": st.integers(1, 12),
        "accumulate": st.integers(1, 4),
        "drop_last": st.booleans(),
        "epochs": st.integers(1, 3),
        "budget": st.one_of(st.none(), st.integers(1, 200)),
        "world_size": st.integers(1, 4),
        "seed": st.integers(0, 5),
    }
)


def plan_of(options: dict, rank: int = 0) -> TrainingPlan:
    config = TrainingConfig(
        epochs=options["epochs"],
        num_samples=options["budget"],
        batch_size=options["batch_size"],
        accumulate=options["accumulate"],
        drop_last=options["drop_last"],
    )
    return TrainingPlan(options["num_samples"], config, options["seed"], 7, rank=rank, world_size=options["world_size"])


def trained_on(plan: TrainingPlan, epoch: int) -> list[np.ndarray]:
    """The positions of each batch; a stand-in's are none."""
    order = plan.order(epoch)
    return [order[batch.start : batch.start + (0 if batch.padded else batch.size)] for batch in plan.batches(epoch)]


@given(plans)
def test_devices_share_every_epoch_without_gap_or_overlap_and_step_together(options):
    ranks = [plan_of(options, rank) for rank in range(options["world_size"])]
    for epoch in range(ranks[0].num_epochs):
        shares = [np.concatenate([np.empty(0, np.int64), *trained_on(plan, epoch)]) for plan in ranks]
        together = np.concatenate(shares)
        assert len(np.unique(together)) == len(together)
        last = epoch == ranks[0].num_epochs - 1 and options["budget"] is not None
        if not last and not options["drop_last"]:
            assert len(together) == options["num_samples"]
        steps = {tuple(batch.steps for batch in plan.batches(epoch)) for plan in ranks}
        assert len(steps) == 1
        assert all(len(trained_on(plan, epoch)) == plan.num_batches(epoch) for plan in ranks)
        for plan in ranks:
            assert all(0 < batch.size <= options["batch_size"] for batch in plan.batches(epoch))


@given(plans)
def test_steps_and_passes_are_counted_exactly(options):
    ranks = [plan_of(options, rank) for rank in range(options["world_size"])]
    epochs = range(ranks[0].num_epochs)
    assert ranks[0].num_optimizer_steps == sum(batch.steps for epoch in epochs for batch in ranks[0].batches(epoch))
    passes = sum(len(part) for plan in ranks for epoch in epochs for part in trained_on(plan, epoch))
    assert ranks[0].num_trained == passes


@given(plans, st.integers(0, 200))
def test_pools_divide_what_is_scored_as_batches_divide_what_is_trained_on(options, more):
    """Shared by devices without gap or overlap; of no pool more is chosen than it has; each within one of its share."""
    unpooled = [plan_of(options, rank) for rank in range(options["world_size"])]
    num_samples, num_pooled = options["num_samples"], options["num_samples"] + more
    ranks = [replace(plan, num_pooled=num_pooled) for plan in unpooled]
    assert ranks[0].num_trained == unpooled[0].num_trained
    assert ranks[0].num_optimizer_steps == unpooled[0].num_optimizer_steps
    gathered = 0
    for epoch in range(ranks[0].num_epochs):
        together: list[int] = []
        for pooled, plan in zip(ranks, unpooled, strict=True):
            order = pooled.order(epoch)
            for pool, batch in zip(pooled.batches(epoch), plan.batches(epoch), strict=True):
                assert (pool.scale, pool.steps, pool.padded) == (batch.scale, batch.steps, batch.padded)
                assert pool.num_chosen == batch.num_chosen == batch.size <= pool.size <= pooled.largest_batch
                if not pool.padded:
                    assert abs(pool.size - pool.num_chosen * num_pooled / num_samples) < 1
                    together += order[pool.start : pool.start + pool.size].tolist()
        assert len(set(together)) == len(together)
        if options["budget"] is None and not options["drop_last"]:
            assert len(together) == num_pooled
        gathered += len(together)
    assert ranks[0].num_gathered == gathered


@given(plans)
def test_a_budget_takes_whole_batches_and_no_more_of_them_than_needed(options):
    plan = plan_of(options | {"world_size": 1})
    if options["budget"] is None:
        assert plan.num_epochs == options["epochs"]
        return
    sizes = [batch.size for epoch in range(plan.num_epochs) for batch in plan.batches(epoch)]
    assert sum(sizes) >= options["budget"] > sum(sizes[:-1])


@given(plans, st.data())
def test_the_gradient_is_that_of_the_weighted_mean_over_all_samples_of_a_step(options, data):
    """Accumulate over batches, average over devices as distributed training does: (1/N) Σ w·loss of the step."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    losses = rng.random(options["num_samples"]) * rng.random(options["num_samples"])  # w·loss of each sample
    ranks = [plan_of(options, rank) for rank in range(options["world_size"])]
    for epoch in range(ranks[0].num_epochs):
        batches = [list(plan.batches(epoch)) for plan in ranks]
        parts = [trained_on(plan, epoch) for plan in ranks]
        total, members = 0.0, []
        for index, batch in enumerate(batches[0]):
            of_devices = [batches[rank][index].scale * losses[parts[rank][index]].sum() for rank in range(len(ranks))]
            total += np.mean(of_devices)
            members += [position for rank in range(len(ranks)) for position in parts[rank][index]]
            if batch.steps:
                assert total == pytest.approx(losses[members].mean())
                total, members = 0.0, []
        assert not members


def test_orders_are_permutations_that_derive_from_seed_data_and_epoch():
    config = TrainingConfig()
    orders = [
        tuple(TrainingPlan(50, config, seed, last_key).order(epoch))
        for seed, last_key, epoch in [(0, 7, 0), (0, 7, 1), (1, 7, 0), (0, 8, 0)]
    ]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert tuple(TrainingPlan(50, config, 0, 7).order(0)) == orders[0]
    unshuffled = TrainingPlan(50, TrainingConfig(shuffle=False), 0, 7)
    assert unshuffled.order(2).tolist() == list(range(50))


def test_an_empty_selection_is_refused():
    with pytest.raises(RequestError, match="no sample"):
        TrainingPlan(0, TrainingConfig(), 0, 0)
