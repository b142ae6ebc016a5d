"""Runs on common ground: each metric, composite model and aggregate; and policies' means and deviations over seeds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from modyn_bench.analysis.cohorts import Cohort
from modyn_bench.analysis.text import by_number
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.compare import compare
from modyn_bench.evaluation.composite import VARIANTS
from modyn_bench.evaluation.costs import policy_costs

if TYPE_CHECKING:
    import pandas as pd

    from modyn_bench.runs.load import Runs

KEYS = ["dataset", "window_set", "metric", "variant", "aggregate"]
"""What tells one comparison from another."""

MEASURES = ["value", "coverage", "num_triggers", "sample_passes", "seconds"]
"""What has a mean and a standard deviation over seeds."""


def compare_runs(runs: Runs, cohort: Cohort, *, min_coverage: float) -> tuple[pd.DataFrame, list[str]]:
    """Compare the runs of a cohort by every metric, composite model and aggregate that they have.

    Args:
        runs: All runs.
        cohort: Those to compare.
        min_coverage: A run whose composite model covers a smaller share of the windows is set aside.

    Returns:
        One row per run and comparison: ``KEYS``, policy, run_id, seed, ``MEASURES``, num_windows; and what had to be
        left out, in words.
    """
    evaluations, composite = (_on(cohort, table) for table in (runs.evaluations, runs.composite))
    models = runs.models[runs.models["run_id"].isin(cohort.policies)]
    wanted = list(composite[["metric", "variant", "aggregate"]].drop_duplicates().itertuples(index=False, name=None))
    by_metric = {str(metric): rows for metric, rows in evaluations.groupby("metric", sort=False)}
    notes = _Notes(cohort, [key[:2] for key in wanted])
    frames: list[pd.DataFrame] = []
    for metric, variant, aggregate in wanted:
        of_metric = by_metric.get(metric, evaluations.iloc[:0])
        notes.add_unmeasured(metric, set(of_metric["run_id"]))
        try:
            result = compare(
                of_metric,
                models,
                window_set=cohort.window_set,
                metric=metric,
                variant=variant,
                aggregation=aggregate,
                min_coverage=min_coverage,
            )
        except RequestError as error:
            notes.add(metric, variant, str(error))
            continue
        for name, share in result.set_aside.items():
            reason = f"its model has a value in {share:.0%} of the windows (min_coverage: {min_coverage:.0%})"
            notes.add(metric, variant, f"{cohort.policies[name]} ({name}) is set aside, {reason}")
        if result.table.empty or not result.window_ids:
            notes.add(metric, variant, "there is no window in which all runs have a model and a defined value")
            continue
        key = (cohort.dataset, cohort.window_set, metric, variant, aggregate)
        frames.append(result.table.assign(**dict(zip(KEYS, key, strict=True))))
    return _described(frames, runs, cohort), notes.texts()


def _on(cohort: Cohort, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a cohort's runs on its windows."""
    rows = table[table["run_id"].isin(cohort.policies)]
    return rows[rows["window_set"] == cohort.window_set]


def _described(frames: Sequence[pd.DataFrame], runs: Runs, cohort: Cohort) -> pd.DataFrame:
    """Join what was compared, and say of each run its policy, its seed and its costs."""
    import pandas as pd

    columns = [*KEYS, "policy", "run_id", "seed", *MEASURES, "num_windows"]
    if not frames:
        return pd.DataFrame(columns=columns)
    joined = pd.concat(frames, ignore_index=True)
    costs = policy_costs(runs.stages[runs.stages["run_id"].isin(cohort.policies)]).set_index("run_id")
    seeds = runs.configs.set_index("run_id")["seed"] if "seed" in runs.configs else pd.Series(dtype=object)
    joined = joined.assign(
        policy=joined["run_id"].map(cohort.policies),
        seed=joined["run_id"].map(seeds),
        sample_passes=joined["run_id"].map(costs["sample_passes"]),
        seconds=joined["run_id"].map(costs["seconds"]),
    )
    by_comparison = (rows for _, rows in joined.groupby(KEYS, sort=False))
    return pd.concat(map(_in_order, by_comparison), ignore_index=True)[columns]


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort runs by policy and seed, so that their order does not hang on hashes."""
    names = [(by_number(str(row.policy)), by_number(str(row.seed))) for row in rows.itertuples()]
    return rows.iloc[sorted(range(len(rows)), key=names.__getitem__)]


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return each policy's mean and standard deviation (n - 1) over its runs, and their number.

    Args:
        table: As ``compare_runs`` returns it.

    Returns:
        One row per comparison and policy: ``KEYS``, policy, n, num_windows, and for each measure ``<measure>_mean`` and
        ``<measure>_std`` (null where n is 1).
    """
    import pandas as pd

    groups = table.groupby([*KEYS, "policy"], sort=False)
    columns = {"n": groups["run_id"].nunique(), "num_windows": groups["num_windows"].first()}
    for measure in MEASURES:
        columns[f"{measure}_mean"] = groups[measure].mean()
        columns[f"{measure}_std"] = groups[measure].std(ddof=1)
    return pd.DataFrame(columns).reset_index()


class _Notes:
    """What is said of several comparisons is said once, with the comparisons that it is about.

    Args:
        cohort: The runs that all notes are about.
        comparisons: Metric and composite model of all comparisons.
    """

    def __init__(self, cohort: Cohort, comparisons: Sequence[tuple[str, str]]) -> None:
        self.where = f"{cohort.dataset}, {cohort.window_set} windows"
        self.policies = cohort.policies
        self.comparisons = list(dict.fromkeys(comparisons))
        self.unmeasured: dict[str, None] = {}
        self.about: dict[str, list[tuple[str, str]]] = {}

    def add_unmeasured(self, metric: str, measured: Collection[str]) -> None:
        """Take a note of the runs that have no value of a metric."""
        for run_id, policy in self.policies.items():
            if run_id not in measured:
                self.unmeasured[f"{self.where}: {policy} ({run_id}) was not evaluated by {metric}"] = None

    def add(self, metric: str, variant: str, text: str) -> None:
        """Take a note of one comparison."""
        about = self.about.setdefault(text, [])
        if (metric, variant) not in about:
            about.append((metric, variant))

    def texts(self) -> list[str]:
        """Return all notes."""
        return [*self.unmeasured, *(f"{self.where}{self._which(text)}: {text}" for text in self.about)]

    def _which(self, text: str) -> str:
        """Name the comparisons that a note is about, unless it is about all."""
        about = self.about[text]
        if len(about) == len(self.comparisons):
            return ""
        words = []
        for variant in (variant for variant in VARIANTS if variant in {own for _, own in about}):
            of_variant = [metric for metric, own in about if own == variant]
            all_metrics = [metric for metric, own in self.comparisons if own == variant]
            named = [] if of_variant == all_metrics else of_variant
            words.append(", ".join([*named, variant.replace("_", " ")]))
        return f", {'; '.join(words)}"
