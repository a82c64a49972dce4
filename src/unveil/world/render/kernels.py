"""The inner loops, compiled by numba: skinning, normals, triangles into a depth buffer, shadow look-up.

All arrays are float32 or int32 and contiguous, so that each loop is compiled once and cached on disk.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from unveil.atomic_io import cache_dir

NEAR = 0.05  # metres: triangles with a corner nearer than this are left out
FAR = 1e9

if not os.access(Path(__file__).parent, os.W_OK) and "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(cache_dir() / "numba")  # type: ignore[attr-defined]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop; the machine code is kept beside the package, or in the cache where that cannot be written.

    No loop makes an array, so none counts references to arrays (``_nrt``): numba does it at each pixel, and that took
    longer than the pixel. What a loop calls becomes part of it, for the same reason: groups of arrays are slow to pass.
    """
    options: dict[str, Any] = {
        "fastmath": True, "nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True,
    }  # fmt: skip
    found: Callable[..., Any]
    try:
        found = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither can be written: every process compiles for itself
        found = numba.njit(**options)(function)
    return found


@compiled
def skin(points, normals, bones, weights, motion, out, turned):  # type: ignore[no-untyped-def]
    """Blend the motions ``(J, 3, 4)`` of four bones a vertex into points ``out (n, 3)`` and unit normals ``turned``."""
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        p, q, r = normals[i, 0], normals[i, 1], normals[i, 2]
        a = b = c = 0.0
        d = e = f = 0.0
        for k in range(4):
            w = weights[i, k]
            if w > 0:
                m = motion[bones[i, k]]
                a += w * (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3])
                b += w * (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3])
                c += w * (m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3])
                d += w * (m[0, 0] * p + m[0, 1] * q + m[0, 2] * r)
                e += w * (m[1, 0] * p + m[1, 1] * q + m[1, 2] * r)
                f += w * (m[2, 0] * p + m[2, 1] * q + m[2, 2] * r)
        out[i, 0], out[i, 1], out[i, 2] = a, b, c
        length = math.sqrt(d * d + e * e + f * f) + 1e-9
        turned[i, 0], turned[i, 1], turned[i, 2] = d / length, e / length, f / length


@compiled
def vertex_normals(points, faces, out):  # type: ignore[no-untyped-def]
    """Write the unit normals ``(n, 3)``: means of the triangles' normals, weighted by area."""
    out[:] = 0
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in range(3):
            i = faces[t, k]
            out[i, 0] += x
            out[i, 1] += y
            out[i, 2] += z
    for i in range(out.shape[0]):
        length = math.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2) + 1e-12
        for k in range(3):
            out[i, k] /= length


