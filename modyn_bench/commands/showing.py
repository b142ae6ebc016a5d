"""What the commands beside ``run`` do and print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modyn_bench.errors import RequestError

if TYPE_CHECKING:
    from modyn_bench.data.store import Column, SampleStore
    from modyn_bench.preflight import Job
    from modyn_bench.runs.listing import RunSummary, Skipped


def show_configs(jobs: Sequence[Job]) -> None:
    """Print the resolved configurations of checked jobs as YAML, one document each."""
    from omegaconf import OmegaConf

    print("---\n".join(OmegaConf.to_yaml(OmegaConf.create(job.config)) for job in jobs), end="")


def prepare(config: Mapping[str, Any]) -> None:
    """Ingest the dataset of a checked configuration, and print what the store holds."""
    from modyn_bench.jobs import prepare_store

    print(describe_store(prepare_store(config)))


def evaluate(path: Path, overrides: Sequence[str]) -> None:
    """Evaluate a finished run anew under changed options, and print the summary.

    Raises:
        RequestError: If there is no finished run, or an override is wrong.
    """
    from modyn_bench.preflight import check_evaluation
    from modyn_bench.runs.lock import locked_by
    from modyn_bench.runs.manifest import DONE, MANIFEST, read_manifest

    if not (path / MANIFEST).is_file():
        raise RequestError(
            f"{path} is no run directory: it has no {MANIFEST}; modyn-bench runs lists what is in a root"
        )
    if not (path / DONE).is_file():
        holder = locked_by(path)
        how = "the run command that began it resumes it" if holder is None else f"it is run by {holder}"
        raise RequestError(f"{path} is not finished: {how}; a run can be evaluated anew when it is finished")
    config = check_evaluation(read_manifest(path)["config"]["evaluation"], overrides)
    from modyn_bench.jobs import evaluate_run

    print(evaluate_run(path, config).summary)


def report(paths: Sequence[str], out: Path, *, evaluation: str | None = None, min_coverage: float = 0.5) -> None:
    """Compare runs: write tables and figures, and print where.

    Raises:
        RequestError: If a path does not exist, an option is out of range, or no run has the evaluation.
        RunError: If runs are in W&B, and its server cannot be asked.
    """
    if not 0 <= min_coverage <= 1:
        raise RequestError(f"--min-coverage={min_coverage} must be a share of the windows, from 0 to 1, such as 0.5")
    from modyn_bench.runs.fetching import is_address

    absent = [path for path in paths if not is_address(path) and not Path(path).exists()]
    if absent:
        raise RequestError(f"no such run or root of runs: {', '.join(absent)}")
    if out.exists() and not out.is_dir():
        raise RequestError(f"--out={out} is a file; name a folder")
    from modyn_bench.analysis.report.write import write_report

    print(write_report(paths, out, evaluation=evaluation, min_coverage=min_coverage))


def workspace(project: str, name: str) -> None:
    """Save a workspace that compares the runs of a W&B project, and print the address of its page.

    Raises:
        RequestError: If wandb-workspaces is not installed, or there is no such project or no finished run in it.
        RunError: If W&B's server cannot be asked, or refuses.
    """
    from modyn_bench.runs.fetching import SCHEME, Address
    from modyn_bench.runs.load import load_runs
    from modyn_bench.tracking.workspace import Shown, build_workspace, check_installed, save_workspace

    address = Address.parse(project if project.startswith(SCHEME) else f"{SCHEME}{project}")
    if address.filters:
        raise RequestError(f"{project}: a workspace shows a whole project; write ENTITY/PROJECT")
    check_installed()
    loaded = load_runs(str(address))
    left_out = [_left_out(entry) for entry in (*loaded.skipped, *loaded.unfinished)]
    if not len(loaded):
        raise RequestError("\n".join([f"{address} has no finished run to compare", *left_out]))
    built = build_workspace(address.entity, address.project, name, Shown.of(loaded))
    print(*left_out, f"workspace  {save_workspace(built)}", sep="\n")


def runs(override: str) -> None:
    """Print a table of the runs in a root, and what is left out of it.

    Args:
        override: ``root=DIR``, as ``run`` takes it; the name of a folder that exists needs no quotes. Or
            ``root=wandb:ENTITY/PROJECT``.

    Raises:
        RequestError: If it cannot be read, or the root does not exist.
        RunError: If the runs are in W&B, and its server cannot be asked.
    """
    from modyn_bench.runs.fetching import is_address

    if is_address(address := override.removeprefix("root=")):
        _print_runs(address)
        return
    root = Path(override.removeprefix("root="))
    if override == "root=" or not root.is_dir():
        from modyn_bench.preflight import check_jobs

        root = Path(check_jobs([override])[0].config["root"])
    if not root.is_dir():
        raise RequestError(f"root={root} is no folder; the runs of a command go to its root, by default outputs")
    _print_runs(root)


def _print_runs(root: str | Path) -> None:
    """Print the runs in a root, and what else is there."""
    from modyn_bench.runs.listing import list_runs

    summaries, skipped = list_runs(root)
    print(describe_runs(summaries) or f"There are no runs in {root}.")
    left_out = [_left_out(entry) for entry in skipped if entry.path != root]
    if left_out:
        print("", *left_out, sep="\n")


def _left_out(entry: Skipped) -> str:
    return f"left out  {entry.path}: {entry.reason}"


def describe_store(store: SampleStore) -> str:
    """Describe a sample store: where it lies, its splits, columns and classes, and what ingest did."""
    from modyn_bench.timespan import format_time

    lines = [f"dataset   {store.name}", f"store     {store.path}", f"content   {store.fingerprint}"]
    for name, split in store.splits.items():
        times = split.timestamps
        span = f", {format_time(int(times[0]))} to {format_time(int(times[-1]))}" if len(times) else ""
        lines.append(f"split     {name}: {len(split):,} samples{span}")
    lines += [f"column    {_describe_column(column)}" for column in store.schema.columns]
    classes = list(store.schema.classes)
    shown = ", ".join(classes[:8]) + (", …" if len(classes) > 8 else "")
    lines.append(f"classes   {len(classes)}: {shown}")
    lines += [f"note      {note}" for note in store.notes]
    return "\n".join(lines)


def describe_runs(summaries: Sequence[RunSummary]) -> str:
    """Lay runs out as a table; empty if there are none."""
    if not summaries:
        return ""
    header = ("run", "status", "dataset", "trigger", "selector", "seed", "triggers", "score")
    rows = [header, *(_run_row(summary) for summary in summaries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    details = [f"{summary.run_id}: {summary.detail}" for summary in summaries if summary.detail]
    return "\n".join([*lines, *([""] if details else []), *details])


def _run_row(summary: RunSummary) -> tuple[str, ...]:
    score = "" if summary.value is None else f"{summary.metric} {summary.value:.4f}"
    facts = (summary.dataset, summary.trigger, summary.selector, summary.seed)
    known = ["?" if fact is None else str(fact) for fact in facts]
    return (summary.run_id, summary.status, *known, str(summary.num_triggers), score)


def _describe_column(column: Column) -> str:
    shape = "x".join(map(str, column.shape))
    text = f"{column.name}: {column.kind}, {column.dtype}" + (f" of shape {shape}" if shape else "")
    if column.num_values is not None:
        text += f", {column.num_values:,} {'ids of a tokenizer' if column.vocabulary_hash else 'hash buckets'}"
    if column.categories:
        sizes = [f"{name} ({len(values)})" for name, values in zip(column.names, column.categories, strict=True)]
        return f"{text}: {', '.join(sizes)}"
    return f"{text}: {', '.join(column.names)}" if column.names else text
