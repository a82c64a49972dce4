"""Truth of a shot against renders in which clothes, the scene or the other person are absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unveil.world.capture.casting import is_free, visible_share
from unveil.world.capture.crops import truth
from unveil.world.capture.detector import Detection, detect
from unveil.world.capture.placed import Actor, PixelBox, Placed, StagedScene, place
from unveil.world.capture.plate import SUPERSAMPLE
from unveil.world.capture.shot import Shot, shoot
from unveil.world.labels import CLASSES, OCCLUDER, OTHER_PERSON, PARTS, class_of, part_of
from unveil.world.people.clothes.hanging import FARTHEST
from unveil.world.people.clothes.outfit import Outfit, draw_outfit
from unveil.world.people.figure import build_figure, posed
from unveil.world.people.identity import Identity, draw_identity
from unveil.world.people.mesh import Figure
from unveil.world.people.pose import Limb, Pose
from unveil.world.people.shaped import Shaped
from unveil.world.scenes.scene import FRAME

WHOLE = PixelBox(0, 0, *FRAME)


def open_place(stage: StagedScene) -> tuple[float, float]:
    for z in np.arange(5, 10, 0.4):
        for x in np.arange(-2, 2.1, 0.4):
            at = (float(x), float(z))
            if is_free(stage, at) and visible_share(stage, at, height=1.8) == 1:
                return at
    raise AssertionError("no open place")


@pytest.fixture(scope="module")
def standing(stage: StagedScene, body: Shaped, outfit: Outfit) -> Placed:
    placed = place(stage, Actor(build_figure(body, outfit), Pose(), open_place(stage), np.pi))
    assert placed is not None
    return placed


@pytest.fixture(scope="module")
def alone(stage: StagedScene, standing: Placed) -> Shot:
    return shoot(stage, [standing], box=WHOLE)


def test_nothing_hides_a_person_in_the_open(alone: Shot) -> None:
    assert (alone.whole > 0).sum() > 2000
    assert not alone.scene_before.any()
    assert (alone.labels == alone.whole).all()
    assert ((alone.actor == 0) == (alone.whole > 0)).all()


def test_facing_the_camera_the_left_side_is_on_the_right_of_the_image(alone: Shot) -> None:
    part, columns = part_of(alone.whole), np.arange(alone.whole.shape[1])[None]
    for limb in ("upper-arm", "lower-leg", "foot"):
        left, right = (part == PARTS.index(f"{side}-{limb}") for side in ("left", "right"))
        assert (left * columns).sum() / left.sum() > (right * columns).sum() / right.sum() + 5


def test_parts_are_in_order_from_head_to_foot(alone: Shot) -> None:
    part, rows = part_of(alone.whole), np.arange(alone.whole.shape[0])[:, None]
    height = [(rows * (part == PARTS.index(p))).sum() / (part == PARTS.index(p)).sum() for p in
              ("head", "torso", "left-upper-leg", "left-lower-leg", "left-foot")]  # fmt: skip
    assert height == sorted(height)


def test_clothes_cover_the_bare_body_and_never_the_other_way_round(
    stage: StagedScene, body: Shaped, standing: Placed, alone: Shot
) -> None:
    bare = place(stage, replace(standing.actor, figure=build_figure(body, None)))
    assert bare is not None
    naked = shoot(stage, [bare], box=WHOLE).whole
    kinds = class_of(alone.whole)
    skin = np.isin(kinds, [CLASSES.index(k) for k in ("skin", "face", "neck")])
    # Skin that is seen is skin of the same part of the bare body, which stands lower by the soles of the shoes.
    assert (part_of(naked)[skin] == part_of(alone.whole)[skin]).mean() > 0.9
    # Clothes only add to the silhouette.
    assert ((naked > 0) & (alone.whole == 0)).sum() < 0.03 * (naked > 0).sum()


def test_visible_fraction_is_seen_area_over_amodal_area(stage: StagedScene, standing: Placed, alone: Shot) -> None:
    """A wall put before the lower half of the frame occludes exactly what it covers."""
    box = standing.box
    middle = (box.y + box.height // 2) * SUPERSAMPLE
    depth = np.array(stage.plate.depth)
    depth[middle:] = 500
    walled = StagedScene(stage.scene, replace(stage.plate, depth=depth))
    shot = shoot(walled, [standing], box=WHOLE)
    assert (shot.whole == alone.whole).all()
    expected = (alone.whole[:middle] > 0).sum() / (alone.whole > 0).sum()
    found = Detection(WHOLE, "none").measured(shot, box, rng=np.random.default_rng(0))
    assert found is not None
    assert found.visible == pytest.approx(expected, abs=0.002)
    assert found.parts["head"] == 1
    assert found.parts["left-foot"] == 0
    labels = truth(shot)
    assert (labels[middle // SUPERSAMPLE + 1 :] <= OCCLUDER).all()
    assert (labels == OCCLUDER).sum() > 200


def test_another_person_hides_and_is_labelled(stage: StagedScene, standing: Placed, alone: Shot) -> None:
    identity = draw_identity((9, 9))
    figure = build_figure(Shaped(identity), draw_outfit(np.random.default_rng(1), 0.5))
    x, z = standing.actor.position
    camera = stage.scene.camera.position
    to = np.array([camera[0] - x, camera[2] - z])
    to = to / np.linalg.norm(to) * 0.8
    other = place(stage, Actor(figure, Pose(), (x + to[0], z + to[1]), 0.0))
    assert other is not None
    shot = shoot(stage, [standing, other], box=WHOLE)
    assert (shot.whole == alone.whole).all()
    occluded = (alone.whole > 0) & (shot.actor == 1)
    assert occluded.sum() > 0.2 * (alone.whole > 0).sum()
    assert (shot.labels[shot.actor == 0] == alone.whole[shot.actor == 0]).all()
    labels = truth(shot)
    assert (labels[::1][occluded[::SUPERSAMPLE, ::SUPERSAMPLE]] == OTHER_PERSON).all()


def test_a_person_casts_a_shadow_where_the_sun_shines(stage: StagedScene, standing: Placed, alone: Shot) -> None:
    empty = shoot(stage, [], box=WHOLE)
    darker = empty.light.sum(2) - alone.light.sum(2)
    h, w = darker.shape
    clear = (alone.whole.reshape(h, SUPERSAMPLE, w, SUPERSAMPLE) == 0).all((1, 3))
    assert (darker[clear] > -1e-4).all()
    assert (darker[clear] > 0.05).sum() > 100


def test_a_crop_of_a_shot_is_the_shot_of_the_crop(stage: StagedScene, standing: Placed, alone: Shot) -> None:
    box = standing.box.clipped()
    part = shoot(stage, [standing], box=box)
    rows = slice(box.y * SUPERSAMPLE, (box.y + box.height) * SUPERSAMPLE)
    columns = slice(box.x * SUPERSAMPLE, (box.x + box.width) * SUPERSAMPLE)
    assert (part.whole == alone.whole[rows, columns]).mean() > 0.999
    light = alone.light[box.y : box.y + box.height, box.x : box.x + box.width]
    assert np.abs(part.light - light).mean() < 1e-3


def test_boxes_lie_in_the_frame_and_faults_have_their_rates() -> None:
    rng = np.random.default_rng(0)
    faults = []
    for _ in range(1500):
        whole = PixelBox(
            int(rng.integers(-40, 900)),
            int(rng.integers(-20, 400)),
            int(rng.integers(30, 150)),
            int(rng.integers(80, 400)),
        )
        found = detect(whole, rng)
        assert found.box.x >= 0
        assert found.box.y >= 0
        assert found.box.x + found.box.width <= FRAME[0]
        assert found.box.y + found.box.height <= FRAME[1]
        faults.append(found.fault)
    rates = {fault: faults.count(fault) / len(faults) for fault in set(faults)}
    assert rates["loose"] == pytest.approx(0.15, abs=0.03)
    assert rates["shifted"] == pytest.approx(0.12, abs=0.03)
    assert rates["truncated"] == pytest.approx(0.08, abs=0.03)


def test_identities_differ_in_what_clothes_do_not_hide() -> None:
    people: list[Identity] = [draw_identity((0, k)) for k in range(60)]
    heights = [float(np.ptp(Shaped(p).points[:, 1])) for p in people[:25]]
    assert np.std(heights) > 0.06
    assert len({p.hair.style for p in people}) >= 8
    assert len({p.hair.colour for p in people}) >= 6
    assert len({p.face.beard for p in people}) >= 4
    assert {p.age_group for p in people} == {"child", "teen", "adult", "old"}
    assert np.std([p.skin[0] for p in people]) > 0.1
    assert draw_identity((0, 7)) == people[7]


def test_cloth_around_the_legs_gives_way_to_them(stage: StagedScene, body: Shaped, outfit: Outfit) -> None:
    dressed = build_figure(
        body, replace(outfit, bottom="dress", skirt_length=0.45, flare=1.1, tights=True, outer="none", bag="none")
    )
    assert len(dressed.hanging) == 1
    stride = Pose(left=Limb(hip=28, knee=10), right=Limb(hip=-22, knee=45))

    def bare_thighs(figure: Figure, pose: Pose) -> int:
        placed = place(stage, Actor(figure, pose, open_place(stage), 2.2))
        assert placed is not None
        whole = shoot(stage, [placed], box=WHOLE).whole
        thighs = np.isin(part_of(whole), [PARTS.index("left-upper-leg"), PARTS.index("right-upper-leg")])
        return int((thighs & (class_of(whole) != CLASSES.index("dress"))).sum())

    stiff = replace(dressed, hanging=())
    assert bare_thighs(stiff, stride) > 100 + bare_thighs(stiff, Pose())
    assert bare_thighs(dressed, stride) < 0.1 * bare_thighs(stiff, stride)
    points, normals, _ = posed(dressed, stride, position=(0, 0), facing=0)
    moved = np.linalg.norm(points - posed(stiff, stride, position=(0, 0), facing=0)[0], axis=1)
    own = dressed.hanging[0].rows
    assert 0.03 < moved[own].max() <= FARTHEST + 1e-5 and np.delete(moved, own).max() == 0
    assert np.allclose(np.linalg.norm(normals[own], axis=1), 1, atol=1e-3)
