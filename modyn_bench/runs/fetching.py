"""Runs from W&B's server: the copies of their results, in a cache on disk."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from filelock import FileLock

from modyn_bench.errors import RequestError, RunError
from modyn_bench.runs.copies import COPIED, COPY, NO_COPY
from modyn_bench.runs.lock import LOCK_NAME
from modyn_bench.runs.manifest import DONE, MANIFEST
from modyn_bench.runs.wandb_errors import wandb_errors

if TYPE_CHECKING:
    import wandb

SCHEME = "wandb:"

_NAME = r"[^/\\#?%:=]+"  # what W&B allows in names, but for the sign that our syntax needs
_ADDRESS = re.compile(rf"wandb:(?P<entity>{_NAME})/(?P<project>{_NAME})(/(group=(?P<group>.+)|(?P<run_id>{_NAME})))?")
_NUM_THREADS = 8
_STAGING = ".tmp"
_PATIENCE_S = 600  # to wait for another process that downloads the same run


@dataclass(frozen=True, slots=True)
class Address:
    """Runs in W&B: ``wandb:ENTITY/PROJECT``, ``wandb:ENTITY/PROJECT/RUN_ID`` or ``wandb:ENTITY/PROJECT/group=GROUP``.

    Attributes:
        entity: The user or team.
        project: The project.
        run_id: One run's W&B id, the last part of its page's address; ``None``: all runs.
        group: The group whose runs are wanted; ``None``: all runs.
    """

    entity: str
    project: str
    run_id: str | None = None
    group: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            RequestError: If it is none.

        Example:
            >>> Address.parse("wandb:me/modyn_bench/group=arxiv_triggering")
            Address(entity='me', project='modyn_bench', run_id=None, group='arxiv_triggering')
        """
        match = _ADDRESS.fullmatch(text)
        names = [match[name] for name in ("entity", "project", "run_id") if match[name]] if match else [""]
        if match is None or not all(map(_is_plain, names)):
            raise RequestError(
                f"{text} names no runs in W&B: write wandb:ENTITY/PROJECT, wandb:ENTITY/PROJECT/RUN_ID or "
                "wandb:ENTITY/PROJECT/group=GROUP"
            )
        return cls(**match.groupdict())

    def __str__(self) -> str:
        more = f"/group={self.group}" if self.group else f"/{self.run_id}" if self.run_id else ""
        return f"{SCHEME}{self.entity}/{self.project}{more}"

    @property
    def filters(self) -> dict[str, str]:
        """Which of the project's runs are meant, as the server takes it."""
        wanted = {"name": self.run_id, "group": self.group}
        return {key: value for key, value in wanted.items() if value is not None}


def is_address(path: str | Path) -> bool:
    """Say whether a path names runs in W&B rather than on disk."""
    return str(path).startswith(SCHEME)


