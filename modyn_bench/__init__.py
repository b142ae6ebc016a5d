"""Benchmark when to retrain a model, and on which samples, on datasets that keep growing."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("modyn_bench")
except PackageNotFoundError:  # a source tree that was not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
