"""A Hugging Face dataset: in memory, on disk or on the hub."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from modyn_bench.data.columns import ImageInput, Inputs, Roles, rows_from_table
from modyn_bench.data.fingerprint import files_in, hash_sources, hash_values
from modyn_bench.data.ingest import Rows
from modyn_bench.data.recipes.columnar import TextOrFeaturesRecipe, image_shape
from modyn_bench.errors import DataError, RequestError

if TYPE_CHECKING:
    import pyarrow as pa

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SAVED = ("dataset_dict.json", "state.json")


@dataclass(kw_only=True)
class HuggingFaceRecipe(TextOrFeaturesRecipe):
    """A dataset of the ``datasets`` package: its columns get the same roles as those of a table.

    Label columns of type ``ClassLabel`` keep their class names and their order.

    Attributes:
        path: A name on the hub, a folder (of ``save_to_disk`` or of data files), or from Python a ``Dataset`` or
            ``DatasetDict`` in memory.
        subset: The configuration of a dataset on the hub that has several.
        split: The split to take; ``train+test`` is both, one behind the other.
        image: The column of images, instead of ``text`` and ``features``.
        size: Images: height and width in pixels, one number or ``[height, width]``; see ``ImagesRecipe``.
        channels: Images: 3 (red, green, blue) or 1 (grey).
        revision: Commit, branch or tag on the hub. A full commit hash identifies the content, so that nothing is loaded
            to find out whether its store is there.
    """

    version: ClassVar[int] = 2
    location_fields: ClassVar[tuple[str, ...]] = ("path", "subset", "split", "revision")

    path: Any
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    image: str | None = None
    size: Any = 64
    channels: int = 3

    @property
    def name(self) -> str:
        """The last part of the path; ``dataset`` for one in memory."""
        if not self._has_path:
            return "dataset"
        return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(str(self.path)).name).strip("-") or "dataset"

    @property
    def origin(self) -> str:
        """The path, or what a dataset in memory is called."""
        return str(self.path) if self._has_path else "the dataset in memory"

    @property
    def inputs(self) -> Inputs:
        """The images, else the text, else the features.

        Raises:
            RequestError: If several are given, or an option of one is out of range.
        """
        shape = image_shape(self.size, self.channels)
        if self.image is None:
            return super().inputs
        others = [key for key in ("text", "features", "drop", "categorical", "numeric") if getattr(self, key)]
        if others:
            raise RequestError(f"dataset.image and dataset.{others[0]} exclude one another: set one of them to null")
        return ImageInput(image=self.image, folder=None, shape=shape)

    def check(self) -> None:
        """Check ranges and, where it needs no download, that the configured columns exist."""
        super().check()
        names: list[str] | None = None
        if not self._has_path:
            names = _pick(self.path, self.split, self.origin).column_names
        elif (folder := self._saved_folder) is not None:
            names = _saved_columns(folder / self.split.split("+")[0] if (folder / _SAVED[0]).is_file() else folder)
        if names is not None:
            self.roles.check_columns(names, origin=self.origin)

    def source_hash(self, data_dir: Path | None) -> str:
        """Return the identity of the content: of the files, of the pinned commit, or of the values in memory."""
        if not self._has_path:
            return hash_values(self.split, _hash_table(_pick(self.path, self.split, self.origin)))
        folder = Path(str(self.path)).expanduser()
        if folder.is_dir():
            files = files_in(folder)
            names = [file.relative_to(folder).as_posix() for file in files]
            return hash_values(self.subset, self.split, names, hash_sources(files, data_dir))
        if self.revision is not None and _COMMIT.fullmatch(self.revision):
            return hash_values(str(self.path), self.subset, self.split, self.revision)
        with quiet_datasets(data_dir / "huggingface" if data_dir else None) as hf:
            return _hash_table(self._load(hf))

    def read(self, data_dir: Path) -> Rows:
        """Load the dataset; what ``datasets`` downloads and converts goes to ``data_dir``."""
        with quiet_datasets(data_dir / "huggingface") as hf:
            dataset = self._load(hf)
            table, roles = _with_class_names(dataset, self.roles)
            return rows_from_table(table, roles, origin=self.origin, data_dir=data_dir)

    @property
    def _has_path(self) -> bool:
        return isinstance(self.path, str | Path)

    @property
    def _saved_folder(self) -> Path | None:
        folder = Path(str(self.path)).expanduser()
        return folder if any((folder / name).is_file() for name in _SAVED) else None

    def _load(self, hf: ModuleType) -> Any:  # noqa: ANN401 - a datasets.Dataset
        if not self._has_path:
            return _pick(self.path, self.split, self.origin)
        folder = self._saved_folder
        try:
            if folder is not None:
                return _pick(hf.load_from_disk(str(folder)), self.split, self.origin)
            source = Path(str(self.path)).expanduser()
            name = str(source if source.is_dir() else self.path)
            return hf.load_dataset(name, self.subset, split=self.split, revision=self.revision)
        except RequestError:
            raise
        except (ValueError, OSError, hf.exceptions.DatasetsError, hf.exceptions.DatasetGenerationError) as error:
            raise DataError(f"dataset.path={self.path}: datasets cannot load it: {error}") from error


@contextmanager
def quiet_datasets(cache: Path | None) -> Iterator[ModuleType]:
    """Import ``datasets`` and use it with its progress bars off and its cache in a folder of ours.

    Args:
        cache: Where what it downloads and converts goes for the length of the block; ``None``: its own place.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm in a notebook: bars are off anyway
        import datasets

    had_bars = not datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    old_cache = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = cache or old_cache
    try:
        yield datasets
    finally:
        datasets.config.HF_DATASETS_CACHE = old_cache
        if had_bars:
            datasets.enable_progress_bars()


