"""Content identity of source files: a streaming hash, remembered by path, size and modification time."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

CACHE = "fingerprints.json"
_CHUNK_BYTES = 1 << 22
_SETTLED_NS = 2_000_000_000
_HASHING_THREADS = 4
_HASHED_AT_ONCE = 1024


def hash_file(file: Path) -> str:
    """Return the BLAKE2b digest of a file's bytes as 32 hexadecimal digits; reads the file once, in chunks."""
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hash_values(*values: object) -> str:
    """Return the digest of plain values (numbers, strings, lists, dictionaries) as 32 hexadecimal digits.

    Example:
        >>> hash_values({"a": 1, "b": [2]}) == hash_values({"b": [2], "a": 1})
        True
    """
    text = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def hash_sources(files: Iterable[Path], data_dir: Path | None = None) -> str:
    """Return the identity of the content of files, in the given order; where they lie does not matter.

    Args:
        files: The source files.
        data_dir: Where digests are remembered; a file whose path, size and times of modification and change are known
            is not read again. ``None`` reads every file.
    """
    known = {} if data_dir is None else _load(data_dir / CACHE)
    digests, new = [], {}
    for file in files:
        resolved = str(file.resolve())
        status = file.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        entry = known.get(resolved)
        if isinstance(entry, list) and entry[:-1] == stamp:
            digests.append(str(entry[-1]))
            continue
        digest = hash_file(file)
        digests.append(digest)
        # A file written a moment ago may change again within the clock's grain, so its digest is not remembered.
        if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
            new[resolved] = [*stamp, digest]
    if new and data_dir is not None:
        with suppress(OSError):  # a folder that cannot be written to only costs reading the sources again
            _remember(data_dir, new)
    return hash_values("sources", digests)


def files_in(folder: Path) -> list[Path]:
    """Return all files of a folder and its folders, sorted; hidden ones, such as a version control's, are left out."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return [file for file in found if not any(part[0] == "." for part in file.relative_to(folder).parts)]


def hash_place(place: Path, data_dir: Path | None = None) -> str:
    """Return the identity of the content of a file, or of a folder with its files' names, wherever it lies.

    Args:
        place: The file or folder.
        data_dir: As of ``hash_sources``.
    """
    if place.is_file():
        return hash_sources([place], data_dir)
    files = files_in(place)
    return hash_values([file.relative_to(place).as_posix() for file in files], hash_sources(files, data_dir))


def hash_members(folder: Path, names: Sequence[str], data_dir: Path | None = None) -> str:
    """Return the identity of the content of many files of a folder; where it lies does not matter.

    What is remembered is one digest for all of them, so that hundreds of thousands of files that did not change cost no
    more than a look at the times of each. A file that cannot be read has an identity of its own; whoever needs it will
    say so.

    Args:
        folder: The folder.
        names: The files, relative to it, in an order of their own.
        data_dir: Where the digest is remembered; ``None`` reads every file.
    """
    root = str(folder.resolve())
    paths = [os.path.join(root, name) for name in names]
    stamps = np.array([_stamp(path) for path in paths], dtype=np.int64).reshape(-1, 3)
    key = hash_values("members", root, list(names))
    stamp = hashlib.blake2b(stamps.tobytes(), digest_size=16).hexdigest()
    known = {} if data_dir is None else _load(data_dir / CACHE)
    entry = known.get(key)
    if isinstance(entry, list) and entry[:-1] == [stamp]:
        return str(entry[-1])
    digests: list[str] = []
    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        for start in range(0, len(paths), _HASHED_AT_ONCE):
            digests += pool.map(_hash_readable, paths[start : start + _HASHED_AT_ONCE])
    digest = hash_values("members", digests)
    newest = int(stamps[:, 1].max(initial=0))
    if data_dir is not None and time.time_ns() - newest > _SETTLED_NS:
        with suppress(OSError):
            _remember(data_dir, {key: [stamp, digest]})
    return digest


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # a name with a zero byte
        return (-1, -1, -1)
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _hash_readable(path: str) -> str:
    try:
        return hash_file(Path(path)) if os.path.isfile(path) else "unreadable"  # a pipe or a device may never end
    except (OSError, ValueError):
        return "unreadable"


def _load(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a cache that is absent or damaged only costs reading the sources again
    return values if isinstance(values, dict) else {}


def _remember(data_dir: Path, new: dict[str, list[object]]) -> None:
    from filelock import FileLock

    data_dir.mkdir(parents=True, exist_ok=True)
    file = data_dir / CACHE
    with FileLock(data_dir / f"{CACHE}.lock"):
        temporary = file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(_load(file) | new, indent=0), encoding="utf-8")
        temporary.replace(file)
