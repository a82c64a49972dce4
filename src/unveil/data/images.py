"""The one place where images are decoded and resized, the same in training, evaluation and serving."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from unveil.data.file_reads import read_bytes
from unveil.errors import ImageError
from unveil.label_sets import voc_palette
from unveil.records import Sample

Interpolation = Literal["bilinear", "bicubic"]
MAX_PIXELS = 64_000_000
ORIENTATION = 0x0112  # EXIF
BAND = 4_000_000  # pixels that are converted at a time
# Only raster formats: some other decoders of Pillow start external programs.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def read_image(
    source: Path | bytes, max_pixels: int = MAX_PIXELS, *, name: str | None = None, longest_side: int | None = None
) -> np.ndarray:
    """Decode an image to RGB, rotated as its EXIF data says; transparent pixels become white.

    Args:
        source: a file, or its bytes.
        max_pixels: images with more pixels than this are refused before they are decoded.
        name: what errors call the image; the path, or "image bytes", by default.
        longest_side: pixels that are enough. JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves as many;
            other formats are not made smaller.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ImageError: missing, empty, truncated, too large or not an image; names the file and the reason.
    """
    label = name or (str(source) if isinstance(source, Path) else "image bytes")
    image = _load(source, label, max_pixels=max_pixels, longest_side=longest_side)
    with _unrotated_if_broken():
        ImageOps.exif_transpose(image, in_place=True)  # a copy of a large image would be another 256 MB
    return to_rgb(image, label)


def image_size(source: Path | bytes, max_pixels: int = MAX_PIXELS, *, name: str | None = None) -> tuple[int, int]:
    """Return width and height of an image in pixels, turned as its EXIF data says, without decoding it.

    EXIF data behind the pixels of a PNG is not looked for: nothing says where they end but decoding them.
    See `read_image` for the arguments.

    Raises:
        ImageError: missing, empty, too large or not an image.
    """
    image = _opened(source, name or (str(source) if isinstance(source, Path) else "image bytes"), max_pixels=max_pixels)
    return (image.height, image.width) if _is_turned(image) else image.size


def pixel_count(data: bytes, max_pixels: int = MAX_PIXELS, *, name: str = "image bytes") -> int:
    """Return how many pixels an image has, from its first bytes alone.

    Raises:
        ImageError: empty, too large or not an image.
    """
    width, height = _opened(data, name, max_pixels=max_pixels).size
    return width * height


def decoded_size(data: bytes, max_pixels: int = MAX_PIXELS, *, name: str = "image bytes") -> tuple[int, int]:
    """Return what `image_size` does, after decoding: an image that is truncated or damaged is refused.

    Its pixels are held once, as the decoder leaves them, and are gone with the call; no array is made of them.

    Raises:
        ImageError: empty, truncated, damaged, too large or not an image.
    """
    width, height = _opened(data, name, max_pixels=max_pixels).size
    image = _load(data, name, max_pixels=max_pixels, longest_side=1)
    _refuse_floats(image, name)
    return (height, width) if _is_turned(image) else (width, height)


def _is_turned(image: Image.Image) -> bool:
    with _unrotated_if_broken():
        # Of the base class: that of PNG decodes the image first, in case that EXIF data stands behind the pixels.
        return Image.Image.getexif(image).get(ORIENTATION) in (5, 6, 7, 8)
    return False


@contextlib.contextmanager
def _unrotated_if_broken() -> Iterator[None]:
    """Pass over what a broken EXIF block raises, which is anything: the pixels are whole, and used unrotated."""
    try:
        yield
    except MemoryError:
        raise
    except Exception:
        pass


def read_sample(sample: Sample, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode the crop of a sample, from its path or its bytes; see `read_image`."""
    source = sample.path if sample.path is not None else sample.data
    assert source is not None  # a Sample has one of the two
    return read_image(source, max_pixels, name=None if sample.path is not None else sample.key)


