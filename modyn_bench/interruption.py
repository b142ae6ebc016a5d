"""A request to stop that cannot get lost.

Python raises ``KeyboardInterrupt`` wherever it happens to be, and drops it where that is a destructor or a callback of
a library. So a signal is noted as well, and who runs a loop asks between two steps.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_noted: list[str] = []


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let Ctrl-C and a request to terminate raise ``KeyboardInterrupt`` with the signal's name, and in ``check``."""
    _noted.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _noted.clear()


def check() -> None:
    """Raise ``KeyboardInterrupt`` if a signal came, whatever became of the exception that it raised."""
    if _noted:
        raise KeyboardInterrupt(_noted[0])


def _stop(number: int, frame: FrameType | None) -> None:
    _noted.append(signal.Signals(number).name)
    raise KeyboardInterrupt(_noted[-1])
