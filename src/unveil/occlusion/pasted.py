"""Cut-outs laid over the person: other people of the same dataset, or objects from a folder of RGBA images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from unveil.data.images import read_cutout
from unveil.data.listing import list_images
from unveil.errors import DataError
from unveil.occlusion.compose import Image, Labels, Mask, Occlusion, nothing

MIN_PIXELS = 16


@dataclass(frozen=True)
class Cutout:
    """A thing to paste: ``rgb`` (h, w, 3) uint8 and ``alpha`` (h, w) in [0, 1], both cropped to it."""

    name: str
    rgb: Image
    alpha: Mask


def cut_person(image: Image, labels: Labels, *, name: str) -> Cutout | None:
    """Return the person of a crop, cut out by its parsing map; ``None`` when the map shows almost nobody."""
    return _crop(image, (labels > 0).astype(np.float32), name=name)


def read_cutouts(folder: Path) -> list[Cutout]:
    """Read a folder of images with transparency, sorted by name.

    Raises:
        DataError: there is none, or one of them has no transparency.
    """
    found = []
    for path in list_images(folder, recursive=True):
        pixels = read_cutout(path)
        cutout = _crop(
            pixels[..., :3], np.asarray(pixels[..., 3] / 255, np.float32), name=path.relative_to(folder).as_posix()
        )
        if cutout is not None:
            found.append(cutout)
    if not found:
        raise DataError(f"{folder}: no cut-out with a visible pixel in it")
    return found


def hide_behind(
    cutout: Cutout, weight: Mask, *, ratio: float, height: tuple[float, float], rng: np.random.Generator
) -> Occlusion:
    """Slide a cut-out in from a drawn side until it occludes about ``ratio`` of the weight.

    Args:
        cutout: what to paste; mirrored half of the time, standing on the lower border.
        weight: ``(H, W)``, sums to 1.
        ratio: fraction to occlude, in [0, 1]; a cut-out that cannot occlude so much occludes what it can.
        height: range of its height, as a fraction of the image's.
        rng: generator of this image.
    """
    rows, columns = weight.shape
    tall = max(1, round(rows * rng.uniform(*height)))
    wide = max(1, round(tall * cutout.alpha.shape[1] / cutout.alpha.shape[0]))
    rgb, alpha = _resize(cutout, tall, wide=wide)
    if rng.random() < 0.5:
        rgb, alpha = rgb[:, ::-1], alpha[:, ::-1]
    shifts = list(range(-wide, columns + 1))
    if rng.random() < 0.5:
        shifts.reverse()
    # The image is widened by the cut-out on both sides, so that it can come in from outside.
    wider = np.pad(weight, ((0, 0), (wide, wide)))[max(0, rows - tall) :]
    shown = alpha[: len(wider)]
    covered = [float((wider[:, s + wide : s + 2 * wide] * shown).sum()) for s in shifts]
    at = shifts[int(np.argmin(np.abs(np.array(covered) - ratio)))]
    mask = np.zeros((rows, columns + 2 * wide), np.float32)
    layer = np.zeros((rows, columns + 2 * wide, 3), np.uint8)
    top, across = max(0, rows - tall), slice(at + wide, at + 2 * wide)
    mask[top:, across], layer[top:, across] = shown, rgb[: len(wider)]
    mask, layer = mask[:, wide : wide + columns], layer[:, wide : wide + columns]
    return Occlusion(mask, cutout.name, layer) if mask.any() else nothing(weight.shape, "ratio 0")


def _crop(rgb: Image, alpha: Mask, *, name: str) -> Cutout | None:
    rows, columns = np.nonzero(alpha.any(axis=1))[0], np.nonzero(alpha.any(axis=0))[0]
    if np.count_nonzero(alpha) < MIN_PIXELS:
        return None
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return Cutout(name, rgb[box], alpha[box])


def _resize(cutout: Cutout, tall: int, *, wide: int) -> tuple[Image, Mask]:
    shrinks = tall < cutout.alpha.shape[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    alpha = np.asarray(cv2.resize(cutout.alpha, (wide, tall), interpolation=how), np.float32)
    # Weighted by alpha, or what lies around the thing, unseen, would colour its edge.
    weighted = cv2.resize(cutout.rgb * cutout.alpha[..., None], (wide, tall), interpolation=how)
    rgb = np.rint(weighted.reshape(tall, wide, 3) / np.maximum(alpha, 1e-6)[..., None])
    return np.clip(rgb, 0, 255).astype(np.uint8), alpha
