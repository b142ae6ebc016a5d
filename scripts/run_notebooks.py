"""Execute notebooks, two at a time, each in a process of its own.

    python scripts/run_notebooks.py [--write] [NOTEBOOK...]

A notebook that fails is named with the cell that failed and what it said, the others go on, and the exit code is 1.
Nothing is changed unless `--write` is given, which stores the outputs without what differs from one execution to the
next: times, the lines of a summary that tell seconds, and progress.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
AT_ONCE = 2
_SECONDS = re.compile(r"^(seconds|  (?:replay|decide|select|score|train|predict|commit))( +)[\d.,]+$", re.MULTILINE)
_ETA = re.compile(r"\bETA \d+:\d\d:\d\d$", re.MULTILINE)
_DURATION = re.compile(r"\b(done in) \d+:\d\d:\d\d")


def execute(file: Path, *, write: bool) -> str:
    """Execute one notebook in its folder, and return what went wrong, and in which cell, or nothing."""
    notebook = nbformat.read(file, as_version=4)
    cells: list[int] = []
    client = NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        resources={"metadata": {"path": str(file.parent)}},
        on_cell_execute=lambda cell, cell_index: cells.append(cell_index),
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:  # of the last: a dead or mute kernel
        where = f"cell {cells[-1]}" if cells else "before the first cell"
        return f"{where}: {type(error).__name__}: {error}"
    if write:
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            if cell.cell_type == "code":
                cell.outputs = [_made_steady(output) for output in cell.outputs if not _is_progress(output)]
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, file)
    return ""


def _is_progress(output: Any) -> bool:  # noqa: ANN401 - a node of nbformat
    """Whether an output tells how far a run has come, which a slower machine does more often."""
    return bool(_ETA.search(output.get("data", {}).get("text/plain", "")))


def _made_steady(output: Any) -> Any:  # noqa: ANN401 - a node of nbformat
    """Return an output without what differs from one execution to the next."""
    if "text" in output:
        output["text"] = steady(output["text"])
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/"):
            output["data"][kind] = steady(value)
    return output


def steady(text: str) -> str:
    r"""Put an ellipsis in place of measured times.

    Example:
        >>> steady("2011-12-31 100%  8 triggers  done in 0:00:06")
        '2011-12-31 100%  8 triggers  done in …'
        >>> steady("samples    24\nseconds   5.0\n  train   3.3")
        'samples    24\nseconds   …\n  train   …'
    """
    return _DURATION.sub(r"\1 …", _SECONDS.sub(r"\1\2…", text))


def _by_length(file: Path) -> tuple[bool, str]:
    """Put those that only draw last, so that no long one is left over for one process."""
    return file.name.startswith("figure"), file.name


def main() -> None:
    """Execute what is asked for, and say how long each took and which failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(NOTEBOOKS.glob("*.ipynb"), key=_by_length))
    parser.add_argument("--write", action="store_true", help="store the outputs")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    def run(file: Path) -> str:
        started = time.perf_counter()
        wrong = execute(file, write=options.write)
        print(f"{file.name}: {'FAILED' if wrong else 'done'} in {time.perf_counter() - started:.0f} s", flush=True)
        return wrong

    with ThreadPoolExecutor(AT_ONCE) as pool:  # each notebook's kernel is a process
        answers = dict(zip(options.notebooks, pool.map(run, options.notebooks), strict=True))
    failed = {file: wrong for file, wrong in answers.items() if wrong}
    for file, wrong in failed.items():
        print(f"\n{file} failed:\n{wrong}", file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
