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
    hanging = clouds(rng, FOLD_SIZE, cells=(5, 11), octaves=4) + 0.8 * clouds(rng, FOLD_SIZE, cells=(10, 5), octaves=3)
    bent = clouds(rng, FOLD_SIZE, cells=(18, 5), octaves=3)
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
    streak = clouds(rng, 256, cells=(2, 48), octaves=3)[:64]
    streak = (streak - streak.min()) / np.ptp(streak)
    tip = np.linspace(0, 1, 64)[:, None] ** 3
    reach = clouds(rng, 256, cells=(2, 60), octaves=2)[:1]
    reach = (reach - reach.min()) / np.ptp(reach)
    return np.ascontiguousarray(np.clip(streak + 0.25 - tip * (0.25 + 0.6 * reach), 0, 1), dtype=np.float32)


@cache
def to_linear() -> Floats:
    """Return linear light for each sRGB byte ``(256,)``."""
    return linear(np.arange(256, dtype=np.float32) / 255)


@compiled
def point_and_normal(mesh, t, v, w):  # type: ignore[no-untyped-def]
    """Return the point and the normal (of any length) of a triangle at the weights of its second and third corner."""
    a, b, c = mesh.faces[t, 0], mesh.faces[t, 1], mesh.faces[t, 2]
    u = 1 - v - w
    points, normals = mesh.points, mesh.normals
    nx = u * normals[a, 0] + v * normals[b, 0] + w * normals[c, 0]
    ny = u * normals[a, 1] + v * normals[b, 1] + w * normals[c, 1]
    nz = u * normals[a, 2] + v * normals[b, 2] + w * normals[c, 2]
    px = u * points[a, 0] + v * points[b, 0] + w * points[c, 0]
    py = u * points[a, 1] + v * points[b, 1] + w * points[c, 1]
    pz = u * points[a, 2] + v * points[b, 2] + w * points[c, 2]
    return (px, py, pz), (nx, ny, nz)


@compiled
def _bilinear(textures, to_linear, texture, x, y):  # type: ignore[no-untyped-def]
    """Return the linear RGB of a repeating texture at a place in texels."""
    size = textures.shape[1]
    ix, iy = math.floor(x), math.floor(y)
    x -= ix
    y -= iy
    ix, iy = ix % size, iy % size
    jx, jy = (ix + 1) % size, (iy + 1) % size
    p00, p01 = (1 - x) * (1 - y), x * (1 - y)
    p10, p11 = (1 - x) * y, x * y
    red = (
        p00 * to_linear[textures[texture, iy, ix, 0]]
        + p01 * to_linear[textures[texture, iy, jx, 0]]
        + p10 * to_linear[textures[texture, jy, ix, 0]]
        + p11 * to_linear[textures[texture, jy, jx, 0]]
    )
    green = (
        p00 * to_linear[textures[texture, iy, ix, 1]]
        + p01 * to_linear[textures[texture, iy, jx, 1]]
        + p10 * to_linear[textures[texture, jy, ix, 1]]
        + p11 * to_linear[textures[texture, jy, jx, 1]]
    )
    blue = (
        p00 * to_linear[textures[texture, iy, ix, 2]]
        + p01 * to_linear[textures[texture, iy, jx, 2]]
        + p10 * to_linear[textures[texture, jy, ix, 2]]
        + p11 * to_linear[textures[texture, jy, jx, 2]]
    )
    return red, green, blue


@compiled
def _sample(mesh, cloth, t, v, w, normal):  # type: ignore[no-untyped-def]
    """Return the colour of a surface, its normal with the folds of the cloth, and the share of the sky above it."""
    a, b, c = mesh.faces[t, 0], mesh.faces[t, 1], mesh.faces[t, 2]
    u = 1 - v - w
    m = mesh.material_of[t]
    materials, uv, ambient = cloth.materials, mesh.uv, mesh.ambient
    nx, ny, nz = normal
    open_sky = u * ambient[a] + v * ambient[b] + w * ambient[c]
    texture = int(materials[m, 0])
    if texture < 0:
        colour = mesh.colour
        red = u * colour[a, 0] + v * colour[b, 0] + w * colour[c, 0]
        green = u * colour[a, 1] + v * colour[b, 1] + w * colour[c, 1]
        blue = u * colour[a, 2] + v * colour[b, 2] + w * colour[c, 2]
        return (red, green, blue), (nx, ny, nz), open_sky
    s = u * uv[a, 0] + v * uv[b, 0] + w * uv[c, 0]
    k = u * uv[a, 1] + v * uv[b, 1] + w * uv[c, 1]
    down = u * uv[a, 2] + v * uv[b, 2] + w * uv[c, 2]
    if materials[m, 7] > 0:
        turn = s
    else:
        turn = math.atan2(s, k) * 0.15915494 + 0.5
    size = cloth.textures.shape[1]
    rgb = _bilinear(
        cloth.textures, cloth.to_linear, texture, turn * materials[m, 1] * size, down * materials[m, 2] * size
    )
    bump, crease = materials[m, 3], materials[m, 4]
    if bump > 0 or crease > 0:
        slopes, rows = cloth.slopes, cloth.slopes.shape[1]
        strength = u * mesh.fold[a] + v * mesh.fold[b] + w * mesh.fold[c]
        qx = math.floor(turn * materials[m, 1] * rows + cloth.offset[0] + m * 37) % rows
        qy = math.floor(down * rows * 0.9 + cloth.offset[1] + m * 91) % rows
        gx = bump * 0.55 * slopes[0, qy, qx, 0] + crease * (strength - 0.55) * 1.5 * slopes[1, qy, qx, 0]
        gy = bump * 0.55 * slopes[0, qy, qx, 1] + crease * (strength - 0.55) * 1.5 * slopes[1, qy, qx, 1]
        flat = math.sqrt(nx * nx + nz * nz) + 1e-6
        nx -= gx * nz / flat
        nz += gx * nx / flat
        ny += gy
        open_sky *= 1 - min(0.3, 0.22 * abs(gx) + 0.3 * max(0.0, gy))
        length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
        nx, ny, nz = nx / length, ny / length, nz / length
    return rgb, (nx, ny, nz), open_sky


