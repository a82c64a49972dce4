"""Boxes around several people at once: a detector draws them where people stand close, beside the box of each."""

from __future__ import annotations

from collections.abc import Sequence

from unveil.video.records import Box

INSIDE = 0.7  # share of a box that must lie in a larger one
LARGER = 1.25  # how much larger the area of the larger one must be
MEMBERS = 2


def without_groups(boxes: Sequence[Box]) -> list[Box]:
    """Return the boxes but for those that hold two or more others, which do not hold each other, almost wholly."""
    return [box for box in boxes if not _is_group(box, boxes)]


def _is_group(box: Box, boxes: Sequence[Box]) -> bool:
    held = [b for b in boxes if b is not box and box.w * box.h >= LARGER * b.w * b.h and _share(b, box) >= INSIDE]
    apart = [b for n, b in enumerate(held) if all(_share(b, other) < INSIDE for other in held[:n])]
    return len(apart) >= MEMBERS


def _share(box: Box, other: Box) -> float:
    """Return which share of a box lies in another."""
    across = min(box.x + box.w, other.x + other.w) - max(box.x, other.x)
    down = min(box.y + box.h, other.y + other.h) - max(box.y, other.y)
    return max(0.0, across) * max(0.0, down) / (box.w * box.h)
