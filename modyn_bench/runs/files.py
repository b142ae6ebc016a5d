"""Files of a run: written so that a kill at any moment leaves the old file or the new one, and the same bytes twice."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modyn_bench.errors import RunError

if TYPE_CHECKING:
    import pyarrow as pa

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def damaged(path: Path, why: str) -> RunError:
    """Return the error for a file that is not what this program wrote there."""
    return RunError(
        f"{path} {why}: the run directory is damaged or was not written by this version of modyn_bench. "
        f"Nothing was changed; move the directory away, or delete it, and run again"
    )


def replace_file(path: Path, data: bytes) -> None:
    """Write a file atomically and durably: temporary name, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Bring a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring a folder with all that is in it to the disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(parent, name))
        sync(Path(parent))


def json_bytes(value: object) -> bytes:
    """Encode a plain value as JSON; NumPy scalars become Python's, floats keep every bit."""
    return (json.dumps(value, indent=1, default=_plain) + "\n").encode()


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a JSON file.

    Raises:
        RunError: If it is missing or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except (OSError, ValueError) as error:
        raise damaged(path, f"cannot be read as JSON ({error})") from None


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Encode arrays as an uncompressed npz that depends on their values alone.

    Raises:
        TypeError: If an array holds Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"the array {name} has dtype {array.dtype}, which only pickle could store")
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file; checksums are verified.

    Raises:
        RunError: If it is missing, truncated or changed.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise damaged(path, f"cannot be read as npz ({error})") from None


def parquet_bytes(table: pa.Table) -> bytes:
    """Encode a table as Parquet with page checksums; the same table gives the same bytes."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    integers = {field.name: "DELTA_BINARY_PACKED" for field in table.schema if str(field.type) == "int64"}
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        use_dictionary=[field.name for field in table.schema if field.name not in integers],
        column_encoding=integers or None,
        write_page_checksum=True,
    )
    return buffer.getvalue()


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet table atomically."""
    replace_file(path, parquet_bytes(table))


def read_table(path: Path) -> pa.Table:
    """Read a Parquet table; checksums are verified.

    Raises:
        RunError: If it is missing, truncated or changed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # In this thread alone: one of Arrow's that still holds the Python buffer at exit would abort the process.
        file = pq.ParquetFile(io.BytesIO(path.read_bytes()), pre_buffer=False, page_checksum_verification=True)
        return file.read(use_threads=False)
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, f"cannot be read as Parquet ({error})") from None


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}, which no JSON file of a run holds")
