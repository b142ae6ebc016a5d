"""One job of a command, from its resolved configuration to its summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modyn_bench.config import EvaluationConfig, LoggerConfig, ReplayConfig, TrainingConfig, evaluation_config, section
from modyn_bench.data.named import NamedColumns
from modyn_bench.data.places import data_dir
from modyn_bench.data.recipes.base import Recipe
from modyn_bench.data.replay import Replay
from modyn_bench.data.store import SampleStore
from modyn_bench.errors import RequestError, RunError
from modyn_bench.evaluation.evaluate import check_evaluation, evaluate
from modyn_bench.metrics import needs_probabilities
from modyn_bench.observer import Observer, Status
from modyn_bench.parts import with_parts
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.runs.evaluations import write_config
from modyn_bench.runs.identity import evaluation_id, places
from modyn_bench.selectors.downsampling.records import check_records

if TYPE_CHECKING:
    from modyn_bench.selectors.base import Selector
    from modyn_bench.training.trainer import ModelTrainer
    from modyn_bench.triggers.base import Trigger


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a job.

    Attributes:
        status: ``finished``, ``already done``, or ``re-evaluated`` where only the evaluation was new.
        path: The run's directory.
        summary: The text that the command prints.
    """

    status: Literal["finished", "already done", "re-evaluated"]
    path: Path
    summary: str


def prepare_store(config: Mapping[str, Any]) -> SampleStore:
    """Build the dataset's sample store, or open it where it was built before.

    Raises:
        DataError: If the source cannot be read as the configuration says.
    """
    from hydra.utils import instantiate

    recipe = instantiate(dict(config["dataset"]), _convert_="all")
    if not isinstance(recipe, Recipe):
        raise RequestError(
            f"dataset._target_={config['dataset']['_target_']} is no modyn_bench.data.recipes.base.Recipe"
        )
    return recipe.prepare(data_dir(config))


def run_job(config: Mapping[str, Any], *, sweep: str | None = None, overrides: Sequence[str] = ()) -> JobResult:
    """Run one pipeline to its end, or go on where an interrupted one stopped, or show one that is done.

    Args:
        config: The resolved configuration, as plain containers.
        sweep: Name of the sweep that the job belongs to; groups runs in W&B.
        overrides: What made the configuration of the default one; names the policy in W&B.

    Raises:
        RequestError: If the configuration and the dataset do not fit together; nothing was started.
        DataError: If the source cannot be read.
        RunError: If the run's directory is locked, foreign or corrupt, or the run cannot go on.
    """
    store = prepare_store(config)
    evaluation = evaluation_config(config["evaluation"])
    if evaluation.split not in store.splits:
        raise RequestError(f"evaluation.split={evaluation.split} is none of this dataset's: {', '.join(store.splits)}")
    test = store.splits[evaluation.split]
    num_classes = store.schema.num_classes
    check_evaluation(evaluation, test_timestamps=test.timestamps, num_classes=num_classes)
    keep_probabilities = any(needs_probabilities(metric, num_classes=num_classes) for metric in evaluation.metrics)
    dataset = {
        "name": store.name,
        "classes": list(store.schema.classes),
        "notes": list(store.notes),
        "split": evaluation.split,
    }
    parts = None
    if not RunDirectory.is_done(Path(config["root"]), config=config, fingerprint=store.fingerprint):
        Replay(store.splits["train"], section(ReplayConfig, config["replay"]))  # refuses a span without samples
        parts = _build(config, store)
        parts.trigger.check_dataset(num_classes=num_classes)
        parts.selector.check_dataset(columns=NamedColumns(store.schema, store.splits["train"]).kinds)
        check_records(parts.selector)
        _rehearse(parts)
    with RunDirectory.open(
        Path(config["root"]), config=dict(config), fingerprint=store.fingerprint, dataset=dataset
    ) as run:
        if run.done:
            return _show(run, config, evaluation)
        keep_probabilities = _as_before(run, keep_probabilities)
        print(*(f"{store.name}: {note}" for note in store.notes), sep="\n", flush=True)
        with _begun(), _observed(config, store, sweep, overrides) as observers:
            _train(run, config, store, parts or _build(config, store), evaluation, keep_probabilities, observers)
            _check_places(run, config)
            _conclude(run, evaluation, observers)
        run.mark_done()  # when the observers have closed: a kill before this has them log anew
        return JobResult("finished", run.path, _summary(run.path))


@contextmanager
def _begun() -> Iterator[None]:
    """Tell of a request that turns out wrong in the middle of a run as of a failure: something was started."""
    try:
        yield
    except RequestError as error:
        raise RunError(str(error)) from error


def evaluate_run(path: Path, config: Mapping[str, Any]) -> JobResult:
    """Compute a finished run's matrix and composites anew, from its kept predictions and under other options.

    Args:
        path: The run's directory.
        config: The resolved ``evaluation`` section.

    Raises:
        RunError: If the directory holds no finished run, or its predictions lack what a metric needs.
    """
    with RunDirectory.reopen(path) as run:
        return _show(run, {**run.config, "evaluation": dict(config)}, evaluation_config(config))


def _as_before(run: RunDirectory, keep_probabilities: bool) -> bool:
    """Keep class probabilities, or not, as the interrupted attempt did that is resumed.

    Raises:
        RunError: If it kept none, but a metric that was asked for since needs them.
    """
    trained = next((part for part in run.parts() if part.record.model is not None), None)
    if trained is None:
        return keep_probabilities
    kept = trained.predictions().probabilities is not None
    if keep_probabilities and not kept:
        raise RunError(
            f"{run.path} was interrupted, and has kept no class probabilities, which a metric of this command needs: "
            "finish it with the metrics that it was begun with, or delete it to start anew"
        )
    return kept


