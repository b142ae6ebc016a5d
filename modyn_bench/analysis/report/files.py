"""Which files of a folder a report wrote, so that the next one replaces them all, and none that is not a report's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modyn_bench.errors import RequestError

LISTING = "report.json"
"""Names the files of a report, relative to its folder."""

TITLE = "Comparison of pipelines"
PAGE, TABLE, RUNS, COMPARISONS = "index.html", "table.csv", "runs.csv", "comparisons.csv"


def earlier_files(out: Path) -> list[Path]:
    """Return what an earlier report wrote into a folder; nothing where there is none.

    Raises:
        RequestError: If the folder holds files of the names of a report's that no report wrote. Nothing is changed.
    """
    listing = out / LISTING
    if listing.is_file():
        try:
            names = json.loads(listing.read_text(encoding="utf-8"))["files"]
            return [out / name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]
        except (ValueError, KeyError, TypeError):
            raise RequestError(_foreign(out, LISTING)) from None
    strange = [name for name in (PAGE, TABLE, RUNS, COMPARISONS) if (out / name).exists()]
    if strange and not _is_page(out / PAGE):
        raise RequestError(_foreign(out, strange[0]))
    return []


@contextmanager
def staging_for(out: Path) -> Iterator[Path]:
    """Yield a folder beside a report's to write it in; whatever happens, nothing of it stays."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        yield Path(folder)


def publish(staging: Path, out: Path, earlier: Sequence[Path]) -> None:
    """Move a report into its folder, in place of the one before.

    Args:
        staging: Where all of it was written, on the same file system.
        out: The report's folder.
        earlier: As ``earlier_files`` returned them before.
    """
    files = {out / file.relative_to(staging) for file in staging.rglob("*") if file.is_file()}
    out.mkdir(exist_ok=True)
    _list(out, [*files, *earlier])  # whoever is interrupted from here on leaves what the next report replaces
    for file in sorted(files):
        file.parent.mkdir(exist_ok=True)
        (staging / file.relative_to(out)).replace(file)
    for file in set(earlier) - files:
        file.unlink(missing_ok=True)
    _list(out, files)


def _list(out: Path, files: Iterable[Path]) -> None:
    names = sorted({file.relative_to(out).as_posix() for file in files})
    (out / LISTING).write_text(json.dumps({"files": names}, indent=1) + "\n", encoding="utf-8")


def _is_page(path: Path) -> bool:
    """Say whether a file is the page of a report that listed no files, as earlier versions wrote it."""
    return path.is_file() and f"<h1>{TITLE}</h1>" in path.read_text(encoding="utf-8", errors="replace")


def _foreign(out: Path, name: str) -> str:
    return f"{out} holds a {name} that no report wrote: name another folder, as in --out=report, or move the file away"