@compiled
def _sunlight(point, normal, to_eye, material, light, people, scene):  # type: ignore[no-untyped-def]
    """Return how much of the sun a surface scatters, and how much it mirrors towards the eye."""
    nx, ny, nz = normal
    px, py, pz = point
    ex, ey, ez = to_eye
    wrap, gloss = material[5], material[6]
    facing = -(nx * light.direction[0] + ny * light.direction[1] + nz * light.direction[2])
    diffuse = max(0.0, (facing + wrap) / (1 + wrap))
    shine = 0.0
    if diffuse > 0 and light.sun[0] + light.sun[1] + light.sun[2] > 0.02:
        qx, qy, qz = px + nx * 0.014, py + ny * 0.014, pz + nz * 0.014
        reach = lit(qx, qy, qz, people.frame, people.depth, SHADOW_BIAS)
        if reach > 0:
            reach *= lit(qx, qy, qz, scene.frame, scene.depth, 0.08)
        diffuse *= reach
        if gloss > 0 and reach > 0:
            hx, hy, hz = ex - light.direction[0], ey - light.direction[1], ez - light.direction[2]
            length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
            shine = gloss * reach * max(0.0, (nx * hx + ny * hy + nz * hz) / length) ** 18
    return diffuse, shine


@compiled
def occlude(seen, labels, layers, number):  # type: ignore[no-untyped-def]
    """Put a figure before or behind what is drawn already.

    Args:
        seen: `Buffers` of the figure; where something is before it, ``triangle`` becomes -1.
        labels: ``(t,)`` world label of each triangle.
        layers: `Layers`; all but light and labels are written.
        number: of the person; of number 0, what is occluded is remembered too.
    """
    height, width = seen.triangle.shape
    for y in range(height):
        for x in range(width):
            t = seen.triangle[y, x]
            if t < 0:
                continue
            row, column = layers.top + y, layers.left + x
            occluded = seen.depth[y, x] >= layers.depth[row, column]
            if number == 0:
                layers.whole[row, column] = labels[t]
                layers.scene_before[row, column] = occluded
            if occluded:
                seen.triangle[y, x] = -1
            else:
                layers.depth[row, column] = seen.depth[y, x]
                layers.owner[row, column] = number


@compiled
def shade(seen, mesh, cloth, eye, light, shadows, layers):  # type: ignore[no-untyped-def]
    """Write the colour and the world label of each pixel of a figure.

    Args:
        seen: `Buffers`; where ``triangle`` is below 0, nothing is written.
        mesh, cloth, light: see `unveil.world.render.inputs`.
        eye: ``(3,)`` metres.
        shadows: `Shadow` of the people, and of the scene.
        layers: `Layers`, whose light and labels are written.
    """
    people, scene = shadows
    sun, sky, ground = light.sun, light.sky, light.ground
    height, width = seen.triangle.shape
    for y in range(height):
        for x in range(width):
            t = seen.triangle[y, x]
            if t < 0:
                continue
            v, w = seen.bary[y, x, 0], seen.bary[y, x, 1]
            (px, py, pz), (nx, ny, nz) = point_and_normal(mesh, t, v, w)
            ex, ey, ez = eye[0] - px, eye[1] - py, eye[2] - pz
            length = math.sqrt(ex * ex + ey * ey + ez * ez) + 1e-9
            ex, ey, ez = ex / length, ey / length, ez / length
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            if nx * ex + ny * ey + nz * ez < -0.25 * length:
                length = -length
            rgb, normal, open_sky = _sample(mesh, cloth, t, v, w, (nx / length, ny / length, nz / length))
            material = cloth.materials[mesh.material_of[t]]
            diffuse, shine = _sunlight((px, py, pz), normal, (ex, ey, ez), material, light, people, scene)
            up = 0.5 + 0.5 * normal[1]
            sky_shine = 0.12 * material[6] * (1 + normal[1]) * open_sky
            row, column = layers.top + y, layers.left + x
            for k in range(3):
                layers.light[row, column, k] = (
                    rgb[k] * ((ground[k] * (1 - up) + sky[k] * up) * open_sky + sun[k] * diffuse)
                    + sun[k] * shine
                    + sky[k] * sky_shine * 0.3
                )
            layers.labels[row, column] = mesh.labels[t]
