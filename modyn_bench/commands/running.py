"""Running jobs through Hydra, so that its launchers plug in, and what becomes of failures.

A job that fails is told at once and again at the end, and stops no other. What a job came to is left in a folder,
because a launcher may run it in another process.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modyn_bench.errors import ContractError, DataError, RequestError, RunError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from modyn_bench.jobs import JobResult

Status = Literal["done", "skipped", "wrong", "failed"]
RunJob = Callable[..., "JobResult"]

DONE, FAILED = 0, 1
"""Exit codes: done, a run failed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: ``done``, ``skipped`` (another process runs it), ``wrong`` (its request) or ``failed``."""

    number: int
    label: str
    status: Status
    text: str


@dataclass(frozen=True)
class Task:
    """What Hydra calls for every job; it can be sent to another process.

    Attributes:
        folder: Where outcomes are left.
        process: The id of the process that gave the command.
        num_jobs: How many jobs the command has.
        multirun: Whether the command is a sweep.
        sweep: The sweep's name.
        overrides: Those of the command; what a sweep changes is not among them, and names its jobs.
        run_job: What runs a job; ``None`` is ``modyn_bench.jobs.run_job``.
    """

    folder: str
    process: int
    num_jobs: int = 1
    multirun: bool = False
    sweep: str | None = None
    overrides: tuple[str, ...] = ()
    run_job: RunJob | None = None

    def __call__(self, config: DictConfig) -> None:
        """Run one job, tell what became of it, and leave that in the folder."""
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        number = int(hydra.job.num) + 1 if self.multirun else 1
        swept = [override for override in hydra.overrides.task if override not in self.overrides]
        label = " ".join(swept or hydra.overrides.task) or "the default configuration"
        if self.multirun:
            print(f"[{number}/{self.num_jobs}] {label}", flush=True)
            (Path(hydra.sweep.dir) / "multirun.yaml").unlink(missing_ok=True)  # Hydra's own; the root holds runs alone
        outcome = Outcome(number, label, *self._attempt(config))
        if self.multirun or outcome.status != "wrong":  # which alone is told as the command's error
            _tell(outcome)
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)  # on another machine it does not exist
        (folder / f"{number:06d}.json").write_text(json.dumps(asdict(outcome)))
        if outcome.status in ("failed", "wrong") and os.getpid() != self.process:
            raise RunError(f"job {number} failed: {label}")  # else the launcher takes the job for a success

    def _attempt(self, config: DictConfig) -> tuple[Status, str]:
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import OmegaConf

        from modyn_bench.preflight import normalise
        from modyn_bench.runs.lock import RunLocked

        try:
            plain = OmegaConf.to_container(config, resolve=True)
            assert isinstance(plain, dict)
            run_job = self.run_job or _run_job()
            resolved = normalise({str(key): value for key, value in plain.items()})
            asked = tuple(HydraConfig.get().overrides.task)
            result = run_job({**resolved, "experiment": _experiment()}, sweep=self.sweep, overrides=asked)
        except RunLocked as error:
            return ("skipped" if self.multirun else "failed"), str(error)
        except RequestError as error:
            return "wrong", describe(error)
        except Exception as error:
            return "failed", describe(error)
        return "done", "\n".join([result.summary, *_not_kept(resolved, result.path)])


def run_jobs(
    overrides: Sequence[str], *, num_jobs: int, multirun: bool, program: str, run_job: RunJob | None = None
) -> int:
    """Hand jobs that were checked over to Hydra, and return the exit code.

    Args:
        overrides: Hydra overrides.
        num_jobs: How many jobs they make.
        multirun: Whether they are a sweep.
        program: What the program is called.
        run_job: What runs a job; default: ``modyn_bench.jobs.run_job``.

    Raises:
        RequestError: If the only job does not suit its dataset; nothing was started.
    """
    with tempfile.TemporaryDirectory(prefix="modyn-bench-") as folder:
        sweep = sweep_name(overrides, multirun=multirun)
        task = Task(folder, os.getpid(), num_jobs, multirun, sweep, tuple(overrides), run_job)
        refused = True
        try:
            refused = not _call_hydra(task, overrides, program=program)
        finally:
            outcomes = [Outcome(**json.loads(file.read_text())) for file in sorted(Path(folder).glob("*.json"))]
            if multirun:
                _tell_again(outcomes, num_jobs)
    if not multirun and outcomes and outcomes[0].status == "wrong":
        raise RequestError(outcomes[0].text)
    return FAILED if refused or any(outcome.status in ("wrong", "failed") for outcome in outcomes) else DONE


def _call_hydra(task: Task, overrides: Sequence[str], *, program: str) -> bool:
    """Call ``hydra.main`` on a task; return whether Hydra, or its launcher, found nothing wrong."""
    import hydra

    from modyn_bench.commands.composing import VERSION_BASE
    from modyn_bench.commands.options import CONFIG_NAME, conf_directory

    decorate = hydra.main(config_path=str(conf_directory()), config_name=CONFIG_NAME, version_base=VERSION_BASE)
    words = ["--multirun", "--", *_only_for_jobs(overrides)] if task.multirun else ["--", *overrides]
    given, sys.argv = sys.argv, [program, *words]
    try:
        decorate(task)()
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning turns an interrupt into an exit
            raise error.__context__ from None
        return not error.code  # Hydra has told what was wrong
    finally:
        sys.argv = given
    return True


def _only_for_jobs(overrides: Sequence[str]) -> list[str]:
    """Write the values of a sweep as choices of one, or as keys that are added where they are not.

    Hydra applies what is not swept over to the default configuration too, which may lack a key that every job has:
    ``trigger=amount,mine trigger.num_samples=9`` would fail on the default trigger. The root is Hydra's sweep folder,
    and an experiment may hold settings of Hydra's. Of several values for one key the last counts, as in its sweeper.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words: dict[str, str] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key, sections = override.get_key_element(), re.split(r"[./]", override.key_or_group)
        if sections[0] in ("hydra", "root", "experiment") or override.is_sweep_override():
            words[key] = override.input_line or ""
        elif override.value() is None:  # which is no choice of Hydra's
            words[key] = f"++{override.key_or_group}=null"
        else:
            words[key] = f"{key}=choice({override.get_value_element_as_str()})"
    return list(words.values())


