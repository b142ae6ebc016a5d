"""A folder of images with a table that says of each when it came and what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

from modyn_bench.data.columns import ImageInput
from modyn_bench.data.columns.image_sources import ImageFiles, holds_images
from modyn_bench.data.fingerprint import hash_members, hash_values
from modyn_bench.data.recipes.columnar import image_shape
from modyn_bench.data.recipes.files import FilesRecipe
from modyn_bench.errors import RequestError


@dataclass(kw_only=True)
class ImagesRecipe(FilesRecipe):
    r"""Images in files, named by the rows of a table; decoded once, at ingest, to one size.

    The shorter side is scaled to the size, and what is longer is cropped about the centre, after the image is turned as
    its EXIF tag says. The store holds one byte a pixel and channel.

    Attributes:
        image: The column that names each row's file; or, in Parquet, that holds the encoded images themselves: binary,
            or as ``datasets`` writes them.
        folder: What names are relative to; ``None``: the folder that holds ``path``.
        suffix: Appended to each name, where ids stand without one: ``.jpg``.
        size: Height and width in pixels: one number, or ``[height, width]``.
        channels: 3 (red, green, blue) or 1 (grey).

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> lines = ["id,uploaded,shows"]
        >>> for day in range(1, 29):
        ...     Image.new("RGB", (48, 36), (day, 0, 0)).save(folder / f"{day}.png")
        ...     lines.append(f"{day},2020-01-{day:02},{'cat' if day % 2 else 'dog'}")
        >>> _ = (folder / "pets.csv").write_text("\n".join(lines))
        >>> recipe = ImagesRecipe(
        ...     path=str(folder / "pets.csv"), image="id", suffix=".png", timestamp="uploaded", label="shows", size=32
        ... )
        >>> store = recipe.prepare(folder)
        >>> store.name, store.schema["image"].shape, sum(map(len, store.splits.values()))
        ('pets', (3, 32, 32), 28)
    """

    version: ClassVar[int] = 1
    location_fields: ClassVar[tuple[str, ...]] = ("path", "folder")

    image: str
    folder: str | None = None
    suffix: str | None = None
    size: Any = 64
    channels: int = 3

    @property
    def inputs(self) -> ImageInput:
        """The images.

        Raises:
            RequestError: If size or channels are out of range.
        """
        return ImageInput(
            image=self.image, folder=self._folder, suffix=self.suffix, shape=image_shape(self.size, self.channels)
        )

    def check(self) -> None:
        """Check ranges, that the paths exist, and that the configured columns do; no image is looked for."""
        super().check()
        folder = self._folder
        if not folder.is_dir():
            siblings = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
            near = get_close_matches(folder.name, siblings, n=1)
            hint = f"; did you mean {folder.parent / near[0]}?" if near else ""
            raise RequestError(f"dataset.folder={folder}: there is no such folder{hint}")

    def source_hash(self, data_dir: Path | None) -> str:
        """Return the identity of the table's bytes and of those of the images that it names."""
        images = self.inputs
        names: list[str] = []
        for source in self._sources():
            if self.image not in source.all_column_names():
                continue  # reading will say more
            kind = source.column_type(self.image)
            if kind is None or not holds_images(kind):
                table, _ = source.read([self.image], verbatim=images.verbatim, exact=images.exact)
                files = images.source(table, origin=str(source.file))
                names += files.members if isinstance(files, ImageFiles) else []
        return hash_values(super().source_hash(data_dir), hash_members(self._folder, names, data_dir))

    @property
    def _folder(self) -> Path:
        return Path(self.path).expanduser().parent if self.folder is None else Path(self.folder).expanduser()
