"""The light on the surfaces of an empty scene, pixel by pixel: procedural ground, walls and leaves."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.render.fabric import clouds
from unveil.world.render.kernels import compiled, lit
from unveil.world.render.shading import point_and_normal

NOISE_SIZE = 256


@cache
def ground_noise() -> Floats:
    """Return two layers ``(2, NOISE_SIZE, NOISE_SIZE)`` of tileable noise in [0, 1]: coarse and fine."""
    rng = np.random.default_rng(8)
    layers = []
    for cells in ((4, 4), (32, 32)):
        layer = clouds(rng, NOISE_SIZE, cells=cells, octaves=4)
        layers.append(np.clip(0.5 + layer / layer.std() * 0.16, 0, 1))
    return np.ascontiguousarray(np.stack(layers), dtype=np.float32)


@compiled
def hashed(a, b, c):  # type: ignore[no-untyped-def]
    """Return a number in [0, 1) that is fixed for three integers."""
    n = (a * 73856093) ^ (b * 19349663) ^ (c * 83492791)
    n = (n ^ (n >> 13)) * 1274126177
    n = (n ^ (n >> 16)) & 0x7FFFFFFF
    return (n % 100003) / 100003.0


@compiled
def smooth(noise, layer, u, v):  # type: ignore[no-untyped-def]
    """Return tileable noise in [0, 1] at (u, v), bilinear; one tile a unit."""
    size = noise.shape[1]
    x, y = u * size, v * size
    i, j = math.floor(x), math.floor(y)
    x -= i
    y -= j
    i, j = i % size, j % size
    k, m = (i + 1) % size, (j + 1) % size
    top = (1 - x) * noise[layer, j, i] + x * noise[layer, j, k]
    return (1 - y) * top + y * ((1 - x) * noise[layer, m, i] + x * noise[layer, m, k])


@compiled
def _pattern(ground, t, p, q, level):  # type: ignore[no-untyped-def]
    """Return the linear RGB of a procedural surface at ``p`` and ``q`` metres along it, and how bright it is there."""
    noise, surface = ground.noise, ground.surfaces[ground.surface_of[t]]
    kind, scale, seed = int(surface[0]), surface[4], int(surface[5])
    red, green, blue = surface[1], surface[2], surface[3]
    tone = 1.0
    if kind == 0:
        tone = 0.92 + 0.16 * smooth(noise, 0, p * 0.3, q * 0.3)
    elif kind == 1:  # asphalt
        tone = (0.7 + 0.6 * smooth(noise, 1, p * 0.5, q * 0.5)) * (0.75 + 0.5 * smooth(noise, 0, p * 0.09, q * 0.09))
        if seed % 3 == 0:
            lane, dash = p / 3.1 - math.floor(p / 3.1), q / 3 - math.floor(q / 3)
            if lane < 0.04 and (seed % 2 == 0 or dash < 0.55):
                red, green, blue = 0.55, 0.55, 0.53
    elif kind == 2 or kind == 9:  # paving, tiles
        row = math.floor(q * scale)
        m = p * scale + (0.5 * (row % 2) if kind == 2 else 0.0)
        col = math.floor(m)
        fm, fq = m - col, q * scale - row
        spread = 0.35 if kind == 2 else 0.10
        tone = (
            1
            - spread / 2
            + spread * hashed(col, row, seed)
            + 0.25 * (smooth(noise, 1, p, q) - 0.5) * (1.2 - 0.4 * (kind == 9))
        )
        tone *= 0.85 + 0.3 * smooth(noise, 0, p * 0.1, q * 0.1)
        joint = 0.03 if kind == 2 else 0.018
        if fm < joint or fq < joint:
            tone *= 0.6
    elif kind == 3:  # brick
        row = math.floor(q * 12 * scale)
        m = p * 4 * scale + 0.5 * (row % 2)
        col = math.floor(m)
        tone = 0.7 + 0.5 * hashed(col, row, seed) + 0.3 * (smooth(noise, 1, p, q) - 0.5)
        if m - col < 0.06 or q * 12 * scale - row < 0.15:
            red, green, blue, tone = 0.32, 0.30, 0.28, 1.0
    elif kind == 4:  # facade with windows
        m, r = p * scale, q * scale * 0.8
        col, row = math.floor(m), math.floor(r)
        fm, fr = m - col, r - row
        tone = 0.85 + 0.3 * smooth(noise, 0, p * 0.2, q * 0.2)
        if 0.24 < fm < 0.76 and 0.28 < fr < 0.82:
            tone = 0.5 + 0.9 * smooth(noise, 0, p * 0.15 + hashed(col, row, seed), q * 0.2)
            shade_of = 0.03 + 0.12 * hashed(col, row, seed + 1)
            red, green, blue = shade_of, shade_of * 1.1, shade_of * 1.25
            if abs(fm - 0.5) < 0.02 or fm < 0.27 or fm > 0.73 or fr < 0.31:
                red, green, blue, tone = 0.5, 0.5, 0.48, 1.0
        elif 0.2 < fm < 0.8 and 0.22 < fr <= 0.28:
            tone *= 1.25
    elif kind == 5:  # grass
        tone = 0.45 + 1.1 * smooth(noise, 1, p * 0.9, q * 0.9)
        dry = smooth(noise, 0, p * 0.11, q * 0.11)
        red *= 0.7 + 0.8 * dry
    elif kind == 6:  # wood
        board = math.floor(p * 7 * scale) if level else math.floor(q * 7 * scale)
        f = (p if level else q) * 7 * scale - board
        tone = 0.75 + 0.3 * hashed(board, seed, 3) + 0.4 * (smooth(noise, 1, q * 0.15 + board * 0.37, p * 0.9) - 0.5)
        if f < 0.06:
            tone *= 0.5
    elif kind == 7:  # shop fronts and posters
        m = p * scale
        col, row = math.floor(m), math.floor(q * 0.9)
        fm = m - col
        tone = 0.5 + 0.9 * smooth(noise, 0, p * 0.2, q * 0.2)
        if q > 2.5:
            red = 0.05 + 0.3 * hashed(seed, 0, col // 2) ** 2
            green = 0.05 + 0.3 * hashed(seed, 1, col // 2) ** 2
            blue = 0.05 + 0.3 * hashed(seed, 2, col // 2) ** 2
            tone = 0.9 + 0.3 * (smooth(noise, 1, p * 0.4, q * 0.9) > 0.6)
        elif fm < 0.04 or q < 0.2:
            red, green, blue, tone = 0.04, 0.04, 0.045, 1.0
        elif hashed(col, row, seed) > 0.55:
            red = 0.05 + 0.28 * hashed(col, row, seed) ** 2
            green = 0.05 + 0.28 * hashed(col, row, seed + 1) ** 2
            blue = 0.05 + 0.28 * hashed(col, row, seed + 2) ** 2
            tone = 0.6 + 0.9 * smooth(noise, 1, p * 0.35, q * 0.35)
        else:
            red, green, blue = red * 0.35, green * 0.38, blue * 0.42
    elif kind == 8:  # leaves
        tone = 0.45 + 1.1 * hashed(t // 2, seed, 5)
    elif kind == 10:  # slats
        f = p * scale - math.floor(p * scale)
        tone = 0.55 + 0.6 * f
    elif kind == 11:  # carpet
        tone = (
            0.8
            + 0.4 * smooth(noise, 1, p * 1.5, q * 1.5)
            + 0.5 * (hashed(math.floor(p * 2), math.floor(q * 2), seed) > 0.7)
        )
    elif kind == 12:  # snow
        tone = (
            0.8
            + 0.25 * smooth(noise, 0, p * 0.3, q * 0.3)
            - 0.3 * max(0.0, smooth(noise, 1, p * 0.12, q * 0.12) - 0.55)
        )
    return (red, green, blue), tone


@compiled
def _open_sky(ground, kind, point, ny):  # type: ignore[no-untyped-def]
    """Return the share of the sky that is open above a point: less at the foot of things and low on walls."""
    prints, turns = ground.prints, ground.turns
    px, py, pz = point
    open_sky = 1.0
    if ny > 0.6 and py < 0.2:
        for k in range(prints.shape[0]):
            cosine, sine = turns[k, 0], turns[k, 1]
            gx, gz = px - prints[k, 0], pz - prints[k, 1]
            ox = max(0.0, abs(gx * cosine - gz * sine) - prints[k, 2])
            oz = max(0.0, abs(gx * sine + gz * cosine) - prints[k, 3])
            d = ox * ox + oz * oz
            if d < 1.0:
                open_sky *= 1 - 0.45 * math.exp(-math.sqrt(d) / 0.22)
    elif kind != 8:
        open_sky = 0.6 + 0.4 * min(1.0, max(0.0, py) / 1.0)
    return open_sky


@compiled
def _sky(noise, ray, sky, out):  # type: ignore[no-untyped-def]
    """Write the sky seen along a ray into ``out (3,)``."""
    rx, ry, rz = ray
    rise = ry / math.sqrt(rx * rx + ry * ry + rz * rz)
    cloud = smooth(noise, 0, rx / (abs(ry) + 0.2) * 0.12, rz / (abs(ry) + 0.2) * 0.12)
    for k in range(3):
        out[k] = sky[k] * (1.2 - 0.4 * rise + 0.35 * max(0.0, cloud - 0.5))


@compiled
def shade_scene(seen, ground, view, light, shadow, ambient, direct):  # type: ignore[no-untyped-def]
    """Write the light of each pixel of an empty scene, without and from the sun; procedural surfaces.

    Args:
        seen, ground, view, light, shadow: see `unveil.world.render.inputs`.
        ambient, direct: ``(H, W, 3)`` linear RGB.
    """
    axes = view.axes
    for k in range(ground.prints.shape[0]):
        ground.turns[k, 0], ground.turns[k, 1] = math.cos(ground.prints[k, 4]), math.sin(ground.prints[k, 4])
    height, width = seen.triangle.shape
    for y in range(height):
        for x in range(width):
            t = seen.triangle[y, x]
            dx = (view.left + x + 0.5 - view.middle_x) / view.focal
            dy = (view.middle_y - (view.top + y + 0.5)) / view.focal
            rx = axes[0, 0] * dx + axes[1, 0] * dy + axes[2, 0]
            ry = axes[0, 1] * dx + axes[1, 1] * dy + axes[2, 1]
            rz = axes[0, 2] * dx + axes[1, 2] * dy + axes[2, 2]
            if t < 0:
                _sky(ground.noise, (rx, ry, rz), light.sky, ambient[y, x])
                continue
            point, (nx, ny, nz) = point_and_normal(ground, t, seen.bary[y, x, 0], seen.bary[y, x, 1])
            px, py, pz = point
            surface = ground.surfaces[ground.surface_of[t]]
            kind = int(surface[0])
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            if nx * rx + ny * ry + nz * rz > 0 and kind != 8:
                length = -length
            nx, ny, nz = nx / length, ny / length, nz / length
            if abs(ny) > 0.6:
                p, q = px, pz
            else:
                flat = math.sqrt(nx * nx + nz * nz) + 1e-6
                p, q = (px * nz - pz * nx) / flat, py
            rgb, tone = _pattern(ground, t, p, q, abs(ny) > 0.6)
            facing = -(nx * light.direction[0] + ny * light.direction[1] + nz * light.direction[2])
            if kind == 8:
                facing = 0.25 + 0.75 * abs(facing)
            reach = 0.0
            if facing > 0:
                reach = facing * lit(px + nx * 0.03, py + ny * 0.03, pz + nz * 0.03, shadow.frame, shadow.depth, 0.04)
            open_sky = _open_sky(ground, kind, point, ny)
            up = 0.5 + 0.5 * ny
            mirror = surface[6] * (1 - abs(nx * rx + ny * ry + nz * rz) / math.sqrt(rx * rx + ry * ry + rz * rz)) ** 2
            for k in range(3):
                albedo = rgb[k] * tone
                around = (light.ground[k] * (1 - up) + light.sky[k] * up) * open_sky
                ambient[y, x, k] = albedo * around + mirror * light.sky[k] * 0.8
                direct[y, x, k] = albedo * light.sun[k] * reach
