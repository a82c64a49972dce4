"""What is known for free: crops of one tracklet are one person, tracklets seen together by one camera are not."""

from __future__ import annotations

import numpy as np

from unveil.adaptation.crops import UnlabelledCrops


def seen_together(crops: UnlabelledCrops) -> np.ndarray:
    """Return pairs of units that are certainly two people: tracklets that overlap in time in one camera.

    Crops without a tracklet, a camera or a time link nothing: two detections of one person may share a moment.

    Returns:
        ``(M, 2)`` int64, the smaller unit first, sorted.
    """
    spans: dict[str, list[tuple[float, float, int]]] = {}
    for unit in np.unique(crops.units[crops.tracked]):
        own = np.flatnonzero(crops.units == unit)
        camera, times = crops.cameras[own[0]], crops.times[own]
        if camera is not None and not np.isnan(times).any():
            spans.setdefault(camera, []).append((float(times.min()), float(times.max()), int(unit)))
    pairs = []
    for found in spans.values():
        active: list[tuple[float, int]] = []
        for start, end, unit in sorted(found):
            active = [(until, other) for until, other in active if until >= start]
            pairs += [(min(unit, other), max(unit, other)) for _, other in active]
            active.append((end, unit))
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
