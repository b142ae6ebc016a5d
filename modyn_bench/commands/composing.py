"""Composing the jobs of a command with Hydra, and saying what is wrong with overrides in words for users.

Hydra composes every distinct choice of groups once; the remaining overrides are applied here as Hydra applies them,
one by one, so that all that is wrong with a job is found and not only the first error.
"""

from __future__ import annotations

import copy
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from modyn_bench.commands.keys import how_to_add, near_key, nothing_there, public
from modyn_bench.commands.messages import listed, nearest, quoted, refers
from modyn_bench.commands.options import CONFIG_NAME, conf_directory, own_directory
from modyn_bench.errors import RequestError

VERSION_BASE = "1.3"
_OF_FOLDERS = re.compile(r"hydra\.(run|sweep|output_subdir|job\.chdir)\b")


class UserConfigs(SearchPathPlugin):
    """Puts the folder of ``--config-dir`` before our own, for the preflight and for Hydra's own run alike."""

    directory: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folder, if there is one."""
        if self.directory is not None:
            search_path.prepend("--config-dir", f"file://{self.directory}", anchor="main")


@dataclass(frozen=True)
class Composed:
    """A job's configuration as plain values, and what is wrong with its overrides.

    Attributes:
        overrides: What was asked for.
        config: ``None`` where nothing could be composed.
        problems: Lines for the user.
        unsettled: Sections whose option does not exist; they hold the default option's values.
    """

    overrides: tuple[str, ...]
    config: dict[str, Any] | None
    problems: tuple[str, ...] = ()
    unsettled: frozenset[str] = frozenset()


def use_config_dir(directory: str | None) -> None:
    """Let Hydra search a folder of the user's own groups first.

    Raises:
        RequestError: If it is no folder.
    """
    own = own_directory(directory)
    UserConfigs.directory = None if own is None else own.resolve()
    Plugins.instance().register(UserConfigs)


class Composer:
    """Expands and composes jobs; a context, because Hydra's state is global."""

    def __enter__(self) -> Self:
        self._hydra = initialize_config_dir(config_dir=str(conf_directory()), version_base=VERSION_BASE)
        self._hydra.__enter__()
        loader = GlobalHydra.instance().config_loader()
        self._loader = loader
        self._parser = OverridesParser.create(config_loader=loader)
        self.groups = frozenset(_all_groups(loader))
        self._shapes: dict[tuple[str, ...], DictConfig | str] = {}
        self._options: dict[str, list[str]] = {}
        return self

    def __exit__(self, *exception: object) -> None:
        self._hydra.__exit__(*exception)

    def parse(self, texts: Sequence[str]) -> tuple[list[Override], list[str]]:
        """Parse overrides; return those that can be read, and what is wrong with the others."""
        parsed: list[Override] = []
        problems: list[str] = []
        for text in texts:
            try:
                parsed += self._parser.parse_overrides([text])
            except HydraException as error:
                problems.append(_unreadable(text, error))
        return parsed, problems

    def expand(self, overrides: Sequence[Override], *, multirun: bool) -> list[list[Override]]:
        """Return the overrides of every job, as Hydra's basic sweeper makes them.

        Raises:
            RequestError: If a sweep has no job or drops what it does not name, or there is a sweep without
                ``--multirun``.
        """
        deleting = [override.input_line or "" for override in overrides if override.is_delete()]
        unnamed = [text for text in deleting if "=" not in text]  # Hydra's sweeper looks for an empty one
        if multirun and unnamed:
            raise RequestError(
                "\n".join(f"{text} needs the value that is dropped in a sweep: {text}=VALUE" for text in unnamed)
            )
        if not multirun:
            problems = [_not_swept(override) for override in overrides if override.is_sweep_override()]
            if problems:
                raise RequestError("\n".join(problems))
            return [list(overrides)]
        choices: dict[str, list[str]] = {}
        for override in [*self._sweeper_params(overrides), *overrides]:
            choices[override.get_key_element()] = self._choices(override)
        return [self._parser.parse_overrides(list(job)) for job in itertools.product(*choices.values())]

    def compose(self, overrides: Sequence[Override]) -> Composed:
        """Compose one job to plain values, and collect all that is wrong with its overrides."""
        texts = tuple(override.input_line or "" for override in overrides)
        choices = [(override, self._check_choice(override)) for override in overrides if self._shapes_config(override)]
        problems = [problem for _, wrong in choices for problem in wrong]
        unsettled = frozenset(_section(override) for override, wrong in choices if wrong)
        shape = tuple(override.input_line or "" for override, wrong in choices if not wrong)
        base = self._compose_shape(shape)
        if isinstance(base, str) or "experiment" in unsettled:  # an experiment says which options there are
            return Composed(texts, None, tuple(problems) or (str(base),))
        config = copy.deepcopy(base)
        for override in overrides:
            if not self._shapes_config(override) and _section(override) not in unsettled:
                problems += apply_override(config, override, groups=self.groups)
        try:
            missing = sorted(OmegaConf.missing_keys(config))
            plain = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            return Composed(texts, None, (*problems, refers(str(error.full_key), error)), unsettled)
        problems += [f"{key} is missing: give it, as in {key}=VALUE" for key in missing]
        assert isinstance(plain, dict)
        return Composed(texts, {str(key): value for key, value in plain.items()}, tuple(problems), unsettled)

    def options(self, group: str) -> list[str]:
        """Return the options of a configuration group."""
        if group not in self._options:
            self._options[group] = self._loader.get_group_options(group, ObjectType.CONFIG)
        return self._options[group]

    def _shapes_config(self, override: Override) -> bool:
        return override.key_or_group in self.groups or override.is_hydra_override()

    def _compose_shape(self, overrides: tuple[str, ...]) -> DictConfig | str:
        if overrides not in self._shapes:
            try:
                self._shapes[overrides] = compose(CONFIG_NAME, overrides=list(overrides))
            except Exception as error:  # YAML errors, and Hydra's of several kinds
                cause = f": {error.__cause__}" if error.__cause__ is not None else ""
                self._shapes[overrides] = (_plainly(str(error)) + cause).strip()
        return self._shapes[overrides]

    def _check_choice(self, override: Override) -> list[str]:
        """Return what is wrong with the choice of an option of a group."""
        group = override.key_or_group
        if _OF_FOLDERS.match(group):
            return [f"{override.input_line}: Hydra owns no folder here; root=DIR says where run directories go"]
        if override.is_delete() or group not in self.groups:
            return []
        value = override.value()
        options = self.options(group)
        text = override.get_value_string()
        if not isinstance(value, (str, list)) and text in options:
            return [f"{group}={text}: {text} is no name where it is not quoted; write {quoted(group, text)}"]
        problems = []
        for name in value if isinstance(value, list) else ["null" if value is None else value]:
            folder, _, option = f"{group}/{name}".rpartition("/")
            if isinstance(name, str) and option in self.options(folder):
                continue
            if f"{group}/{name}" in self.groups:
                inside = f"{group}/{name}"
                problems.append(
                    f"{group}={name}: {name} is a folder of options: name one of {listed(self.options(inside))} "
                    f"as in +{inside}=NAME, or run all by -m '+{inside}=glob(*)'"
                )
            else:
                points = self._loader.list_groups(group) if group.partition("/")[0] == "experiment" else ()
                known = [*options, *(f"{folder}/" for folder in points)]
                problems.append(
                    f"{group}={name}: no such option{nearest(str(name), known)} (options of {group}: {listed(known)})"
                )
        return problems

    def _sweeper_params(self, overrides: Sequence[Override]) -> list[Override]:
        """Return the sweeps that the configuration itself declares under ``hydra.sweeper.params``."""
        shape = [o for o in overrides if self._shapes_config(o) and not o.is_sweep_override()]
        if any(self._check_choice(override) for override in shape):
            return []
        try:
            config = compose(CONFIG_NAME, overrides=[o.input_line or "" for o in shape], return_hydra_config=True)
            params = config.hydra.sweeper.get("params") or {}
        except Exception:  # the same error comes again, and is told, when the jobs are composed
            return []
        return self._parser.parse_overrides([f"{key}={value}" for key, value in params.items()])

    def _choices(self, override: Override) -> list[str]:
        key = override.get_key_element()
        if not override.is_sweep_override():
            return [f"{key}={override.get_value_element_as_str()}"]
        if override.is_hydra_override():
            raise RequestError(f"{override.input_line}: Hydra's own settings cannot be swept")
        if not override.is_discrete_sweep():
            raise RequestError(
                f"{override.input_line}: an interval has no list of values; write a,b,c or range(a,b,step)"
            )
        if os.path.exists(override.get_value_string()):
            raise RequestError(
                f"{override.input_line} sweeps over several values, but a file has this whole name; "
                f"write {quoted(key, override.get_value_string())} for the file"
            )
        choices = [f"{key}={value}" for value in override.sweep_string_iterator()]
        if not choices:
            group = override.key_or_group
            known = f" (options of {group}: {listed(self.options(group))})" if group in self.groups else ""
            near = "" if group in self.groups or "/" not in group else nearest(group, self.groups)
            raise RequestError(f"{override.input_line} is an empty sweep: it names nothing to run{near}{known}")
        return choices