def _check_places(run: RunDirectory, config: Mapping[str, Any]) -> None:
    """Check that what the run was made of, such as a pretrained model, is what it was when it began.

    Raises:
        RunError: If not: models before and after are not of one run.
    """
    began, now = run.manifest.get("places") or {}, places(config)
    changed = [key for key in began if now.get(key) != began[key]]
    if changed:
        raise RunError(
            f"what {', '.join(changed)} names changed while {run.path} was made, so that its models are not of one "
            "run: delete it and start anew"
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a configuration makes of a run."""

    trigger: Trigger
    selector: Selector
    trainer: ModelTrainer


def _build(config: Mapping[str, Any], store: SampleStore) -> _Parts:
    from hydra.utils import instantiate

    from modyn_bench.training.trainer import ModelTrainer

    trainer = ModelTrainer(
        model=config["model"],
        config=section(TrainingConfig, config["training"]),
        schema=store.schema,
        split=store.splits["train"],
        seed=int(config["seed"]),
    )
    trigger, selector = (instantiate(dict(config[name]), _convert_="all") for name in ("trigger", "selector"))
    return _Parts(trigger, selector, trainer)


def _rehearse(parts: _Parts) -> None:
    """Try the model, and those that the selector trains beside it.

    Raises:
        RequestError: If one does not suit the data; of those beside it the message names the key.
    """
    policies: list[tuple[str, Trigger | Selector]] = [
        *with_parts("trigger", parts.trigger),
        *with_parts("selector", parts.selector),
    ]
    parts.trainer.rehearse(
        embeddings_for=[f"{place}={policy.name}" for place, policy in policies if policy.needs_embedding]
    )
    for key, model in parts.selector.second_models.items():
        try:
            parts.trainer.second(key, model=model).rehearse()
        except RequestError as error:
            told = re.sub(r"\btraining\.(?=initial_weights|fresh_layers)|^model\.", f"{key}.", str(error))
            named = told.startswith(key)  # else it takes itself for the one that is evaluated
            raise RequestError(told if named else f"{key}: {told}") from error


def _train(
    run: RunDirectory,
    config: Mapping[str, Any],
    store: SampleStore,
    parts: _Parts,
    evaluation: EvaluationConfig,
    keep_probabilities: bool,
    observers: Sequence[Observer],
) -> None:
    """Replay the stream and commit every trigger."""
    from modyn_bench.pipeline import Pipeline

    training = parts.trainer.config
    test = store.splits[evaluation.split]
    run.write_test_split(test.timestamps, test.labels)
    Pipeline(
        store=store,
        trigger=parts.trigger,
        selector=parts.selector,
        trainer=parts.trainer,
        run=run,
        replay=section(ReplayConfig, config["replay"]),
        evaluation=evaluation,
        keep_probabilities=keep_probabilities,
        seed=int(config["seed"]),
        device={"gpu": "cuda"}.get(training.accelerator, training.accelerator),
        precision=training.precision,
        observers=observers,
    ).run()


def _conclude(run: RunDirectory, evaluation: EvaluationConfig, observers: Sequence[Observer]) -> None:
    """Derive the tables, evaluate, draw, and tell the observers."""
    from modyn_bench.analysis.draw import draw_run

    run.derive_tables()
    _evaluate(run, evaluation, run.path)
    draw_run(run.path)
    for observer in observers:
        observer.on_finish(run.path)


def _evaluate(run: RunDirectory, evaluation: EvaluationConfig, folder: Path) -> None:
    timestamps, labels = run.test_split()
    tables = evaluate(
        evaluation,
        timestamps=timestamps,
        labels=labels,
        num_classes=len(run.manifest["dataset"]["classes"]),
        triggers=[part.record for part in run.parts()],
        predictions=run.predictions,
    )
    run.write_table(folder / "evaluations.parquet", tables.evaluations)
    run.write_table(folder / "composite.parquet", tables.composite)


def _show(run: RunDirectory, config: Mapping[str, Any], evaluation: EvaluationConfig) -> JobResult:
    """Show a finished run, evaluated under these options if it was not."""
    from modyn_bench.analysis.draw import draw_run

    wanted = evaluation_id(config["evaluation"])
    if wanted == evaluation_id(run.config["evaluation"]):
        return JobResult("already done", run.path, _summary(run.path))
    folder = run.path / "evaluations" / wanted
    if folder.is_dir():
        return JobResult("already done", run.path, _summary(run.path, folder))
    with run.begin_evaluation(wanted) as staged:
        write_config(staged, config["evaluation"])
        _evaluate(run, evaluation, staged)
        draw_run(run.path, staged)
    return JobResult("re-evaluated", run.path, _summary(run.path, folder))


def _summary(path: Path, evaluation: Path | None = None) -> str:
    from modyn_bench.tracking.console import summarise

    return summarise(path, evaluation)


@contextmanager
def _observed(
    config: Mapping[str, Any], store: SampleStore, sweep: str | None, overrides: Sequence[str]
) -> Iterator[Sequence[Observer]]:
    """Make the observers of a run, and close every one of them with how the run ended."""
    from modyn_bench.tracking.progress import Progress

    observers: list[Observer] = [Progress()]
    logger = section(LoggerConfig, config["logger"])
    if logger.kind == "wandb" and logger.mode != "disabled":
        from modyn_bench.tracking.wandb import WandbObserver

        observers.append(WandbObserver(logger, sweep=sweep, overrides=overrides))
    status: Status = "failed"
    try:
        yield observers
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        with ExitStack() as closing:  # every one is closed, whatever becomes of another
            for observer in reversed(observers):
                closing.callback(observer.on_close, status)
