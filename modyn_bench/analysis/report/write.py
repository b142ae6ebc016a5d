"""Compare runs, and write it down: a page, figures, and tables as CSV and for LaTeX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from modyn_bench.analysis.page.html import render
from modyn_bench.analysis.report.comparisons import Comparisons, compare_paths
from modyn_bench.analysis.report.files import COMPARISONS, PAGE, RUNS, TABLE, TITLE, earlier_files, publish, staging_for
from modyn_bench.analysis.report.sections import sections
from modyn_bench.analysis.statistics.results import counted


@dataclass(frozen=True)
class ReportResult:
    """What ``write_report`` wrote.

    Attributes:
        comparisons: What it is about.
        path: The page.
        files: Tables and figures beside it.
    """

    comparisons: Comparisons
    path: Path
    files: tuple[Path, ...]

    def __str__(self) -> str:
        beside = [file for file in self.files if file.parent == self.path.parent]
        folders = Counter(file.parent for file in self.files if file not in beside)
        counts = (f"{folder}: {counted(count, 'file')}" for folder, count in folders.items())
        files = (f"          {each}" for each in (*beside, *counts))
        return "\n".join([str(self.comparisons), f"report    {self.path}", *files])


def write_report(
    paths: Sequence[str | Path], out: Path, *, min_coverage: float = 0.5, evaluation: str | None = None
) -> ReportResult:
    """Compare finished runs, and write tables (CSV and LaTeX), figures (PNG and PDF) and a page (HTML) that shows them.

    Runs are compared per dataset and window set, only on windows for which all of them have a model and a value, and
    averaged over the runs that differ by their seed alone.

    Args:
        paths: As ``load_runs`` takes them. What is no finished run is skipped, by name.
        out: The folder to write to; made if it is not there. Of an earlier report there, nothing stays.
        min_coverage: A run whose composite model covers a smaller share of the windows is set aside, by name; 0 to 1.
        evaluation: The id of the evaluation to compare, as ``modyn-bench evaluate`` made it; a run without it is
            skipped, by name, with the command that makes it. Default: the one that each run was made with.

    Raises:
        RequestError: If there is no finished run, none has the evaluation, nothing can be compared, or the folder holds
            files of these names that no report wrote; nothing is written then, nor where the report is interrupted.
    """
    earlier = earlier_files(out)
    compared = compare_paths(paths, min_coverage=min_coverage, evaluation=evaluation)
    with staging_for(out) as staging:
        files = _write(compared, staging)
        publish(staging, out, earlier)
    return ReportResult(compared, out / PAGE, tuple(out / file.relative_to(staging) for file in files))


def _write(compared: Comparisons, out: Path) -> list[Path]:
    """Write the page, and return the files beside it, in the order in which it shows them."""
    for folder in ("figures", "tables"):
        (out / folder).mkdir()
    numbers = _write_numbers(compared, out)
    question, *others = sections(compared, out)
    made = [replace(question, files=numbers), *others]
    notes = [*(f"{entry.path}: {entry.reason}" for entry in compared.skipped), *compared.notes, *compared.others]
    (out / PAGE).write_text(render(TITLE, made, folder=out, notes=notes), encoding="utf-8")
    return list(dict.fromkeys(file for section in made for file in section.all_files))


def _write_numbers(compared: Comparisons, out: Path) -> list[Path]:
    """Write what all comparisons found, with all digits."""
    numbers = {TABLE: compared.table, RUNS: compared.runs}
    if compared.verdicts:
        numbers[COMPARISONS] = pd.concat([judged.table for judged in compared.verdicts], ignore_index=True)
    for name, frame in numbers.items():
        frame.to_csv(out / name, index=False)
    return [out / name for name in numbers]
