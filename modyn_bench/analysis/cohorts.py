"""Which runs can be compared: those of one dataset, on the same windows, by metrics of the same definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from modyn_bench.config import EvaluationConfig
from modyn_bench.evaluation.compare import WINDOW_COLUMNS
from modyn_bench.runs.identity import is_path_key
from modyn_bench.runs.naming import differing, flatten, name_runs
from modyn_bench.timespan import format_time

if TYPE_CHECKING:
    from modyn_bench.runs.load import Runs

_OWN_WINDOWS = ("between_triggers", "offset")

_Key = tuple[str, str, tuple[tuple[int, ...], ...], tuple[tuple[str, Any], ...]]


@dataclass(frozen=True)
class Cohort:
    """Runs of one dataset that were evaluated on the same windows, by metrics of the same definition.

    Attributes:
        dataset: What the dataset is called, with what tells these windows from others of the same name.
        source: What the dataset is called, with its content's fingerprint where others are called the same.
        window_set: The name of the windows.
        policies: run_id -> a label that runs share which differ by their seed alone; the same in all of a dataset's
            cohorts.
    """

    dataset: str
    source: str
    window_set: str
    policies: dict[str, str]


@dataclass(frozen=True)
class Missing:
    """Something that no cohort has.

    Attributes:
        source: What the dataset is called, as in ``Cohort``.
        window_set: The name of the windows; None: it is about all of them.
        text: What is missing, in words.
    """

    source: str
    window_set: str | None
    text: str

    def is_about(self, cohort: Cohort) -> bool:
        """Whether a reader of the cohort's comparison must know it."""
        return self.source == cohort.source and self.window_set in (None, cohort.window_set)


@dataclass(frozen=True)
class _Group:
    """Runs with equal windows and equally defined metrics, before they are named."""

    fingerprint: str
    window_set: str
    windows: tuple[tuple[int, ...], ...]
    definitions: tuple[tuple[str, Any], ...]
    run_ids: list[str]


def cohorts(runs: Runs) -> tuple[list[Cohort], list[Missing]]:
    """Sort runs by dataset and by the windows that they were evaluated on.

    Returns:
        The cohorts, and what is missing in them: window sets that depend on each run's own triggers, runs that were not
        evaluated on windows of a name that others were, and runs that have no model.
    """
    sources = _source_names(runs)
    groups, missing = _groups(runs, sources)
    by_source: dict[str, list[str]] = {}
    for run_id, manifest in runs.manifests.items():
        by_source.setdefault(str(manifest["fingerprint"]), []).append(run_id)
    policies: dict[str, str] = {}
    for run_ids in by_source.values():
        labels = name_runs([runs.manifests[run_id] for run_id in run_ids], seeds=False)
        policies |= dict(zip(run_ids, labels, strict=True))
    made = [
        Cohort(
            dataset=name,
            source=sources[group.fingerprint],
            window_set=group.window_set,
            policies={run_id: policies[run_id] for run_id in group.run_ids},
        )
        for group, name in zip(groups, _dataset_names(runs, groups, sources), strict=True)
    ]
    return made, list(dict.fromkeys([*missing, *_not_evaluated(runs, groups, by_source, sources)]))


def _not_evaluated(
    runs: Runs, groups: Sequence[_Group], by_source: Mapping[str, Sequence[str]], sources: Mapping[str, str]
) -> Iterator[Missing]:
    """Name the runs that lack windows of a name that others of their dataset have, and those without a model."""
    pairs = runs.evaluations[["run_id", "window_set"]].drop_duplicates()
    has = set(pairs.itertuples(index=False, name=None))
    evaluated = set(pairs["run_id"])
    for fingerprint, window_set in dict.fromkeys((group.fingerprint, group.window_set) for group in groups):
        source = sources[fingerprint]
        for run_id in by_source[fingerprint]:
            if run_id in evaluated and (run_id, window_set) not in has:
                what = f"{runs.names[run_id]} ({run_id}) was not evaluated on windows named {window_set}"
                yield Missing(source, window_set, f"{source}: {what}")
    for fingerprint, run_ids in by_source.items():
        for run_id in run_ids:
            if run_id not in evaluated:
                yield Missing(sources[fingerprint], None, f"{runs.names[run_id]} ({run_id}) has no model")


