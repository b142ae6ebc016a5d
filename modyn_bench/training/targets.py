"""Making what a ``_target_`` names, with errors that say which key was wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from modyn_bench.errors import RequestError


@lru_cache(maxsize=64)
def _locate(target: str) -> Callable[..., Any]:
    from hydra.utils import get_object

    located: Callable[..., Any] = get_object(target)
    return located


def locate(config: Mapping[str, Any], key: str) -> Callable[..., Any]:
    """Return the class or function that ``config["_target_"]`` names.

    Args:
        config: A part of the configuration.
        key: Where it stands, named in errors.

    Raises:
        RequestError: If there is none.

    Example:
        >>> locate({"_target_": "torch.optim.SGD"}, "training.optimizer").__name__
        'SGD'
    """
    target = config.get("_target_")
    if not isinstance(target, str):
        raise RequestError(f"{key}._target_ is missing: the import path of a class, such as torch.optim.SGD")
    try:
        located = _locate(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise RequestError(f"{key}._target_={target} cannot be imported: {error}") from error
    if not callable(located):
        raise RequestError(f"{key}._target_={target} is no class or function")
    return located


def make(config: Mapping[str, Any], key: str, *args: object, **options: object) -> Any:  # noqa: ANN401 - any target
    """Call what ``_target_`` names with some arguments and the options given here.

    Raises:
        RequestError: If it does not take them.
    """
    target = locate(config, key)
    try:
        return target(*args, **options)
    except (TypeError, ValueError) as error:
        raise RequestError(f"{key}: {config['_target_']} refuses its options {options}: {error}") from error
