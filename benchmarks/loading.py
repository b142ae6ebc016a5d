"""How fast batches of arbitrary rows come, beside copying the same bytes and beside what people use instead.

Run: ``python benchmarks/loading.py`` (two or three minutes, 1.5 GB of disk); ``--scale 0.1`` for a quick look.

Rows and their labels are read, a random half of them, in shuffled order. Every figure is a ratio to sequential copying
of the same bytes in the same run; compare ratios within a column only. What the peers do that we do not here: a
DataLoader copies rows into fresh tensors and collates whatever a sample holds; HF datasets decode typed Arrow values.
What we do that they do not: bounds are checked, whole super-batches are gathered into a ring of buffers that is reused,
and no sample is a Python object.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from modyn_bench.data.loading import super_batches
from modyn_bench.seeding import derive

SHAPES = {  # rows, shape of one row, type, batch size, target ratio, peers may read this many rows at most
    "160-byte records, batch 65,536": (5_000_000, (40,), np.float32, 65_536, 0.25),
    "160-byte records, batch 1,024": (5_000_000, (40,), np.float32, 1_024, 0.12),
    "32x32x3 images, batch 256": (200_000, (3, 32, 32), np.uint8, 256, 0.20),
}
PEER_ROWS = 100_000  # the slow ones read no more: their rate does not depend on it
HF_ROWS = 100_000

Reader = Callable[[np.ndarray, np.ndarray, int], int]


def labels_of(array: np.ndarray) -> np.ndarray:
    """A label for every row; made once, as a store has them."""
    return _labels(len(array))


@lru_cache(maxsize=4)
def _labels(count: int) -> np.ndarray:
    return np.arange(count) % 10


class Rows(Dataset[Any]):
    """A map-style dataset: an index gives a row and its label, an array of indices a batch and theirs."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.labels = labels_of(array)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> tuple[torch.Tensor, Any]:  # noqa: ANN401 - an index, or an array of them
        return torch.from_numpy(np.asarray(self.array[index])), self.labels[index]


