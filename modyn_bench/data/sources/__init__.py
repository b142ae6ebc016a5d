"""Reading files to Arrow tables: delimited text, Parquet, JSON lines."""

from modyn_bench.data.sources.base import Source, open_sources

__all__ = ["Source", "open_sources"]
