"""Side files of readers, damaged at random: an answer or one sentence. UNVEIL_FUZZ sets how many of each reader."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from damage import ROUNDS, TRIED, damaged
from miniatures import MINIATURES
from unveil.datasets import load_dataset
from unveil.errors import UnveilError
from unveil.recipe import DataSource


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
        TRIED["side files of readers"] += 1
        try:
            load_dataset(DataSource(name=name, root=root))
        except UnveilError as e:
            assert str(e)