def _plainly(message: str) -> str:
    """Return Hydra's message about a composition without what only Hydra's authors understand."""
    unused = re.match(r"Could not override '([^']+)/([^'/]+)'. No match in the defaults list", message)
    if unused:
        parent, part = unused.groups()
        if parent == "experiment":  # several can be chosen, and none is at first
            return f"{parent}/{part}: no point of it is chosen yet: add a +, as in +{parent}/{part}=NAME"
        return f"{parent}/{part}: the chosen {parent} has no {part} to replace: choose another with {parent}=NAME"
    twice = re.match(r"Multiple values for (\S+?)\. To override", message)
    if twice:
        return f"+{twice[1]}: an option can be chosen there without a +, as in {twice[1]}=NAME"
    return message.partition("Config search path:")[0].strip()


def apply_override(config: DictConfig, override: Override, *, groups: frozenset[str] = frozenset()) -> list[str]:
    """Apply one ``key=value`` to a configuration as Hydra does, and return what is wrong with it.

    Args:
        config: In struct mode; changed in place unless the override is wrong.
        override: No choice of a group.
        groups: Names of groups, for nearest matches.
    """
    key, value, line = override.key_or_group, override.value(), override.input_line
    if override.package is not None or "/" in key:
        return [f"{line}: there is no group {key!r}{nearest(key, groups)} (groups: {listed(public(groups))})"]
    adds = override.is_add() or override.is_force_add()
    nothing = None if adds else nothing_there(config, key, groups)
    if nothing is not None:
        return [f"{line}: {nothing}"]
    there = OmegaConf.select(config, key, throw_on_missing=False) is not None
    try:
        if override.is_delete():
            if not there:
                return [f"{line}: there is no key {key!r} to remove{near_key(config, key, groups, removed=True)}"]
            _delete(config, key)
        elif override.is_add() and there and not isinstance(value, (dict, list)):
            return [f"{line}: there is a {key} already; drop the + to change it"]
        else:
            OmegaConf.update(config, key, value, merge=True, force_add=adds)
    except OmegaConfBaseException:
        added = how_to_add(config, key, line or "")
        return [added or f"{line}: unknown key{near_key(config, key, groups)}"]
    return []


