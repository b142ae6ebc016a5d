"""Policies made of others: turns, and presampling with downsampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from selecting import Halving, Judged, Second, Steps, arrivals, context, record, run, saved, steps

from modyn_bench.errors import RequestError
from modyn_bench.parts import with_parts
from modyn_bench.selectors.base import SelectionContext, Selector
from modyn_bench.selectors.coreset import Coreset
from modyn_bench.selectors.downsampling.el2n import El2n
from modyn_bench.selectors.downsampling.forgetting import Forgetting
from modyn_bench.selectors.downsampling.rho_loss import RhoLoss
from modyn_bench.selectors.new_data import NewData
from modyn_bench.selectors.presampling.column_balanced import ColumnBalanced
from modyn_bench.selectors.presampling.freshness import Freshness
from modyn_bench.selectors.presampling.schedule import Schedule
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.selectors.presampling.uniform_no_replacement import UniformNoReplacement
from modyn_bench.types import Selection


class Doubled(NewData):
    """All data in scope, each sample with its key as its weight."""

    name = "doubled"

    def select(self, context: SelectionContext) -> Selection:
        keys = self.within_limit(context)
        return Selection(keys, keys.astype(np.float32))


def trained(selector: Selector, *ends: int) -> None:
    start = 0
    for end in ends:
        selector.consume(arrivals(start, end))
        selector.on_trigger(record(end, trained=True), selector.select(context(end)))
        start = end


def schedule() -> Schedule:
    return Schedule(
        {"last": Freshness(limit=3), "first": NewData(), "then": Uniform(history=1)}, after={"then": 1, "last": 3}
    )


@given(plan=steps)
def test_in_turns_each_selects_as_if_it_had_been_told_of_all(plan: Steps) -> None:
    turns = run(schedule(), plan)
    alone = {"first": run(NewData(), plan), "then": run(Uniform(history=1), plan)}
    num_trained = 0
    for place, ((_, _, trains), selection) in enumerate(zip(plan, turns, strict=True)):
        if num_trained < 3:
            name = "then" if num_trained else "first"
            assert selection.keys.tolist() == alone[name][place].keys.tolist()
        else:
            assert len(selection) <= 3
        num_trained += trains and len(selection) > 0


def test_the_order_of_names_says_nothing_about_turns() -> None:
    policies = schedule().policies
    turned = Schedule(dict(reversed(policies.items())), after={"last": 3, "then": 1})
    for num_trained, name in enumerate(("first", "then", "then", "last", "last")):
        turned.num_trained = num_trained
        assert turned.active is policies[name]


def test_a_scope_and_a_downsampler_are_those_of_the_active_policy() -> None:
    selector = Schedule({"a": NewData(history="all"), "b": Halving()}, after={"b": 2})
    trained(selector, 5)
    assert selector.downsampler is None
    selector.consume(arrivals(5, 9))
    assert selector.scope(context(9)) == range(9)
    selector.on_trigger(record(9, trained=True), selector.select(context(9)))
    selector.consume(arrivals(9, 14))
    assert selector.downsampler is selector.policies["b"]
    assert selector.scope(context(14)) == range(9, 14)
    assert selector.select(context(14)).columns["key"].tolist() == [10, 12]


def test_the_oldest_key_is_that_of_the_policies_whose_turn_is_or_will_be() -> None:
    turns = {"a": NewData(history="all"), "b": NewData(), "c": NewData(history=1)}
    selector, oldest = Coreset(Schedule(turns, after={"b": 1, "c": 4}), Halving()), []
    for start in range(0, 25, 5):
        selector.consume(arrivals(start, start + 5))
        oldest.append(selector.oldest_key)
        selector.on_trigger(record(start + 5, trained=True), selector.select(context(start + 5)))
    assert oldest == [0, 0, 5, 10, 15]


def test_a_coreset_keeps_weights_and_prepares_what_was_presampled() -> None:
    downsampling = Halving()
    selector = Coreset(Doubled(history="all", limit=6), downsampling)
    selector.consume(arrivals(0, 20))
    selection = selector.select(context(20))
    assert selection.keys.tolist() == [14, 16, 18]
    assert selection.weights.tolist() == [7, 8, 9]
    assert selection.columns["key"].tolist() == [14, 16, 18]
    assert selector.downsampler is downsampling


def test_a_coreset_takes_all_during_its_warmup() -> None:
    selector = Coreset(Uniform(ratio=0.5, history="all", limit=30), Halving(), warmup_triggers=2)
    sizes = []
    for start in range(0, 40, 10):
        selector.consume(arrivals(start, start + 10))
        selection = selector.select(context(start + 10))
        sizes.append(len(selection))
        assert (selector.downsampler is None) == (start < 20)
        assert bool(selection.columns) == (start >= 20)
        selector.on_trigger(record(start + 10, trained=True), selection)
    assert sizes[:2] == [10, 20]
    assert sizes[2] <= 15


@pytest.mark.parametrize(
    "presampling",
    [
        Freshness,
        lambda: Freshness(0.3, limit=4),
        lambda: UniformNoReplacement(history="all"),
        lambda: Schedule({"a": Freshness(), "b": UniformNoReplacement(history=1)}, after={"b": 2}),
    ],
    ids=["freshness", "freshness_limit", "passes", "schedule"],
)
@given(plan=steps)
def test_what_is_held_out_is_used(presampling: Callable[[], Selector], plan: Steps) -> None:
    alone, selector = presampling(), Coreset(presampling(), RhoLoss(holdout_ratio=0.5))
    for chosen, selection in zip(run(alone, plan), run(selector, plan), strict=True):
        assert sorted([*selection.keys, *selection.held_out]) == chosen.keys.tolist()
    assert saved(selector.presampling) == saved(alone)


def test_a_pass_uses_what_is_held_out_once() -> None:
    selector = Coreset(UniformNoReplacement(history="all"), RhoLoss(holdout_ratio=0.5))
    selector.consume(arrivals(0, 40))
    used, num_held_out = [], 0
    for _ in range(4):
        selection = selector.select(context(40))
        used += [*selection.keys, *selection.held_out]
        num_held_out += len(selection.held_out)
        selector.on_trigger(record(40, trained=True), selection)
    assert sorted(used) == list(range(40))
    assert 10 < num_held_out < 30


def test_a_downsampling_records_the_warmup_of_its_coreset() -> None:
    turns = Schedule({"a": Halving(), "b": El2n(), "c": Forgetting()}, after={"b": 1, "c": 3})
    selector, recorders = Coreset(NewData(), turns, warmup_triggers=2), []
    for start in range(0, 20, 5):
        selector.consume(arrivals(start, start + 5))
        recorders.append(None if selector.downsampler is None else selector.downsampler.recorder.name)
        assert (selector.downsampler in turns.policies.values()) == (start >= 10)
        selector.on_trigger(record(start + 5, trained=True), selector.select(context(start + 5)))
    assert recorders == [None, "el2n", "el2n", "forgetting"]


def test_downsamplings_take_turns() -> None:
    first, second = Halving(), Halving(ratio=0.1)
    selector = Coreset(NewData(), Schedule({"a": first, "b": second}, after={"b": 2}), warmup_triggers=1)
    found = []
    for start in range(0, 20, 5):
        selector.consume(arrivals(start, start + 5))
        found.append(selector.downsampler)
        selector.on_trigger(record(start + 5, trained=True), selector.select(context(start + 5)))
    assert found == [None, first, second, second]


def nested() -> Schedule:
    """A coreset of turns that has its turn among others."""
    downsamplings = Schedule({"x": Halving(), "y": RhoLoss(irreducible_model={"_target_": "Net"})}, after={"y": 3})
    presamplings = Schedule({"p": Judged(), "q": NewData()}, after={"q": 4})
    return Schedule(
        {"c": Coreset(presamplings, downsamplings), "j": Judged(), "r": RhoLoss(holdout="twin")}, after={"j": 5, "r": 6}
    )


def test_all_that_a_policy_is_made_of_is_found_where_it_stands() -> None:
    c = "selector.policies.c"
    assert {place: policy.name for place, policy in with_parts("selector", nested())} == {
        "selector": "schedule",
        c: "coreset",
        f"{c}.presampling": "schedule",
        f"{c}.presampling.policies.p": "judged",
        f"{c}.presampling.policies.q": "new_data",
        f"{c}.downsampling": "schedule",
        f"{c}.downsampling.policies.x": "halving",
        f"{c}.downsampling.policies.y": "rho_loss",
        "selector.policies.j": "judged",
        "selector.policies.r": "rho_loss",
    }
    place = f"{c}.downsampling.policies.y.irreducible_model"
    assert nested().second_models == {place: {"_target_": "Net"}}


def test_each_part_has_second_models_of_its_own() -> None:
    """Whoever wrote the policy: ``judged`` gives its own no name but one."""
    selector, names = nested(), []

    def train(name: str, selection: Selection, **options: object) -> Second:
        names.append(name)
        return Second(selection)

    found = []
    for end in range(40, 320, 40):
        selector.consume(arrivals(end - 40, end))
        selection = selector.select(replace(context(end), train=train))
        selector.on_trigger(record(end, trained=True), selection)
        found.append(list(names))
        names.clear()
    p, y = "policies.c.presampling.policies.p.judge", "policies.c.downsampling.policies.y.irreducible"
    twins = ["policies.r.irreducible_0", "policies.r.irreducible_1"]
    assert found == [[p], [p], [p], [p, y], [y], ["policies.j.judge"], twins]


class Both(Selector):
    """All data in scope of one part, and of the other, as a container of one's own may be written."""

    name = "both"
    state_fields = (*Selector.state_fields, "one", "other")

    def __init__(self, one: Selector, other: Selector) -> None:
        super().__init__()
        self.one, self.other = one, other

    @property
    def parts(self) -> dict[str, Selector]:
        return {"selector.one": self.one, "selector.other": self.other}

    def select(self, context: SelectionContext) -> Selection:
        chosen = [part.select(context.inside(place)).keys for place, part in self.parts.items()]
        return Selection.unweighted(np.unique(np.concatenate(chosen)))


