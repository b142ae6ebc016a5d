"""Checking every job of a command before the first one starts, and before torch is imported.

Hydra alone accepts ``+bogus=1``, ``training.epochs=three`` and a missing path. Here every job is composed, its values
are checked against the schemas, its policies and its dataset recipe are built, and all that is wrong is told at once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from modyn_bench.commands.composing import Composed, Composer, apply_override
from modyn_bench.commands.messages import listed, nearest, refers
from modyn_bench.commands.schema import build, check_value
from modyn_bench.commands.targets import OF_MODEL, check_imported, check_read
from modyn_bench.config import SECTIONS, EvaluationConfig
from modyn_bench.errors import DataError, RequestError, relocate
from modyn_bench.runs.identity import NOT_EVALUATION, is_path_key

SCALARS: dict[str, Any] = {"seed": int, "root": str, "data_dir": str | None}
TARGETS = ("dataset", "model", "selector", "trigger")
KEYS = frozenset((*SECTIONS, *SCALARS, *TARGETS))
_READ_BY_TRAINER = {
    "optimizer": frozenset({"params", "groups"}),
    "schedule": frozenset({"interval"}),
    "loss": frozenset({"reduction"}),
    "augmentation": frozenset(),
}


@dataclass(frozen=True)
class Job:
    """One job that was found to be in order.

    Attributes:
        overrides: What was asked for, as on the command line.
        config: The resolved configuration as plain values, options that the YAML files leave out filled in.
    """

    overrides: tuple[str, ...]
    config: dict[str, Any]


def check_jobs(overrides: Sequence[str], *, multirun: bool = False) -> list[Job]:
    """Compose and check every job of a command.

    Args:
        overrides: Hydra overrides.
        multirun: Whether values separated by commas, ``range(...)`` and ``glob(...)`` are swept over.

    Returns:
        The jobs in the order in which they run.

    Raises:
        RequestError: If anything is wrong with any job; the message tells everything.
    """
    checker = _Checker()
    with Composer() as composer:
        parsed, unreadable = composer.parse(overrides)
        if unreadable:
            raise RequestError("\n".join(unreadable))
        composed = [composer.compose(job) for job in composer.expand(parsed, multirun=multirun)]
        complaints = [(job, tuple(dict.fromkeys([*job.problems, *checker.check(job)]))) for job in composed]
    if any(problems for _, problems in complaints):
        raise RequestError(_tell(complaints))
    return [Job(job.overrides, normalise(job.config or {})) for job in composed]


def check_evaluation(base: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Change a finished run's evaluation by overrides, and check the outcome.

    Args:
        base: The ``evaluation`` section that the run was made with.
        overrides: ``evaluation.KEY=VALUE``, or ``evaluation=OPTION`` for another option of the group.

    Raises:
        RequestError: If an override is wrong, is not about the evaluation, or is about what its predictions fixed.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    with Composer() as composer:
        parsed, problems = composer.parse(overrides)
        for override in parsed:
            if override.key_or_group.split(".")[0] != "evaluation":
                problems.append(
                    f"{override.input_line}: a finished run can only be evaluated anew; keys begin with evaluation."
                )
            elif override.is_sweep_override():
                problems.append(f"{override.input_line}: nothing is swept here; a list is written [a,b]")
        if problems:
            raise RequestError("\n".join(problems))
        choices = [override for override in parsed if override.key_or_group == "evaluation"]
        if choices:
            chosen = composer.compose(choices)
            if chosen.config is None or chosen.problems:
                raise RequestError("\n".join(chosen.problems))
            fixed = {key: base[key] for key in NOT_EVALUATION if key in base}
            base = {**chosen.config["evaluation"], **fixed}
    config = OmegaConf.create({"evaluation": dict(base)})
    OmegaConf.set_struct(config, True)
    problems = [problem for o in parsed if o not in choices for problem in apply_override(config, o)]
    try:
        evaluation = OmegaConf.to_container(config.evaluation, resolve=True)
    except OmegaConfBaseException as error:
        raise RequestError("\n".join([*problems, refers(str(error.full_key), error)])) from None
    assert isinstance(evaluation, dict)
    problems += [] if problems else _check_section("evaluation", evaluation)
    problems += [] if problems else _changed(base, evaluation)
    if problems:
        raise RequestError("\n".join(problems))
    return asdict(build(EvaluationConfig, {str(key): value for key, value in evaluation.items()}))


def _changed(base: Mapping[str, Any], evaluation: Mapping[Any, Any]) -> list[str]:
    """Return what cannot change any more, once the predictions are made."""
    own, wanted = (asdict(build(EvaluationConfig, values)) for values in (base, evaluation))
    return [
        f"evaluation.{key}={wanted[key]} cannot be changed: it was fixed when the predictions were made "
        f"(evaluation.{key}={own[key]}); another value needs a new run"
        for key in sorted(NOT_EVALUATION)
        if wanted[key] != own[key]
    ]


def normalise(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what a configuration that was checked leaves out, so that equal options have equal configurations."""
    full = dict(config)
    for name, schema in SECTIONS.items():
        full[name] = asdict(build(schema, config[name]))
    return full


