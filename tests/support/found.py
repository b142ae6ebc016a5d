"""Finds the classes of a package, so that a new one is tested without being named."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

Base = TypeVar("Base")


def concrete_classes(package: ModuleType, base: type[Base]) -> list[type[Base]]:
    """Every public class of a package's modules that is of a kind and not abstract, by name."""
    found = set()
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for one in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(one) and issubclass(one, base) and not inspect.isabstract(one):
                found.add(one)
    return sorted((one for one in found if not one.__name__.startswith("_")), key=lambda one: one.__name__)


def held_by(policy: object, base: type[Base]) -> list[Base]:
    """Everything of a kind that the attributes of a policy hold, in order, dictionaries looked into."""
    values = [
        value for held in vars(policy).values() for value in (held.values() if isinstance(held, dict) else [held])
    ]
    return [value for value in values if isinstance(value, base)]
