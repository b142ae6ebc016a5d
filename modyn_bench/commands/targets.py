"""Checking ``_target_`` nodes: that the target exists, and that its keys are arguments of its constructor.

Policies and dataset recipes are imported. Models, optimisers and losses are read instead of imported, because importing
them would load torch: their modules are found on the path and their sources parsed.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from modyn_bench.commands.messages import listed, nearest
from modyn_bench.commands.schema import check_value, field_hints
from modyn_bench.errors import RequestError

OF_MODEL = frozenset({"embedding_layer"})
"""Keys of a model's configuration that are no arguments of its constructor: who builds it reads them."""

OF_SECOND_MODEL = OF_MODEL | {"initial_weights", "fresh_layers"}
"""The same of a model that a policy trains beside the one that is evaluated."""

OF_HYDRA = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")


@dataclass(frozen=True)
class Signature:
    """The named parameters of something callable.

    Attributes:
        names: In their order.
        required: Those without a default.
        is_open: Whether it takes any name.
        hints: Type hints by name, where they are known.
    """

    names: tuple[str, ...]
    required: tuple[str, ...] = ()
    is_open: bool = False
    hints: Mapping[str, Any] = field(default_factory=dict)


def check_imported(key: str, node: Mapping[str, Any]) -> list[str]:
    """Check a node with a ``_target_``, and all such nodes within it, by importing the targets.

    What lies in a node with ``_recursive_: false`` is handed on as it is, and built later: it is read only.

    Args:
        key: Where the node stands, as written on the command line.
        node: Plain values.

    Returns:
        What is wrong, as lines for the user.
    """
    problems: list[str] = []
    for at, inner in _target_nodes(key, node, built=True):
        if _hands_on(inner):
            for name, item in inner.items():
                problems += check_read(f"{at}.{name}", item, filled_in=OF_SECOND_MODEL)
        try:
            signature = signature_of(locate(str(inner["_target_"])))
        except RequestError as error:
            problems.append(f"{at}._target_={inner['_target_']}: {error}")
        else:
            problems += _check_arguments(at, inner, signature, require=not inner.get("_partial_"))
    return problems


def check_read(key: str, node: object, *, filled_in: frozenset[str] = frozenset()) -> list[str]:
    """Check a node with a ``_target_``, and all such nodes within it, without importing the targets.

    Args:
        key: Where the node stands, as written on the command line.
        node: Plain values.
        filled_in: Keys that the harness reads itself, beside those of the constructor.
    """
    problems: list[str] = []
    for at, inner in _target_nodes(key, node):
        try:
            signature = read_signature(str(inner["_target_"]))
        except RequestError as error:
            problems.append(f"{at}._target_={inner['_target_']}: {error}")
            continue
        if signature is not None:
            own = {name: value for name, value in inner.items() if name not in filled_in}
            problems += _check_arguments(at, own, signature, require=False)
    return problems


def locate(path: str) -> Callable[..., object]:
    """Import what a dotted path names.

    Raises:
        RequestError: If a module or attribute does not exist or its import fails.
    """
    parts = path.split(".")
    module = _import(parts[0])
    depth = 1
    while depth < len(parts) and _is_module(".".join(parts[: depth + 1]), module):
        depth += 1
        module = _import(".".join(parts[:depth]))
    found: object = module
    for attribute in parts[depth:]:
        if not hasattr(found, attribute):
            of = getattr(found, "__name__", path)
            known = _public([*getattr(found, "__dict__", {}), *_submodules(getattr(found, "__path__", None))])
            raise RequestError(f"{of} has no {attribute!r}{nearest(attribute, known)}")
        found = getattr(found, attribute)
    if not callable(found):
        raise RequestError(f"{path} is a {type(found).__name__}, and nothing that can be called")
    return found


def _is_module(name: str, parent: ModuleType) -> bool:
    return name in sys.modules or PathFinder.find_spec(name, list(getattr(parent, "__path__", []))) is not None


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise RequestError(_no_module(name)) from None
        raise RequestError(f"importing {name} failed: {error}") from error
    except Exception as error:
        raise RequestError(f"importing {name} failed: {type(error).__name__}: {error}") from error


def signature_of(target: Callable[..., object]) -> Signature:
    """Return the parameters of a class or function."""
    try:
        signature = inspect.signature(target, eval_str=True)
    except NameError:  # an annotation that only a type checker can read
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # written in C
        return Signature((), is_open=True)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    named = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY)
    ]
    hints = {p.name: p.annotation for p in named if p.annotation is not p.empty and not isinstance(p.annotation, str)}
    unpacked = _unpacked(signature)
    if isinstance(target, type) and dataclasses.is_dataclass(target):
        with suppress(NameError):  # fields that are inherited are annotated in the words of another module
            hints = {name: hint for name, hint in field_hints(target).items() if name in signature.parameters}
    required = tuple(parameter.name for parameter in named if parameter.default is parameter.empty)
    names = (*(p.name for p in named), *unpacked)
    is_open = inspect.Parameter.VAR_KEYWORD in kinds and not unpacked
    return Signature(names, required, is_open, hints | unpacked)


def _unpacked(signature: inspect.Signature) -> dict[str, Any]:
    """Return names and type hints of what ``**options: Unpack[...]`` takes; none where it takes anything."""
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD and get_origin(parameter.annotation) is Unpack:
            hints: dict[str, Any] = get_type_hints(get_args(parameter.annotation)[0])
            return hints
    return {}