@compiled
def rasterise(outline, strands, buffers):  # type: ignore[no-untyped-def]
    """Draw triangles into a depth buffer; see `Outline`, `Strands` and `Buffers` of `unveil.world.render.inputs`."""
    screen, faces, keep, uv, material = outline
    alpha_of, alpha = strands
    depth, triangle, bary = buffers
    height, width = depth.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ka, kb, kc = keep[a], keep[b], keep[c]
        if ka < 0 and kb < 0 and kc < 0:
            continue
        qa, qb, qc = screen[a, 2], screen[b, 2], screen[c, 2]
        if qa <= 0 or qb <= 0 or qc <= 0:
            continue
        ax, ay = screen[a, 0], screen[a, 1]
        bx, by = screen[b, 0] - ax, screen[b, 1] - ay
        cx, cy = screen[c, 0] - ax, screen[c, 1] - ay
        low_x, high_x = ax + min(0.0, bx, cx), ax + max(0.0, bx, cx)
        low_y, high_y = ay + min(0.0, by, cy), ay + max(0.0, by, cy)
        if high_x < 0 or high_y < 0 or low_x >= width or low_y >= height:
            continue
        x0, x1 = max(0, math.ceil(low_x - 0.5)), min(width - 1, math.floor(high_x - 0.5))
        y0, y1 = max(0, math.ceil(low_y - 0.5)), min(height - 1, math.floor(high_y - 0.5))
        area = bx * cy - cx * by
        if x1 < x0 or y1 < y0 or abs(area) < 1e-9:
            continue
        scale = 1.0 / area
        m = material[t]
        threshold, repeats = alpha_of[m, 0], alpha_of[m, 1]
        for y in range(y0, y1 + 1):
            fy = y + 0.5 - ay
            for x in range(x0, x1 + 1):
                fx = x + 0.5 - ax
                u = (fx * cy - cx * fy) * scale
                if u < 0:
                    continue
                v = (bx * fy - fx * by) * scale
                if v < 0 or u + v > 1:
                    continue
                z = 1.0 / (qa + u * (qb - qa) + v * (qc - qa))
                if z >= depth[y, x]:
                    continue
                u, v = u * qb * z, v * qc * z
                w = 1 - u - v
                if w * ka + u * kb + v * kc < 0:
                    continue
                if threshold >= 0:
                    s = (w * uv[a, 0] + u * uv[b, 0] + v * uv[c, 0]) * repeats
                    r = w * uv[a, 2] + u * uv[b, 2] + v * uv[c, 2]
                    column = int((s - math.floor(s)) * alpha.shape[1])
                    row = int(min(max(r, 0.0), 0.999) * alpha.shape[0])
                    if alpha[row, min(column, alpha.shape[1] - 1)] < threshold:
                        continue
                depth[y, x] = z
                triangle[y, x] = t
                bary[y, x, 0], bary[y, x, 1] = u, v


@compiled
def shadow_depth(points, faces, keep, depth):  # type: ignore[no-untyped-def]
    """Draw triangles seen from the light: ``points (n, 3)`` x and y in texels, and distance; parallel projection."""
    height, width = depth.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        if keep[a] < 0 or keep[b] < 0 or keep[c] < 0:
            continue
        ax, ay = points[a, 0], points[a, 1]
        bx, by = points[b, 0] - ax, points[b, 1] - ay
        cx, cy = points[c, 0] - ax, points[c, 1] - ay
        x0, x1 = max(0, int(ax + min(0.0, bx, cx))), min(width - 1, int(ax + max(0.0, bx, cx)) + 1)
        y0, y1 = max(0, int(ay + min(0.0, by, cy))), min(height - 1, int(ay + max(0.0, by, cy)) + 1)
        area = bx * cy - cx * by
        if abs(area) < 1e-9:
            continue
        scale = 1.0 / area
        za = points[a, 2]
        zb, zc = points[b, 2] - za, points[c, 2] - za
        for y in range(y0, y1 + 1):
            fy = y + 0.5 - ay
            for x in range(x0, x1 + 1):
                fx = x + 0.5 - ax
                u, v = (fx * cy - cx * fy) * scale, (bx * fy - fx * by) * scale
                if u < -0.01 or v < -0.01 or u + v > 1.01:
                    continue
                z = za + u * zb + v * zc
                if z < depth[y, x]:
                    depth[y, x] = z


@compiled
def lit(x, y, z, frame, shadow, bias):  # type: ignore[no-untyped-def]
    """Return the share of light in [0, 1] that reaches a point, by a 2 x 2 filtered shadow map.

    Args:
        x, y, z: point in metres.
        frame: ``(4, 3)``: right, up and direction of the light, and the (x, y, distance) offset; rows 0 and 1 and
            their offsets are in texels.
        shadow: ``(n, n)`` distances along the light.
        bias: metres that a point may lie behind the surface that shades it.
    """
    n = shadow.shape[0]
    u = frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z + frame[3, 0] - 0.5
    v = frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z + frame[3, 1] - 0.5
    d = frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z + frame[3, 2] - bias
    i, j = math.floor(u), math.floor(v)
    if i < 0 or j < 0 or i >= n - 1 or j >= n - 1:
        return 1.0
    u -= i
    v -= j
    top = (1 - u) * (shadow[j, i] > d) + u * (shadow[j, i + 1] > d)
    bottom = (1 - u) * (shadow[j + 1, i] > d) + u * (shadow[j + 1, i + 1] > d)
    return (1 - v) * top + v * bottom
