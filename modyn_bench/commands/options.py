"""Where the options of the configuration groups lie, and what each is; loads nothing of Hydra's."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path

import modyn_bench
from modyn_bench.errors import RequestError

CONFIG_NAME = "config"
_GROUPS = ("dataset", "model", "trigger", "selector", "training", "evaluation", "logger")


def conf_directory() -> Path:
    """Return the folder of our configuration groups: in the package when installed, beside it in a source tree.

    Raises:
        RequestError: If there is none.
    """
    package = Path(modyn_bench.__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / f"{CONFIG_NAME}.yaml").is_file():
            return folder
    raise RequestError(f"the configuration groups are missing: no conf/{CONFIG_NAME}.yaml in or beside {package}")


def own_directory(directory: str | None) -> Path | None:
    """Return the folder of option files that the user named, if there is one.

    Raises:
        RequestError: If it is no folder.
    """
    if directory is not None and not Path(directory).is_dir():
        raise RequestError(f"--config-dir={directory} is no folder")
    return None if directory is None else Path(directory)


def describe_options(own: Path | None = None) -> str:
    """List the options of all groups, each with the first sentence of its file, and the grids of experiments.

    Args:
        own: A folder of the user's option files, which stand before ours of the same name.
    """
    groups = _find_options(*([conf_directory()] if own is None else [conf_directory(), own]))
    blocks = []
    for group in sorted(groups, key=_place):
        parent, _, name = group.rpartition("/")
        if group.startswith("experiment/"):
            blocks.append(_lay_out({f"'+{group}=glob(*)'": f"A grid, run with -m: {', '.join(groups[group])}"}))
            continue
        takers = [option for option, file in groups.get(parent, {}).items() if _takes(file, parent, name)]
        heading = f"  for {', '.join(f'{parent}={option}' for option in takers)}:\n" if takers else ""
        lines = {f"{group}={option}": _first_sentence(file) for option, file in groups[group].items()}
        blocks.append(heading + _lay_out(lines))
    return "\n\n".join(blocks)


def _find_options(*folders: Path) -> dict[str, dict[str, Path]]:
    """Return the option files by group, however deep, and by name; later folders stand before earlier ones."""
    groups: dict[str, dict[str, Path]] = {}
    for folder in folders:
        for file in folder.glob("*/**/*.yaml"):
            groups.setdefault(file.parent.relative_to(folder).as_posix(), {})[file.stem] = file
    return {group: dict(sorted(options.items())) for group, options in groups.items()}


def _place(group: str) -> tuple[bool, int, str]:
    """Return where a group stands: ours in the order of a configuration, then others, then experiments."""
    section = group.partition("/")[0]
    return section == "experiment", _GROUPS.index(section) if section in _GROUPS else len(_GROUPS), group


def _takes(file: Path, parent: str, name: str) -> bool:
    """Say whether an option's defaults list chooses from the group ``parent/name``."""
    entry = rf"^ *- +(override +)?(/{parent}/)?{name}(@\S+)?:"
    return re.search(entry, _text(file), re.MULTILINE) is not None


def _first_sentence(file: Path) -> str:
    """Return the first sentence of a file's comment, after what is for Hydra, or its path where there is none."""
    line = next((line for line in _text(file).splitlines() if not line.startswith("# @")), "")
    return re.split(r"[.:;](?: |$)", line.lstrip("# "))[0] if line.startswith("#") else str(file)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _lay_out(lines: Mapping[str, str]) -> str:
    """Write names and what they are in two columns, wrapped to the terminal."""
    indent = max(len(name) for name in lines) + 4
    columns = max(shutil.get_terminal_size().columns - 2, indent + 20)
    return "\n".join(
        textwrap.fill(
            what,
            columns,
            initial_indent=f"  {name}".ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, what in lines.items()
    )
