import logging
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unveil.models.embed import embed_by_camera
from unveil.records import Embedding

ROWS = 21


def model_without_cameras():
    return SimpleNamespace(cameras=(), of_camera=lambda label: nullcontext())


def limited(most, asked):
    """Return a function that embeds row n as the number n, and has no memory for more than so many rows."""

    def embed(rows):
        asked.append(len(rows))
        if len(rows) > most:
            torch.empty(2**55)  # PyTorch's own error: no machine has so much
        return Embedding(np.array(rows, dtype=np.float32).reshape(-1, 1, 1), np.ones((len(rows), 1)))

    return embed


@pytest.mark.parametrize("most", [1, 3, 5, 8, 100])
def test_crops_are_taken_fewer_at_a_time_when_memory_is_short_and_none_is_lost(most, caplog):
    asked = []
    with caplog.at_level(logging.WARNING):
        found = embed_by_camera(model_without_cameras(), [None] * ROWS, embed=limited(most, asked), size=16)
    assert found.vectors.ravel().tolist() == list(range(ROWS))
    failed = [count for count in asked if count > most]
    assert failed == [16, 8, 4, 2][: len(failed)]  # each size is tried once
    assert len(caplog.records) == len(failed)
    assert sum(count for count in asked if count <= most) == ROWS


def test_one_crop_that_is_too_much_ends_with_the_error_and_others_errors_are_not_taken_for_it():
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        embed_by_camera(model_without_cameras(), [None] * 3, embed=limited(0, []), size=3)

    def broken(rows):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="do not fit"):
        embed_by_camera(model_without_cameras(), [None] * 3, embed=broken, size=3)
