"""Make the bundled sample of arXiv titles.

    python scripts/make_arxiv_sample.py arxiv_titles_1993_2019.tsv.xz

Every year from 1993 on is kept: a year gives 26.3 % of its titles, but at least 1,000 (or all it has). Within a year
the titles are sorted by category, those of a category in a seeded random order, and every k-th is taken, so that the
categories keep their shares. The result is the same file on every machine with the same pyarrow.
"""

from __future__ import annotations

import argparse
import csv
import lzma
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modyn_bench.seeding import derive

OUTPUT = Path(__file__).resolve().parent.parent / "modyn_bench" / "data" / "recipes" / "assets" / "arxiv_sample.parquet"
SHARE = 0.263
MIN_PER_YEAR = 1000
FIRST_YEAR = 1993


def sample_year(year: int, categories: list[str]) -> list[int]:
    """Return the sorted positions of a year's sample: systematic over the titles sorted by category."""
    size = min(len(categories), max(MIN_PER_YEAR, round(SHARE * len(categories))))
    generator = derive(0, "arxiv_sample", year)
    shuffled = generator.permutation(len(categories))
    order = shuffled[np.argsort(np.array(categories)[shuffled], kind="stable")]
    picks = np.floor((np.arange(size) + generator.random()) * len(categories) / size).astype(np.int64)
    return sorted(order[picks].tolist())


def main() -> None:
    """Read the archive's titles, sample them and write Parquet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="arxiv_titles_1993_2019.tsv.xz")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    years: dict[int, list[dict[str, str]]] = defaultdict(list)
    with lzma.open(arguments.source, "rt", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            years[int(row["created"][:4])].append(row)
    rows = [
        rows[position]
        for year, rows in sorted(years.items())
        if year >= FIRST_YEAR
        for position in sample_year(year, [row["primary_cat"] for row in rows])
    ]
    table = pa.table(
        {
            "created": pa.array([date.fromisoformat(row["created"]) for row in rows], pa.date32()),
            "primary_cat": pa.array([row["primary_cat"] for row in rows], pa.string()),
            "title": pa.array([row["title"] for row in rows], pa.string()),
            "arxiv_id": pa.array([row["arxiv_id"] for row in rows], pa.string()),
        }
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table,
        arguments.output,
        compression="zstd",
        compression_level=19,
        use_dictionary=["created", "primary_cat"],
        row_group_size=len(rows),
        data_page_size=1 << 24,
    )
    print(f"{len(rows)} rows, {arguments.output.stat().st_size} bytes: {arguments.output}")


if __name__ == "__main__":
    main()
