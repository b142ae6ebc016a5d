"""The command line: ``modyn-bench run | prepare | evaluate | report | runs | workspace``.

Nothing heavy is imported here, so that help and wrong requests are answered at once. Exit codes: 0 done, 1 a run
failed, 2 the request was wrong and nothing was started, 130 interrupted, 143 asked to terminate.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from modyn_bench import __version__
from modyn_bench.errors import RequestError
from modyn_bench.interruption import stopped_by_signals

PROGRAM = "modyn-bench"

_OVERRIDES = """
what differs from the default configuration is written KEY=VALUE:
  GROUP=OPTION          choose an option of a group (below)
  GROUP.KEY=VALUE       set one of its keys; +GROUP.KEY=VALUE adds one, ~GROUP.KEY removes one
  seed=0  root=outputs  data_dir=DIR  replay.start=2010-01-01  replay.label_delay=4w  runs.keep_models=all
--show-config prints all keys of a choice.

options:
"""

_RUN = f"""examples:
  the bundled arXiv titles, retrained every year:
    {PROGRAM} run
  another policy:
    {PROGRAM} run trigger=amount trigger.num_samples=5000
  a sweep: all combinations, one run each:
    {PROGRAM} run -m trigger=time,amount selector=new_data,uniform seed=0,1
  a sweep over the named points of an experiment:
    {PROGRAM} run -m '+experiment/arxiv_first_look=glob(*)'
  a file of your own; a value with special characters is quoted twice:
    {PROGRAM} run dataset=table 'dataset.path="my file, v2.csv"' dataset.timestamp=ts dataset.label=y
  a policy of your own, my_policy.py here, with _target_: my_policy.Mine in my_conf/trigger/mine.yaml:
    {PROGRAM} run --config-dir my_conf trigger=mine

The same command again resumes an interrupted run, and shows a finished one.
{_OVERRIDES}"""

_PREPARE = f"""examples:
  {PROGRAM} prepare
  {PROGRAM} prepare dataset=table dataset.path=my.csv dataset.timestamp=ts dataset.label=y
"""

_EVALUATE = f"""examples:
  {PROGRAM} evaluate outputs/RUN 'evaluation.metrics=[accuracy,ece]'
  {PROGRAM} evaluate outputs/RUN evaluation.windows.sliced.every=26w
  {PROGRAM} evaluate outputs/RUN '+evaluation.windows.yearly={{kind: sliding, every: 1y, radius: 1y}}'

