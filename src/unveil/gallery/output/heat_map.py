"""Where on a crop a match comes from: cover one place after the other and see how much farther the crop gets.

Occlusion sensitivity (Zeiler and Fergus, ECCV 2014, section 4.2); it asks the model only for embeddings, so it works
for every method.
"""

from __future__ import annotations

import numpy as np

from unveil.data.fitting import fit_image, placement
from unveil.data.images import resize
from unveil.evaluation.distances import distance_matrix
from unveil.inference.engine import Engine
from unveil.records import Embedding

CELLS = (16, 8)
WINDOW = 3


def heat_map(
    engine: Engine, query: Embedding, *, image: np.ndarray, cells: tuple[int, int] = CELLS, window: int = WINDOW
) -> np.ndarray:
    """Return how much each place of a crop brings it nearer to a query.

    Args:
        engine: the model that embedded the query.
        query: ``(Q, E, D)`` numpy embedding of crops of one person.
        image: ``(H, W, 3)`` uint8 RGB.
        cells: rows and columns of places; ``rows * columns`` crops, less the borders, are embedded.
        window: rows and columns of cells that are covered at a time.

    Returns:
        ``(H, W)`` float32 in [0, 1]: 1 where covering costs most, 0 where it costs nothing or brings the crop nearer.
        All 0 when no place matters.

    Raises:
        ValueError: ``image`` is no image, or there are fewer cells than a window covers.
    """
    if min(cells) < window or window < 1:
        raise ValueError(f"expected at least {max(window, 1)} cells in each direction, got {cells}")
    crop = fit_image(image, engine.crop_size)
    rows, columns = (np.linspace(0, n, c + 1).round().astype(int) for n, c in zip(crop.shape, cells, strict=False))
    windows = [
        (slice(rows[r], rows[r + window]), slice(columns[c], columns[c + window]))
        for r in range(cells[0] - window + 1)
        for c in range(cells[1] - window + 1)
    ]
    mean = crop.mean(axis=(0, 1)).astype(np.uint8)
    covered = []
    for place in windows:
        changed = crop.copy()
        changed[place] = mean
        covered.append(changed)
    embedding = engine.embed([crop, *covered])
    distances = distance_matrix(query, embedding).mean(axis=0)
    # Crops that share no visible part with the query have no distance of their own.
    shared = ((query.visibility * np.asarray(query.weights)) @ embedding.visibility.T > 0).any(axis=0)
    if not shared[0]:
        return np.zeros(image.shape[:2], np.float32)
    distances[~shared] = distances[shared].max()
    total, times = np.zeros(crop.shape[:2], np.float32), np.zeros(crop.shape[:2], np.float32)
    for place, cost in zip(windows, distances[1:] - distances[0], strict=True):
        total[place] += cost
        times[place] += 1
    heat = np.maximum(total / np.maximum(times, 1), 0)
    heat /= max(float(heat.max()), 1e-12)
    seen = placement(image.shape[0], image.shape[1], size=engine.crop_size)
    heat = heat[seen.place]  # what was padded is no place of the crop
    grey = np.repeat((255 * heat).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(resize(grey, *image.shape[:2])[..., 0] / np.float32(255), np.float32)
