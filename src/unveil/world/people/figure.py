"""A dressed person: identity and outfit become one mesh, which a pose then moves."""

from __future__ import annotations

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.people.accessories.attach import accessory_pieces
from unveil.world.people.body import load_pack
from unveil.world.people.clothes.garments import Dresser
from unveil.world.people.clothes.hanging import give_way
from unveil.world.people.clothes.outfit import Outfit
from unveil.world.people.head.hair import hair_pieces
from unveil.world.people.mesh import Figure, join
from unveil.world.people.pose import Pose
from unveil.world.people.shaped import Shaped
from unveil.world.people.skeleton import bone_matrices
from unveil.world.people.skin import beard_piece, eye_pieces, glasses_piece, skin_piece
from unveil.world.render.kernels import skin

DRAPED, FOLDED = 0.55, 0.9  # share of folds that is always there, and share that comes with the bend of a joint


def build_figure(body: Shaped, outfit: Outfit | None) -> Figure:
    """Return the mesh of a body in an outfit; ``None`` leaves it bare, for tests of the labels."""
    pieces = []
    cover = np.full(load_pack().n, -1.0, np.float32)
    hung: tuple[int, ...] = ()
    hat = False
    if outfit is not None:
        dresser = Dresser(body, outfit)
        dresser.dress()
        extra, hung = accessory_pieces(dresser)
        pieces, cover = [*dresser.pieces, *extra], dresser.cover
        hat = outfit.hat != "none"
    pieces += [skin_piece(body, cover), *eye_pieces(body)]
    glasses = glasses_piece(body)
    pieces += [glasses] if glasses else []
    if not (outfit is not None and outfit.hat == "headscarf"):
        hair = hair_pieces(body, hat=hat)
        pieces += hair
    beard = beard_piece(body)
    pieces += [beard] if beard else []
    return join(pieces, body.skeleton, hung=hung)


def posed(figure: Figure, pose: Pose, *, position: tuple[float, float], facing: float) -> tuple[Floats, Floats, Floats]:
    """Return a figure's vertices and normals in the world, and the strength of its folds ``(n,)``.

    Args:
        figure: who.
        pose: how.
        position: x and z on the ground, metres; the lowest point of the figure stands on y = 0.
        facing: radians around y; 0 looks along +z.
    """
    motion = bone_matrices(pose, figure.skeleton)
    extra = np.zeros((len(figure.hung), 3, 4), np.float32)
    for k, bone in enumerate(figure.hung):
        head = figure.skeleton.heads[bone]
        extra[k, :, :3] = np.eye(3)
        extra[k, :, 3] = motion[bone, :, :3] @ head + motion[bone, :, 3] - head
    motion = np.concatenate([motion, extra])
    c, s = np.cos(facing), np.sin(facing)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
    motion = np.ascontiguousarray(turn @ motion)
    points, normals = np.empty_like(figure.points), np.empty_like(figure.normals)
    skin(figure.points, figure.normals, figure.bones, figure.weights, motion, points, normals)
    for cloth in figure.hanging:
        give_way(points, normals, cloth=cloth, motion=motion, heads=figure.skeleton.heads)
    points += np.array([position[0], -points[:, 1].min(), position[1]], np.float32)
    folds = DRAPED + FOLDED * (figure.crease @ pose.flexion())
    return points, normals, np.asarray(folds, np.float32)
