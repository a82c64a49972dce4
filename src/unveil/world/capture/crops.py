"""All crops of one person: outfits, visits to cameras, frames; each from its own seed, so the order does not matter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from unveil.errors import UnveilError
from unveil.world import labels
from unveil.world.arrays import Ints
from unveil.world.capture.casting import PathPoint, beside, find_path
from unveil.world.capture.detector import Detection, detect
from unveil.world.capture.placed import Actor, PixelBox, Placed, StagedScene, place
from unveil.world.capture.plate import SUPERSAMPLE
from unveil.world.capture.sensor import at_visit, develop, street, to_jpeg, to_png
from unveil.world.capture.shot import Shot, shoot
from unveil.world.config import KEPT_ABOVE, World
from unveil.world.people.clothes.outfit import Outfit, attributes, draw_outfit
from unveil.world.people.figure import build_figure
from unveil.world.people.identity import Identity, describe, draw_identity
from unveil.world.people.mesh import Figure
from unveil.world.people.pose import Action, pose_at
from unveil.world.people.shaped import Shaped

PASSERS_BY = 24  # people without a label who fill the scenes
SHARED_OUTFITS = 0.12  # share of outfits whose recipe another person wears too: hard negatives
OCCLUDED = 0.45  # share of visits that begin behind something or somebody
COMPANY = 0.35  # share of visits with somebody near by
TRIES = 8
MIN_HEIGHT = 40  # pixels of a whole person
DAY = 86400.0
ACTIONS: dict[Action, float] = {"walk": 0.74, "stand": 0.08, "phone": 0.06, "pockets": 0.07, "run": 0.03, "carry": 0.02}


@dataclass(frozen=True)
class Crop:
    """One rendered crop.

    Args:
        name: path below the world's folder, without suffix.
        jpeg: the image.
        parsing: PNG of world labels, and of LIP-20.
        row: what the manifest says about it.
    """

    name: str
    jpeg: bytes
    parsing: dict[str, bytes]
    row: dict[str, str]


def wardrobe(world: World, person: int, *, identity: Identity) -> list[tuple[str, Outfit]]:
    """Return the outfits of a person, each with the label of its recipe."""
    found = []
    for k in range(world.outfits):
        rng = np.random.default_rng([41, world.seed, person, k])
        if rng.random() < SHARED_OUTFITS:
            pool = int(rng.integers(max(4, world.people // 6)))
            outfit = draw_outfit(np.random.default_rng([43, world.seed, pool]), 0.3)
        else:
            outfit = draw_outfit(rng, identity.feminine)
        text = json.dumps(vars(outfit), sort_keys=True, default=vars)
        found.append((hashlib.sha256(text.encode()).hexdigest()[:8], outfit))
    return found


def person_crops(world: World, person: int, *, stage_of: Callable[[int], StagedScene]) -> Iterator[Crop]:
    """Yield every crop of a person, in order.

    Args:
        world: parameters.
        person: number.
        stage_of: gives the stage of a camera by number.
    """
    identity = draw_identity((world.seed, person))
    body = Shaped(identity)
    for k, (recipe, outfit) in enumerate(wardrobe(world, person, identity=identity)):
        figure = build_figure(body, outfit)
        rng = np.random.default_rng([47, world.seed, person, k])
        cameras = rng.permutation(np.array(world.cameras_of(person)))
        about = describe(identity) | attributes(outfit) | {"recipe": recipe}
        for visit in range(world.visits):
            # The visit's own camera first; the others stand in where it has no place for this person.
            order = np.roll(cameras, -visit)
            yield from _visit(
                world,
                person,
                identity=identity,
                figure=figure,
                outfit=outfit,
                k=k,
                visit=visit,
                cameras=order,
                about=about,
                stage_of=stage_of,
            )


def _visit(
    world: World, person: int, *, identity: Identity, figure: Figure, outfit: Outfit, k: int, visit: int, cameras: Ints,
    about: dict[str, str], stage_of: Callable[[int], StagedScene],
) -> Iterator[Crop]:  # fmt: skip
    for camera, attempt in product(cameras, range(TRIES)):
        stage = stage_of(int(camera))
        rng = np.random.default_rng([53, world.seed, person, k, visit, int(camera), attempt])
        wish = "clear"
        if attempt < TRIES // 2 and rng.random() < OCCLUDED:
            wish = "thing" if rng.random() < 0.55 else "person"
        done = _try(world, identity, figure=figure, outfit=outfit, stage=stage, wish=wish, rng=rng)
        if done:
            break
    else:
        raise UnveilError(f"world: no camera has a place for person {person}; take another seed or more cameras")
    clock = k * DAY + visit * 600.0 + float(rng.uniform(0, 300))
    seen_by = stage.scene.camera
    if world.street:
        seen_by = street(seen_by, np.random.default_rng([73, world.seed, int(camera)]))
    camera_then = at_visit(seen_by, np.random.default_rng([67, world.seed, person, k, visit]))
    for f, (step, shot, found, occluder) in enumerate(done):
        crop_rng = np.random.default_rng([59, world.seed, person, k, visit, f])
        name = f"crops/p{person:05d}/o{k}_{stage.scene.camera.name}_t{visit}_f{f}.jpg"
        image, parsing = _cut(shot, found.box)
        developed = develop(image, camera_then, rng=crop_rng)
        row = {
            "person": f"p{person:05d}",
            "camera": stage.scene.camera.name,
            "clothes": f"p{person:05d}-o{k}",
            "tracklet": f"p{person:05d}-o{k}-t{visit}",
            "time": f"{clock + step.seconds:.2f}",
            "split": "train" if world.is_train(person) else "query" if world.is_query(visit, f) else "gallery",
            "frame": str(f),
            "visible": f"{found.visible:.4f}",
            "occluder": occluder if found.visible < 0.97 else "none",
            "box": f"{found.box.x} {found.box.y} {found.box.width} {found.box.height}",
            "detector": found.fault,
            "scene": stage.scene.layout,
            "light": stage.scene.lighting.kind,
        }
        row |= {f"visible_{part}": f"{share:.4f}" for part, share in found.parts.items()}
        yield Crop(
            name, to_jpeg(developed, seen_by, rng=crop_rng),
            {scheme: to_png(labels.table(scheme)[parsing]) for scheme in ("world", "lip20")}, row | about,
        )  # fmt: skip


def _try(
    world: World,
    identity: Identity,
    *,
    figure: Figure,
    outfit: Outfit,
    stage: StagedScene,
    wish: str,
    rng: np.random.Generator,
) -> list[tuple[PathPoint, Shot, Detection, str]]:
    """Return the frames of a visit, or nothing when one of them does not turn out."""
    action = draw_action(identity, outfit, rng=rng)
    path = find_path(stage, figure.height, gait=identity.gait, action=action, frames=world.frames, wish=wish, rng=rng)
    if path is None:
        return []
    sun = float(rng.uniform(0.15, 1.0)) if rng.random() < 0.5 else 1.0
    company = wish == "person" or rng.random() < COMPANY
    fold = (float(rng.uniform(0, 256)), float(rng.uniform(0, 256)))
    other = int(rng.integers(PASSERS_BY))
    done = []
    for i, step in enumerate(path):
        target = place(
            stage,
            Actor(figure, pose_at(identity.gait, action, phase=step.phase, rng=rng), step.position, step.facing, fold),
        )
        if target is None:
            return []
        people = [target]
        if company:
            people += _other(world, stage, step=step, before=wish == "person" and i == 0, number=other, rng=rng)
        whole = target.box
        if whole.height < MIN_HEIGHT:
            return []
        box = detect(whole, rng)
        region = box.box.union(whole).clipped()
        if region.width < 8 or region.height < 16:
            return []
        shot = shoot(stage, people, box=region, sun=sun)
        found = box.measured(shot, whole, rng=rng)
        if found is None or found.visible < KEPT_ABOVE or (wish == "clear" and found.visible < 0.6):
            return []
        done.append((step, shot, found, _occluder(shot)))
    return done


def draw_action(identity: Identity, outfit: Outfit, *, rng: np.random.Generator) -> Action:
    """Return what a person does at a visit, as their aid, their bag and chance would have it."""
    if identity.aid == "walker":
        return "push"
    if identity.aid == "cane":
        return "walk"
    if outfit.bag in ("handbag", "tote") and rng.random() < 0.7:
        return "carry"
    names = tuple(ACTIONS)
    return names[int(rng.choice(len(names), p=np.array(list(ACTIONS.values()))))]


@lru_cache(maxsize=PASSERS_BY)
def passer_by(seed: int, number: int) -> tuple[Identity, Figure]:
    """Return one of the people who fill the scenes and have no label."""
    identity = draw_identity((seed, 1, number))
    return identity, build_figure(
        Shaped(identity), draw_outfit(np.random.default_rng([61, seed, number]), identity.feminine)
    )


def _other(
    world: World, stage: StagedScene, *, step: PathPoint, before: bool, number: int, rng: np.random.Generator
) -> list[Placed]:
    at = beside(stage, step.position, before=before, rng=rng)
    if at is None:
        return []
    identity, figure = passer_by(world.seed, number)
    pose = pose_at(identity.gait, "walk", phase=float(rng.random()), rng=rng)
    placed = place(stage, Actor(figure, pose, at, float(rng.uniform(0, 2 * np.pi)), (number * 31.0, number * 17.0)))
    return [placed] if placed else []


def _occluder(shot: Shot) -> str:
    """Return what occludes most of the person: "thing", "person" or "none"."""
    own = shot.whole > 0
    things = int((own & shot.scene_before & (shot.actor <= 0)).sum())
    others = int((own & (shot.actor > 0)).sum())
    if things + others == 0:
        return "none"
    return "thing" if things >= others else "person"


def _cut(shot: Shot, box: PixelBox) -> tuple[np.ndarray, Ints]:
    """Return the light and the world labels of a box within a shot, one label a pixel."""
    x, y = box.x - shot.box.x, box.y - shot.box.y
    light = shot.light[y : y + box.height, x : x + box.width]
    return light, truth(shot)[y : y + box.height, x : x + box.width]


def truth(shot: Shot) -> Ints:
    """Return the world labels of the first person ``(h, w)``: seen, occluded by a thing, or other people."""
    pick = (slice(None, None, SUPERSAMPLE), slice(None, None, SUPERSAMPLE))
    actor, whole = shot.actor[pick], shot.whole[pick]
    found = np.where(actor == 0, shot.labels[pick], labels.BACKGROUND)
    found = np.where(actor > 0, labels.OTHER_PERSON, found)
    return np.where((whole > 0) & (actor < 0), labels.OCCLUDER, found).astype(np.int32)