class _Checker:
    """Checks configurations; a section that many jobs share is checked once."""

    def __init__(self) -> None:
        self._answers: dict[str, list[str]] = {}

    def check(self, job: Composed) -> list[str]:
        config = job.config
        if config is None:
            return []
        problems = [
            f"{key}: unknown key{nearest(key, KEYS)} (keys: {listed(KEYS)})" for key in config if key not in KEYS
        ]
        problems += [_absent(key) for key in sorted(KEYS - set(config))]
        for name, value in config.items():
            if name in KEYS - job.unsettled:
                odd = list(_odd_keys(name, value))
                if odd:
                    problems += odd
                    continue
                known = json.dumps([name, value], default=str, sort_keys=True)
                if known not in self._answers:
                    self._answers[known] = _check_section(name, value)
                problems += self._answers[known]
        return problems


def _absent(key: str) -> str:
    """Say how a part of the configuration that was removed is given."""
    if key in SCALARS:
        return f"{key} is missing: every job needs it; give it, as in {key}=VALUE"
    if key in ("replay", "runs"):
        return f"{key} is missing: every job needs it; leave ~{key} out, and change single keys, as in {key}.KEY=VALUE"
    return f"{key} is missing: choose an option, as in {key}=NAME"


def _odd_keys(place: str, value: object) -> Iterator[str]:
    """Tell of keys that YAML reads as something else than text, such as ``on`` and ``yes``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield (
                    f"{place} has the key {key!r}, which is no text: YAML reads on, off, yes, no and numbers so; quote "
                    "it in the option's file, or call it otherwise"
                )
            yield from _odd_keys(f"{place}.{key}", inner)


def _check_section(name: str, value: object) -> list[str]:
    if name in SCALARS:
        problems = check_value(name, value, SCALARS[name])
        return problems or (_check_place(name, value) if isinstance(value, str) else [])
    if not isinstance(value, Mapping):
        return [f"{name}={value!r} must be a mapping"]
    if name in TARGETS:
        return _check_target(name, value)
    problems = check_value(name, value, SECTIONS[name])
    if name == "training" and not problems:
        for key, read_by_us in _READ_BY_TRAINER.items():
            problems += check_read(f"training.{key}", value.get(key) or {}, filled_in=read_by_us)
        weights = value.get("initial_weights")
        if weights is not None and not Path(weights).expanduser().is_file():
            problems.append(f"training.initial_weights={weights}: there is no such file")
    if problems:
        return problems
    section: Any = build(SECTIONS[name], value)
    problems = _complaint(section.check)
    if name == "evaluation":
        problems += _check_metrics(section)
    return problems


def _check_place(name: str, place: str) -> list[str]:
    """Return why a folder cannot be made or be used: an empty name, or a file in its place."""
    if not place:
        return [f"{name} is empty: name a folder, as in {name}=outputs; {name}=. is the working directory"]
    file = next((path for path in (Path(place), *Path(place).parents) if os.path.exists(path)), None)
    if file is None or file.is_dir():
        return []
    return [f"{name}={place}: {file} is a file; name a folder, which is made where it does not exist"]


def check_roots(jobs: Sequence[Job]) -> None:
    """Check that the folders that the runs of checked jobs go to can be made; none stays.

    Raises:
        RequestError: If one cannot be made.
    """
    for root in dict.fromkeys(str(job.config["root"]) for job in jobs):
        place = Path(root)
        absent = [path for path in (place, *place.parents) if not os.path.exists(path)]
        try:
            place.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RequestError(f"root={root} cannot be made ({reason}): name a folder that you may write to") from None
        finally:
            for path in absent:
                with suppress(OSError):
                    path.rmdir()


def _check_metrics(evaluation: EvaluationConfig) -> list[str]:
    from modyn_bench.metrics import check_metric

    return [problem for metric in evaluation.metrics for problem in _complaint(partial(check_metric, metric))]


def _check_target(name: str, node: Mapping[str, Any]) -> list[str]:
    missing = _missing(name, node)
    if missing:
        return []  # told as missing already
    if "_target_" not in node:
        return [f"{name}._target_ is missing: the option's YAML file must name a class"]
    if name == "model":
        return [*check_read(name, node, filled_in=OF_MODEL), *_absent_places(name, node)]
    problems = check_imported(name, node)
    return problems or _build_target(name, node)


def _absent_places(name: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Tell of places that a model is to be made of, and that are not there."""
    for key, value in node.items():
        if isinstance(value, Mapping) and not str(value.get("_target_")).startswith("hydra."):
            yield from _absent_places(f"{name}.{key}", value)
        elif is_path_key(key) and isinstance(value, str) and not Path(value).expanduser().exists():
            yield f"{name}.{key}={value}: there is no such file or folder"


