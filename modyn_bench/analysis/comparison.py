"""Many runs on common ground: which can be compared, and each policy's mean and deviation over its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.errors import RequestError
from modyn_bench.evaluation.compare import WINDOW_COLUMNS, compare
from modyn_bench.evaluation.costs import policy_costs
from modyn_bench.runs.manifest import read_manifest
from modyn_bench.runs.naming import name_runs

if TYPE_CHECKING:
    import pandas as pd

    from modyn_bench.runs.load import Runs

KEYS = ["dataset", "window_set", "metric", "variant", "aggregate"]
"""What tells one comparison from another."""

MEASURES = ["value", "coverage", "num_triggers", "sample_passes", "seconds"]
"""What has a mean and a standard deviation over seeds."""

_OWN_WINDOWS = ("between_triggers", "offset")


@dataclass(frozen=True)
class Cohort:
    """Runs of one dataset that were evaluated on the same windows.

    Attributes:
        dataset: What the dataset is called; numbered where several are called the same.
        window_set: The name of the windows.
        policies: run_id -> a label that runs share which differ by their seed alone.
    """

    dataset: str
    window_set: str
    policies: dict[str, str]


def cohorts(runs: Runs) -> tuple[list[Cohort], list[str]]:
    """Sort runs by dataset and by the windows that they were evaluated on.

    Returns:
        The cohorts, and what cannot be in any, in words: window sets that depend on each run's own triggers.
    """
    found: dict[tuple[str, str, tuple[object, ...]], list[str]] = {}
    notes: list[str] = []
    configs = runs.configs.set_index("run_id").to_dict("index")
    for (run_id, window_set), rows in runs.evaluations.groupby(["run_id", "window_set"], sort=False):
        kind = configs[run_id].get(f"evaluation.windows.{window_set}.kind")
        if kind in _OWN_WINDOWS:
            notes.append(
                f"{window_set}: windows of kind {kind} depend on the triggers of each run: evaluate on a set of "
                "kind sliced, sliding or static to compare"
            )
            continue
        windows = rows[WINDOW_COLUMNS].drop_duplicates().sort_values("window_id")
        signature = tuple(windows.to_numpy().ravel().tolist())
        found.setdefault((str(configs[run_id]["fingerprint"]), str(window_set), signature), []).append(str(run_id))
    made: list[Cohort] = []
    for (_, window_set, _), run_ids in found.items():
        manifests = [read_manifest(Path(str(configs[run_id]["path"]))) for run_id in run_ids]
        taken = [cohort.dataset for cohort in made if cohort.window_set == window_set]
        policies = dict(zip(run_ids, name_runs(manifests, seeds=False), strict=True))
        made.append(Cohort(_unused(str(configs[run_ids[0]]["dataset"]), taken), window_set, policies))
    return made, list(dict.fromkeys(notes))


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
    import pandas as pd

    run_ids = list(cohort.policies)
    evaluations = runs.evaluations[runs.evaluations["run_id"].isin(run_ids)]
    composite = runs.composite[runs.composite["run_id"].isin(run_ids)]
    composite = composite[composite["window_set"] == cohort.window_set]
    models = runs.models[runs.models["run_id"].isin(run_ids)]
    costs = policy_costs(runs.stages[runs.stages["run_id"].isin(run_ids)]).set_index("run_id")
    seeds = runs.configs.set_index("run_id")["seed"] if "seed" in runs.configs else pd.Series(dtype=object)
    frames: list[pd.DataFrame] = []
    notes: list[str] = []
    wanted = composite[["metric", "variant", "aggregate"]].drop_duplicates()
    for metric, variant, aggregate in wanted.itertuples(index=False, name=None):
        where = f"{cohort.dataset}, {cohort.window_set} windows, {metric}, {variant.replace('_', ' ')}"
        try:
            result = compare(
                evaluations,
                models,
                window_set=cohort.window_set,
                metric=metric,
                variant=variant,
                aggregation=aggregate,
                min_coverage=min_coverage,
            )
        except RequestError as error:
            notes.append(f"{where}: {error}")
            continue
        notes += [
            f"{where}: {cohort.policies[name]} ({name}) is set aside, its model covers {share:.0%} of the windows"
            for name, share in result.set_aside.items()
        ]
        if result.table.empty or not result.window_ids:
            notes.append(f"{where}: there is no window for which all runs have a model and a defined value")
            continue
        table = result.table.drop(columns="first_model_id")
        frames.append(
            table.assign(
                dataset=cohort.dataset,
                window_set=cohort.window_set,
                metric=metric,
                variant=variant,
                aggregate=aggregate,
                policy=table["run_id"].map(cohort.policies),
                seed=table["run_id"].map(seeds),
                sample_passes=table["run_id"].map(costs["sample_passes"]),
                seconds=table["run_id"].map(costs["seconds"]),
            )
        )
    columns = [*KEYS, "policy", "run_id", "seed", *MEASURES, "num_windows"]
    joined = pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
    return joined, list(dict.fromkeys(notes))


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


def _unused(name: str, taken: Sequence[str]) -> str:
    """Return a name, numbered if it is taken."""
    number = 1
    candidate = name
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate
