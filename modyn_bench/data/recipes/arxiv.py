"""The bundled dataset: titles of arXiv papers, 1993-2019, with their primary category."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modyn_bench.data.columns import Roles, TextInput, rows_from_table
from modyn_bench.data.fingerprint import hash_sources
from modyn_bench.data.ingest import Rows
from modyn_bench.data.recipes.huggingface import quiet_datasets
from modyn_bench.data.recipes.text import TextRecipe

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = Path(__file__).resolve().parent / "assets" / "arxiv_sample.parquet"


@dataclass(kw_only=True)
class ArxivRecipe(TextRecipe):
    """Titles of arXiv papers, 1993-2019, day-stamped, with their primary category: 140,819 titles, 172 categories.

    Source: arXiv's metadata, from 128 of the per-category files of the archive staeiou/arxiv_archive (R. Stuart Geiger,
    2019, https://github.com/staeiou/arxiv_archive), de-duplicated and sorted by day; ``scripts/make_arxiv_sample.py``
    drew the sample.

    Bias: not a fair picture of arXiv. Categories without a file of their own in that selection, cs.LG, cs.CV, astro-ph
    and hep-* among them, appear only through papers cross-listed elsewhere. Every year from 1993 on gives 26.3 % of its
    titles, stratified by category, but at least 1,000 of them, so 1993 to 1998 weigh more than their share. Times are
    days: nearly all titles share theirs with others.

    Licence: arXiv publishes its metadata under CC0 1.0. Cite arXiv and the archive above.

    Attributes:
        max_tokens: n-grams, or the tokenizer's tokens, kept per title; 48 n-grams cut 0.3 % of the titles.
    """

    max_tokens: int = 48

    @property
    def name(self) -> str:
        """The dataset's name."""
        return "arxiv"

    @property
    def origin(self) -> str:
        """The bundled file."""
        return str(SAMPLE)

    @property
    def roles(self) -> Roles:
        """Which column is what."""
        inputs = TextInput(text="title", tokens=self.tokens)
        return Roles(timestamp=("created",), label="primary_cat", inputs=inputs)

    def check(self) -> None:
        """Raise ``RequestError`` if a value is out of range."""
        super().check()
        self.roles.check()

    def source_hash(self, data_dir: Path | None) -> str:
        """Return the identity of the bundled file."""
        return hash_sources([SAMPLE], data_dir)

    def read(self, data_dir: Path) -> Rows:
        """Read the bundled sample with ``datasets``; what that caches goes to ``data_dir`` and is deleted."""
        with tempfile.TemporaryDirectory(prefix="datasets-", dir=data_dir) as cache, quiet_datasets(Path(cache)) as hf:
            loaded = hf.load_dataset("parquet", data_files=str(SAMPLE), split="train", cache_dir=cache)
            table: pa.Table = loaded.data.table
            return rows_from_table(_in_memory(table), self.roles, origin=self.origin, data_dir=data_dir)


def _in_memory(table: pa.Table) -> pa.Table:
    """Copy a memory-mapped table, whose file is about to go."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()
