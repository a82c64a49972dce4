"""The body pack (MakeHuman's CC0 data, see pack/NOTICE): checked when it is loaded, and shaped by parameters."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unveil.errors import DataError
from unveil.world.arrays import Floats, Ints

PACK = Path(__file__).parent / "pack"
GROUPS = ("body", "eye_l", "eye_r", "tights", "skirt", "hair")
MASKS = ("lips", "face", "ears", "eyelids", "fingernails")


@dataclass(frozen=True)
class Pack:
    """The template body. Metres; y up, z to the front, x to the person's left; n vertices followed by J bone heads.

    Args:
        base: template ``(n + J, 3)``.
        macro_names: targets of whole bodies; row i of ``macro`` holds its coefficients.
        macro: ``(T, K)``.
        basis: ``(K, 3 (n + J))``.
        local: sparse targets by name: rows and displacements.
        bones: names, parents first.
        parent: ``(J,)``, -1 for the root.
        weight_bone: ``(n, 4)`` bone of each weight.
        weight: ``(n, 4)``, rows sum to one.
        faces: triangles of each group.
        masks: ``(n,)`` in [0, 1] by name.
    """

    base: Floats
    macro_names: tuple[str, ...]
    macro: Floats
    basis: Floats
    local: Mapping[str, tuple[NDArray[np.int64], Floats]]
    bones: tuple[str, ...]
    parent: NDArray[np.int64]
    weight_bone: Ints
    weight: Floats
    faces: Mapping[str, Ints]
    masks: Mapping[str, Floats]

    def bone(self, name: str) -> int:
        """Return the number of a bone."""
        return self.bones.index(name)

    @property
    def n(self) -> int:
        """Number of vertices, without the bone heads."""
        return len(self.weight)


@dataclass(frozen=True)
class Macro:
    """MakeHuman's parameters of a whole body, each in [0, 1].

    Args:
        sex: 0 female, 1 male.
        age: 0 a child, 0.5 a young adult, 1 old.
        muscle: 0.5 is average.
        weight: 0.5 is average.
        height: 0.5 is average for sex and age.
        proportions: 0.5 is average.
        ancestry: shares of the three face targets, summing to one.
    """

    sex: float
    age: float
    muscle: float
    weight: float
    height: float
    proportions: float
    ancestry: tuple[float, float, float]


def read_pack(folder: Path = PACK) -> Pack:
    """Read a body pack and check it against its provenance.

    Raises:
        DataError: a file is missing, or its content is not what was packed.
    """
    data = checked_bytes(folder)
    path = folder / "body.npz"
    try:
        with np.load(io.BytesIO(data)) as arrays:
            return _unpack({name: arrays[name] for name in arrays.files})
    except (KeyError, ValueError, zipfile.BadZipFile) as e:
        raise DataError(f"{path} is not a body pack of this version ({e}); reinstall unveil") from None


def checked_bytes(folder: Path = PACK) -> bytes:
    """Return the pack's file when it is what was packed.

    Raises:
        DataError: a file is missing, or its content is not what was packed.
    """
    path, expected = folder / "body.npz", pack_hash(folder)
    try:
        data = path.read_bytes()
    except OSError as e:
        raise DataError(f"the body pack in {folder} cannot be read ({e}); reinstall unveil") from None
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise DataError(
            f"{path} is damaged: expected sha256 {expected[:12]}..., found {found[:12]}...; reinstall unveil"
        )
    return data


def pack_hash(folder: Path = PACK) -> str:
    """Return the SHA-256 that a pack should have.

    Raises:
        DataError: its provenance cannot be read.
    """
    try:
        return str(json.loads((folder / "provenance.json").read_text())["body_npz_sha256"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise DataError(f"the body pack in {folder} cannot be read ({e}); reinstall unveil") from None


@cache
def load_pack() -> Pack:
    """Return the pack that ships with the package; read once a process."""
    return read_pack()


def shape(macro: Macro, local: Mapping[str, float]) -> Floats:
    """Return the vertices and bone heads ``(n + J, 3)`` of a body in rest pose.

    Args:
        macro: the whole body; its targets are weighted with products of piecewise-linear weights, as MakeHuman does.
        local: weight of each further target in [-1, 1]; ``{"nose-hump": -0.3}`` means 0.3 of "nose-hump-decr".
    """
    pack = load_pack()
    row = _macro_rows(pack.macro_names)
    weights = np.zeros(len(pack.macro_names), np.float32)
    for name, weight in _macro_weights(macro):
        if name in row:
            weights[row[name]] += weight
    points = pack.base + ((weights @ pack.macro) @ pack.basis).reshape(-1, 3)
    for name, weight in local.items():
        target = name if name in pack.local else f"{name}-{'incr' if weight > 0 else 'decr'}"
        rows, delta = pack.local[target]
        points[rows] += abs(weight) * delta
    return points.astype(np.float32)


@cache
def _macro_rows(names: tuple[str, ...]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _three(x: float, names: tuple[str, str, str]) -> list[tuple[str, float]]:
    """Return the piecewise-linear weights of three knots at 0, 0.5 and 1."""
    low, middle, high = names
    return [(low, max(0.0, 1 - 2 * x)), (middle, 1 - abs(2 * x - 1)), (high, max(0.0, 2 * x - 1))]


def _macro_weights(m: Macro) -> list[tuple[str, float]]:
    found = []
    sexes = [("female", 1 - m.sex), ("male", m.sex)]
    for (sex, ws), (age, wa) in product(sexes, _three(m.age, ("child", "young", "old"))):
        found += [
            (f"{a}-{sex}-{age}", ws * wa * w)
            for a, w in zip(("african", "asian", "caucasian"), m.ancestry, strict=True)
        ]
        muscles = _three(m.muscle, ("minmuscle", "averagemuscle", "maxmuscle"))
        weights = _three(m.weight, ("minweight", "averageweight", "maxweight"))
        for (muscle, wm), (weight, ww) in product(muscles, weights):
            share, stem = ws * wa * wm * ww, f"{sex}-{age}-{muscle}-{weight}"
            found.append((f"universal-{stem}", share))
            ends = _three(m.height, ("minheight", "", "maxheight")) + _three(
                m.proportions, ("uncommonproportions", "", "idealproportions")
            )
            found += [(f"{stem}-{end}", share * w) for end, w in ends if end]
    return [(name, weight) for name, weight in found if weight > 0]


def _unpack(a: dict[str, NDArray]) -> Pack:
    start, step = a["local_start"], float(a["local_step"])
    local = {}
    for i, name in enumerate(a["local_names"]):
        rows = slice(start[i], start[i + 1])
        local[str(name)] = (a["local_index"][rows].astype(np.int64), a["local_value"][rows].astype(np.float32) * step)
    weight = a["weight"].astype(np.float32)
    faces = {}
    for group in GROUPS:
        quads = a[f"faces_{group}"].astype(np.int32)
        faces[group] = np.ascontiguousarray(np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))
    return Pack(
        base=a["base"],
        macro_names=tuple(map(str, a["macro_names"])),
        macro=a["macro_coefficients"],
        basis=a["basis"].astype(np.float32) * a["basis_step"][:, None],
        local=local,
        bones=tuple(map(str, a["bones"])),
        parent=a["parent"].astype(np.int64),
        weight_bone=a["weight_bone"].astype(np.int32),
        weight=weight / weight.sum(1, keepdims=True),
        faces=faces,
        masks={m: a[f"mask_{m}"].astype(np.float32) / 255 for m in MASKS},
    )
