"""Scope, limits and draws, against brute-force definitions; every selector through the contract."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from choosing import chosen, random_outputs
from found import concrete_classes, held_by
from hypothesis import given
from hypothesis import strategies as st
from selecting import Halving, Steps, arrivals, context, record, run, saved, steps

from modyn_bench import selectors
from modyn_bench.commands.targets import signature_of
from modyn_bench.errors import RequestError
from modyn_bench.parts import with_parts
from modyn_bench.selectors import downsampling
from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.coreset import Coreset
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.selectors.downsampling.rho_loss import RhoLoss
from modyn_bench.selectors.new_data import NewData
from modyn_bench.selectors.presampling.class_balanced import ClassBalanced
from modyn_bench.selectors.presampling.column_balanced import ColumnBalanced
from modyn_bench.selectors.presampling.freshness import Freshness
from modyn_bench.selectors.presampling.recency import Recency
from modyn_bench.selectors.presampling.replay import Replay
from modyn_bench.selectors.presampling.reservoir import Reservoir
from modyn_bench.selectors.presampling.schedule import Schedule
from modyn_bench.selectors.presampling.trigger_balanced import TriggerBalanced
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.selectors.presampling.uniform_no_replacement import UniformNoReplacement
from modyn_bench.types import Selection

SHARES: dict[str, Callable[..., Selector]] = {  # what all presampling of a share of the scope has in common
    "uniform": Uniform,
    "uniform_no_replacement": UniformNoReplacement,
    "class_balanced": ClassBalanced,
    "trigger_balanced": TriggerBalanced,
    "column_balanced": lambda **options: ColumnBalanced("size", **options),
    "column_balanced_bins": lambda **options: ColumnBalanced("size", bins=2, **options),
    "column_balanced_width": lambda **options: ColumnBalanced("size", bins=2, binning="width", **options),
    "recency": lambda **options: Recency("5s", **options),
}

SELECTORS: dict[str, Callable[[], Selector]] = {
    "new_data": NewData,
    "new_data_2": lambda: NewData(history=2),
    "new_data_all": lambda: NewData(history="all"),
    "newest": lambda: NewData(history="all", limit=3),
    "uniform_limit": lambda: NewData(history="all", limit=3, limit_by="uniform"),
    "balanced_limit": lambda: NewData(history="all", limit=3, limit_by="balanced"),
    "uniform": lambda: Uniform(ratio=0.5),
    "uniform_history": lambda: Uniform(ratio=0.3, history=1, limit=4, warmup_triggers=1),
    "no_replacement_new": UniformNoReplacement,
    "class_balanced_equal": lambda: ClassBalanced(ratio=0.7, fill="equal", history=1),
    "trigger_balanced_equal": lambda: TriggerBalanced(ratio=1, fill="equal", warmup_triggers=1),
    "freshness": Freshness,
    "freshness_limit": lambda: Freshness(0.3, limit=4),
    "reservoir": lambda: Reservoir(3),
    "buffer": lambda: Reservoir(3, with_new=False),
    "replay": lambda: Replay(0.5),
    "replay_history": lambda: Replay(3, history=2, limit=5),
    "schedule": lambda: Schedule(
        {
            "passes": UniformNoReplacement(history="all"),
            "all": NewData(history=1),
            "fresh": Freshness(limit=5),
            "triggers": TriggerBalanced(ratio=0.5, history=2),
        },
        after={"triggers": 1, "all": 2, "passes": 3},
    ),
    "coreset": lambda: Coreset(UniformNoReplacement(history="all"), Halving(), warmup_triggers=1),
    "coreset_schedule": lambda: Coreset(
        Schedule({"a": Freshness(), "b": Replay()}, after={"b": 2}),
        Schedule({"c": Halving(), "d": Halving(ratio=0.25)}, after={"c": 1}),
    ),
    **{one.name: one for one in concrete_classes(downsampling, Downsampler)},
    "rho_loss_twin": lambda: RhoLoss(holdout="twin", history=1, warmup_triggers=1),
}


def presampling(make: Callable[..., Selector], **options: Any) -> Callable[[], Selector]:
    return lambda: make(**options)


for share, make in SHARES.items():
    SELECTORS[f"{share}_all"] = presampling(make, ratio=0.5, history="all")
    SELECTORS[f"{share}_1"] = presampling(make, ratio=0.4, history=1, limit=3, warmup_triggers=1)
    SELECTORS[f"{share}_size"] = presampling(make, size=4, history=2)


def scopes(plan: Steps, first: int, history: int | str) -> list[list[int]]:
    """The definition: keys labelled by now that arrived since the history-th last training but one."""
    arrived, labelled, trained_at, out = first, first, [], []
    for count, outstanding, trained in plan:
        arrived += count
        labelled = max(labelled, arrived - outstanding)
        past = [first] * 10 if history == "all" else [first] * (int(history) + 1)
        start = first if history == "all" else (past + trained_at)[-(int(history) + 1)]
        out.append(list(range(start, labelled)))
        if trained and out[-1]:
            trained_at.append(labelled)
    return out


@pytest.mark.parametrize("history", [0, 1, 2, "all"])
@given(plan=steps, first=st.integers(0, 3))
def test_the_scope_is_the_definition(history: int | str, plan: Steps, first: int) -> None:
    selector = NewData(history=history)  # type: ignore[arg-type]
    assert [s.keys.tolist() for s in run(selector, plan, first)] == scopes(plan, first, history)


@given(plan=steps, limit=st.integers(1, 5))
def test_the_limit_is_on_the_total(plan: Steps, limit: int) -> None:
    newest, *drawn = (
        run(NewData(history="all", limit=limit, limit_by=by), plan) for by in ("newest", "uniform", "balanced")
    )
    for *draws, selection, scope in zip(*drawn, newest, scopes(plan, 0, "all"), strict=True):
        assert selection.keys.tolist() == scope[-limit:]
        for draw in draws:
            assert len(draw) == min(limit, len(scope))
            assert set(draw.keys.tolist()) <= set(scope)


@pytest.mark.parametrize("name", SHARES)
@given(plan=steps, limit=st.integers(1, 5))
def test_a_warm_up_takes_all_within_the_limit(name: str, plan: Steps, limit: int) -> None:
    sizes = [len(scope) for scope in scopes(plan, 0, "all")]
    chosen = run(SHARES[name](warmup_triggers=100, history="all"), plan)
    assert [len(selection) for selection in chosen] == sizes
    chosen = run(SHARES[name](ratio=0.5, limit=limit, warmup_triggers=100, history="all"), plan)
    assert [len(selection) for selection in chosen] == [min(size, limit) for size in sizes]


@pytest.mark.parametrize("history", [1, 2, "all"])
@pytest.mark.parametrize("name", SHARES)
@given(plan=steps, limit=st.integers(1, 5) | st.none(), ratio=st.sampled_from([0.1, 0.29, 0.5, 1.0]))
def test_shares_fill_their_budget_from_the_scope(
    name: str, history: int | str, plan: Steps, limit: int | None, ratio: float
) -> None:
    chosen = run(SHARES[name](ratio=ratio, limit=limit, history=history), plan)
    for selection, scope in zip(chosen, scopes(plan, 0, history), strict=True):
        budget = min(len(scope), max(1, int(ratio * len(scope) + 1e-9)), limit or len(scope))
        assert len(selection) == budget
        assert set(selection.keys.tolist()) <= set(scope)
        assert (selection.weights == 1).all()


@pytest.mark.parametrize("name", SELECTORS)
@given(plan=steps, first=st.integers(0, 2), chunk=st.integers(1, 4))
def test_restored_and_cut_otherwise_it_goes_on_the_same(name: str, plan: Steps, first: int, chunk: int) -> None:
    straight = run(SELECTORS[name](), plan, first)
    restored = run(SELECTORS[name](), plan, first, restart=SELECTORS[name], chunk=chunk)
    assert [s.keys.tolist() for s in straight] == [s.keys.tolist() for s in restored]
    assert [s.weights.tolist() for s in straight] == [s.weights.tolist() for s in restored]
    assert [columns_of(s) for s in straight] == [columns_of(s) for s in restored]


@pytest.mark.parametrize("name", sorted(set(SELECTORS) - {"new_data", "new_data_2"}))
def test_a_state_does_not_grow_with_what_has_left_the_scope(name: str) -> None:
    if SELECTORS[name]().history == "all":
        return
    selector = SELECTORS[name]()
    sizes = []
    for start in range(0, 2400, 80):
        selector.consume(arrivals(start, start + 80))
        selection = selector.select(context(start + 80))
        selector.on_trigger(record(start + 80, trained=True), selection)
        sizes.append(sum(map(len, saved(selector))))
    if not isinstance(selector, (Schedule, Coreset)):
        assert sizes[-1] <= sizes[9] + 10  # a digit more here and there


def columns_of(selection: Selection) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in selection.columns.items()}


@pytest.mark.parametrize("policy", concrete_classes(downsampling, Downsampler), ids=lambda policy: policy.name)
def test_a_downsampling_chooses_later_and_not_in_its_warmup(policy: type[Downsampler]) -> None:
    selector = policy(warmup_triggers=1)
    if selector.record_size:
        assert selector.downsampler is not None
        assert selector.downsampler.recorder is selector
        assert chosen(selector.downsampler, random_outputs(7)).positions.tolist() == list(range(7))
    else:
        assert selector.downsampler is None
    run(selector, [(6, 0, True)], 0)
    assert selector.downsampler is selector
    (selection,) = run(policy(history="all"), [(6, 0, True)], 0)
    assert set(selection.keys.tolist()) <= set(range(6))
    assert selection.weights.tolist() == [1.0] * len(selection)


@pytest.mark.parametrize("name", SELECTORS)
def test_nothing_labelled_selects_nothing(name: str) -> None:
    selector = SELECTORS[name]()
    assert len(selector.select(context(0))) == 0
    selector.consume(arrivals(0, 5))
    assert len(selector.select(context(0))) == 0


def test_uniform_draws_every_key_equally_often() -> None:
    selector = Uniform(ratio=0.25)
    selector.consume(arrivals(0, 40))
    counts = np.zeros(40)
    for seed in range(2000):
        counts[selector.select(context(40, seed)).keys] += 1
    assert abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)  # five standard deviations of a binomial


def test_uniform_takes_all_during_its_warmup() -> None:
    sizes = [len(s) for s in run(Uniform(ratio=0.5, warmup_triggers=2), [(4, 0, True)] * 4, 0)]
    assert sizes == [4, 4, 2, 2]


NUMBERS = {"b": "numeric", "c": "numeric"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NewData(history=-1), r"selector.history=-1"),
        (lambda: NewData(history="al"), r"selector.history='al'"),  # type: ignore[arg-type]
        (lambda: NewData(limit=0), r"selector.limit=0"),
        (lambda: NewData(limit_by="oldest"), r"selector.limit_by='oldest'"),  # type: ignore[arg-type]
        (lambda: Uniform(ratio=0), r"selector.ratio=0"),
        (lambda: Uniform(ratio=1.5), r"selector.ratio=1.5"),
        (lambda: Uniform(size=0), r"selector.size=0"),
        (lambda: Uniform(warmup_triggers=-1), r"selector.warmup_triggers=-1"),
        (lambda: ClassBalanced(fill="half"), r"selector.fill='half'"),
        (lambda: TriggerBalanced(history=0), r"selector.history=0"),
        (lambda: ColumnBalanced("a", bins=1), r"selector.bins=1"),
        (lambda: ColumnBalanced("a", binning="log"), r"selector.binning='log'"),
        (lambda: ColumnBalanced("a").check_dataset(columns=NUMBERS), r"selector.column=a is no column .* b, c"),
        (lambda: ColumnBalanced().check_dataset(columns=NUMBERS), r"selector.column=null is no column .* b"),
        (lambda: ColumnBalanced("a").check_dataset(columns={}), r"selector.column=a is no column .* none"),
        (
            lambda: ColumnBalanced("d", bins=3).check_dataset(columns=NUMBERS | {"d": "categorical"}),
            r"selector.bins=3 is for numbers, but column d holds categories: leave it out",
        ),
        (lambda: Recency("soon"), r"selector.half_life='soon'"),
        (lambda: Recency(0), r"selector.half_life=0"),
        (lambda: Freshness(1), r"selector.fresh_ratio=1"),
        (lambda: Freshness(0), r"selector.fresh_ratio=0"),
        (lambda: Reservoir(0), r"selector.size=0"),
        (lambda: Replay(history=0), r"selector.history=0"),
        (lambda: Replay(0), r"selector.replay_ratio=0"),
        (lambda: Replay(float("inf")), r"selector.replay_ratio=inf"),
    ],
)
def test_a_wrong_option_is_named(make: Callable[[], Selector], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("policy", concrete_classes(selectors, Selector), ids=lambda policy: policy.name)
def test_numbers_that_are_not_finite_are_refused(policy: type[Selector], value: float) -> None:
    hints = signature_of(policy).hints
    for option in (name for name, hint in hints.items() if hint in (float, float | None)):
        with pytest.raises(RequestError, match=rf"selector\.{option}={value} must be"):
            policy(**{option: value})


@pytest.mark.parametrize("name", SELECTORS)
def test_what_a_selector_holds_of_others_are_its_parts(name: str) -> None:
    for place, policy in with_parts("selector", SELECTORS[name]()):
        assert held_by(policy, Selector) == list(policy.parts.values()), place


def test_every_selector_is_held_to_the_contract():
    assert {type(make()) for make in SELECTORS.values()} == set(concrete_classes(selectors, Selector))
