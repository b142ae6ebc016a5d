"""Encoded images to an array of pixels."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modyn_bench.data.columns.base import InputColumns, Problems
from modyn_bench.data.columns.image_sources import Findings, ImageSource
from modyn_bench.data.hashing import HashArray, hash_text
from modyn_bench.data.images import UnusableImage, decode
from modyn_bench.data.ingest import Gather, chunk_rows
from modyn_bench.data.store import Column
from modyn_bench.errors import DataError
from modyn_bench.types import IntArray

_MAX_THREADS = 8
_DECODED_AT_ONCE = 256
"""Images in the pool of threads, all of which are waited for when a person interrupts."""


class ImageColumn(InputColumns):
    """The pixels of images as the column ``image``, decoded once.

    They go to a file that has no name, of which ingest takes them in the order of time, so that memory holds a batch at
    a time and nothing is left of a process that is killed. Threads decode the images of a batch; how many they are
    changes no byte.

    Args:
        source: The encoded images.
        name: Their column in the table.
        shape: Channels, height, width.
        data_dir: Where the temporary file goes.
        threads: How many decode; ``None``: one a processor, up to 8.

    Raises:
        DataError: If there is no room for the pixels.
    """

    def __init__(
        self, source: ImageSource, name: str, *, shape: tuple[int, int, int], data_dir: Path, threads: int | None = None
    ) -> None:
        self.columns = (Column("image", "image", "uint8", shape, (name,)),)
        self.notes = []
        self._name, self._shape, self._row_bytes = name, shape, math.prod(shape)
        _check_room(data_dir, len(source), self._row_bytes)
        self._pixels = tempfile.TemporaryFile(dir=data_dir)  # noqa: SIM115 - it lives as long as this
        weakref.finalize(self, self._pixels.close)
        self._rows: IntArray = np.arange(len(source), dtype=np.int64)
        self._hashes: HashArray = np.zeros(len(source), dtype=np.uint64)
        try:
            self.problems = self._decode(source, threads or min(_MAX_THREADS, os.cpu_count() or 1))
        except OSError as error:  # those of reading an image are its problem
            raise DataError(f"data_dir={data_dir} cannot be written to ({error.strerror}); set another one") from error

    @property
    def gathers(self) -> dict[str, Gather]:
        """How ingest gets the pixels of rows."""
        return {"image": self._gather}

    def hashes(self) -> dict[str, HashArray]:
        """Return a hash of every image as it is encoded, shape (n,), under the column's name."""
        return {self._name: self._hashes[self._rows]}

    def keep(self, rows: IntArray) -> None:
        """Leave out all rows but these, which have no problem."""
        self._rows, self.problems = self._rows[rows], {}

    def _gather(self, rows: IntArray) -> NDArray[np.uint8]:
        out = np.empty((len(rows), self._row_bytes), dtype=np.uint8)
        for place, row in enumerate(self._rows[rows].tolist()):
            read = os.pread(self._pixels.fileno(), self._row_bytes, row * self._row_bytes)
            out[place] = np.frombuffer(read, dtype=np.uint8)
        return out.reshape(-1, *self._shape)

    def _decode(self, source: ImageSource, threads: int) -> Problems:
        """Write the pixels of all images and note their hashes; return the rows without pixels."""
        found = Findings(len(source))
        size = min(chunk_rows(self._row_bytes), _DECODED_AT_ONCE)
        with _without_warnings(), ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(source), size):
                rows = range(start, min(start + size, len(source)))
                pixels = np.zeros((len(rows), *self._shape), dtype=np.uint8)
                for row, error in zip(rows, pool.map(self._reader(source, pixels, start), rows), strict=True):
                    if error is not None:
                        found.add(row, error.what, source.called(row), error.detail)
                self._pixels.write(pixels.data)
        self._pixels.flush()
        return found.problems

    def _reader(
        self, source: ImageSource, pixels: NDArray[np.uint8], start: int
    ) -> Callable[[int], UnusableImage | None]:
        """Return what decodes a row's image to its place, and hands back what is wrong with it."""

        def read(row: int) -> UnusableImage | None:
            try:
                payload = source.payload(row)
                self._hashes[row] = hash_text(payload)
                pixels[row - start] = decode(payload, self._shape)
            except OSError as error:
                return UnusableImage("a file that cannot be read", error.strerror or "")
            except UnusableImage as error:
                return error
            return None

        return read


def _check_room(data_dir: Path, num_rows: int, row_bytes: int) -> None:
    """Raise ``DataError`` if pixels do not fit twice: in the temporary file and in the store."""
    needed, free = 2 * num_rows * row_bytes, shutil.disk_usage(data_dir).free
    if needed > free:
        raise DataError(
            f"data_dir={data_dir} has {free / 1e9:,.1f} GB of room, but {num_rows:,} images of {row_bytes:,} bytes "
            f"take {needed / 1e9:,.1f} GB while they are ingested, and half of it later; lower dataset.size, or set "
            "another data_dir"
        )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence what Pillow warns of, here where no thread runs yet: an image is used, or is told to be unusable."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