def _groups(runs: Runs, sources: Mapping[str, str]) -> tuple[list[_Group], list[Missing]]:
    """Put runs with equal windows and metrics together; of windows that are a run's own only a note remains."""
    found: dict[_Key, list[str]] = {}
    missing: list[Missing] = []
    for (run_id, window_set), rows in runs.evaluations.groupby(["run_id", "window_set"], sort=False):
        manifest = runs.manifests[str(run_id)]
        kind = _windows_config(manifest, str(window_set)).get("kind")
        if kind in _OWN_WINDOWS:
            text = (
                f"{window_set}: windows of kind {kind} depend on the triggers of each run: evaluate on a set of "
                "kind sliced, sliding or static to compare"
            )
            missing.append(Missing(sources[str(manifest["fingerprint"])], str(window_set), text))
            continue
        windows = rows[WINDOW_COLUMNS].drop_duplicates().sort_values("window_id")
        signature = tuple(windows.itertuples(index=False, name=None))
        definitions = tuple(_definitions(manifest, set(rows["metric"])).items())
        key = (str(manifest["fingerprint"]), str(window_set), signature, definitions)
        found.setdefault(key, []).append(str(run_id))
    return [_Group(*key, run_ids) for key, run_ids in found.items()], missing


def _windows_config(manifest: Mapping[str, Any], window_set: str) -> Mapping[str, Any]:
    evaluation = manifest["config"].get("evaluation") or {}
    options: Mapping[str, Any] = (evaluation.get("windows") or {}).get(window_set) or {}
    return options


def _definitions(manifest: Mapping[str, Any], metrics: set[str]) -> dict[str, Any]:
    """Return the options that say what a run's metrics mean: equal windows measured otherwise do not compare."""
    options = ["min_window_samples"]
    options += ["f1_classes"] * any(metric.startswith("f1") for metric in metrics)
    options += ["ece_bins"] * ("ece" in metrics)
    evaluation = {**asdict(EvaluationConfig()), **(manifest["config"].get("evaluation") or {})}
    return {option: evaluation[option] for option in options}


def _source_names(runs: Runs) -> dict[str, str]:
    """Return what each dataset is called, by its content's fingerprint."""
    configs = runs.configs.drop_duplicates("fingerprint")
    names = dict(zip(configs["fingerprint"].astype(str), configs["dataset"].astype(str), strict=True))
    found = dict(names)
    for name, count in Counter(names.values()).items():
        if count > 1:
            same = [own for own in names if names[own] == name]
            found |= {own: f"{name} {words}" for own, words in zip(same, _told_apart(runs, same), strict=True)}
    return found


def _told_apart(runs: Runs, fingerprints: Sequence[str]) -> list[str]:
    """Return what tells datasets of one name apart: their options, or else their content."""
    first = {str(manifest["fingerprint"]): manifest for manifest in reversed(runs.manifests.values())}
    options = [flatten(first[own]["config"].get("dataset") or {}) for own in fingerprints]
    kept = [{key: value for key, value in each.items() if not is_path_key(key)} for each in options]
    words = [" ".join(each) for each in differing(kept)]
    if len(set(words)) < len(words) or not all(words):
        return [f"data={own[:6]}" for own in fingerprints]
    return [f"({each})" for each in words]


def _dataset_names(runs: Runs, groups: Sequence[_Group], sources: Mapping[str, str]) -> list[str]:
    """Return what the dataset of each group is called: where windows of one name differ, with what differs in them.

    That is the options of windows, metrics and splits, where these tell the groups apart; else the windows' number and
    span.
    """
    names = [sources[group.fingerprint] for group in groups]
    same: dict[tuple[str, str], list[int]] = {}
    for place, group in enumerate(groups):
        same.setdefault((group.fingerprint, group.window_set), []).append(place)
    for places in (places for places in same.values() if len(places) > 1):
        members = [groups[place] for place in places]
        words = [" ".join(options) for options in differing([_cut_by(runs, group) for group in members])]
        if len(set(words)) < len(words) or not all(words):
            words = [_span(group) for group in members]
        if len(set(words)) < len(words):
            words = [f"windows {number}" for number in range(1, len(words) + 1)]
        for place, word in zip(places, words, strict=True):
            names[place] += f" ({word})"
    return names


def _cut_by(runs: Runs, group: _Group) -> dict[str, Any]:
    """What the windows of a group's first run are made by: their options, and those of the split."""
    manifest = runs.manifests[group.run_ids[0]]
    evaluation, dataset = (manifest["config"].get(key) or {} for key in ("evaluation", "dataset"))
    options = {f"dataset.{key}": value for key, value in flatten(dataset).items() if not is_path_key(key)}
    cut = {**_windows_config(manifest, group.window_set), "split": evaluation.get("split"), **options}
    return cut | dict(group.definitions)


def _span(group: _Group) -> str:
    starts, ends = ([window[column] for window in group.windows] for column in (1, 2))
    return f"{len(group.windows)} windows, {format_time(min(starts))} to {format_time(max(ends))}"
