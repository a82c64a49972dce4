"""The light on a figure, pixel by pixel: cloth texture and folds, sun with shadows, sky and ground, highlights."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.render.fabric import clouds, linear
from unveil.world.render.kernels import compiled, lit

FOLD_SIZE = 256
SHADOW_BIAS = 0.012  # metres


@cache
def folds() -> Floats:
    """Return the slopes ``(2, FOLD_SIZE, FOLD_SIZE, 2)`` of hanging folds and of the folds at a bent joint."""
    rng = np.random.default_rng(3)
    hanging = clouds(rng, FOLD_SIZE, (5, 11), 4) + 0.8 * clouds(rng, FOLD_SIZE, (10, 5), 3)
    bent = clouds(rng, FOLD_SIZE, (18, 5), 3)
    found = []
    for height in (hanging, bent):
        height = height / height.std()
        slope = [np.roll(height, -1, 1) - np.roll(height, 1, 1), np.roll(height, -1, 0) - np.roll(height, 1, 0)]
        found.append(np.stack(slope, -1))
    return np.ascontiguousarray(np.stack(found), dtype=np.float32)


@cache
def strands() -> Floats:
    """Return the strand texture ``(64, 256)``: hair is there where it exceeds a threshold; ragged at the tip."""
    rng = np.random.default_rng(4)
    streak = clouds(rng, 256, (2, 48), 3)[:64]
    streak = (streak - streak.min()) / np.ptp(streak)
    tip = np.linspace(0, 1, 64)[:, None] ** 3
    reach = clouds(rng, 256, (2, 60), 2)[:1]
    reach = (reach - reach.min()) / np.ptp(reach)
    return np.ascontiguousarray(np.clip(streak + 0.25 - tip * (0.25 + 0.6 * reach), 0, 1), dtype=np.float32)


@cache
def to_linear() -> Floats:
    """Return linear light for each sRGB byte ``(256,)``."""
    return linear(np.arange(256, dtype=np.float32) / 255)


@compiled
def shade(  # type: ignore[no-untyped-def]
    triangle,
    bary,
    faces,
    material_of,
    materials,
    points,
    normals,
    uv,
    colour,
    ambient,
    fold,
    textures,
    lut,
    slopes,
    labels_of,
    eye,
    light,
    sky,
    ground,
    sun,
    frame,
    shadow,
    scene_frame,
    scene_shadow,
    offset,
    out,
    labels,
):
    """Write colour ``out (H, W, 3)`` and world labels ``(H, W)`` where ``triangle >= 0``.

    Args:
        light: unit vector from the sun to the scene.
        sky, ground, sun: linear RGB of the light from above, from below and from the sun.
        frame, shadow: light frame and shadow map of the people.
        scene_frame, scene_shadow: those of the scene.
        offset: ``(2,)`` where this figure's folds begin in the fold texture.
    """
    height, width = triangle.shape
    size = textures.shape[1]
    rows = slopes.shape[1]
    for y in range(height):
        for x in range(width):
            t = triangle[y, x]
            if t < 0:
                continue
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            v, w = bary[y, x, 0], bary[y, x, 1]
            u = 1 - v - w
            m = material_of[t]
            nx = u * normals[a, 0] + v * normals[b, 0] + w * normals[c, 0]
            ny = u * normals[a, 1] + v * normals[b, 1] + w * normals[c, 1]
            nz = u * normals[a, 2] + v * normals[b, 2] + w * normals[c, 2]
            px = u * points[a, 0] + v * points[b, 0] + w * points[c, 0]
            py = u * points[a, 1] + v * points[b, 1] + w * points[c, 1]
            pz = u * points[a, 2] + v * points[b, 2] + w * points[c, 2]
            ex, ey, ez = eye[0] - px, eye[1] - py, eye[2] - pz
            length = math.sqrt(ex * ex + ey * ey + ez * ez) + 1e-9
            ex, ey, ez = ex / length, ey / length, ez / length
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            if nx * ex + ny * ey + nz * ez < -0.25 * length:
                length = -length
            nx, ny, nz = nx / length, ny / length, nz / length
            open_sky = u * ambient[a] + v * ambient[b] + w * ambient[c]
            texture = int(materials[m, 0])
            if texture >= 0:
                s = u * uv[a, 0] + v * uv[b, 0] + w * uv[c, 0]
                k = u * uv[a, 1] + v * uv[b, 1] + w * uv[c, 1]
                down = u * uv[a, 2] + v * uv[b, 2] + w * uv[c, 2]
                if materials[m, 7] > 0:
                    turn = s
                else:
                    turn = math.atan2(s, k) * 0.15915494 + 0.5
                fx = turn * materials[m, 1] * size
                fy = down * materials[m, 2] * size
                ix, iy = math.floor(fx), math.floor(fy)
                fx -= ix
                fy -= iy
                ix, iy = ix % size, iy % size
                jx, jy = (ix + 1) % size, (iy + 1) % size
                p00, p01 = (1 - fx) * (1 - fy), fx * (1 - fy)
                p10, p11 = (1 - fx) * fy, fx * fy
                red = (
                    p00 * lut[textures[texture, iy, ix, 0]]
                    + p01 * lut[textures[texture, iy, jx, 0]]
                    + p10 * lut[textures[texture, jy, ix, 0]]
                    + p11 * lut[textures[texture, jy, jx, 0]]
                )
                green = (
                    p00 * lut[textures[texture, iy, ix, 1]]
                    + p01 * lut[textures[texture, iy, jx, 1]]
                    + p10 * lut[textures[texture, jy, ix, 1]]
                    + p11 * lut[textures[texture, jy, jx, 1]]
                )
                blue = (
                    p00 * lut[textures[texture, iy, ix, 2]]
                    + p01 * lut[textures[texture, iy, jx, 2]]
                    + p10 * lut[textures[texture, jy, ix, 2]]
                    + p11 * lut[textures[texture, jy, jx, 2]]
                )
                bump, crease = materials[m, 3], materials[m, 4]
                if bump > 0 or crease > 0:
                    strength = u * fold[a] + v * fold[b] + w * fold[c]
                    qx = math.floor(turn * materials[m, 1] * rows + offset[0] + m * 37) % rows
                    qy = math.floor(down * rows * 0.9 + offset[1] + m * 91) % rows
                    gx = bump * 0.55 * slopes[0, qy, qx, 0] + crease * (strength - 0.55) * 1.5 * slopes[1, qy, qx, 0]
                    gy = bump * 0.55 * slopes[0, qy, qx, 1] + crease * (strength - 0.55) * 1.5 * slopes[1, qy, qx, 1]
                    flat = math.sqrt(nx * nx + nz * nz) + 1e-6
                    nx -= gx * nz / flat
                    nz += gx * nx / flat
                    ny += gy
                    open_sky *= 1 - min(0.3, 0.22 * abs(gx) + 0.3 * max(0.0, gy))
                    length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
                    nx, ny, nz = nx / length, ny / length, nz / length
            else:
                red = u * colour[a, 0] + v * colour[b, 0] + w * colour[c, 0]
                green = u * colour[a, 1] + v * colour[b, 1] + w * colour[c, 1]
                blue = u * colour[a, 2] + v * colour[b, 2] + w * colour[c, 2]
            wrap = materials[m, 5]
            facing = -(nx * light[0] + ny * light[1] + nz * light[2])
            diffuse = max(0.0, (facing + wrap) / (1 + wrap))
            shine = 0.0
            if diffuse > 0 and sun[0] + sun[1] + sun[2] > 0.02:
                qx_, qy_, qz_ = px + nx * 0.014, py + ny * 0.014, pz + nz * 0.014
                reach = lit(qx_, qy_, qz_, frame, shadow, SHADOW_BIAS)
                if reach > 0:
                    reach *= lit(qx_, qy_, qz_, scene_frame, scene_shadow, 0.08)
                diffuse *= reach
                gloss = materials[m, 6]
                if gloss > 0 and reach > 0:
                    hx, hy, hz = ex - light[0], ey - light[1], ez - light[2]
                    length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
                    shine = gloss * reach * max(0.0, (nx * hx + ny * hy + nz * hz) / length) ** 18
            up = 0.5 + 0.5 * ny
            sky_shine = 0.12 * materials[m, 6] * (1 + ny) * open_sky
            out[y, x, 0] = (
                red * ((ground[0] * (1 - up) + sky[0] * up) * open_sky + sun[0] * diffuse)
                + sun[0] * shine
                + sky[0] * sky_shine * 0.3
            )
            out[y, x, 1] = (
                green * ((ground[1] * (1 - up) + sky[1] * up) * open_sky + sun[1] * diffuse)
                + sun[1] * shine
                + sky[1] * sky_shine * 0.3
            )
            out[y, x, 2] = (
                blue * ((ground[2] * (1 - up) + sky[2] * up) * open_sky + sun[2] * diffuse)
                + sun[2] * shine
                + sky[2] * sky_shine * 0.3
            )
            labels[y, x] = labels_of[t]
