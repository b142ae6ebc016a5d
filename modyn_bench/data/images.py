"""An encoded image to pixels of a fixed size.

Shapes: C channels, H rows, W columns.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
"""What is decoded. Others are not tried: some start programs."""

MAX_PIXELS = 89_478_485
"""An image of more is taken for one that is made to exhaust the memory; where Pillow warns of it."""

_MODES = {1: "L", 3: "RGB"}
_ORIENTATION = 0x0112


class UnusableImage(ValueError):
    """Bytes that are no image, or none that can be used.

    Args:
        what: What they are instead.
        detail: What is known beyond that.
    """

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(f"{what} ({detail})" if detail else what)
        self.what, self.detail = what, detail


def decode(payload: bytes, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return an image's pixels as its viewer would show them, scaled to cover a size and cropped about the centre.

    The first frame of an animation is taken. Colours become grey by their luma; transparency is ignored; of 16 bits the
    upper 8 are kept. Pixels are averaged where the image shrinks (Pillow's bilinear filter), which avoids aliasing.
    JPEG is decoded at a half, a quarter or an eighth of its size where that still is twice what is needed.

    Args:
        payload: The file's bytes.
        shape: C (1 or 3), H and W.

    Returns:
        The pixels, shape (C, H, W).

    Raises:
        UnusableImage: If the bytes are no image of a known format, damaged, cut off, or of too many pixels.

    Example:
        >>> from PIL import Image
        >>> stream = BytesIO()
        >>> Image.new("RGB", (40, 20), (255, 0, 10)).save(stream, "PNG")
        >>> decode(stream.getvalue(), (3, 8, 8))[:, 0, 0].tolist()
        [255, 0, 10]
    """
    from PIL import Image, UnidentifiedImageError

    channels, height, width = shape
    try:
        with Image.open(BytesIO(payload), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnusableImage(f"an image of more than {MAX_PIXELS:,} pixels", f"{image.width} × {image.height}")
            image.draft(None, (2 * max(shape), 2 * max(shape)))  # large JPEGs only; several times faster
            image.load()
            upright = _upright(_eight_bits(image).convert(_MODES[channels]), _orientation(image))
            pixels = np.asarray(_covering(upright, height, width))
    except (UnusableImage, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnusableImage(f"no image of a known format ({', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise UnusableImage(f"an image of more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # what a decoder raises of damaged bytes is anything
        raise UnusableImage("a damaged or cut off image", str(error)) from error
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return an image of at most 8 bits a channel; Pillow's own conversions would cut off what is brighter."""
    from PIL import Image

    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise UnusableImage("an image whose numbers have no known range", f"mode {image.mode}")
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65_535) >> 8).astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    """Return how the camera was held, by its EXIF tag; upright if there is none, or none that can be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata are no reason to do without the image
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _covering(image: Image.Image, height: int, width: int) -> Image.Image:
    from PIL.Image import Resampling

    cut_width = min(image.width, image.height * width / height)
    cut_height = min(image.height, image.width * height / width)
    left, top = (image.width - cut_width) / 2, (image.height - cut_height) / 2
    box = (left, top, left + cut_width, top + cut_height)
    return image.resize((width, height), Resampling.BILINEAR, box=box)
