"""What a dataset's recipe is: where its rows come from, how they are split, and what identifies them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from modyn_bench.data.fingerprint import hash_sources, hash_values
from modyn_bench.data.ingest import Rows, build_store
from modyn_bench.data.splits import SplitRule
from modyn_bench.data.store import FORMAT_VERSION, SampleStore
from modyn_bench.errors import DataError


def named_after(path: str, otherwise: str) -> str:
    """Return what a dataset is called after its file or folder: the name up to the first dot, in plain characters.

    Example:
        >>> named_after("data/My clicks.2024.csv", "table")
        'My-clicks'
    """
    stem = Path(path).name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or otherwise


def plain(value: Any) -> Any:  # noqa: ANN401 - any configuration value
    """Return a configuration value as plain dictionaries and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


@dataclass(kw_only=True)
class Recipe(ABC):
    """Turns a source into a sample store; a dataset is a subclass and a YAML file with its options.

    Attributes:
        test_split: ``hash`` (seeded hash of a row's content) or ``block`` (alternating blocks, for autocorrelated
            streams); see ``SplitRule``.
        test_fraction: Share of the rows that is held out for evaluation, in (0, 1).
        split_seed: Another seed holds out other rows.
        test_block: Length of a block: a number of samples, or a duration such as ``1w``.
        used_fraction: Share of the rows that is used at all, in (0, 1], by a seeded hash of a row's content.
    """

    version: ClassVar[int] = 1
    """Raise it when the same source and options come to give another store."""
    location_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that say where the source lies, not what it is, and so are no part of its identity."""

    test_split: str = "hash"
    test_fraction: float = 0.25
    split_seed: int = 0
    test_block: Any = 500
    used_fraction: float = 1.0

    @property
    @abstractmethod
    def name(self) -> str:
        """The dataset's name, as runs and stores are called."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """What the source is called in errors."""

    @abstractmethod
    def source_hash(self, data_dir: Path | None) -> str:
        """Return the identity of the source's bytes; ``data_dir`` remembers those of unchanged files."""

    @abstractmethod
    def read(self, data_dir: Path) -> Rows:
        """Read and check the whole source; ``data_dir`` is where temporary files may go."""

    @property
    def option_files(self) -> Mapping[str, Path | None]:
        """Files that options name beside the source, by the option: their content counts, not their place."""
        return {}

    @property
    def split_rule(self) -> SplitRule:
        """How the test split is held out."""
        return SplitRule(self.test_split, self.test_fraction, self.split_seed, self.test_block, self.used_fraction)

    def check(self) -> None:
        """Check what can be checked at once: ranges, paths, column names.

        Raises:
            RequestError: If an option is wrong; the message names the nearest match.
        """
        self.split_rule.check()

    def source_fingerprint(self, data_dir: Path | None = None) -> str:
        """Return the identity of the content: the source's bytes, the recipe's options and files, the split rule.

        Two sources with equal options differ in it, an edited source differs from the old one, and a source that was
        only moved does not.

        Args:
            data_dir: Where the digests of unchanged files are remembered; ``None`` reads the source again.
        """
        files = self.option_files
        options = {
            field.name: plain(getattr(self, field.name))
            for field in fields(self)
            if field.name not in (*self.location_fields, *files)
        }
        options |= {name: hash_sources([file], data_dir) for name, file in files.items() if file is not None}
        if self.test_split != "block":
            del options["test_block"]
        if self.used_fraction == 1:
            del options["used_fraction"]
        return hash_values(
            "recipe",
            FORMAT_VERSION,
            type(self).__module__,
            type(self).__qualname__,
            self.version,
            options,
            self.source_hash(data_dir),
        )

    def prepare(self, data_dir: Path) -> SampleStore:
        """Return the dataset's sample store, building it in ``data_dir`` if it is not there.

        Raises:
            RequestError: If an option is wrong.
            DataError: If the source is not what the options say.
        """
        self.check()
        fingerprint = self.source_fingerprint(data_dir)

        def read() -> Rows:
            rows = self.read(data_dir)
            if self.source_fingerprint(data_dir) != fingerprint:
                raise DataError(f"{self.origin} changed while it was read: run again when it is complete")
            return rows

        return build_store(
            data_dir, name=self.name, fingerprint=fingerprint, rule=self.split_rule, read=read, origin=self.origin
        )
