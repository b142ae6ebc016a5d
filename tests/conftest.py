"""Fixtures and settings that all tests share."""

from __future__ import annotations

import gc
import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# No test may depend on how fast a machine is; checks that must repeat draw the same examples every time.
settings.register_profile(
    "project", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")

# Where the tests run in the background of a script, they and what they start would ignore interrupts.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever asks for the real datasets, so that ``-m 'not shared_data'`` leaves none behind."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared_data)


@pytest.fixture(scope="module", autouse=True)
def _lean_heap() -> None:
    """Let no collection visit what earlier modules left alive: every training collects, and there are thousands."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real datasets that are not bundled; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("MODYN_BENCH_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real datasets are not here: {folder}")
    return folder
