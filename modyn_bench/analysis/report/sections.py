"""The sections of a report's page: of each dataset question, verdict, comparisons, costs and options; then of all.

Something new to show is one more function that returns a ``Section`` and one more line in ``sections``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.analysis.cohorts import Cohort
from modyn_bench.analysis.comparison import over_seeds
from modyn_bench.analysis.page.section import Section
from modyn_bench.analysis.report.charts import Compared, charts, ranked, slug
from modyn_bench.analysis.report.comparisons import Comparisons
from modyn_bench.analysis.report.continual import continual_section
from modyn_bench.analysis.report.costs import cost_section
from modyn_bench.analysis.report.datasets import across_datasets
from modyn_bench.analysis.report.options import Options, differing_options
from modyn_bench.analysis.report.question import answer, question
from modyn_bench.analysis.report.tables import filed
from modyn_bench.analysis.report.text import sentence, shown_aggregate, table
from modyn_bench.analysis.statistics.results import counted
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label
from modyn_bench.runs.load import Runs

if TYPE_CHECKING:
    import pandas as pd

_COST = "sample passes (forward + 2 × backward) and seconds of all but the evaluation"


def sections(of: Comparisons, out: Path) -> Iterator[Section]:
    """Yield the sections of every dataset, and write their figures and tables into the report's folder."""
    for source in dict.fromkeys(cohort.source for cohort, _ in of.kept):
        own = [(cohort, rows) for cohort, rows in of.kept if cohort.source == source]
        options = differing_options(_configs(of.loaded, own))
        order = order_of([rows for _, rows in own])
        yield question(of.loaded, source, own, of.verdicts, options)
        for cohort, rows in own:
            every = [
                Compared(of.loaded, cohort, of_metric, order, out / "figures")
                for _, of_metric in rows.groupby("metric", sort=False)
            ]
            yield from (_comparison(of, out, compared) for compared in every)
            continual = continual_section(every[0], out)
            if continual is not None:
                yield continual
        yield _costs(of, out, source, own, order)
        if options.keys:
            yield _options(out, source, options)
    yield from across_datasets(of.kept, out)


def order_of(tables: Sequence[pd.DataFrame]) -> dict[str, int]:
    """Number a dataset's policies, so that each looks the same in all figures: best of the first comparison first."""
    first = tables[0]
    metric = str(first["metric"].iloc[0])
    shown = first[(first["metric"] == metric) & (first["aggregate"] == shown_aggregate(first))]
    best = ranked(shown[shown["variant"] == "currently_active"], higher_is_better=HIGHER_IS_BETTER[metric])
    names = dict.fromkeys([*best, *(str(name) for rows in tables for name in rows["policy"])])
    return {name: place for place, name in enumerate(names)}


def _comparison(of: Comparisons, out: Path, compared: Compared) -> Section:
    """Return both composite models' table, and the charts of the currently active one."""
    cohort, rows, metric = compared.cohort, compared.rows, compared.metric
    judged = [each for each in of.verdicts if each.of(cohort.dataset, cohort.window_set, metric)]
    return Section(
        title=f"{cohort.dataset}, {cohort.window_set} windows: {axis_label(metric)}",
        lead=answer(rows, judged),
        statements=[statement for each in judged for statement in each.statements[1:]],
        tables=[
            filed(
                table(rows),
                out / "tables" / slug(cohort.dataset, cohort.window_set, metric),
                note=f"{sentence(rows, cohort.window_set, metric)} Cost: {_COST}.",
                frame=over_seeds(rows),
            )
        ],
        charts=charts(compared),
    )


def _costs(
    of: Comparisons, out: Path, source: str, own: Sequence[tuple[Cohort, pd.DataFrame]], order: Mapping[str, int]
) -> Section:
    policies = {run_id: policy for cohort, _ in own for run_id, policy in cohort.policies.items()}
    stages = of.loaded.stages[of.loaded.stages["run_id"].isin(list(policies))]
    stages = stages.assign(policy=stages["run_id"].map(policies))
    return cost_section(source, stages, order, out)


def _options(out: Path, source: str, options: Options) -> Section:
    """Return the keys that are told on the page and for LaTeX; the CSV has all that differ."""
    import pandas as pd

    note = "What differs in the resolved configurations of the policies, seeds aside; - where one has no such key."
    rest = [key for key in options.keys if key not in options.shown]
    if rest:
        note += f" The CSV has {counted(len(rest), 'more option')} that only some policies have, such as {rest[0]}."
    header, *rows = options.table(options.keys)
    table = filed(
        options.table(options.shown),
        out / "tables" / slug(source, "options"),
        note=note,
        frame=pd.DataFrame(rows, columns=header),
    )
    return Section(f"{source}: options that differ", tables=[table])


def _configs(runs: Runs, own: Sequence[tuple[Cohort, pd.DataFrame]]) -> dict[str, list[Mapping[str, object]]]:
    """Return the configurations of each policy that is compared."""
    found: dict[str, dict[str, Mapping[str, object]]] = {}
    for _, rows in own:
        for policy, run_id in zip(rows["policy"], rows["run_id"], strict=True):
            found.setdefault(str(policy), {})[str(run_id)] = runs.manifests[str(run_id)]["config"]
    return {policy: list(configs.values()) for policy, configs in found.items()}