No model runs: everything is computed from the predictions that the run kept. The outcome is written to
RUN/evaluations/<id>/, beside what is there.
"""

_REPORT = f"""examples:
  {PROGRAM} report outputs --out report
  {PROGRAM} report outputs/* --out report                what is no run is skipped
  {PROGRAM} report outputs --min-coverage 0.8            runs whose model covers less are set aside, by name
  {PROGRAM} report outputs --evaluation e300277ff8       RUN/evaluations/e300277ff8/, as evaluate wrote it

runs that were logged to W&B are read from what it keeps on disk, or downloaded from its server:
  {PROGRAM} report copied/wandb                          a folder of offline-run-*
  {PROGRAM} report wandb:ENTITY/PROJECT                  also wandb:ENTITY/PROJECT/RUN_ID, or .../group=GROUP
"""

_RUNS = f"""examples:
  {PROGRAM} runs
  {PROGRAM} runs root=my_outputs
  {PROGRAM} runs root=wandb:ENTITY/PROJECT               also .../RUN_ID or .../group=GROUP, as for report
"""

_WORKSPACE = f"""examples:
  {PROGRAM} workspace ENTITY/PROJECT
  {PROGRAM} workspace ENTITY/PROJECT --name "triggers, second try"

It needs a login and pip install 'modyn_bench[workspaces]'. Every call saves a new one, from what the runs of the
project have now; nothing else there is changed.
"""

_MAIN = f"""commands:
  run        replay a dataset through a pipeline, or through every pipeline of a sweep
  prepare    ingest a dataset, and show what was read
  evaluate   evaluate a finished run under other windows or metrics; no model runs
  report     compare runs: tables and figures
  runs       list the runs in a folder
  workspace  save a Weights & Biases workspace that compares the runs of a project

`{PROGRAM} COMMAND --help` explains a command, with examples. To begin: {PROGRAM} run
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code.

    Args:
        arguments: What stands behind the program's name; default: the command line's.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with stopped_by_signals(), _working_directory_on_path():
            return _dispatch(words)
    except RequestError as error:
        print(f"{PROGRAM}: the request was wrong; nothing was started\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"\n{PROGRAM}: interrupted; the same command resumes", file=sys.stderr)
        return 143 if "SIGTERM" in error.args else 130
    except BrokenPipeError:  # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from modyn_bench.commands.running import describe

        print(f"{PROGRAM}: failed\n{describe(error)}", file=sys.stderr)
        return 1


def _dispatch(words: Sequence[str]) -> int:
    commands = {
        "run": _run,
        "prepare": _prepare,
        "evaluate": _evaluate,
        "report": _report,
        "runs": _runs,
        "workspace": _workspace,
    }
    parser = _parser(
        "", "Benchmark when to retrain a model, and on which samples, on datasets that keep growing.", _MAIN
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("command", choices=[*commands], metavar="COMMAND", help="one of the commands below")
    if not words:
        parser.print_help()
        return 2
    return commands[parser.parse_args(words[:1]).command](words[1:])


def _run(words: Sequence[str]) -> int:
    about = "Replay a dataset through a pipeline: when to retrain, and on which samples."
    parser = _parser("run", about, _RUN, add_help=False)
    parser.add_argument(
        "-h", "--help", action="store_true", help="show this help and exit; with --config-dir, your options too"
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="what differs from the default configuration")
    parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of a,b values")
    parser.add_argument("--config-dir", metavar="DIR", help="a folder of option files of your own, by group")
    parser.add_argument("--show-config", action="store_true", help="print the resolved configuration and stop")
    given = parser.parse_intermixed_args(words)
    if given.help:
        from modyn_bench.commands.options import describe_options, own_directory

        parser.epilog = f"{_RUN}{describe_options(own_directory(given.config_dir))}"
        parser.print_help()
        return 0

    from modyn_bench.commands.composing import use_config_dir
    from modyn_bench.commands.running import run_jobs
    from modyn_bench.commands.showing import show_configs
    from modyn_bench.preflight import check_jobs, check_roots

    use_config_dir(given.config_dir)
    jobs = check_jobs(given.overrides, multirun=given.multirun)
    if given.show_config:
        show_configs(jobs)
        return 0
    check_roots(jobs)
    return run_jobs(given.overrides, num_jobs=len(jobs), multirun=given.multirun, program=PROGRAM)


def _prepare(words: Sequence[str]) -> int:
    about = "Ingest a dataset, and show what was read: splits, columns, classes, and what was done to odd rows."
    parser = _parser("prepare", about, _PREPARE)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for run")
    parser.add_argument("--config-dir", metavar="DIR", help="a folder of option files of your own, by group")
    given = parser.parse_intermixed_args(words)

    from modyn_bench.commands.composing import use_config_dir
    from modyn_bench.commands.showing import prepare
    from modyn_bench.preflight import check_jobs

    use_config_dir(given.config_dir)
    prepare(check_jobs(given.overrides)[0].config)
    return 0


def _evaluate(words: Sequence[str]) -> int:
    parser = _parser("evaluate", "Evaluate a finished run under other windows or metrics.", _EVALUATE)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="the run's directory")
    parser.add_argument("overrides", nargs="*", metavar="evaluation.KEY=VALUE", help="what differs from the run's own")
    parser.add_argument("--config-dir", metavar="DIR", help="a folder of option files of your own, by group")
    given = parser.parse_intermixed_args(words)

    from modyn_bench.commands.composing import use_config_dir
    from modyn_bench.commands.showing import evaluate

    use_config_dir(given.config_dir)
    evaluate(given.run, given.overrides)
    return 0


def _report(words: Sequence[str]) -> int:
    parser = _parser("report", "Compare runs: tables with mean, deviation and n over seeds, and figures.", _REPORT)
    parser.add_argument(
        "paths", nargs="+", metavar="RUN_DIR", help="run directories, roots of runs, or runs in W&B (below)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report"), metavar="DIR", help="where to write (default: report)"
    )
    parser.add_argument("--evaluation", metavar="ID", help="compare this evaluation (default: each run's own)")
    parser.add_argument(
        "--min-coverage",
        type=float,
        default=0.5,
        metavar="FRACTION",
        help="set runs aside whose model covers a smaller share of the windows (default: 0.5)",
    )
    given = parser.parse_intermixed_args(words)

    from modyn_bench.commands.showing import report

    report(given.paths, given.out, evaluation=given.evaluation, min_coverage=given.min_coverage)
    return 0


def _runs(words: Sequence[str]) -> int:
    parser = _parser("runs", "List the runs in a folder, and how far each has come.", _RUNS)
    parser.add_argument("root", nargs="?", default="root=outputs", metavar="root=DIR", help="default: root=outputs")
    given = parser.parse_args(words)

    from modyn_bench.commands.showing import runs

    if "=" in given.root and not given.root.startswith(("root=", "wandb:")):
        parser.error(f"{given.root}: the folder is given as root=DIR")
    runs(given.root if given.root.startswith("root=") else f"root={given.root}")
    return 0


def _workspace(words: Sequence[str]) -> int:
    parser = _parser("workspace", "Save a W&B workspace that compares the runs of a project.", _WORKSPACE)
    parser.add_argument(
        "project", metavar="ENTITY/PROJECT", help="the project that the runs were logged to, or synced to"
    )
    parser.add_argument("--name", default="modyn_bench", help="what the workspace is called (default: modyn_bench)")
    given = parser.parse_args(words)

    from modyn_bench.commands.showing import workspace

    workspace(given.project, given.name)
    return 0


class _Parser(argparse.ArgumentParser):
    """Names the nearest match of a wrong command or option, too."""

    def error(self, message: str) -> NoReturn:
        from modyn_bench.commands.messages import nearest

        known = [name for action in self._actions for name in (*action.option_strings, *(action.choices or ()))]
        words = re.search(r"invalid choice: '(.*?)'|unrecognized arguments: (\S+)", message)
        super().error(message + (nearest(words[1] or words[2], known) if words is not None else ""))


def _parser(command: str, about: str, epilog: str, *, add_help: bool = True) -> argparse.ArgumentParser:
    return _Parser(
        prog=f"{PROGRAM} {command}".strip(),
        description=about,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=add_help,
        allow_abbrev=False,
    )


@contextmanager
def _working_directory_on_path() -> Iterator[None]:
    """Let a policy in the working directory be imported, as ``python -m`` would."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    yield


if __name__ == "__main__":
    sys.exit(main())
