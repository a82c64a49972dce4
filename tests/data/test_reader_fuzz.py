"""Side files of readers, damaged at random: an answer or one sentence. UNVEIL_FUZZ sets how many of each reader."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from miniatures import MINIATURES
from unveil.datasets import load_dataset
from unveil.errors import UnveilError
from unveil.recipe import DataSource

ROUNDS = int(os.environ.get("UNVEIL_FUZZ", "40"))
BITS = (
    b"",
    b"\xff\xfe",
    b"\0",
    b"<html>",
    b'"',
    b",,,",
    b"\n\n",
    b"a" * 5000,
    b"-1",
    b"../..",
    b"\xe9",
    b"session1/001_01 1",
)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes cut, overwritten or added to at random places."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(out) + 1))
        what = rng.integers(4)
        if what == 0:
            del out[at:]
        elif what == 1:
            out[at:at] = BITS[int(rng.integers(len(BITS)))]
        elif what == 2:
            out[at : at + 8] = rng.integers(0, 256, 8, np.uint8).tobytes()
        else:
            out[at : at + int(rng.integers(1, 30))] = b""
    return bytes(out)


@pytest.mark.parametrize("name", sorted(n for n, m in MINIATURES.items() if m.lists))
def test_damaged_lists_are_answered_in_words(tmp_path, name):
    miniature = MINIATURES[name]
    root = tmp_path / miniature.root
    for number, file in enumerate(miniature.names):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 16), (number % 256, 0, 0)).save(path)
    rng = np.random.default_rng(0)
    for _ in range(ROUNDS):
        for file, text in miniature.lists.items():
            (root / file).write_text(text + "\n")
        file = list(miniature.lists)[int(rng.integers(len(miniature.lists)))]
        (root / file).write_bytes(damaged((root / file).read_bytes(), rng))
        try:
            load_dataset(DataSource(name=name, root=root))
        except UnveilError as e:
            assert str(e)