def fetch_runs(address: Address) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Download the copies of runs' results, unless they are in the cache.

    A finished run is downloaded once. The cache is the folder ``wandb`` in the user's cache of modyn_bench.

    Returns:
        The copies, in the order in which the runs were begun, unfinished ones with their manifest alone; and the
        runs that hold none or could not be downloaded, with the reason.

    Raises:
        RequestError: If nobody is logged in, or there are no such project or runs.
        RunError: If the server cannot be asked.
    """
    with _scratch():
        api = _connect()
        cache = cache_folder(str(api.settings["base_url"]), address)
        runs = _list_runs(api, address)

        def fetch(run: Any) -> Path | tuple[Path, str]:  # noqa: ANN401 - W&B's class is not public
            try:
                return _fetch(run, cache)
            except RunError as error:
                return Path(f"{SCHEME}{address.entity}/{address.project}/{run.id}"), str(error)

        with ThreadPoolExecutor(_NUM_THREADS) as pool:
            fetched = list(pool.map(fetch, runs))
    return (
        [entry for entry in fetched if isinstance(entry, Path)],
        [entry for entry in fetched if not isinstance(entry, Path)],
    )


def cache_folder(server: str, address: Address) -> Path:
    """Return where the runs of a project are kept."""
    from platformdirs import user_cache_path

    host = re.sub(r"[^\w.-]", "_", urlsplit(server).netloc)
    return user_cache_path("modyn_bench") / "wandb" / host / address.entity / address.project


def _connect() -> wandb.Api:
    import wandb

    try:
        return wandb.Api()
    except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
        answer = getattr(error.__cause__, "response", None)
        if error.__cause__ is not None and not getattr(answer, "http_status", None):  # no server has refused it
            raise _unreachable(error) from None
        raise RequestError(
            f"W&B wants a login ({error}): run `wandb login`, or set WANDB_API_KEY; runs that were logged offline are "
            "read without one, from their folders wandb/offline-run-*"
        ) from None
    except wandb_errors() as error:
        raise _unreachable(error) from None


def _list_runs(api: wandb.Api, address: Address) -> list[Any]:
    project = f"{address.entity}/{address.project}"
    try:
        runs = list(api.runs(project, filters=address.filters))
    except wandb_errors() as error:
        if "could not find project" in str(error).lower():
            raise RequestError(
                f"{address}: there is no project {project} in W&B, or this login may not read it; the address of its "
                "page shows both names"
            ) from None
        raise _unreachable(error) from None
    if not runs:
        what = f"run {address.run_id}" if address.run_id else f"group {address.group}" if address.group else "run"
        raise RequestError(f"{address}: the project {project} has no {what}")
    return runs


def _unreachable(error: Exception) -> RunError:
    return RunError(f"W&B's server could not be asked ({error}): try again, or read the runs from their folders")


def _fetch(run: Any, cache: Path) -> Path:  # noqa: ANN401
    """Bring one run's copy into the cache.

    Raises:
        RunError: If it holds none, or it could not be downloaded.
    """
    run_id = str(run.id)
    if not _is_plain(run_id):
        raise RunError("its id is no name of a folder, so that it is not downloaded")
    folder = cache / run_id / COPY
    if (folder / DONE).is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / LOCK_NAME, timeout=_PATIENCE_S), _staging(folder.parent) as staging:
            if (folder / DONE).is_file():  # another process had the lock, and fetched it
                return folder
            if not _download(run, staging / COPY):
                raise RunError(NO_COPY)
            folder.mkdir(exist_ok=True)
            for name in COPIED:  # DONE last, and one by one: who reads an unfinished copy always has a manifest
                if (staging / COPY / name).exists():
                    (staging / COPY / name).replace(folder / name)
    except wandb_errors() as error:
        raise RunError(f"its results could not be downloaded ({error}): try again") from None
    return folder


@contextmanager
def _staging(home: Path) -> Iterator[Path]:
    """Make a folder to download into, under the run's lock; what a killed process left of its own goes first."""
    for leftover in home.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    staging = home / _STAGING
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _download(run: Any, folder: Path) -> bool:  # noqa: ANN401
    """Download what there is of a copy; return whether there is one. Only names that we gave are ever written."""
    wanted = {f"{COPY}/{name}": name for name in COPIED}
    files = {file.name: file for file in run.files(names=[*wanted])}
    if f"{COPY}/{MANIFEST}" not in files:
        return False
    names = wanted if f"{COPY}/{DONE}" in files else [f"{COPY}/{MANIFEST}"]
    folder.mkdir()
    for name in names:
        if name not in files:
            raise ValueError(f"{name} is missing on the server")
        files[name].download(root=str(folder.parent), replace=True).close()
        size = (folder / wanted[name]).stat().st_size
        if size != files[name].size:
            raise ValueError(f"{name} has {size:,} of {files[name].size:,} bytes")
    return True


def _is_plain(name: str) -> bool:
    """Say whether a name is that of one folder: no separator in it, and not only dots."""
    return re.fullmatch(_NAME, name) is not None and name.strip(".") != "" and "\0" not in name


@contextmanager
def _scratch() -> Iterator[None]:
    """Let the folder that W&B's client makes for every run that it lists be one that goes."""
    before = os.environ.get("WANDB_DIR")
    with tempfile.TemporaryDirectory(prefix="modyn-bench-") as folder:
        os.environ["WANDB_DIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["WANDB_DIR"]
            else:
                os.environ["WANDB_DIR"] = before
