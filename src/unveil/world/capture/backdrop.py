"""The light and the depth of an empty scene, with the shadows that people cast on it."""

from __future__ import annotations

import math

from unveil.world.capture.plate import (
    LIGHT_MAX,
    MILLIMETRES,
)
from unveil.world.render.kernels import FAR, compiled, lit


@compiled
def backdrop(plates, view, people, feet, sun, out, depth):  # type: ignore[no-untyped-def]
    """Write the light and the depth of an empty scene with the shadows that people cast on it.

    Args:
        plates, view, people: see `unveil.world.render.inputs`; ``people`` is their `Shadow`.
        feet: ``(n, 2)`` x and z of where they touch the ground.
        sun: share of the sun's light that gets through the clouds.
        out: ``(H, W, 3)`` linear RGB.
        depth: ``(H, W)`` metres.
    """
    height, width = depth.shape
    step = LIGHT_MAX / (255.0 * 255.0)
    for y in range(height):
        for x in range(width):
            z = plates.depth_mm[y, x] / MILLIMETRES
            far = plates.depth_mm[y, x] == 65535
            depth[y, x] = FAR if far else z
            reach, open_sky = sun, 1.0
            if not far:
                px, py, pz = _seen_at(view, x, y, z)
                reach = sun * lit(px, py, pz, people.frame, people.depth, 0.02)
                open_sky = _above_feet(feet, px, py, pz)
            for k in range(3):
                a, b = plates.ambient[y, x, k], plates.direct[y, x, k]
                out[y, x, k] = step * (a * a * open_sky + b * b * reach)


@compiled
def _seen_at(view, x, y, z):  # type: ignore[no-untyped-def]
    """Return the point that a pixel shows at a depth of ``z`` metres."""
    eye, axes = view.eye, view.axes
    dx = (view.left + x + 0.5 - view.middle_x) / view.focal
    dy = (view.middle_y - (view.top + y + 0.5)) / view.focal
    px = eye[0] + z * (axes[0, 0] * dx + axes[1, 0] * dy + axes[2, 0])
    py = eye[1] + z * (axes[0, 1] * dx + axes[1, 1] * dy + axes[2, 1])
    pz = eye[2] + z * (axes[0, 2] * dx + axes[1, 2] * dy + axes[2, 2])
    return px, py, pz


@compiled
def _above_feet(feet, px, py, pz):  # type: ignore[no-untyped-def]
    """Return the share of the sky that people leave open above a point of the ground near their feet."""
    open_sky = 1.0
    if py < 0.15:
        for k in range(feet.shape[0]):
            d = (px - feet[k, 0]) ** 2 + (pz - feet[k, 1]) ** 2
            if d < 1.2:
                open_sky *= 1 - 0.4 * math.exp(-d / 0.016) - 0.16 * math.exp(-d / 0.15)
    return open_sky
