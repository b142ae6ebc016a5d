"""The simple policies on streams whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from driving import Blocks, StubView, drive, stream
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.errors import RequestError
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import View
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.never import Never
from modyn_bench.triggers.once import Once
from modyn_bench.triggers.time import Time
from modyn_bench.types import Arrivals, Decision

DAY = 86_400


def test_never_fires_nothing() -> None:
    assert drive(Never, stream(range(50))).decisions == []


def test_amount_fires_after_every_nth_sample() -> None:
    assert [at for at, _, _ in drive(lambda: Amount(4), stream(range(11))).triggers] == [4, 8]


def test_once_fires_before_the_first_sample_beyond_the_span() -> None:
    driven = drive(lambda: Once("10s"), stream([5, 5, 14, 15, 99]))
    assert driven.triggers == [(3, 14, 0)]


def test_time_closes_half_open_periods() -> None:
    """A sample exactly on a line belongs to the period that the line opens."""
    driven = drive(lambda: Time("10s"), stream([0, 9, 10, 19, 20]))
    assert driven.triggers == [(2, 9, 0), (4, 19, 0)]


def test_time_counts_empty_periods_and_fires_once_over_a_gap() -> None:
    driven = drive(lambda: Time("10s"), stream([0, 55, 61]))
    assert driven.triggers == [(1, 0, 0), (2, 55, 4)]


def test_time_with_an_early_start_makes_no_leading_triggers() -> None:
    driven = drive(lambda: Time("10s", start=-100_003), stream([0, 6, 8]))
    assert driven.triggers == [(2, 6, 0)]  # the first line after 0 is 7


def test_time_by_the_grid_line_decides_at_the_line() -> None:
    driven = drive(lambda: Time("10s", start=0, clock="grid_line"), stream([3, 47]))
    assert driven.triggers == [(1, 10, 0)]


def test_time_by_calendar_month() -> None:
    samples = stream([0, 30 * DAY, 31 * DAY, 58 * DAY, 59 * DAY])  # January 1970 has 31 days, February 28
    assert [at for at, _, _ in drive(lambda: Time(calendar="month"), samples).triggers] == [2, 4]


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60), st.integers(1, 60), st.integers(-300, 300))
def test_time_agrees_with_the_definition(times: list[int], every: int, start: int) -> None:
    """By brute force: one trigger for every period with samples that a later sample closes."""
    times.sort()
    periods = [(time - start) // every for time in times]
    closed = [i for i in range(1, len(times)) if periods[i] != periods[i - 1]]
    driven = drive(lambda: Time(every, start=start), stream(times))
    assert [at for at, _, _ in driven.triggers] == closed
    gaps = [periods[i] - periods[i - 1] - 1 for i in closed]
    assert [empty for _, _, empty in driven.triggers] == [0, *gaps[:-1]][: len(closed)]


def test_an_ensembles_votes_are_sticky() -> None:
    """Both must agree: the vote of the sample-3 policy stands until the sample-5 policy joins it."""
    driven = drive(lambda: Ensemble({"three": Amount(3), "five": Amount(5)}, rule="all"), stream(range(12)))
    # 3: one vote. 5: both, fires and clears. 6: one. 9: one again. 10: both, fires. 12: one.
    assert [at for at, _, _ in driven.triggers] == [5, 10]


class Says(Amount):
    """Fires at the decisions whose numbers are given, and holds at the others."""

    state_fields = ("num_seen", "num_decided")

    def __init__(self, num_samples: int, *fires: int) -> None:
        super().__init__(num_samples)
        self.fires = fires
        self.num_decided = 0

    def decide(self, view: View) -> Decision:
        self.num_decided += 1
        return Decision(self.num_decided in self.fires)


def test_a_vote_stands_although_its_owner_goes_on_to_hold() -> None:
    driven = drive(lambda: Ensemble({"two": Says(2, 1), "seven": Amount(7)}, rule="all"), stream(range(15)))
    # 2: two votes, and holds from then on. 7: seven joins, fires and clears. 14: seven alone.
    assert [at for at, _, _ in driven.triggers] == [7]


def test_votes_clear_when_the_ensemble_fires() -> None:
    ensemble = Ensemble({"a": Says(2, 1), "b": Says(3, 1)}, rule="all")
    for at in (2, 3):  # no trigger is told: an outer ensemble may hold
        arrivals = Arrivals(np.arange(at), np.arange(at), np.zeros(at, np.int64))
        start = 0 if at == 2 else 2
        part = arrivals.split(start)[1]
        assert ensemble.next_decision(part) is not None
        ensemble.consume(part)
        fired = ensemble.decide(StubView(None, at, at, at)).fired
    assert fired
    assert not any(ensemble.votes.values())


def test_votes_clear_on_a_trigger_of_another() -> None:
    """The inner ensemble's vote is lost when the outer one fires without it."""
    make = lambda: Ensemble(  # noqa: E731
        {"inner": Ensemble({"x": Amount(2), "y": Amount(5)}, rule="all"), "four": Amount(4)}, rule="any"
    )
    driven = drive(make, stream(range(10)))
    # 2: x votes. 4: x again, and four fires: all votes clear. 5: y votes alone. 6: x joins, inner fires. 8: four fires.
    # 10: x and y at once, inner fires.
    assert [at for at, _, _ in driven.triggers] == [4, 6, 8, 10]


def test_members_are_asked_only_where_they_are_due() -> None:
    driven = drive(lambda: Ensemble({"two": Amount(2), "three": Amount(3)}, rule="any"), stream(range(6)))
    asked = [[name for name, _ in decision[9:]] for decision in driven.decisions]
    assert asked == [["two"], ["three"], ["two"], ["two", "three"]]


def test_a_decision_with_nothing_new_is_absorbed_and_counted() -> None:
    """The amount policy fires on the last sample before the line, so the time policy finds nothing new."""
    driven = drive(lambda: Ensemble({"a": Amount(2), "t": Time("10s")}, rule="any"), stream([0, 5, 10, 12, 25]))
    assert driven.triggers == [(2, 5, 0), (4, 12, 1)]


def test_a_member_never_decides_with_the_old_model() -> None:
    """After a trigger in the middle of a chunk, the next score is the new model's, on the samples since."""
    from modyn_bench.seeding import derive_seed

    driven = drive(lambda: Ensemble({"a": Amount(3), "b": Blocks(5, 2.0)}, rule="any"), stream(range(5)))
    (name, scored) = driven.decisions[-1][9]  # type: ignore[misc]
    assert name == "b"
    assert scored[2] == derive_seed(0, 3, 5) / 2**63


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Amount(0), r"trigger.num_samples=0"),
        (lambda: Time("ten"), r"trigger.every='ten'"),
        (lambda: Time("0d"), r"trigger.every='0d'"),
        (lambda: Time("1y", clock="utc"), r"trigger.clock='utc'"),
        (lambda: Time(calendar="week"), r"trigger.calendar='week'"),
        (lambda: Time("1y", start="soon"), r"trigger.start='soon'"),
        (lambda: Once(-1), r"trigger.after=-1"),
        (lambda: Ensemble({}), r"trigger.members"),
        (lambda: Ensemble({"a": Amount(1)}, rule="most"), r"trigger.rule='most'"),
        (lambda: Ensemble({"a": Amount(1)}, at_least=2), r"trigger.at_least=2"),
    ],
)
def test_a_wrong_option_is_named(make, message) -> None:
    with pytest.raises(RequestError, match=message):
        make()
