"""Cloth: colours with names, procedural patterns and prints, wear. A texture is sRGB uint8 and covers one metre."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.world.arrays import Floats

RGB = tuple[float, float, float]
TEXTURE = 192  # texels a side; a texture covers one metre of cloth
PATTERNS = (
    "plain",
    "heather",
    "stripes",
    "pinstripe",
    "plaid",
    "check",
    "dots",
    "camouflage",
    "floral",
    "block",
    "band",
)
PRINTS = ("none", "box", "disc", "letters", "shape")

# Name, share among clothes, ranges of hue, saturation and value.
COLOURS: tuple[tuple[str, float, tuple[float, float], tuple[float, float], tuple[float, float]], ...] = (
    ("black", 0.17, (0, 1), (0.0, 0.25), (0.05, 0.16)),
    ("white", 0.12, (0, 1), (0.0, 0.06), (0.80, 0.95)),
    ("grey", 0.14, (0, 1), (0.0, 0.10), (0.28, 0.68)),
    ("navy", 0.11, (0.60, 0.67), (0.45, 0.80), (0.15, 0.32)),
    ("blue", 0.10, (0.55, 0.64), (0.40, 0.85), (0.40, 0.80)),
    ("beige", 0.08, (0.07, 0.13), (0.18, 0.40), (0.60, 0.85)),
    ("brown", 0.07, (0.04, 0.09), (0.40, 0.70), (0.20, 0.45)),
    ("red", 0.06, (0.97, 1.02), (0.60, 0.92), (0.40, 0.80)),
    ("green", 0.05, (0.27, 0.45), (0.35, 0.80), (0.22, 0.60)),
    ("olive", 0.04, (0.15, 0.22), (0.35, 0.60), (0.25, 0.45)),
    ("yellow", 0.02, (0.12, 0.16), (0.60, 0.90), (0.75, 0.95)),
    ("pink", 0.02, (0.90, 0.97), (0.25, 0.55), (0.70, 0.95)),
    ("purple", 0.015, (0.72, 0.83), (0.35, 0.70), (0.30, 0.65)),
    ("orange", 0.005, (0.04, 0.08), (0.75, 0.95), (0.75, 0.95)),
)


@dataclass(frozen=True)
class Cloth:
    """A piece of cloth.

    Args:
        name: name of its main colour.
        colour: main colour, sRGB in [0, 1].
        second: colour of the pattern.
        pattern: one of `PATTERNS`.
        scale: size of the pattern in metres.
        print: one of `PRINTS`, on the chest.
        wear: strength of stains and fading in [0, 1].
        seed: of everything random in it.
    """

    name: str
    colour: RGB
    second: RGB
    pattern: str = "plain"
    scale: float = 0.06
    print: str = "none"
    wear: float = 0.3
    seed: int = 0


def draw_colour(rng: np.random.Generator, among: tuple[str, ...] | None = None) -> tuple[str, RGB]:
    """Return a colour's name and sRGB value, drawn by how often people wear it."""
    rows = [row for row in COLOURS if among is None or row[0] in among]
    share = np.array([row[1] for row in rows])
    name, _, hue, saturation, value = rows[rng.choice(len(rows), p=share / share.sum())]
    r, g, b = colorsys.hsv_to_rgb(rng.uniform(*hue) % 1, rng.uniform(*saturation), rng.uniform(*value))
    return name, (r, g, b)


def draw_cloth(
    rng: np.random.Generator,
    patterns: dict[str, float],
    *,
    prints: float = 0.0,
    among: tuple[str, ...] | None = None,
) -> Cloth:
    """Return a cloth; ``patterns`` gives the shares of patterns other than plain, ``prints`` the share with a print."""
    name, colour = draw_colour(rng, among)
    names = ["plain", *patterns]
    share = np.array([max(0.0, 1 - sum(patterns.values())), *patterns.values()])
    pattern = str(names[rng.choice(len(names), p=share / share.sum())])
    shown = str(rng.choice(PRINTS[1:])) if rng.random() < prints else "none"
    second = draw_colour(rng)[1]
    return Cloth(
        name, colour, second, pattern, rng.uniform(0.03, 0.13), shown, rng.uniform(0.1, 0.8), int(rng.integers(1 << 30))
    )


def weave(cloth: Cloth, *, whole: bool = True) -> NDArray[np.uint8]:
    """Return the texture of a cloth.

    Args:
        cloth: what to weave.
        whole: with the print and with blocks that have a place on the torso; sleeves go without.
    """
    return _weave(cloth, whole=whole or (cloth.print == "none" and cloth.pattern not in ("block", "band")))


