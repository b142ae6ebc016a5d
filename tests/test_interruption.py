"""An interrupt that a library swallows still ends a run, after the trigger that it came in."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from small import run_small, small_store

from modyn_bench.interruption import check, stopped_by_signals
from modyn_bench.triggers.time import Time
from modyn_bench.types import TriggerRecord


class Swallowing(Time):
    """Is interrupted at its second trigger, and lets nobody know."""

    def on_trigger(self, record: TriggerRecord) -> None:
        super().on_trigger(record)
        if record.trigger_index == 1:
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)


class _Dropping:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_whatever_becomes_of_its_exception(number: int) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with stopped_by_signals():
        check()
        with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
            check()
    with stopped_by_signals():
        check()
        dropping = _Dropping()
        del dropping  # an exception in a destructor is told and dropped
        with pytest.raises(KeyboardInterrupt, match="SIGINT"):
            check()
    check()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_run_ends_after_the_trigger_in_which_an_interrupt_was_swallowed(tmp_path: Path) -> None:
    store = small_store(range(100), range(0, 100, 2))
    with stopped_by_signals(), pytest.raises(KeyboardInterrupt):
        run_small(tmp_path, store, Swallowing("20s"), training={"epochs": 1})
    (run,) = (path for path in tmp_path.iterdir() if (path / "triggers").is_dir())
    assert sorted(path.name for path in (run / "triggers").iterdir()) == ["00000", "00001"]
    assert not (run / "DONE").exists()
