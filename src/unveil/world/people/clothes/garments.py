"""The garments of an outfit: shells of the clothing helpers, stood off the body and cut by signed fields."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unveil.world.arrays import Floats, Ints
from unveil.world.labels import PARTS, codes
from unveil.world.people.anatomy import ARM_TURN, LEG_TURN, TORSO_TURN, anatomy, ramp
from unveil.world.people.body import load_pack
from unveil.world.people.clothes.drape import (
    cut_legs,
    hang,
    helper,
    leg_girth,
    neckline,
    part_of_faces,
    regions,
    skirt_helper,
)
from unveil.world.people.clothes.outfit import Outfit
from unveil.world.people.mesh import Material, Piece
from unveil.world.people.shaped import Shaped
from unveil.world.render.fabric import Cloth, fade, front_line, weave

HIDDEN = 0.012  # metres inside a garment from which skin is left out
SKIN_GAP = 0.007  # metres between skin and the first layer


class Dresser:
    """Puts an outfit on a body, layer by layer, and remembers which skin is hidden.

    Args:
        body: whose.
        outfit: what.
    """

    def __init__(self, body: Shaped, outfit: Outfit) -> None:
        self.body, self.outfit = body, outfit
        self.pieces: list[Piece] = []
        a, rows = anatomy(), helper().rows
        self.points, self.normals = body.points[rows], body.tights_normals[rows]
        self.template, self.arm = a.points[rows], a.arm[rows]
        self.along_arm, self.along_leg = a.along_arm[rows], a.along_leg[rows]
        self.cover = np.full(len(a.points), -1.0, np.float32)
        self.ambient = self._ambient()

    def dress(self) -> None:
        """Add every garment, inside first."""
        o = self.outfit
        if o.tights and o.bottom in ("skirt", "dress", "shorts"):
            self._legs("socks", o.tights_cloth, length=1.2, cut=0.0, gap=0.003, bump=0.0)
        elif o.shoes != "boots" and o.bottom == "shorts":
            self._legs("socks", o.shoe_cloth, length=1.2, cut=0.0, gap=0.003, bump=0.0, start=0.85)
        if o.bottom == "skirt":
            self._skirt("skirt", o.bottom_cloth, top=anatomy().waist + 0.03, gap=0.009)
        elif o.bottom != "dress":
            ease = {"leggings": 0.001, "shorts": 0.014}.get(o.bottom, 0.006)
            self._legs("pants", o.bottom_cloth, length=o.leg_length, cut=o.cut, gap=SKIN_GAP + ease, bump=0.9)
        self._top()
        if o.outer != "none":
            self._outer()
        self._shoes()

    def shell(
        self, kind: str, offset: Floats, *, keep: Floats, materials: tuple[Material | None, ...], points: Floats
    ) -> None:
        """Add a shell of the helper; ``materials`` for torso, arms and legs."""
        a, rows, faces = anatomy(), helper().rows, helper().faces
        coordinates, parts = regions(), part_of_faces()
        moved = (points + self.normals * offset[:, None]).astype(np.float32)
        shown = keep[faces].max(1) >= 0
        for region, (material, uv) in enumerate(zip(materials, (a.torso_uv, a.arm_uv, a.leg_uv), strict=True)):
            own = shown & (coordinates == region)
            if material is None or not own.any():
                continue
            self.pieces.append(
                self.body.piece(
                    helper(), moved, faces=faces[own], labels=codes(kind, parts[own]), material=material, keep=keep,
                    uv=uv[rows], ambient=self.ambient, crease=a.crease[rows],
                )
            )  # fmt: skip

    def hide(self, keep: Floats) -> None:
        """Remember that skin is covered where ``keep`` (over all vertices of the pack) is positive."""
        bare = np.where(anatomy().head > 0.4, -1, keep)
        self.cover = np.maximum(self.cover, bare)

    def _ambient(self) -> Floats:
        """Return the light that armpits and the inside of the thighs do without."""
        between = np.exp(-(((np.abs(self.template[:, 0]) - 0.02) / 0.07) ** 2))
        legs = 0.45 * between * ramp(self.along_leg, 0, end=0.12) * (1 - ramp(self.along_leg, 0.3, end=0.9))
        pits = 0.35 * np.exp(-(((self.along_arm - 0.02) / 0.12) ** 2)) * (self.normals[:, 1] < 0)
        return np.clip(1 - legs - pits, 0.45, 1).astype(np.float32)

    def _legs(
        self, kind: str, cloth: Cloth, *, length: float, cut: float, gap: float, bump: float, start: float = -1.0
    ) -> None:
        """Add trousers, leggings or stockings; with ``start``, only from there down the leg (socks)."""
        a, t = anatomy(), self.along_leg
        points = cut_legs(self.body, cut) if cut > 0 else self.points
        texture = weave(cloth)
        legs = fade(texture, 0.6) if self.outfit.bottom == "jeans" and kind == "pants" else texture
        keep = np.minimum(a.waist - self.template[:, 1], (length - t) * a.leg_length)
        whole = np.minimum(a.waist - a.points[:, 1], (length - a.along_leg) * a.leg_length)
        if start > 0:
            keep, whole = (np.minimum(k, (x - start) * a.leg_length) for k, x in ((keep, t), (whole, a.along_leg)))
        offset = 0.008 + (gap - 0.004) * ramp(t, 0.12, end=0.35) if gap > 0.004 else gap + 0 * t
        if cut > 0.4:  # cloth gathers on the shoe
            offset = offset + 0.006 * np.sin(self.template[:, 1] * 95 + self.template[:, 2] * 30) * ramp(
                t, 0.72, end=0.95
            )
        torso = Material(texture, 1, 1 / TORSO_TURN, bump * 0.5, bump, 0.2)
        leg = Material(legs, 0.5, 1 / TORSO_TURN * LEG_TURN * 2, bump, bump * 1.4, 0.2)
        self.shell(kind, np.asarray(offset, np.float32), keep=keep, materials=(torso, None, leg), points=points)
        self.hide(whole - gap)

    def _top(self) -> None:
        o, a = self.outfit, anatomy()
        dress = o.bottom == "dress"
        kind = "dress" if dress else "upper"
        texture = weave(o.top_cloth)
        if o.top in ("shirt", "polo") and not dress:
            texture = front_line(texture, tuple(c * 0.6 for c in o.top_cloth.colour), buttons=True)  # type: ignore[arg-type]
        hem = a.crotch + 0.10 if dress else a.waist - 0.02 if o.tucked else a.crotch + 0.10 * (o.cut - 0.6) - 0.01
        ease = 0.006 if dress else o.ease
        sleeves = np.where(
            self.arm > 0.5,
            o.ease * 0.5 * ramp(self.along_arm, 0, end=0.4) * (1 - 0.85 * ramp(self.along_arm, 0.75, end=0.97)),
            0,
        )
        below = a.shoulder - 0.02
        hips = ramp(-self.template[:, 1], -a.waist, end=-a.waist + 0.08)
        shoulder = 0.45 + 0.55 * ramp(-self.template[:, 1], -below, end=-below + 0.25)
        offset = (
            (0.0085 if o.tucked else 0.013 + 0.004 * hips)
            + ease * shoulder * (1 - 0.75 * ramp(self.arm, 0.2, end=0.8))
            + sleeves
        )
        pointed = 0.9 if o.v_neck else 0.0

        def field(points: Floats, along: Floats) -> Floats:
            keep = np.minimum(points[:, 1] - hem, (o.sleeve - along) * a.arm_length)
            keep = np.minimum(keep, neckline(points, o.neck_depth, pointed=pointed))
            if o.top == "tank":
                keep = np.minimum(keep, 0.125 - np.abs(points[:, 0]) + np.clip(a.neck - 0.13 - points[:, 1], 0, 1) * 2)
            return np.asarray(keep, np.float32)

        keep = field(self.template, self.along_arm)
        body = Material(texture, 1, 1 / TORSO_TURN, 0.9, 0.9, 0.2)
        arms = Material(weave(o.top_cloth, whole=False), ARM_TURN, 1.0, 0.7, 1.3, 0.2)
        points = hang(self.body, min(0.8, ease / 0.024)) if not o.tucked else self.points
        self.shell(kind, offset.astype(np.float32), keep=keep, materials=(body, arms, body), points=points)
        self.hide(field(a.points, a.along_arm))
        if dress:
            self._skirt("dress", o.top_cloth, top=a.crotch + 0.19, gap=0.014)

    def _outer(self) -> None:
        o, a = self.outfit, anatomy()
        long = o.outer in ("coat", "parka") and o.outer_length > 0.08
        hem = a.crotch + 0.03 if long else a.crotch - o.outer_length
        sleeve = -0.03 if o.outer == "vest" else 0.99
        texture = weave(o.outer_cloth)
        if not o.outer_open:
            texture = front_line(texture, tuple(c * 0.4 for c in o.outer_cloth.colour), buttons=o.outer == "coat")  # type: ignore[arg-type]
        opening = 0.05 + 0.02 * (o.outer_cloth.seed % 3)

        def gap(points: Floats) -> Floats:
            wide = opening * (1 + 0.5 * ramp(-points[:, 1], -(a.neck - 0.1), end=-(a.neck - 0.5)))
            return np.asarray(np.where(points[:, 2] > 0.03, np.abs(points[:, 0]) - wide, 0.05), np.float32)

        keep = np.minimum(self.template[:, 1] - hem, (sleeve - self.along_arm) * a.arm_length)
        keep = np.minimum(
            keep, neckline(self.template, 0.03 if o.outer_open else -0.012, pointed=0.9 if o.outer_open else 0)
        )
        if o.outer_open:
            keep = np.minimum(keep, gap(self.template))
        shoulder = 0.4 + 0.6 * ramp(-self.template[:, 1], -(a.shoulder - 0.02), end=-(a.shoulder - 0.3))
        sleeves = (
            0.5 * o.outer_ease * ramp(self.along_arm, 0.1, end=0.5) * (1 - 0.6 * ramp(self.along_arm, 0.85, end=0.99))
        )
        offset = 0.018 + o.ease * 0.8 + o.outer_ease * shoulder * (1 - 0.7 * ramp(self.arm, 0.2, end=0.8)) + sleeves
        if o.outer == "parka":  # quilted
            offset = offset + 0.006 * np.abs(np.sin(self.template[:, 1] * 38))
        body = Material(texture, 1, 1 / TORSO_TURN, 1.1, 1.0, 0.15)
        arms = Material(weave(o.outer_cloth, whole=False), ARM_TURN, 1.0, 0.9, 1.4, 0.15)
        self.shell(
            "coat",
            offset.astype(np.float32),
            keep=keep.astype(np.float32),
            materials=(body, arms, body),
            points=hang(self.body, 0.7),
        )
        if long:
            self._skirt(
                "coat",
                o.outer_cloth,
                top=a.crotch + 0.15,
                gap=0.032 + o.ease * 0.5,
                length=o.outer_length,
                flare=1.0,
                opening=gap if o.outer_open else None,
            )

    def _skirt(
        self,
        kind: str,
        cloth: Cloth,
        *,
        top: float,
        gap: float,
        length: float | None = None,
        flare: float | None = None,
        opening: Callable[[Floats], Floats] | None = None,
    ) -> None:
        """Add a skirt, or the lower part of a dress or coat; its hem swings with both legs and gives way to them."""
        o, a, part, pack = self.outfit, anatomy(), skirt_helper(), load_pack()
        length = o.skirt_length if length is None else length
        flare = o.flare if flare is None else flare
        template = a.points[part.rows]
        bottom = a.crotch - length
        down = np.clip((template[:, 1].max() - template[:, 1]) / np.ptp(template[:, 1]), 0, 1)
        points = self.body.points[part.rows] + self.body.skirt_normals[part.rows] * gap
        centre = points[:, [0, 2]].mean(0)
        points[:, [0, 2]] = centre + (points[:, [0, 2]] - centre) * (1 + (flare - 1) * down)[:, None]
        keep = np.minimum(top - template[:, 1], template[:, 1] - bottom)
        if opening is not None:
            keep = np.minimum(keep, opening(template))
        left = 0.5 + 0.5 * np.tanh(template[:, 0] / 0.09)
        legs = 0.88 * ramp(down, 0.05, end=0.42)
        bones = np.zeros((len(part.rows), 4), np.int32)
        bones[:, 0], bones[:, 1], bones[:, 2] = (pack.bone(b) for b in ("root", "upperleg01.L", "upperleg01.R"))
        weights = np.stack([1 - legs, legs * left, legs * (1 - left), np.zeros_like(legs)], 1)
        height = template[part.faces].mean(1)
        thigh = np.where(height[:, 0] > 0, PARTS.index("left-upper-leg"), PARTS.index("right-upper-leg"))
        knee = a.ankle + 0.5 * a.leg_length
        parts = np.where(height[:, 1] > a.crotch + 0.06, PARTS.index("torso"), thigh + 2 * (height[:, 1] < knee))
        folds = Material(weave(cloth), 1, 1 / TORSO_TURN, 1.5, 0.3, 0.2)
        bare = o.bottom in ("skirt", "dress", "shorts", "leggings")
        girth = leg_girth(self.body, self.points if bare else cut_legs(self.body, o.cut), gap=gap)
        self.pieces.append(
            Piece(
                points.astype(np.float32), bones, weights.astype(np.float32), part.faces, codes(kind, parts), folds,
                keep=keep.astype(np.float32), uv=a.torso_uv[part.rows], ambient=(0.95 - 0.2 * down).astype(np.float32),
                crease=a.crease[part.rows], girth=girth,
            )
        )  # fmt: skip
        if kind == "skirt":
            self.hide(np.minimum(top - 0.03 - a.points[:, 1], a.points[:, 1] - max(bottom, a.crotch) - 0.02))

    def _shoes(self) -> None:
        o, a = self.outfit, anatomy()
        start = o.shoe_height
        keep = ((self.along_leg - start) * a.leg_length).astype(np.float32)
        sole = self.body.floor - 0.014
        points = self.points + self.normals * 0.010
        toe = ramp(self.template[:, 2], 0.06, end=0.2)
        points[:, 1] = np.maximum(points[:, 1], sole)
        points[:, 1] += 0.012 * toe * ramp(points[:, 1], sole, end=sole + 0.03)
        rows, faces = helper().rows, helper().faces
        shown = keep[faces].max(1) >= 0
        texture = weave(o.shoe_cloth)
        sneaker = o.shoes == "sneakers" and o.shoe_cloth.seed % 3 > 0
        light = points[faces].mean(1)[:, 1] < sole + 0.022
        uv = a.leg_uv[rows]
        parts = part_of_faces()
        upper = Material(texture, 1, 1, 0.15, 0.4, 0.15, 0.0 if sneaker else 0.15)
        under = Material(np.full_like(texture, 215 if sneaker else 22), 1, 1, 0, 0, 0.2)
        for own, material in ((shown & ~light, upper), (shown & light, under)):
            if own.any():
                self.pieces.append(
                    self.body.piece(
                        helper(), points.astype(np.float32), faces=faces[own], labels=codes("shoes", _feet(parts[own])),
                        material=material, keep=keep, uv=uv, ambient=np.full(len(rows), 0.85, np.float32),
                    )
                )  # fmt: skip
        self.hide(((a.along_leg - start) * a.leg_length).astype(np.float32))


def _feet(parts: Ints) -> Ints:
    """Return the foot of each leg part: what a shoe covers is a foot, also where it is a boot's shaft."""
    left = np.isin(parts, [PARTS.index(f"left-{x}") for x in ("upper-leg", "lower-leg", "foot")])
    return np.where(left, PARTS.index("left-foot"), PARTS.index("right-foot")).astype(np.int32)
