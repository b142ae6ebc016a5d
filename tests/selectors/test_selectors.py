"""Scope, limits and draws, against brute-force definitions; every selector through the contract."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from found import concrete_classes
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench import selectors
from modyn_bench.bookkeeping import check_selection
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive
from modyn_bench.selectors.base import SecondModel, SelectionContext, Selector
from modyn_bench.selectors.new_data import NewData
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.types import Arrivals, ModelRecord, Selection, TriggerRecord

SELECTORS: dict[str, Callable[[], Selector]] = {
    "new_data": NewData,
    "new_data_2": lambda: NewData(history=2),
    "new_data_all": lambda: NewData(history="all"),
    "newest": lambda: NewData(history="all", limit=3),
    "uniform_limit": lambda: NewData(history="all", limit=3, limit_by="uniform"),
    "uniform": lambda: Uniform(ratio=0.5),
    "uniform_history": lambda: Uniform(ratio=0.3, history=1, limit=4, warmup_triggers=1),
}


def context(num_labelled: int, seed: int = 0) -> SelectionContext:
    return SelectionContext(
        trigger_index=0,
        num_labelled=num_labelled,
        generator=derive(seed, "selection", num_labelled),
        labels=lambda keys: keys % 3,
        timestamps=np.asarray,
        seed=seed,
        column=lambda name, keys: keys % 4,
        train=no_second_model,
    )


def no_second_model(name: str, selection: Selection, **options: object) -> SecondModel:
    raise AssertionError(f"a second model {name} was asked for")


def record(labelled_until: int, *, trained: bool) -> TriggerRecord:
    model = ModelRecord(0, 0, None, 0, 0, 0, 1, 1, 1, 1.0, 1.0) if trained else None
    return TriggerRecord(0, 0, 0, 0, 1, 1, 1, 0, labelled_until, model)


def arrivals(start: int, stop: int) -> Arrivals:
    keys = np.arange(start, stop)
    return Arrivals(keys, keys, keys)


Steps = list[tuple[int, int, bool]]
steps = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=6)


def run(selector: Selector, plan: Steps, first: int, restart: Callable[[], Selector] | None = None) -> list[Selection]:
    """Replay a plan of (samples arriving, labels outstanding, whether the trigger trains)."""
    arrived, labelled, selections = first, first, []
    for count, outstanding, trained in plan:
        selector.consume(arrivals(arrived, arrived + count))
        arrived += count
        labelled = max(labelled, arrived - outstanding)
        selections.append(selector.select(context(labelled)))
        check_selection(selections[-1], selector, first, labelled)
        selector.on_trigger(record(labelled, trained=trained and len(selections[-1]) > 0), selections[-1])
        if restart is not None:
            other = restart()
            other.load_state_dict(selector.state_dict())
            selector = other
    return selections


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
    newest = run(NewData(history="all", limit=limit), plan, 0)
    drawn = run(NewData(history="all", limit=limit, limit_by="uniform"), plan, 0)
    for selection, draw, scope in zip(newest, drawn, scopes(plan, 0, "all"), strict=True):
        assert selection.keys.tolist() == scope[-limit:]
        assert len(draw) == min(limit, len(scope))
        assert set(draw.keys.tolist()) <= set(scope)


@given(plan=steps, limit=st.integers(1, 5))
def test_a_warm_up_keeps_to_the_limit(plan: Steps, limit: int) -> None:
    chosen = run(Uniform(ratio=0.5, limit=limit, warmup_triggers=100, history="all"), plan, 0)
    sizes = [len(scope) for scope in scopes(plan, 0, "all")]
    assert [len(selection) for selection in chosen] == [min(size, limit) for size in sizes]


@pytest.mark.parametrize("name", SELECTORS)
@given(plan=steps, first=st.integers(0, 2))
def test_restored_it_goes_on_the_same(name: str, plan: Steps, first: int) -> None:
    straight = run(SELECTORS[name](), plan, first)
    restored = run(SELECTORS[name](), plan, first, restart=SELECTORS[name])
    assert [s.keys.tolist() for s in straight] == [s.keys.tolist() for s in restored]


@pytest.mark.parametrize("name", SELECTORS)
def test_nothing_labelled_selects_nothing(name: str) -> None:
    selector = SELECTORS[name]()
    assert len(selector.select(context(0))) == 0
    selector.consume(arrivals(0, 5))
    assert len(selector.select(context(0))) == 0


@given(st.integers(1, 300), st.floats(0.01, 1.0))
def test_uniform_draws_the_ratio(size: int, ratio: float) -> None:
    selector = Uniform(ratio=ratio)
    selector.consume(arrivals(0, size))
    selection = selector.select(context(size))
    assert len(selection) == max(1, int(ratio * size + 1e-9))
    assert selection.weights.tolist() == [1.0] * len(selection)


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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NewData(history=-1), r"selector.history=-1"),
        (lambda: NewData(history="al"), r"selector.history='al'"),  # type: ignore[arg-type]
        (lambda: NewData(limit=0), r"selector.limit=0"),
        (lambda: NewData(limit_by="oldest"), r"selector.limit_by='oldest'"),  # type: ignore[arg-type]
        (lambda: Uniform(ratio=0), r"selector.ratio=0"),
        (lambda: Uniform(ratio=1.5), r"selector.ratio=1.5"),
        (lambda: Uniform(warmup_triggers=-1), r"selector.warmup_triggers=-1"),
    ],
)
def test_a_wrong_option_is_named(make: Callable[[], Selector], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make()


def test_every_selector_is_held_to_the_contract():
    assert {type(make()) for make in SELECTORS.values()} == set(concrete_classes(selectors, Selector))