def _build_target(name: str, node: Mapping[str, Any]) -> list[str]:
    """Build a policy or a dataset's recipe; return what it, or its own check, complains of."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf.errors import OmegaConfBaseException

    try:
        built: Any = instantiate(dict(node), _convert_="all")
    except OmegaConfBaseException as error:  # a text that holds ${
        return [refers(name, error)]
    except InstantiationException as error:
        cause, inner = error.__cause__, re.search(r"\nfull_key: (\S+)$", str(error))
        place = f"{name}.{inner[1]}" if inner else name
        if isinstance(cause, RequestError):
            return [_told(name, node, place, str(cause))]
        return [f"{place}: {type(cause).__name__}: {cause}" if cause is not None else f"{place}: {error}"]
    base = _bases()[name]
    if not isinstance(built, base):
        return [f"{name}._target_={node['_target_']} makes a {type(built).__name__}, which is no {base.__name__}"]
    problems = _complaint(getattr(built, "check", _no_complaint))
    second_models = getattr(built, "second_models", {})  # of a selector
    return problems + [absent for key, model in second_models.items() for absent in _absent_places(key, model)]


def _no_complaint() -> None:
    """Stand in for the check of a policy, whose constructor has checked everything."""


def _bases() -> dict[str, type]:
    from modyn_bench.data.recipes.base import Recipe
    from modyn_bench.selectors.base import Selector
    from modyn_bench.triggers.base import Trigger

    return {"dataset": Recipe, "selector": Selector, "trigger": Trigger}


def _told(name: str, node: Mapping[str, Any], place: str, message: str) -> str:
    """Name the key that what is made at a place complains of.

    A policy takes itself for the outermost one, wherever it stands, a part, such as a decision, for the part of one.
    """
    from omegaconf import OmegaConf

    node = OmegaConf.select(OmegaConf.create({name: dict(node)}), place) or node
    if name in ("trigger", "selector"):
        part = f"{name}.{place.rpartition('.')[2]}"
        is_part = place != name and not _makes(_bases()[name], node) and re.match(rf"{re.escape(part)}\b", message)
        message = relocate(message, place.rpartition(".")[0] if is_part else place)
    named = re.match(rf"{name}[./]", message)
    return message if named else f"{place} ({node['_target_']}): {message}"


def _makes(kind: type, node: Mapping[str, Any]) -> bool:
    from modyn_bench.commands.targets import locate

    target = locate(str(node["_target_"]))
    return isinstance(target, type) and issubclass(target, kind)


def _missing(name: str, value: object) -> bool:
    """Tell whether a value somewhere in a section must still be given."""
    if isinstance(value, Mapping):
        return any(_missing(name, item) for item in value.values())
    return value == "???"


def _complaint(check: Callable[[], None]) -> list[str]:
    try:
        check()
    except (RequestError, DataError, OSError) as error:
        return [str(error)]
    return []


def _tell(complaints: Sequence[tuple[Composed, tuple[str, ...]]]) -> str:
    """Write down what is wrong, once for all jobs that have the same problems."""
    jobs_of: dict[tuple[str, ...], list[Composed]] = {}
    for job, problems in complaints:
        if problems:
            jobs_of.setdefault(problems, []).append(job)
    lines: list[str] = []
    for problems, jobs in jobs_of.items():
        if len(complaints) > 1:
            first = " ".join(jobs[0].overrides)
            of_all = f"{len(jobs)} of {len(complaints)} jobs"
            lines.append(
                f"in all {len(jobs)} jobs:" if len(jobs) == len(complaints) else f"in {of_all} (first: {first}):"
            )
        lines += problems
    return "\n".join(lines)
