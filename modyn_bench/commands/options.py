"""Where the options of the configuration groups lie, and what each is; loads nothing of Hydra's."""

from __future__ import annotations

import re
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


def describe_options() -> str:
    """List the options of all groups, each with the first sentence of its file, and the grids of experiments."""
    conf = conf_directory()
    lines: list[tuple[str, str]] = []
    for group in _GROUPS:
        for file in sorted((conf / group).glob("*.yaml")):
            comment = file.read_text().partition("\n")[0].lstrip("# ")
            lines.append((f"{group}={file.stem}", re.split(r"[.:;](?: |$)", comment)[0]))
    for folder in sorted(path for path in (conf / "experiment").glob("*") if path.is_dir()):
        points = sorted(file.stem for file in folder.glob("*.yaml"))
        lines.append((f"+experiment/{folder.name}", f"A grid of named points: {', '.join(points)}"))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"  {name.ljust(width)}  {what}" for name, what in lines)