class Chunks:
    """A batch sampler whose batches are arrays of indices."""

    def __init__(self, keys: np.ndarray, batch_size: int) -> None:
        self.keys, self.batch_size = keys, batch_size

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.keys), self.batch_size):
            yield self.keys[start : start + self.batch_size]

    def __len__(self) -> int:
        return -(-len(self.keys) // self.batch_size)


def ours(array: np.ndarray, keys: np.ndarray, batch_size: int, *, prefetch: bool | None = None) -> int:
    """Our loader, batches handed out as torch views; by default a thread gathers ahead."""
    orders = [np.arange(len(keys))]
    count = 0
    columns = {"x": array, "label": labels_of(array)}
    for group in super_batches(columns, keys, orders, batch_size=batch_size, prefetch=prefetch):
        tensor = torch.from_numpy(group.arrays["x"])
        for start in range(0, len(group), batch_size):
            count += len(tensor[start : start + batch_size])
    return count


def ours_inline(array: np.ndarray, keys: np.ndarray, batch_size: int) -> int:
    """Our loader without a thread."""
    return ours(array, keys, batch_size, prefetch=False)


def dataloader_chunks(array: np.ndarray, keys: np.ndarray, batch_size: int) -> int:
    """A DataLoader whose sampler yields arrays of indices."""
    loader = DataLoader(Rows(array), sampler=Chunks(keys, batch_size), batch_size=None)
    return sum(len(batch) for batch, _ in loader)


def dataloader_per_sample(array: np.ndarray, keys: np.ndarray, batch_size: int) -> int:
    """A plain DataLoader: a row at a time, then collated."""
    keys = keys[:PEER_ROWS]
    loader = DataLoader(Rows(array), sampler=keys.tolist(), batch_size=batch_size)
    return sum(len(batch) for batch, _ in loader)


def huggingface(array: np.ndarray, batch_size: int, folder: Path) -> Reader:
    """HF datasets in torch format, a list of indices at a time; a smaller set, as its rate does not depend on it."""
    import datasets
    import pyarrow as pa

    rows = array[:HF_ROWS].reshape(min(len(array), HF_ROWS), -1)
    values = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    datasets.disable_progress_bars()
    datasets.Dataset(pa.table({"x": values, "label": labels_of(rows)})).save_to_disk(str(folder / f"hf{batch_size}"))
    stored = datasets.load_from_disk(str(folder / f"hf{batch_size}")).with_format("torch")

    def read(_: np.ndarray, keys: np.ndarray, batch_size: int) -> int:
        keys = (keys % len(rows))[: max(20_000, batch_size)]
        batches = (stored[chunk.tolist()] for chunk in Chunks(keys, batch_size))
        return sum(len(batch["x"]) for batch in batches if len(batch["label"]))

    return read


def copying(array: np.ndarray, keys: np.ndarray, batch_size: int) -> int:
    """Sequential copying of as many rows, into one reused buffer: the bound."""
    buffer = np.empty((batch_size, *array.shape[1:]), dtype=array.dtype)
    labels, label_buffer = labels_of(array), np.empty(batch_size, dtype=np.int64)
    whole = len(keys) // batch_size * batch_size
    for start in range(0, whole, batch_size):
        np.copyto(buffer, array[start : start + batch_size])
        np.copyto(label_buffer, labels[start : start + batch_size])
    return whole


def rates_of(read: Reader, array: np.ndarray, keys: np.ndarray, batch_size: int, *, repeats: int) -> list[float]:
    """Rows per second of some runs, after one that is not counted."""
    rates = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        count = read(array, keys, batch_size)
        rates.append(count / (time.perf_counter() - start))
    return rates[1:]


def stored_array(folder: Path, rows: int, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Write an array, map it, and read it once so that it lies in the page cache."""
    file = folder / f"{np.dtype(dtype).name}_{rows}.npy"
    if not file.exists():
        array = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=(rows, *shape))
        for start in range(0, rows, 100_000):
            part = array[start : start + 100_000]
            part[:] = (np.arange(part.size) % 251).reshape(part.shape)
        array.flush()
    mapped: np.ndarray = np.load(file, mmap_mode="r").view(np.ndarray)
    mapped.max()
    return mapped


def main() -> None:
    """Print one table for each shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write every measurement there, as CSV")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    measured: list[tuple[str, str, int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, (rows, shape, dtype, batch_size, target) in SHAPES.items():
            array = stored_array(folder, max(int(rows * arguments.scale), 4 * batch_size), shape, dtype)
            keys = derive(0, "benchmark", title).permutation(len(array))[: len(array) // 2]
            readers: dict[str, Reader] = {
                "sequential copying": copying,
                "ours, prefetched": ours,
                "ours, inline": ours_inline,
                "DataLoader, numpy index chunks": dataloader_chunks,
                "DataLoader, per sample": dataloader_per_sample,
                "HF datasets, torch format, batched": huggingface(array, batch_size, folder),
            }
            runs = {
                name: rates_of(read, array, keys, batch_size, repeats=arguments.repeats)
                for name, read in readers.items()
            }
            measured += [(title, name, n, value) for name, own in runs.items() for n, value in enumerate(own)]
            rates = {name: statistics.median(own) for name, own in runs.items()}
            best = max(rates["ours, prefetched"], rates["ours, inline"])
            print(f"\n{title} (target {target:.2f} of copying)")
            for name, value in rates.items():
                ratio = value / rates["sequential copying"]
                print(f"  {name:36s} {ratio:8.4f}   {value:14,.0f} rows/s   ours is {best / value:8.1f}x")
    if arguments.out is not None:
        with arguments.out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("case", "reader", "repeat", "samples_per_second"), *measured])


if __name__ == "__main__":
    main()
