"""All that can be compared of some runs: their tables, the verdicts, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.cohorts import Cohort, cohorts
from modyn_bench.analysis.comparison import KEYS, compare_runs, over_seeds
from modyn_bench.analysis.report.text import sentence, table
from modyn_bench.analysis.report.verdicts import Judged, judge_all
from modyn_bench.analysis.text import lay_out
from modyn_bench.errors import RequestError
from modyn_bench.runs.evaluations import overrides, own_config
from modyn_bench.runs.identity import evaluation_id
from modyn_bench.runs.listing import Skipped
from modyn_bench.runs.load import Runs, load_runs

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparisons:
    """Finished runs, compared with those that they can be compared with.

    Attributes:
        loaded: The runs.
        kept: Cohorts, and their rows as ``compare_runs`` returns them; there are some.
        verdicts: What the comparison of policies comes to, one for each metric and set of windows that have one.
        skipped: Paths that are no finished run, and why.
        notes: What could not be compared, in words.
        others: Evaluations that were not asked for, and how to compare them, in words.
    """

    loaded: Runs
    kept: tuple[tuple[Cohort, pd.DataFrame], ...]
    verdicts: tuple[Judged, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    others: tuple[str, ...]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run and comparison."""
        import pandas as pd

        return pd.concat([rows for _, rows in self.kept], ignore_index=True)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per policy and comparison: mean and standard deviation over seeds, and n."""
        return over_seeds(self.runs)

    def __str__(self) -> str:
        lines = []
        for (dataset, window_set, metric), rows in self.runs.groupby(KEYS[:3], sort=False):
            lines += [f"{dataset}, {sentence(rows, str(window_set), str(metric))}", *lay_out(table(rows))]
            lines += [judged.verdict.headline for judged in self.verdicts if judged.of(dataset, window_set, metric)]
            lines.append("")
        lines += [f"skipped   {entry.path}: {entry.reason}" for entry in self.skipped]
        lines += [f"left out  {note}" for note in self.notes]
        lines += [f"note      {note}" for note in self.others]
        return "\n".join(lines)


def compare_paths(
    paths: Sequence[str | Path], *, min_coverage: float = 0.5, evaluation: str | None = None
) -> Comparisons:
    """Load finished runs and compare them; nothing is written.

    Args:
        paths: As ``load_runs`` takes them. What is no finished run is skipped, by name.
        min_coverage: A run whose composite model covers a smaller share of the windows is set aside, by name; 0 to 1.
        evaluation: The id of the evaluation to compare; default: the one that each run was made with.

    Raises:
        RequestError: If there is no finished run, none has the evaluation, or nothing can be compared.
    """
    if not 0 <= min_coverage <= 1:
        raise RequestError(f"min_coverage={min_coverage} must be a share of the windows, from 0 to 1")
    runs = load_runs(paths, evaluation=evaluation)
    skipped = (*runs.skipped, *runs.unfinished)
    if not len(runs):
        if evaluation is not None:
            _check_evaluation(load_runs(paths), evaluation)
        raise RequestError(_nothing("there is no finished run", [f"{entry.path}: {entry.reason}" for entry in skipped]))
    groups, missing = cohorts(runs)
    compared = [compare_runs(runs, cohort, min_coverage=min_coverage) for cohort in groups]
    notes = list(dict.fromkeys([*(entry.text for entry in missing), *(note for _, more in compared for note in more)]))
    kept = [(cohort, rows) for cohort, (rows, _) in zip(groups, compared, strict=True) if len(rows)]
    if not kept:
        raise RequestError(_nothing("the runs have nothing that can be compared", notes))
    verdicts, unjudged = judge_all(runs, kept)
    others = _other_evaluations(runs) if evaluation is None else []
    return Comparisons(runs, tuple(kept), tuple(verdicts), skipped, (*notes, *unjudged), tuple(others))


def _nothing(what: str, reasons: Sequence[str]) -> str:
    listed = "".join(f"\n  {reason}" for reason in reasons[:20])
    more = f"\n  and {len(reasons) - 20} more" if len(reasons) > 20 else ""
    return f"{what}: give run directories or roots of them that modyn-bench run has finished{listed}{more}"


def _check_evaluation(runs: Runs, evaluation: str) -> None:
    """Raise if there are runs, but none has the evaluation."""
    if not len(runs):
        return
    own = {evaluation_id(own_config(manifest)) for manifest in runs.manifests.values()}
    listed = "".join(f"\n  {name}" for name in [*sorted(own - set(runs.evaluations_beside)), *runs.evaluations_beside])
    raise RequestError(
        f"--evaluation={evaluation}: no run has an evaluation of this id; modyn-bench evaluate makes one, and says its "
        f"id, the last part of the folder that it writes. There is:{listed}"
    )


def _other_evaluations(runs: Runs) -> list[str]:
    """Say which evaluations there are beside those that are compared."""
    notes = []
    for name, configs in runs.evaluations_beside.items():
        told = ((run_id, config) for run_id, config in configs.items() if config)
        words = next((overrides(own_config(runs.manifests[run_id]), config) for run_id, config in told), [])
        what = f" ({' '.join(words)})" if words else ""
        notes.append(
            f"{len(configs)} of {len(runs)} runs have another evaluation, {name}{what}: --evaluation {name} compares it"
        )
    return notes
