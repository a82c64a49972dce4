from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import unveil
from unveil.errors import DataError
from unveil.world.people.body import PACK, Macro, load_pack, read_pack, shape

AVERAGE = Macro(1.0, 0.5, 0.5, 0.5, 0.5, 0.5, (0.0, 0.0, 1.0))


def height(macro: Macro) -> float:
    return float(np.ptp(shape(macro, {})[: load_pack().n][load_pack().faces["body"].ravel(), 1]))


def volume(macro: Macro) -> float:
    """Return cubic metres, by the divergence theorem over the skin."""
    a, b, c = (shape(macro, {})[load_pack().faces["body"][:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def test_skinning_weights_sum_to_one_and_bones_come_after_their_parents() -> None:
    pack = load_pack()
    assert np.allclose(pack.weight.sum(1), 1, atol=1e-6)
    assert (pack.weight >= 0).all()
    assert pack.weight_bone.max() < len(pack.bones)
    assert pack.parent[0] == -1
    assert (pack.parent[1:] < np.arange(1, len(pack.bones))).all()


def test_the_pack_ships_small_and_with_its_notice() -> None:
    assert (PACK / "body.npz").stat().st_size <= 8_000_000
    assert "CC0" in (PACK / "NOTICE").read_text()


def test_shape_follows_its_parameters() -> None:
    assert 1.6 < height(AVERAGE) < 1.9
    assert height(replace(AVERAGE, height=0.8)) > height(AVERAGE) + 0.1
    assert height(replace(AVERAGE, age=0.1)) < height(AVERAGE) - 0.1
    assert volume(replace(AVERAGE, weight=0.9)) > 1.1 * volume(replace(AVERAGE, weight=0.1))


def test_local_targets_are_linear_and_signed() -> None:
    base = shape(AVERAGE, {})
    half, whole = (shape(AVERAGE, {"chin-width": w}) - base for w in (0.5, 1.0))
    assert np.allclose(2 * half, whole, atol=1e-5)
    assert not np.allclose(shape(AVERAGE, {"chin-width": -1.0}), shape(AVERAGE, {"chin-width": 1.0}), atol=1e-3)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "absent", "no provenance", "other provenance"])
def test_a_damaged_pack_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "pack"
    shutil.copytree(PACK, folder)
    path = folder / "body.npz"
    data = bytearray(path.read_bytes())
    if damage == "absent":
        path.unlink()
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "no provenance":
        (folder / "provenance.json").unlink()
    elif damage == "other provenance":
        (folder / "provenance.json").write_text("[]")
    else:
        path.write_bytes(data[:1000])
    with pytest.raises(DataError, match="reinstall unveil"):
        read_pack(folder)


def test_a_render_with_a_damaged_pack_leaves_nothing(tmp_path: Path) -> None:
    """With a copy of the package, whose pack is damaged, in a process of its own."""
    package = tmp_path / "package"
    shutil.copytree(Path(unveil.__file__).parent, package / "unveil", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "unveil/world/people/pack/body.npz").write_bytes(b"no pack")
    code = "from unveil.world.generate import *; render_world(World(people=2), Path('world'), processes=2)"
    environment = os.environ | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert found.stderr.splitlines()[-1].startswith(f"unveil.errors.DataError: {package}")
    assert "is damaged" in found.stderr
    assert not (tmp_path / "world").exists()