def _delete(config: DictConfig, key: str) -> None:
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    with open_dict(node):
        del node[name]


def _section(override: Override) -> str:
    """Return the section of the configuration that an override is about; an experiment is about any."""
    return re.split(r"[./@]", override.key_or_group, maxsplit=1)[0]


def _all_groups(loader: ConfigLoader, parent: str = "") -> list[str]:
    groups = []
    for name in loader.list_groups(parent):
        group = f"{parent}/{name}" if parent else name
        groups += [group, *_all_groups(loader, group)]
    return groups


def _not_swept(override: Override) -> str:
    key, text = override.get_key_element(), override.get_value_string()
    return (
        f"{override.input_line} names several values: add --multirun (-m) to run them all, "
        f"or write {quoted(key, text)} if it is one value"
    )


def _unreadable(text: str, error: HydraException) -> str:
    key, equals, value = text.partition("=")
    if not equals:
        return f"{text}: not an override; write KEY=VALUE, or ~KEY to remove a key"
    if not key or not value.strip(" "):
        return f"{text}: cannot be read as KEY=VALUE; write {key or 'KEY'}=null for no value"
    reason = str(error).partition("\nSee https://")[0].splitlines()[0]
    return f"{text}: cannot be read ({reason}); a value with special characters is quoted: {quoted(key, value)}"