@given(plan=steps)
def test_a_container_need_not_pass_on_what_its_parts_are_told(plan: Steps) -> None:
    """What is new to the one alone is what is new to it inside."""
    alone = run(NewData(history=1), plan)
    inside = run(
        Both(NewData(history=1), Freshness(limit=2)), plan, restart=lambda: Both(NewData(history=1), Freshness(limit=2))
    )
    for chosen, selection in zip(alone, inside, strict=True):
        assert set(chosen.keys) <= set(selection.keys)
        assert len(selection) <= len(chosen) + 2


def test_what_a_container_is_made_of_is_checked_without_its_doing() -> None:
    selector = Both(NewData(), Both(NewData(), ColumnBalanced("a")))
    with pytest.raises(RequestError, match=r"^selector\.other\.other\.column=a is no column"):
        selector.check_dataset(columns={"b": "numeric"})


NEW, HALF = NewData, Halving


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Schedule({}, after={}), r"selector.after={} must leave out one of"),
        (
            lambda: Schedule({"a": NEW(), "b": NEW()}, after={}),
            r"selector.after={} must leave out one .* not a, b: .*after.b=5",
        ),
        (
            lambda: Schedule({"a": NEW(), "b": NEW()}, after={"a": 1, "b": 2}),
            r"selector.after=.* must leave out one of",
        ),
        (lambda: Schedule({"a": NEW(), "b": NEW()}, after={"c": 1}), r"selector.after.c must be one of .* a, b"),
        (lambda: Schedule({"a": NEW(), "b": NEW()}, after={"b": 0}), r"selector.after.b=0 must"),
        (lambda: Schedule({"a": NEW(), "b": NEW()}, after={"b": 1.5}), r"selector.after.b=1.5 must"),
        (
            lambda: Schedule({"a": NEW(), "b": NEW(), "c": NEW()}, after={"b": 1, "c": 1}),
            r"selector.after.b=1 must differ",
        ),
        (lambda: Schedule({"a": "uniform"}, after={}), r"selector.policies.a='uniform' is no Selector"),
        (lambda: Coreset("uniform", HALF()), r"selector.presampling='uniform' is no Selector"),
        (lambda: Coreset(NEW(), "loss"), r"selector.downsampling='loss' is no Selector"),
        (lambda: Coreset(None, HALF()), r"selector.presampling=None is no Selector"),
        (lambda: Coreset(NEW(), None), r"selector.downsampling=None is no Selector"),
        (lambda: Coreset(HALF(), HALF()), r"selector.presampling=halving asks the model"),
        (lambda: Coreset(Coreset(NEW(), HALF()), HALF()), r"selector.presampling=coreset asks the model"),
        (
            lambda: Coreset(Schedule({"a": NEW(), "b": HALF()}, after={"b": 1}), HALF()),
            r"selector.presampling.policies.b=halving asks the model",
        ),
        (lambda: Coreset(NEW(), NEW()), r"selector.downsampling=new_data does not ask the model"),
        (
            lambda: Coreset(NEW(), Schedule({"a": Halving(), "b": El2n(warmup_triggers=2)}, after={"b": 1})),
            r"selector.downsampling.policies.b.warmup_triggers=2 has no effect: set selector.warmup_triggers",
        ),
        (
            lambda: Coreset(NEW(), Schedule({"a": HALF(), "b": NEW()}, after={"b": 1})),
            r"selector.downsampling.policies.b=new_data does not ask",
        ),
        (
            lambda: Coreset(NEW(), Schedule({"a": HALF(), "b": Schedule({"c": HALF()}, after={})}, after={"b": 1})),
            r"^selector.downsampling.policies.b=schedule is made of other policies: choose one, as in",
        ),
        (
            lambda: Coreset(NEW(), Coreset(NEW(), HALF())),
            r"^selector.downsampling=coreset is made of other policies: choose one",
        ),
        (
            lambda: Coreset(NEW(), HALF(history="all")),
            r"selector.downsampling.history=all .* selector.presampling.hist",
        ),
        (lambda: Coreset(NEW(), HALF(limit=5)), r"selector.downsampling.limit=5 .* set selector.presampling.limit"),
        (
            lambda: Coreset(NEW(), HALF(warmup_triggers=2)),
            r"selector.downsampling.warmup.* set selector.warmup_triggers",
        ),
        (
            lambda: Coreset(ColumnBalanced("a"), HALF()).check_dataset(columns={"b": "numeric"}),
            r"selector.presampling.column=a is no column",
        ),
        (
            lambda: Coreset(
                Schedule({"a": NEW(), "b": ColumnBalanced("a")}, after={"b": 1}),
                Schedule({"x": HALF(), "y": HALF()}, after={"y": 2}),
            ).check_dataset(columns={"b": "numeric"}),
            r"^selector.presampling.policies.b.column=a is no column",
        ),
        (
            lambda: Coreset(Both(NEW(), HALF()), HALF()),
            r"^selector.presampling.other=halving asks the model",
        ),
        (
            lambda: Schedule({"a": ColumnBalanced("a")}, after={}).check_dataset(columns={"b": "numeric"}),
            r"selector.policies.a.column=a is no column",
        ),
    ],
)
def test_a_wrong_part_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make()
