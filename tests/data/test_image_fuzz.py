"""Images damaged at random: pixels, or one sentence. UNVEIL_FUZZ sets how many of each kind."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from damage import ROUNDS, TRIED, damaged
from unveil.data.images import decoded_size, image_size, pixel_count, read_image
from unveil.errors import ImageError


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_damaged_images_are_answered_in_words(kind):
    rng = np.random.default_rng(sum(kind.encode()))
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (24, 16, 3), np.uint8)).save(out, kind)
    refused = 0
    for _ in range(ROUNDS):
        data = damaged(out.getvalue(), rng)
        TRIED["images"] += 1
        for read in (read_image, decoded_size, image_size, pixel_count):
            try:
                found = read(data, 1_000_000)
            except ImageError as e:
                assert "image bytes: " in str(e)
                refused += 1
            else:
                assert np.size(found) > 0
    assert refused
