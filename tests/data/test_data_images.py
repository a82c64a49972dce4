"""Every kind of good image comes out as RGB uint8; every kind of bad one is one clear error."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from unveil.data.images import (
    decoded_size,
    image_size,
    pixel_count,
    read_cutout,
    read_image,
    read_labels,
    read_sample,
    resize,
    resize_labels,
)
from unveil.errors import ImageError
from unveil.label_sets import voc_palette
from unveil.records import Sample

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 10, 3), dtype=np.uint8)


def encoded(image, form="PNG", **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def huge_png(side=30_000):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_rgb_is_unchanged_from_file_and_bytes(tmp_path):
    data = encoded(Image.fromarray(PIXELS))
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PIXELS)
    np.testing.assert_array_equal(read_image(data), PIXELS)
    np.testing.assert_array_equal(read_sample(Sample("a", data=data)), PIXELS)


def test_16_bit_grey_keeps_its_high_byte():
    grey = (np.arange(200, dtype=np.uint16) * 300).reshape(20, 10)
    image = read_image(encoded(Image.fromarray(grey)))
    for channel in range(3):
        np.testing.assert_array_equal(image[..., channel], grey >> 8)


def test_grey_palette_and_cmyk():
    grey = Image.fromarray(PIXELS[..., 0])
    np.testing.assert_array_equal(read_image(encoded(grey)), PIXELS[..., :1].repeat(3, axis=2))
    palette = Image.fromarray(PIXELS).convert("P")
    np.testing.assert_array_equal(read_image(encoded(palette)), np.asarray(palette.convert("RGB")))
    red = Image.new("RGB", (8, 8), (200, 30, 30)).convert("CMYK")
    assert abs(read_image(encoded(red, "JPEG"))[4, 4].astype(int) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize("alpha", [0, 255])
def test_transparent_pixels_become_white(alpha):
    image = Image.fromarray(np.dstack([PIXELS, np.full((20, 10), alpha, np.uint8)]))
    np.testing.assert_array_equal(read_image(encoded(image)), PIXELS if alpha else np.full_like(PIXELS, 255))


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(PIXELS), exif=exif)), np.rot90(PIXELS, -1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"this is a text", "not an image"),
        (encoded(Image.fromarray(PIXELS), "JPEG")[:-60], "truncated"),
        (encoded(Image.fromarray(PIXELS))[:-60], "truncated"),
        (huge_png(), "too large"),
    ],
    ids=["empty", "text", "jpeg", "png", "huge"],
)
def test_bad_files_are_refused_with_name_and_reason(tmp_path, data, reason):
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ImageError, match=f"sent.*{reason}"):
        decoded_size(data, name="sent")


def test_size_limit_is_checked_before_decoding():
    data = encoded(Image.fromarray(PIXELS))
    assert read_image(data, max_pixels=200).shape == (20, 10, 3)
    with pytest.raises(ImageError, match="10 x 20"):
        read_image(data, max_pixels=199)


def test_pixels_are_counted_from_the_first_bytes_alone():
    assert pixel_count(encoded(Image.fromarray(PIXELS))[:60]) == 200
    with pytest.raises(ImageError, match="10 x 20"):
        pixel_count(encoded(Image.fromarray(PIXELS)), 199)


def test_the_size_is_told_without_decoding(monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = [encoded(Image.fromarray(PIXELS), form, exif=exif.tobytes()) for form in ("PNG", "JPEG")]
    decoded = []
    monkeypatch.setattr(PngImageFile, "load", lambda image: decoded.append(image.size))
    assert image_size(encoded(Image.fromarray(PIXELS))) == (10, 20)
    assert [image_size(data) for data in turned] == [(20, 10)] * 2
    assert not decoded


def test_a_cutout_is_bounded_as_any_image(tmp_path):
    pixels = np.dstack([PIXELS, np.full((20, 10), 9, np.uint8)])
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(pixels)))
    np.testing.assert_array_equal(read_cutout(path), pixels)
    with pytest.raises(ImageError, match=r"a\.png: too large"):
        read_cutout(path, 199)
    for data, reason in (
        (huge_png(), "too large"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ):
        path.write_bytes(data)
        with pytest.raises(ImageError, match=reason):
            read_cutout(path)


def test_missing_file_and_float_pixels(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: cannot be read"):
        read_image(tmp_path / "none.png")
    for read in (read_image, decoded_size):
        with pytest.raises(ImageError, match="float"):
            read(encoded(Image.fromarray(PIXELS[..., 0].astype(np.float32)), "TIFF"))


def test_resize_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255
    for interpolation in ("bilinear", "bicubic"):
        small = resize(stripes, 16, 8, interpolation=interpolation)
        assert small.shape == (16, 8, 3)
        assert abs(small[4:12].astype(int) - 127).max() < 8


def test_labels_come_from_palette_grey_and_voc_colours(tmp_path):
    labels = np.random.default_rng(1).integers(0, 20, (20, 10), dtype=np.uint8)
    palette = Image.fromarray(labels)
    palette.putpalette(voc_palette().tobytes())
    for name, image in {"p": palette, "l": Image.fromarray(labels), "rgb": palette.convert("RGB")}.items():
        image.save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read_labels(tmp_path / f"{name}.png"), labels)
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    with pytest.raises(ImageError, match="palette"):
        read_labels(tmp_path / "photo.png")


def test_labels_are_never_mixed_by_resizing():
    labels = np.random.default_rng(1).choice(np.array([0, 7, 200], np.uint8), (31, 17))
    for size in ((16, 8), (64, 32)):
        resized = resize_labels(labels, *size)
        assert resized.shape == size
        assert set(np.unique(resized)) <= {0, 7, 200}


def test_voc_palette_has_the_known_colours():
    known = {1: (128, 0, 0), 6: (0, 128, 128), 8: (64, 0, 0), 12: (64, 0, 128), 19: (128, 192, 0)}
    for index, colour in known.items():
        assert tuple(voc_palette()[index]) == colour