def _experiment() -> str | None:
    """Return the experiment that the present job is a point of, such as ``grid/point``."""
    from hydra.core.hydra_config import HydraConfig

    choices = HydraConfig.get().runtime.choices
    points = [
        "/".join([*str(group).split("/")[1:], str(option)])
        for group, option in choices.items()
        if str(group).split("/")[0] == "experiment" and option is not None
    ]
    return " ".join(sorted(points)) or None


def sweep_name(overrides: Sequence[str], *, multirun: bool) -> str | None:
    """Return what a sweep's runs are grouped by: the experiment's name, else a hash of the overrides.

    Example:
        >>> sweep_name(["+experiment/first_look=glob(*)", "seed=0,1"], multirun=True)
        'first_look'
        >>> sweep_name(["seed=0,1", "trigger=time"], multirun=True)
        'sweep-028ced47'
        >>> sweep_name(["seed=0"], multirun=False)
    """
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key == "experiment" and re.fullmatch(r"[\w./-]+", value):
            return value
        if key.startswith("experiment/"):
            return key.removeprefix("experiment/")
    if not multirun:
        return None
    return "sweep-" + blake2b("\n".join(sorted(overrides)).encode(), digest_size=4).hexdigest()


def describe(error: BaseException) -> str:
    """Describe a failure: our own errors by their message, others by their traceback.

    ``MODYN_BENCH_TRACEBACK=1`` or ``HYDRA_FULL_ERROR=1`` show every traceback.
    """
    asked = "1" in (os.environ.get("MODYN_BENCH_TRACEBACK"), os.environ.get("HYDRA_FULL_ERROR"))
    if isinstance(error, (RequestError, DataError, RunError, ContractError)) and not asked:
        return str(error)
    return "".join(traceback.format_exception(error)).rstrip()


def _not_kept(config: Mapping[str, Any], path: Path) -> list[str]:
    """Say so where all models were asked for, but a run of before has kept the last alone."""
    if config["runs"]["keep_models"] != "all" or not path.is_dir():
        return []
    from modyn_bench.tracking.console import models_not_kept

    note = models_not_kept(path)
    return [] if note is None else [f"note      {note}"]


def _run_job() -> RunJob:
    from modyn_bench.jobs import run_job

    return run_job


def _tell(outcome: Outcome) -> None:
    if outcome.status == "done":
        print(outcome.text, flush=True)
    elif outcome.status == "skipped":
        print(f"skipped: {outcome.text}", file=sys.stderr, flush=True)
    else:
        print(f"modyn-bench: failed: {outcome.label}\n{outcome.text}", file=sys.stderr, flush=True)


def _tell_again(outcomes: Sequence[Outcome], num_jobs: int) -> None:
    """Sum up a sweep, every failure with its text."""
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in ("done", "skipped")}
    failures = [outcome for outcome in outcomes if outcome.status in ("failed", "wrong")]
    parts = [f"{counts['done']} of {num_jobs} jobs done"]
    parts += [f"{counts['skipped']} skipped, which another process runs"] if counts["skipped"] else []
    parts += [f"{len(failures)} failed"] if failures else []
    print(", ".join(parts), file=sys.stderr if failures else sys.stdout, flush=True)
    for failure in failures:
        print(f"\n[{failure.number}/{num_jobs}] {failure.label}\n{failure.text}", file=sys.stderr, flush=True)
