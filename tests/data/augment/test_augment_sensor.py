"""What street cameras do, other backgrounds, and boxes that are off, as batched operations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from unveil.data.augment import pipeline
from unveil.data.augment.background import swap_background
from unveil.data.augment.geometry import affine_crop
from unveil.data.augment.pipeline import augment, shrink
from unveil.data.augment.sensor import JPEG_BLOCK, _quantised, sensor
from unveil.recipe import AugmentSettings, InputSettings
from unveil.records import Batch


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _batch(count: int = 6, height: int = 64, width: int = 32) -> Batch:
    images = torch.randint(256, (count, 3, height, width), dtype=torch.uint8, generator=_generator(5))
    parsing = torch.zeros(count, height, width, dtype=torch.uint8)
    parsing[:, 8:56, 8:24] = 4
    return Batch(images, torch.arange(count), parsing=parsing)


def test_no_strength_changes_nothing():
    images = torch.rand(3, 3, 32, 16, generator=_generator())
    assert sensor(images, 0.0, generator=_generator()) is images


def test_the_same_generator_gives_the_same_images_and_leaves_its_input_alone():
    images = torch.rand(8, 3, 64, 32, generator=_generator())
    before = images.clone()
    first, second = sensor(images, 1.0, generator=_generator(1)), sensor(images, 1.0, generator=_generator(1))
    assert torch.equal(first, second)
    assert torch.equal(images, before)
    assert not torch.equal(first, sensor(images, 1.0, generator=_generator(2)))
    assert first.min() >= 0 and first.max() <= 1


def test_a_stronger_camera_changes_more():
    images = torch.rand(32, 3, 64, 32, generator=_generator())
    weak, strong = ((sensor(images, s, generator=_generator(3)) - images).abs().mean() for s in (0.2, 1.0))
    assert 0 < weak < strong


def test_every_image_has_its_own_camera():
    picture = torch.rand(1, 3, 64, 32, generator=_generator())
    out = sensor(picture.expand(16, -1, -1, -1), 1.0, generator=_generator(4))
    means = out.mean((2, 3))
    assert len({tuple(row.round(decimals=4).tolist()) for row in means}) == 16


def test_quantised_cosines_are_those_of_a_naive_loop():
    images = torch.rand(2, 1, 2 * JPEG_BLOCK, JPEG_BLOCK + 3, generator=_generator(), dtype=torch.float64)
    step = torch.tensor([0.05, 0.4], dtype=torch.float64).view(2, 1, 1, 1)
    out = _quantised(images, step)
    n = torch.arange(JPEG_BLOCK, dtype=torch.float64)
    dct = torch.stack([torch.cos(torch.pi * (2 * n + 1) * k / 16) * (0.5 if k else 0.125**0.5) for k in range(8)])
    for image in range(2):
        block = images[image, 0, JPEG_BLOCK:, :JPEG_BLOCK]
        cosines = dct @ block @ dct.T
        for u in range(8):
            for v in range(8):
                q = step[image].item() * (1 + 0.5 * (u + v))
                cosines[u, v] = round(cosines[u, v].item() / q) * q
        torch.testing.assert_close(out[image, 0, JPEG_BLOCK:, :JPEG_BLOCK], dct.T @ cosines @ dct)


def test_a_background_is_another_crops_and_the_person_stays():
    batch = _batch()
    swapped = swap_background(batch, 1.0, generator=_generator())
    assert torch.equal(swapped.images[:, :, 12:52, 12:20], batch.images[:, :, 12:52, 12:20])
    sources = batch.images.roll(batch.images.shape[3] // 2, dims=3)
    for row in range(len(batch)):
        corner = swapped.images[row, :, :4, :4]
        others = [i for i in range(len(batch)) if torch.equal(corner, sources[i, :, :4, :4])]
        assert len(others) == 1 and others[0] != row
    assert torch.equal(swap_background(batch, 0.0, generator=_generator()).images, batch.images)


def test_a_shifted_box_moves_image_and_map_alike():
    batch = _batch()
    marked = batch.replace(images=(batch.parsing > 0).to(torch.uint8).mul(255).unsqueeze(1).expand(-1, 3, -1, -1))
    moved = affine_crop(marked, _generator())
    inside = moved.images[:, 0] > 127
    assert ((moved.parsing > 0) == inside).float().mean() > 0.98
    assert not torch.equal(moved.parsing, batch.parsing)


@pytest.mark.parametrize("scale", (0.5, 0.75))
def test_small_images_have_whole_blocks_of_32_and_their_map(scale):
    batch = _batch(height=256, width=128).replace(images=torch.rand(6, 3, 256, 128))
    small = shrink(batch, scale)
    assert small.images.shape[2:] == (256 * scale, 128 * scale)
    assert small.parsing.shape[1:] == small.images.shape[2:]
    assert set(small.parsing.unique().tolist()) == {0, 4}


def test_on_a_gpu_images_are_shrunk_as_floats_and_differ_by_a_grey_level_at_most(monkeypatch):
    """CUDA has no kernel for uint8, nor has the CPU one that rounds as that for floats."""
    images = torch.randint(0, 256, (4, 3, 256, 128), generator=_generator(), dtype=torch.uint8)
    seen = []

    def interpolate(x, *args, **options):
        seen.append(x)
        return resize(x, *args, **options)

    resize = F.interpolate
    monkeypatch.setattr(F, "interpolate", interpolate)
    there = shrink(Batch(images.to("meta"), torch.arange(4)), 0.75).images
    assert [x.dtype for x in seen] == [torch.float32] and there.dtype == torch.uint8
    assert there.shape == (4, 3, 192, 96)
    here = shrink(Batch(images, torch.arange(4)), 0.75).images
    floats = pipeline._in_floats(images, (192, 96))
    assert floats.dtype == torch.uint8 and (floats.int() - here.int()).abs().max() <= 1


def test_the_sensor_is_part_of_the_augmentation():
    settings = AugmentSettings(crop="none", flip=0, erase="none", sensor=0.8)
    plain = AugmentSettings(crop="none", flip=0, erase="none")
    size = InputSettings(height=64, width=32)
    with_sensor, without = (augment(_batch(), s, size=size, generator=_generator()) for s in (settings, plain))
    assert (with_sensor.images - without.images).abs().mean() > 0.05
