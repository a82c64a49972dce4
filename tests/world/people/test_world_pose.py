from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.world.people.body import load_pack
from unveil.world.people.figure import build_figure, posed
from unveil.world.people.identity import Identity, draw_identity
from unveil.world.people.pose import ACTIONS, HIP_CURVE, LIMITS, Limb, Pose, cycle, pose_at
from unveil.world.people.shaped import Shaped
from unveil.world.people.skeleton import bone_matrices


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(ACTIONS), st.floats(0, 1))
def test_every_moment_keeps_the_joint_limits(seed: int, action: str, phase: float) -> None:
    pose = pose_at(draw_identity((seed,)).gait, action, phase=phase, rng=np.random.default_rng(seed))  # type: ignore[arg-type]
    for limb in (pose.left, pose.right):
        for field in fields(Limb):
            low, high = LIMITS[field.name]
            assert low <= getattr(limb, field.name) <= high
    for name in ("spine", "tilt", "twist", "neck", "turn"):
        assert LIMITS[name][0] <= getattr(pose, name) <= LIMITS[name][1]


def test_bones_turn_and_never_stretch(body: Shaped, identity: Identity) -> None:
    pose = pose_at(identity.gait, "walk", phase=0.3, rng=np.random.default_rng(1))
    motion = bone_matrices(pose, body.skeleton)
    turns = motion[:, :, :3]
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-5)
    assert np.allclose(np.linalg.det(turns), 1, atol=1e-5)
    where = np.einsum("jab,jb->ja", turns, body.heads) + motion[:, :, 3]
    parent = load_pack().parent[1:]
    rest = np.linalg.norm(body.heads[1:] - body.heads[parent], axis=1)
    assert np.allclose(np.linalg.norm(where[1:] - where[parent], axis=1), rest, atol=1e-4)


def test_left_and_right_are_the_persons_own(body: Shaped) -> None:
    """The left arm swings forward when the left limb says so."""
    pose = Pose(left=Limb(shoulder=40, elbow=10), right=Limb(shoulder=-20, elbow=10))
    motion = bone_matrices(pose, body.skeleton)
    z = {}
    for side in "LR":
        b = load_pack().bone(f"wrist.{side}")
        z[side] = (motion[b, :, :3] @ body.heads[b] + motion[b, :, 3])[2]
    assert z["L"] > z["R"] + 0.2


def test_arms_hang_and_feet_stand_on_the_ground(body: Shaped) -> None:
    figure = build_figure(body, None)
    points, normals, _ = posed(figure, Pose(), position=(2.0, 5.0), facing=0.0)
    assert points[:, 1].min() == pytest.approx(0, abs=1e-5)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
    assert np.abs(points[:, [0, 2]].mean(0) - [2.0, 5.0]).max() < 0.15
    assert np.ptp(points[:, 0]) < 0.9  # a T-pose would be twice as wide


def test_curve_passes_through_its_knots_and_closes() -> None:
    for i, value in enumerate(HIP_CURVE):
        assert cycle(HIP_CURVE, i / len(HIP_CURVE)) == pytest.approx(value)
    assert cycle(HIP_CURVE, 1.25) == pytest.approx(cycle(HIP_CURVE, 0.25))
