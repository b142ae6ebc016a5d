"""Decoding one image: Pillow's own steps, taken by hand, are the judge."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from modyn_bench.data import images
from modyn_bench.data.images import UnusableImage, decode


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG2000"])
def test_an_image_of_the_size_keeps_its_pixels(kind):
    payload = encoded(Image.fromarray(noise(24, 32)), kind)
    with Image.open(io.BytesIO(payload)) as image:
        judge = np.asarray(image.convert("RGB"))
    assert (decode(payload, (3, 24, 32)) == judge.transpose(2, 0, 1)).all()


@given(height=st.integers(1, 60), width=st.integers(1, 60), to=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_the_image_covers_the_size_and_is_cropped_about_the_centre(height, width, to):
    image = Image.fromarray(noise(height, width).reshape(height, width, 3))
    pixels = decode(encoded(image), (3, *to))
    assert pixels.shape == (3, *to)
    assert pixels.dtype == np.uint8
    judge = np.asarray(ImageOps.fit(image, (to[1], to[0]), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(pixels.transpose(1, 2, 0) - judge).max() <= 1


def test_sides_are_cropped_and_the_middle_stays():
    image = np.zeros((8, 24, 3), dtype=np.uint8)
    image[:, 8:16] = 200
    assert (decode(encoded(Image.fromarray(image)), (3, 8, 8)) == 200).all()


def test_shrinking_averages():
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    payload = encoded(Image.fromarray(checks.astype(np.uint8)))
    assert np.abs(decode(payload, (1, 4, 4)).astype(int) - 127).max() <= 2


def smooth(height, width):
    return Image.fromarray(noise(6, 8)).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("size", "eighths"), [(16, 1), (40, 2), (100, 4), (101, 8), (400, 8)])
def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same(size, eighths):
    payload = encoded(smooth(400, 560), "JPEG", quality=95)
    pixels = decode(payload, (3, size, size)).transpose(1, 2, 0).astype(int)
    with Image.open(io.BytesIO(payload)) as image:
        whole = np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))
        image = Image.open(io.BytesIO(payload))
        image.draft("RGB", (560 * eighths // 8, 400 * eighths // 8))
        part = np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))
    assert np.abs(pixels - part).max() <= 1
    assert np.abs(pixels - whole).max() <= 12
    assert np.abs(pixels - whole).mean() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_was_held_as_the_tag_says(orientation):
    upright = noise(6, 10)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, 3),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    payload = encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    assert (decode(payload, (3, 6, 10)) == upright.transpose(2, 0, 1)).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_metadata_cost_nothing_but_themselves():
    image = Image.fromarray(noise(8, 8))
    payload = encoded(image, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff broken")
    assert (decode(payload, (3, 8, 8)) == decode(encoded(image, "JPEG"), (3, 8, 8))).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_grey_or_colour(mode, channels):
    image = Image.fromarray(noise(8, 8)).convert(mode)
    payload = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    judge = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    assert (decode(payload, (channels, 8, 8)) == judge.reshape(8, 8, channels).transpose(2, 0, 1)).all()


def test_of_sixteen_bits_the_upper_eight_are_kept():
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1024 + 3
    assert (decode(encoded(Image.fromarray(values)), (1, 8, 8))[0] == values >> 8).all()


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), (shade, shade, shade)) for shade in (255, 0)]
    payload = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(payload, (1, 8, 8)) == 255).all()


def png(width, height):
    """The beginning of a PNG that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


WHOLE = encoded(Image.fromarray(noise(64, 64)), "JPEG")


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"", "no image of a known format"),
        (b"file,label\n1,2\n", "no image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "no image of a known format"),
        (WHOLE[:-200], "damaged or cut off"),
        (WHOLE[:30], "no image of a known format|damaged or cut off"),
        (encoded(Image.fromarray(noise(64, 64)))[:-2000], "damaged or cut off"),
        (png(8, 8), "damaged or cut off"),
        (png(10_000, 10_000), "more than 89,478,485 pixels"),
        (png(100_000, 100_000), "more than 89,478,485 pixels"),
        (encoded(Image.fromarray(np.ones((4, 4), dtype=np.float32)), "TIFF"), "no known range"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_image_is_told(payload, what):
    with pytest.raises(UnusableImage, match=what):
        decode(payload, (3, 8, 8))


def test_the_bound_is_where_pillow_begins_to_warn():
    assert images.MAX_PIXELS == Image.MAX_IMAGE_PIXELS


@given(cut=st.integers(0, len(WHOLE) - 1), flips=st.lists(st.integers(0, len(WHOLE) - 1), max_size=4))
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_are_pixels_or_told(cut, flips):
    payload = bytearray(WHOLE)
    for place in flips:
        payload[place] ^= 0x55
    with contextlib.suppress(UnusableImage):
        assert decode(bytes(payload[:cut]), (3, 8, 8)).shape == (3, 8, 8)
