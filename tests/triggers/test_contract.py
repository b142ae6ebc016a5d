"""Every policy through every check of the contract: cutting, restoring, ties, advancing, purity."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driving import Blocks, drive, stream
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.errors import RunError
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import Trigger
from modyn_bench.triggers.ensemble import Ensemble
from modyn_bench.triggers.never import Never
from modyn_bench.triggers.once import Once
from modyn_bench.triggers.time import Time

POLICIES: dict[str, Callable[[], Trigger]] = {
    "never": Never,
    "once": lambda: Once("10s"),
    "amount": lambda: Amount(5),
    "amount_1": lambda: Amount(1),
    "time": lambda: Time("10s"),
    "time_start": lambda: Time("7s", start=-1000, clock="grid_line"),
    "time_month": lambda: Time(calendar="month"),
    "blocks": lambda: Blocks(4),
    "any": lambda: Ensemble({"a": Amount(3), "t": Time("9s"), "b": Blocks(2)}, rule="any"),
    "majority": lambda: Ensemble({"a": Blocks(3), "b": Blocks(4), "c": Blocks(5, 0.3)}),
    "all": lambda: Ensemble({"a": Blocks(3, 0.2), "b": Time("5s", clock="grid_line")}, rule="all"),
    "nested": lambda: Ensemble(
        {
            "inner": Ensemble({"a": Blocks(2), "b": Amount(3), "t": Time("4s")}, at_least=2),
            "deep": Ensemble({"one": Ensemble({"x": Blocks(3), "y": Blocks(3, 0.7)}, rule="any")}),
            "time": Time("11s", clock="grid_line"),
        },
        at_least=2,
    ),
}

streams = st.lists(st.integers(0, 60), min_size=1, max_size=40).map(stream)
month_streams = st.lists(st.integers(0, 86_400 * 200), min_size=1, max_size=30).map(stream)


@pytest.mark.parametrize("name", POLICIES)
class TestContract:
    """What holds for every policy."""

    @given(data=st.data())
    def test_how_the_stream_is_cut_changes_nothing(self, name: str, data: st.DataObject) -> None:
        samples = data.draw(month_streams if name == "time_month" else streams)
        cuts = data.draw(st.sets(st.integers(1, len(samples))))
        whole = drive(POLICIES[name], samples)
        assert drive(POLICIES[name], samples, cuts) == whole
        assert drive(POLICIES[name], samples, range(len(samples))) == whole

    @given(data=st.data())
    def test_restored_at_any_step_it_goes_on_the_same(self, name: str, data: st.DataObject) -> None:
        samples = data.draw(streams)
        cuts = data.draw(st.sets(st.integers(1, len(samples))))
        every = data.draw(st.integers(1, 5))
        assert drive(POLICIES[name], samples, cuts, restart_every=every) == drive(POLICIES[name], samples)

    def test_a_foreign_state_is_refused(self, name: str) -> None:
        with pytest.raises(RunError, match="state"):
            POLICIES[name]().load_state_dict({"something_else": 1})

    def test_all_samples_at_one_time(self, name: str) -> None:
        samples = stream([7] * 12)
        assert drive(POLICIES[name], samples) == drive(POLICIES[name], samples, range(12))
