"""The recipe of Occ-PRCC and Occ-LTCC (OC4-ReID eq. 1): blocks over one body component.

f_occ = fusion(up(avgpool(f_mask)), x) with f_mask the pixels of one randomly drawn component of a Pascal-7 parsing.
Kernel, threshold and up-sampling were never published; the defaults were measured on the authors' samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from unveil.label_sets import PASCAL7
from unveil.occlusion.compose import Labels, Mask, Occlusion, nothing, person_weight

COMPONENTS = PASCAL7.labels[1:]


@dataclass(frozen=True)
class PartsSettings:
    """Switches of the recipe.

    Args:
        kernel: side and stride of the pooling in native pixels; ``None`` derives it from ``rows``.
        rows: rows of cells in an image when the kernel is derived.
        threshold: a cell is on when the mean of the mask in it is larger.
        upsample: "nearest" gives hard blocks; "bilinear" fuses softly.
        present_only: draw among the components that the image shows, so that none stays untouched.
        components: names of Pascal-7 to draw from.
    """

    kernel: int | None = None
    rows: int = 20
    threshold: float = 0.0
    upsample: Literal["nearest", "bilinear"] = "nearest"
    present_only: bool = False
    components: tuple[str, ...] = COMPONENTS

    def side(self, height: int) -> int:
        """Return the kernel for an image of this height, in pixels."""
        return self.kernel if self.kernel is not None else max(1, round(height / self.rows))


def pool(mask: Mask, kernel: int) -> Mask:
    """Return the mean of the mask over cells of ``kernel`` pixels: ``(H // k, W // k)``, at least 1 x 1; no padding."""
    height, width = mask.shape
    rows, columns = max(1, height // kernel), max(1, width // kernel)
    k_rows, k_columns = min(kernel, height), min(kernel, width)
    cells = mask[: rows * k_rows, : columns * k_columns].reshape(rows, k_rows, columns, k_columns)
    return cells.mean(axis=(1, 3), dtype=np.float32)


def upsample(cells: Mask, size: tuple[int, int], *, how: Literal["nearest", "bilinear"] = "nearest") -> Mask:
    """Return cells enlarged to (H, W); nearest takes cell ``floor(y * h' / H)``."""
    if how == "bilinear":
        return np.asarray(cv2.resize(cells, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    rows, columns = _cell_index(cells.shape, size)
    return cells[np.ix_(rows, columns)]


def hide_part(labels: Labels, settings: PartsSettings, *, rng: np.random.Generator) -> Occlusion:
    """Occlude one component, drawn before it is known whether the image shows it (unless ``present_only``).

    Args:
        labels: Pascal-7 map ``(H, W)``.
        settings: switches.
        rng: generator of this image.
    """
    names = [c for c in settings.components if not settings.present_only or (labels == PASCAL7.index(c)).any()]
    if not names:
        return nothing(labels.shape, "no component")
    component = names[int(rng.integers(len(names)))]
    kernel = settings.side(labels.shape[0])
    on = _cells_of(labels, component, kernel=kernel, threshold=settings.threshold)
    return Occlusion(upsample(on, labels.shape, how=settings.upsample), component, None, kernel, int(on.sum()))


def hide_parts_to(labels: Labels, ratio: float, *, settings: PartsSettings, rng: np.random.Generator) -> Occlusion:
    """Occlude blocks over one component after another until about ``ratio`` of the person is covered.

    Args:
        labels: Pascal-7 map ``(H, W)``.
        ratio: fraction of the person's pixels to occlude, in [0, 1].
        settings: switches; components come in drawn order, a component's cells from a drawn end.
        rng: generator of this image.
    """
    if not (labels > 0).any():
        return nothing(labels.shape, "no component")
    kernel = settings.side(labels.shape[0])
    weights = _cell_weights(person_weight(labels.shape, labels), kernel)
    on = np.zeros_like(weights)
    covered = 0.0
    names: list[str] = []
    for index in rng.permutation(len(settings.components)):
        component = settings.components[index]
        cells = np.argwhere(_cells_of(labels, component, kernel=kernel, threshold=settings.threshold) > on)
        if rng.random() < 0.5:
            cells = cells[::-1]
        before = len(names)
        for y, x in cells:
            # The step that ends nearer to the ratio is taken, so the error is at most half a cell.
            if covered + weights[y, x] / 2 > ratio:
                break
            on[y, x] = 1
            covered += float(weights[y, x])
            names = [*names[:before], component]
    if not names:
        return nothing(labels.shape, "ratio below half a cell")
    return Occlusion(upsample(on, labels.shape, how=settings.upsample), "+".join(names), None, kernel, int(on.sum()))


def _cells_of(labels: Labels, component: str, *, kernel: int, threshold: float) -> Mask:
    mask = (labels == PASCAL7.index(component)).astype(np.float32)
    return (pool(mask, kernel) > threshold).astype(np.float32)


def _cell_weights(weight: Mask, kernel: int) -> Mask:
    shape = pool(weight, kernel).shape
    rows, columns = _cell_index(shape, weight.shape)
    sums = np.zeros(shape, np.float32)
    np.add.at(sums, np.ix_(rows, columns), weight)
    return sums


def _cell_index(cells: tuple[int, ...], size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(size[0]) * cells[0] // size[0], np.arange(size[1]) * cells[1] // size[1]
