"""The arrays that the compiled loops take, in named groups; a group is made anew for each call and costs nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unveil.world.arrays import Floats, Ints


class Buffers(NamedTuple):
    """What a rasteriser fills.

    Args:
        depth: ``(H, W)`` metres; nearer wins.
        triangle: ``(H, W)`` number of the triangle seen, -1 where there is none.
        bary: ``(H, W, 2)`` weights of its second and third corner.
    """

    depth: Floats
    triangle: Ints
    bary: Floats


class Layers(NamedTuple):
    """What a shot shows so far, at each supersample of its box, and where in it a figure's buffers lie.

    Args:
        light: linear RGB ``(H, W, 3)``.
        depth: ``(H, W)`` metres.
        labels, owner, whole, scene_before: ``(H, W)``, see `unveil.world.capture.shot.Shot`.
        top, left: place of the buffers' first supersample.
    """

    light: Floats
    depth: Floats
    labels: Ints
    owner: Ints
    whole: Ints
    scene_before: np.ndarray
    top: int
    left: int


class Outline(NamedTuple):
    """Triangles with what cuts them.

    Args:
        screen: ``(n, 3)`` x and y in pixels, and 1 / depth.
        faces: ``(t, 3)``.
        keep: ``(n,)`` a pixel is drawn where its interpolation is >= 0; this cuts hems and necklines.
        uv: ``(n, 3)`` surface coordinates, for strands.
        material_of: ``(t,)`` row in ``Strands.alpha_of``.
    """

    screen: Floats
    faces: Ints
    keep: Floats
    uv: Floats
    material_of: Ints


class Strands(NamedTuple):
    """Where hair lets through.

    Args:
        alpha_of: ``(m, 2)`` threshold of the strand texture for each material (below 0: solid), and its repeats.
        alpha: strand texture ``(h, w)``.
    """

    alpha_of: Floats
    alpha: Floats


class Mesh(NamedTuple):
    """A posed figure.

    Args:
        faces: ``(t, 3)``.
        points, normals: ``(n, 3)`` metres, and of any length.
        uv: ``(n, 3)`` surface coordinates: around (two numbers) and down.
        colour: ``(n, 3)`` linear RGB, where a material has no texture.
        ambient: ``(n,)`` share of the sky that is open above a vertex.
        fold: ``(n,)`` strength of the folds of a bent joint.
        material_of, labels: ``(t,)`` row in ``Cloth.materials``, and world label.
    """

    faces: Ints
    points: Floats
    normals: Floats
    uv: Floats
    colour: Floats
    ambient: Floats
    fold: Floats
    material_of: Ints
    labels: Ints


class Cloth(NamedTuple):
    """What surfaces look like.

    Args:
        materials: ``(m, 8)`` texture (-1 for none), repeats across and down, bump, crease, wrap, gloss, flat.
        textures: ``(k, size, size, 3)`` sRGB bytes.
        to_linear: ``(256,)`` linear light of each byte.
        slopes: ``(2, rows, rows, 2)`` of hanging folds and of the folds at a bent joint.
        offset: ``(2,)`` where this figure's folds begin in ``slopes``.
    """

    materials: Floats
    textures: np.ndarray
    to_linear: Floats
    slopes: Floats
    offset: Floats


class Light(NamedTuple):
    """Light of a scene: unit vector from the sun to the scene, and linear RGB from above, from below and of the sun."""

    direction: Floats
    sky: Floats
    ground: Floats
    sun: Floats


class Shadow(NamedTuple):
    """A shadow map.

    Args:
        frame: ``(4, 3)``: right, up and direction of the light, and the (x, y, distance) offset; rows 0 and 1 and
            their offsets are in texels.
        depth: ``(n, n)`` distances along the light.
    """

    frame: Floats
    depth: Floats


class View(NamedTuple):
    """A window of a camera's frame.

    Args:
        eye: ``(3,)`` metres.
        axes: ``(3, 3)`` right, up and forward.
        focal: pixels.
        left, top: pixels of the frame before the window's first one.
        middle_x, middle_y: pixels of the frame where the camera looks.
    """

    eye: Floats
    axes: Floats
    focal: np.float32
    left: int
    top: int
    middle_x: int
    middle_y: int


class Ground(NamedTuple):
    """An empty scene.

    Args:
        faces, surface_of: ``(t, 3)``, and ``(t,)`` row in ``surfaces``.
        surfaces: ``(s, 8)`` kind, linear RGB, scale, seed, gloss.
        points, normals: ``(n, 3)``.
        noise: see `ground_noise`.
        prints: ``(p, 5)`` footprints of what stands there: x, z, half the sides, turn.
        turns: ``(p, 2)`` filled by the loop: cosine and sine of each turn.
    """

    faces: Ints
    surface_of: Ints
    surfaces: Floats
    points: Floats
    normals: Floats
    noise: Floats
    prints: Floats
    turns: Floats


class Plates(NamedTuple):
    """An empty scene as it is stored: bytes of light without and from the sun ``(H, W, 3)``, and depth in mm."""

    ambient: np.ndarray
    direct: np.ndarray
    depth_mm: np.ndarray