def _pick(dataset: Any, split: str, origin: str) -> Any:  # noqa: ANN401 - a datasets.Dataset or DatasetDict
    if not hasattr(dataset, "column_names") or type(dataset).__name__.startswith("Iterable"):
        raise RequestError(f"dataset.path is a {type(dataset).__name__}; expected a datasets.Dataset, not streamed")
    if not isinstance(dataset, dict):
        own = str(dataset.split or "train")
        if split not in ("train", own):
            raise RequestError(f"dataset.split={split!r}: {origin} is a single dataset, its split is {own}")
        return dataset
    parts = split.split("+")
    unknown = [part for part in parts if part not in dataset]
    if unknown:
        raise RequestError(f"dataset.split={split!r}: {origin} has the splits {', '.join(dataset)}")
    if len(parts) == 1:
        return dataset[split]
    from datasets import concatenate_datasets

    return concatenate_datasets([dataset[part] for part in parts])


def _saved_columns(folder: Path) -> list[str] | None:
    try:
        info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
        return list(info["features"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # loading will say more


def _arrow(dataset: Any) -> pa.Table:  # noqa: ANN401 - a datasets.Dataset
    """Return the rows in the dataset's order, a selection or shuffling of it applied."""
    table: pa.Table = dataset.with_format("arrow")[:]
    return table


def _hash_table(dataset: Any) -> str:  # noqa: ANN401 - a datasets.Dataset
    """Hash the values of a dataset, however its table is cut into chunks."""
    import pyarrow as pa

    table = _arrow(dataset).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        writer.write_table(table.replace_schema_metadata(None))
    digest = hashlib.blake2b(memoryview(sink.getvalue()), digest_size=16).hexdigest()
    return hash_values(digest, repr(dataset.features))


def _with_class_names(dataset: Any, roles: Roles) -> tuple[pa.Table, Roles]:  # noqa: ANN401 - a datasets.Dataset
    """Write the names of ``ClassLabel`` columns for their numbers; the label's become the declared classes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = _arrow(dataset)
    for name, feature in dataset.features.items():
        if type(feature).__name__ != "ClassLabel":
            continue
        codes = table[name].combine_chunks()
        codes = pc.if_else(pc.less(codes, 0), None, codes)  # -1 is how unlabelled test splits are published
        largest = pc.max(codes).as_py()
        if largest is not None and largest >= len(feature.names):
            raise DataError(f"column {name!r} holds class {largest}, but names {len(feature.names)} classes only")
        table = table.set_column(table.column_names.index(name), name, pa.array(feature.names, pa.string()).take(codes))
        if name == roles.label and roles.classes is None and roles.label_threshold is None:
            roles = replace(roles, classes=tuple(feature.names))
    return table, roles