def read_signature(path: str) -> Signature | None:
    """Return the parameters of what a dotted path names, from the sources; ``None`` where they do not tell.

    Raises:
        RequestError: If a module or attribute certainly does not exist.
    """
    parts = path.split(".")
    spec, depth = _find_module(parts)
    rest = parts[depth:]
    if not rest:
        raise RequestError(f"{path} is a module; name a class or function in it")
    tree = _parse(spec)
    if tree is None:
        return None
    defined = _defined(tree)
    if rest[0] not in defined:
        if "*" in defined or ("__getattr__" in defined and "__all__" not in defined):
            return None
        known = _public([*defined, *_submodules(spec.submodule_search_locations)])
        raise RequestError(f"{'.'.join(parts[:depth])} has no {rest[0]!r}{nearest(rest[0], known)}")
    return _read_definition(defined[rest[0]], spec, defined) if len(rest) == 1 else None


def _read_definition(
    node: ast.stmt, spec: ModuleSpec, defined: Mapping[str, ast.stmt], *, depth: int = 0
) -> Signature | None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None if node.decorator_list else _from_arguments(node.args, skip=0)
    if isinstance(node, ast.ClassDef):
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef) and statement.name in ("__init__", "__new__"):
                return _from_arguments(statement.args, skip=1)
        base = node.bases[0] if len(node.bases) == 1 and not node.decorator_list else None
        if isinstance(base, ast.Name) and base.id in defined and depth < 5:
            return _read_definition(defined[base.id], spec, defined, depth=depth + 1)
        return None
    if isinstance(node, ast.ImportFrom) and node.module and depth < 5:
        package = spec.name if spec.submodule_search_locations is not None else spec.name.rpartition(".")[0]
        climbed = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        return read_signature(".".join([*climbed, node.module, node.names[0].name]))
    return None


def _from_arguments(arguments: ast.arguments, *, skip: int) -> Signature:
    names = tuple(argument.arg for argument in [*arguments.args[skip:], *arguments.kwonlyargs])
    return Signature(names, is_open=arguments.kwarg is not None)


def _defined(tree: ast.Module) -> dict[str, ast.stmt]:
    """Return the statements that define a module's names; what stands in an ``if`` or ``try`` counts."""
    defined: dict[str, ast.stmt] = {}
    statements: list[ast.AST] = list(tree.body)
    while statements:
        node = statements.pop(0)
        if isinstance(node, (ast.If, ast.Try)):
            statements = [*ast.iter_child_nodes(node), *statements]
        elif isinstance(node, ast.ExceptHandler):
            statements = [*node.body, *statements]
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            defined[node.name] = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                one = ast.ImportFrom(node.module, [alias], node.level) if isinstance(node, ast.ImportFrom) else node
                defined[alias.asname or alias.name.split(".")[0]] = one
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            defined.update({name.id: node for name in names if isinstance(name.ctx, ast.Store)})
    return defined


def _find_module(parts: list[str]) -> tuple[ModuleSpec, int]:
    """Find the innermost module of a dotted path without importing any, and how many parts name it."""
    spec: ModuleSpec | None = None
    for number in range(1, len(parts) + 1):
        path = None if spec is None else spec.submodule_search_locations
        if spec is not None and path is None:
            break
        inner = find_spec(parts[0]) if number == 1 else _find_inner(".".join(parts[:number]), path)
        if inner is None:
            break
        spec = inner
    if spec is None:
        raise RequestError(_no_module(parts[0]))
    return spec, spec.name.count(".") + 1


def _find_inner(name: str, path: Iterable[str] | None) -> ModuleSpec | None:
    """Find a module within a package that may not be imported, a folder without ``__init__.py`` included."""
    places = list(path or ())
    try:
        return PathFinder.find_spec(name, places)
    except KeyError:  # such a folder, whose parent is looked up among what is imported
        folder = name.rpartition(".")[2]
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(Path(place) / folder) for place in places]
        return spec


def _submodules(folders: Iterable[str] | None) -> list[str]:
    return [module.name for module in iter_modules(folders)] if folders is not None else []


def _public(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith("_")]


def _parse(spec: ModuleSpec) -> ast.Module | None:
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        return ast.parse(Path(spec.origin).read_bytes())
    except SyntaxError as error:
        raise RequestError(f"{spec.origin}:{error.lineno}: {error.msg}") from None


def _hands_on(node: Mapping[str, Any]) -> bool:
    """Tell whether Hydra hands the nodes within a node on without building them."""
    return node.get("_recursive_") is False


def _target_nodes(key: str, value: object, *, built: bool = False) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find all nodes with a ``_target_``, or only those that are built with the outermost one."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield key, value
        if built and _hands_on(value):
            return
        for name, item in value.items():
            yield from _target_nodes(f"{key}.{name}", item, built=built)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _target_nodes(f"{key}[{position}]", item, built=built)


def _check_arguments(key: str, node: Mapping[str, Any], signature: Signature, *, require: bool) -> list[str]:
    problems = []
    target = str(node["_target_"]).rpartition(".")[2]
    for name, value in node.items():
        if name in OF_HYDRA:
            continue
        if name in signature.names:
            if name in signature.hints:
                problems += check_value(f"{key}.{name}", value, signature.hints[name])
        elif not signature.is_open:
            near = nearest(str(name), signature.names)
            problems.append(f"{key}.{name}: unknown key{near} (parameters of {target}: {listed(signature.names)})")
    missing = [name for name in signature.required if name not in node] if require and "_args_" not in node else []
    problems += [f"{key}.{name} is missing: {target} needs it; +{key}.{name}=VALUE gives it" for name in missing]
    return problems


def _no_module(name: str) -> str:
    return f"there is no module {name!r} here; a file of your own must lie in the working directory, or be installed"
