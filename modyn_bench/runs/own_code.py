"""The code of a user that a run uses: what its configuration names and what that imports, where it is no library."""

from __future__ import annotations

import ast
import hashlib
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import modyn_bench


def own_code(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of all modules of the user's own that a configuration's ``_target_`` keys lead to, by name.

    A module leads to those that it imports, wherever in it. Modules are found and read, not imported. Libraries, which
    are installed, are left out; so is this package.

    Args:
        config: Plain values.

    Example:
        >>> own_code({"trigger": {"_target_": "modyn_bench.triggers.never.Never"}})
        {}
    """
    invalidate_caches()  # a module may have been written a moment ago
    found: dict[str, str] = {}
    waiting = list(dict.fromkeys(_targets(config)))
    while waiting:
        for module, path in _modules(waiting.pop()):
            if module in found:
                continue
            content = path.read_bytes()
            found[module] = hashlib.sha256(content).hexdigest()
            waiting += _imported(content, module, is_package=path.stem == "__init__")
    return dict(sorted(found.items()))


def _targets(value: object) -> Iterator[str]:
    """Yield every ``_target_`` within a value, and what Hydra's own targets, such as ``get_method``, are to find."""
    if isinstance(value, Mapping):
        target = value.get("_target_")
        if isinstance(target, str):
            yield target
            if target.startswith("hydra.") and isinstance(value.get("path"), str):
                yield value["path"]
        for inner in value.values():
            yield from _targets(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _targets(inner)


def _modules(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the user's own modules on a dotted path, the packages around them first, with their files."""
    first, *rest = name.split(".")
    try:
        spec = find_spec(first)
    except (ImportError, ValueError, KeyError):
        return
    if spec is None:
        return
    folders = [Path(place) for place in spec.submodule_search_locations or () if _is_own(Path(place))]
    if spec.origin is not None and Path(spec.origin).suffix == ".py" and _is_own(Path(spec.origin)):
        if not Path(spec.origin).is_file():  # within a zip
            return
        yield first, Path(spec.origin)
    module = first
    for part in rest:
        module = f"{module}.{part}"
        packages = [folder / part / "__init__.py" for folder in folders]
        file = next((path for path in (*packages, *(f / f"{part}.py" for f in folders)) if path.is_file()), None)
        if file is not None:
            yield module, file
        folders = [folder / part for folder in folders if (folder / part).is_dir()]
        if not folders:
            return


def _is_own(path: Path) -> bool:
    return not any(path.absolute().is_relative_to(library) for library in _libraries())


@cache
def _libraries() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    installed = {Path(paths[name]).absolute() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (*sorted(installed), *(Path(place).absolute() for place in modyn_bench.__path__))


def _imported(content: bytes, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the names that a module imports; none where it cannot be read."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            start = ".".join(part for part in (base, node.module) if part)
            yield from (f"{start}.{alias.name}" for alias in node.names)