def read_cutout(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image that has transparent pixels.

    Returns:
        ``(H, W, 4)`` uint8, RGB and opacity.

    Raises:
        ImageError: as `read_image`, or the image has no transparency.
    """
    image = _load(path, str(path), max_pixels=max_pixels)
    if "A" not in image.getbands() and "transparency" not in image.info:
        raise ImageError(f"{path}: a cut-out needs transparency (an RGBA image), found {image.mode}")
    return np.asarray(image.convert("RGBA"), np.uint8)


def resize(image: np.ndarray, height: int, width: int, *, interpolation: Interpolation = "bilinear") -> np.ndarray:
    """Resize ``(H, W, 3)`` uint8 to ``(height, width, 3)``, antialiased when it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), _FILTERS[interpolation]))


def read_labels(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a parsing map: the pixel value is the label.

    Palette images give their indices; a map saved as RGB in the VOC colours, as SCHP paints them, is turned back.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        ImageError: not readable, or not a map of labels 0 to 255.
    """
    image = _load(path, str(path), max_pixels=max_pixels)
    if image.mode == "RGB":
        return _labels_of_colours(np.asarray(image), path)
    labels = np.asarray(image)
    if labels.ndim != 2 or image.mode == "F" or labels.max(initial=0) > 255:
        raise ImageError(f"{path}: expected a parsing map with one label of 0 to 255 a pixel, found mode {image.mode}")
    return labels.astype(np.uint8)


def resize_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize ``(H, W)`` uint8 labels to ``(height, width)`` by the nearest pixel."""
    if labels.shape == (height, width):
        return labels
    return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))


def _opened(source: Path | bytes, label: str, *, max_pixels: int) -> Image.Image:
    try:
        data = read_bytes(source) if isinstance(source, Path) else source
    except OSError as e:
        raise ImageError(f"{label}: cannot be read: {e.strerror or e}") from None
    if not data:
        raise ImageError(f"{label}: the file is empty (0 bytes)")
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageError(f"{label}: too large, more than {max_pixels:,} pixels") from None
    except UnidentifiedImageError:
        raise ImageError(f"{label}: not an image that can be read ({', '.join(FORMATS)})") from None
    except MemoryError:  # says nothing of the file
        raise
    except Exception as e:  # decoders raise anything on hostile headers
        raise ImageError(f"{label}: damaged header: {e}") from None
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(f"{label}: too large, {width} x {height}; the limit is {max_pixels:,} pixels")
    return image


def _load(source: Path | bytes, label: str, *, max_pixels: int, longest_side: int | None = None) -> Image.Image:
    image = _opened(source, label, max_pixels=max_pixels)
    try:
        if longest_side is not None and longest_side < max(image.size):
            factor = longest_side / max(image.size)
            image.draft(None, (math.ceil(image.width * factor), math.ceil(image.height * factor)))
        image.load()
    except MemoryError:
        raise
    except Exception as e:  # decoders raise anything on damaged data
        raise ImageError(f"{label}: truncated or damaged: {e}") from None
    return image


def to_rgb(image: Image.Image, label: str) -> np.ndarray:
    """Return an image of Pillow as ``(H, W, 3)`` uint8 RGB; transparent pixels become white.

    Args:
        image: of any mode.
        label: what errors call it.

    Raises:
        ImageError: its pixels have no defined range.
    """
    _refuse_floats(image, label)
    width, height = image.size
    rows = max(1, BAND // max(1, width))
    if rows >= height:
        return _rgb(image)
    # Band by band: every step makes another copy of what it works on.
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        out[top:bottom] = _rgb(image.crop((0, top, width, bottom)))
    return out


def _refuse_floats(image: Image.Image, label: str) -> None:
    if image.mode == "F":
        raise ImageError(f"{label}: 32-bit float pixels have no defined range; save it as 8 or 16 bit")


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
        grey = (np.clip(np.asarray(image, dtype=np.int64), 0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _labels_of_colours(pixels: np.ndarray, path: Path) -> np.ndarray:
    weights = np.array([1 << 16, 1 << 8, 1])
    table = voc_palette().astype(np.int64) @ weights
    order = np.argsort(table)
    codes: np.ndarray[Any, Any] = pixels.astype(np.int64) @ weights
    found = order[np.clip(np.searchsorted(table, codes, sorter=order), 0, 255)]
    if (table[found] != codes).any():
        colour = pixels[table[found] != codes][0].tolist()
        raise ImageError(
            f"{path}: the colour {colour} is none of the VOC palette; save the parsing map with its labels"
        )
    return found.astype(np.uint8)