@lru_cache(maxsize=8)
def _weave(cloth: Cloth, *, whole: bool) -> NDArray[np.uint8]:
    rng = np.random.default_rng([31, cloth.seed])
    base, second = np.array(cloth.colour, np.float32), np.array(cloth.second, np.float32)
    texture = np.broadcast_to(base, (TEXTURE, TEXTURE, 3)).astype(np.float32).copy()
    down, across = np.mgrid[0:TEXTURE, 0:TEXTURE].astype(np.float32) / TEXTURE
    repeats = max(2, round(1 / cloth.scale))
    a, b = (across * repeats) % 1, (down * repeats) % 1
    if cloth.pattern == "heather":
        texture *= 0.8 + 0.4 * rng.random((TEXTURE, TEXTURE, 1), dtype=np.float32)
    elif cloth.pattern == "stripes":
        texture[b < 0.45] = second
    elif cloth.pattern == "pinstripe":
        texture[(across * repeats * 2) % 1 < 0.22] = second
    elif cloth.pattern == "plaid":
        mix = ((a < 0.45).astype(np.float32) + (b < 0.45))[..., None] / 2
        texture = texture * (1 - mix) + second * mix
        texture[((a > 0.65) & (a < 0.72)) | ((b > 0.65) & (b < 0.72))] = base * 0.35
    elif cloth.pattern == "check":
        texture[(a < 0.5) != (b < 0.5)] = second
    elif cloth.pattern == "dots":
        texture[np.hypot(a - 0.5, b - 0.5) < 0.26] = second
    elif cloth.pattern == "camouflage":
        first, other = _clouds(cloth.seed % 7), _clouds(cloth.seed % 5 + 7)
        texture[first > 0.02] = second
        texture[other > 0.09] = base * 0.4
    elif cloth.pattern == "floral":
        for _ in range(int(60 + 4 / cloth.scale**1.5)):
            x, y = rng.integers(TEXTURE, size=2)
            tint = np.clip(second * rng.uniform(0.6, 1.3), 0, 1)
            cv2.circle(
                texture, (int(x), int(y)), int(rng.uniform(0.1, 0.3) * cloth.scale * TEXTURE) + 1, tint.tolist(), -1
            )
    elif cloth.pattern == "block" and whole:
        texture[down[:, 0] < rng.uniform(0.2, 0.42)] = second
    elif cloth.pattern == "band" and whole:
        top = rng.uniform(0.2, 0.36)
        texture[(down > top) & (down < top + cloth.scale)] = second
    if whole and cloth.print != "none":
        _print(texture, cloth.print, rng=rng)
    texture *= 1 + cloth.wear * 0.5 * _clouds(cloth.seed % 11)[..., None]
    texture *= 1 + 0.05 * (rng.random((TEXTURE, TEXTURE, 1), dtype=np.float32) - 0.5)
    texture *= 255
    return np.clip(texture, 3, 250, out=texture).astype(np.uint8)


def fade(texture: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """Return jeans: lighter along the front of the thighs."""
    down, across = np.mgrid[0:TEXTURE, 0:TEXTURE] / TEXTURE
    worn = np.exp(-(((down - 0.35) / 0.16) ** 2)) * np.exp(-(((across - 0.25) / 0.07) ** 2))
    return np.clip(texture * (1 + strength * worn[..., None]), 0, 250).astype(np.uint8)


def front_line(texture: NDArray[np.uint8], colour: RGB, *, buttons: bool) -> NDArray[np.uint8]:
    """Return a texture with a zip or a row of buttons down the front."""
    done, middle = texture.copy(), TEXTURE // 2
    done[:, middle - 1 : middle + 1] = np.array(colour) * 255
    done[:, middle - 2] = done[:, middle - 2] * 0.6
    if buttons:
        for y in range(8, TEXTURE, 15):
            cv2.circle(done, (middle, y), 1, (225, 220, 205), -1)
    return done


def linear(rgb: RGB | Floats) -> Floats:
    """Return linear light for sRGB in [0, 1]."""
    c = np.asarray(rgb, np.float32)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def clouds(rng: np.random.Generator, size: int, *, cells: tuple[int, int], octaves: int = 4) -> Floats:
    """Return tileable smooth noise ``(size, size)`` of mean 0; ``cells`` is the number of blobs down and across."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        rows, columns = (max(2, c << octave) for c in cells)
        grid = np.pad(rng.random((rows, columns), dtype=np.float32), 2, mode="wrap")
        step_y, step_x = size / rows, size / columns
        y, x = (np.arange(size) / step_y + 2).astype(np.float32), (np.arange(size) / step_x + 2).astype(np.float32)
        total += cv2.remap(grid, *np.meshgrid(x, y), cv2.INTER_CUBIC) * 0.5**octave
    return (total - total.mean()).astype(np.float32)


@cache
def _clouds(kind: int) -> Floats:
    return clouds(np.random.default_rng([17, kind]), TEXTURE, cells=(4, 4))


def _print(texture: Floats, kind: str, *, rng: np.random.Generator) -> None:
    colour = [float(c) for c in draw_colour(rng)[1]] if rng.random() < 0.6 else [0.93, 0.93, 0.93]
    x, y = TEXTURE // 2, int(TEXTURE * 0.25)
    w, h = int(TEXTURE * rng.uniform(0.05, 0.10)), int(TEXTURE * rng.uniform(0.04, 0.09))
    if kind == "box":
        cv2.rectangle(texture, (x - w, y - h), (x + w, y + h), colour, -1)
    elif kind == "disc":
        cv2.circle(texture, (x, y), w, colour, -1, cv2.LINE_AA)
    elif kind == "letters":
        text = "".join(chr(65 + int(k)) for k in rng.integers(26, size=int(rng.integers(3, 6))))
        mask = np.zeros(texture.shape[:2], np.uint8)
        cv2.putText(mask, text, (x - 4 * len(text), y + 4), cv2.FONT_HERSHEY_DUPLEX, 0.38, 255, 1, cv2.LINE_AA)
        share = mask[..., None] / np.float32(255)
        texture[:] = texture * (1 - share) + np.array(colour, np.float32) * share
    else:
        points = np.stack([rng.normal(x, w * 0.6, 6), rng.normal(y, h * 0.7, 6)], 1).astype(np.int32)
        cv2.fillPoly(texture, [points], colour, cv2.LINE_AA)
