"""Yearbook as a table of pixels, for the grids.

    python experiments/yearbook_to_parquet.py yearbook.hdf5 yearbook.parquet

turns the file of Wild-Time-Data (``file[year][train | test]`` with ``images``, uint8, and ``labels``) into what
``dataset=table`` reads: a column ``timestamp``, in which a year is a day of 86,400 s and 1930 is 0, a column ``label``,
and 1,024 columns of pixels. Both splits are written, since a table has none; ``dataset.test_fraction`` holds rows out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modyn_bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_YEAR = 1930
DAY = 86_400
SIDE = 32
PIXELS = SIDE * SIDE
SPLITS = ("train", "test")


def table_of(years: Mapping[str, Any]) -> pa.Table:
    """Return all rows of both splits, in the order of the years.

    Args:
        years: Year -> split -> ``images``, uint8, 1,024 values each, and ``labels``; an open HDF5 file, say.

    Raises:
        DataError: If images have another type or size, or not as many labels.
    """
    import pyarrow as pa

    images, labels, times = [], [], []
    for year in sorted(years, key=int):
        for split in SPLITS:
            part = years[year][split]
            pixels, classes = np.asarray(part["images"]), np.asarray(part["labels"]).ravel()
            if pixels.dtype != np.uint8:
                raise DataError(f"{year}/{split}: images of {pixels.dtype}, not of uint8 (0 to 255)")
            if pixels.size != len(classes) * PIXELS:
                raise DataError(
                    f"{year}/{split}: images of shape {pixels.shape} for {len(classes)} labels, not 1×32×32"
                )
            images.append(pixels.reshape(-1, PIXELS))
            labels.append(classes.astype(np.int64))
            times.append(np.full(len(classes), (int(year) - FIRST_YEAR) * DAY))
    pixels = np.concatenate(images)
    columns = {"timestamp": np.concatenate(times), "label": np.concatenate(labels)}
    return pa.table(columns | {f"pixel_{place:04d}": pixels[:, place].copy() for place in range(PIXELS)})


def main() -> None:
    """Convert a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="yearbook.hdf5 of Wild-Time-Data")
    parser.add_argument("target", type=Path, help="the Parquet file to write")
    options = parser.parse_args()
    if not options.source.is_file():
        parser.error(f"there is no file {options.source}")
    if not options.target.parent.is_dir():
        parser.error(f"there is no folder {options.target.parent} for {options.target.name}")
    try:
        import h5py
    except ImportError:
        parser.error("h5py is not installed: pip install h5py")
    import pyarrow.parquet as pq

    try:
        with h5py.File(options.source) as file:
            table = table_of(file)
    except (OSError, KeyError, ValueError, DataError) as error:
        parser.error(f"{options.source} is not Yearbook as Wild-Time-Data has it: {error}")
    pq.write_table(table, options.target)
    print(f"{options.target}: {table.num_rows:,} portraits")


if __name__ == "__main__":
    main()
