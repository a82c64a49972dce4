"""Augmentations: image and parsing map move together, the same seed gives the same batch, the numbers are as said."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from unveil.data.augment import autoaugment as policy
from unveil.data.augment.colour import jitter
from unveil.data.augment.erasing import ERASING, coarse_dropout, erase
from unveil.data.augment.geometry import affine, flip, mirror_labels, pad_crop, scale_crop
from unveil.data.augment.pipeline import augment, normalise
from unveil.errors import DataError
from unveil.recipe import AugmentSettings, InputSettings
from unveil.records import Batch

SIZE = InputSettings(height=64, width=32)
PLAIN = AugmentSettings(crop="none", flip=0, erase="none")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def coded(count=16, height=64, width=32):
    """Images whose red channel is the label of the pixel and whose green and blue are its row and column."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(1, 20, (count, height // 8, width // 8)), np.ones((8, 8), int))
    rows, columns = np.indices((height, width)) + 1
    images = np.stack([labels, np.broadcast_to(rows, labels.shape), np.broadcast_to(columns, labels.shape)], 1)
    parsing = torch.from_numpy(labels.astype(np.uint8))
    return Batch(torch.from_numpy(images.astype(np.uint8)), torch.arange(count), parsing=parsing)


def noise(count=16, height=64, width=32, seed=0):
    images = torch.randint(256, (count, 3, height, width), dtype=torch.uint8, generator=generator(seed))
    return Batch(images, torch.arange(count))


def test_pad_crop_moves_both_by_up_to_ten_pixels():
    batch = coded(200)
    moved = pad_crop(batch, generator())
    assert torch.equal(moved.images[:, 0], moved.parsing)
    down, right = set(), set()
    for i in range(200):
        inside = moved.images[i, 1] > 0
        y, x = (int(v[0]) for v in inside.nonzero(as_tuple=True))
        dy, dx = int(moved.images[i, 1, y, x]) - 1 - y, int(moved.images[i, 2, y, x]) - 1 - x
        down.add(dy)
        right.add(dx)
        ys, xs = (torch.arange(n) + d for n, d in ((64, dy), (32, dx)))
        expected = torch.zeros(64, 32, dtype=torch.uint8)
        ok_y, ok_x = (ys >= 0) & (ys < 64), (xs >= 0) & (xs < 32)
        expected[ok_y.nonzero(), ok_x.nonzero()[:, 0]] = batch.parsing[i][ys[ok_y][:, None], xs[ok_x]]
        assert torch.equal(moved.parsing[i], expected)
    assert down == right == set(range(-10, 11))


def test_scale_crop_enlarges_half_of_them_by_an_eighth():
    batch = coded(200)
    moved = scale_crop(batch, generator())
    changed = (moved.images != batch.images).flatten(1).any(1)
    assert 70 < changed.sum() < 130
    assert torch.equal(moved.parsing[~changed], batch.parsing[~changed])
    # Away from the borders between labels, the enlarged map and the enlarged image agree.
    agree = (moved.images[:, 0] == moved.parsing)[changed].float().mean()
    assert agree > 0.75
    rows = moved.images[changed][:, 1, :, 5].float()
    assert ((rows[:, -1] - rows[:, 0]) / 63 - 1 / 1.125).abs().max() < 0.03
    first = set(rows[:, 0].int().tolist())
    assert first == set(range(1, 9))


def test_flip_mirrors_both_and_swaps_left_and_right():
    batch = coded(100)
    moved = flip(batch, generator(), p=0.5, scheme="lip20")
    table = {14: 15, 15: 14, 16: 17, 17: 16, 18: 19, 19: 18}
    flipped = 0
    for i in range(100):
        if torch.equal(moved.images[i], batch.images[i]):
            assert torch.equal(moved.parsing[i], batch.parsing[i])
            continue
        flipped += 1
        assert torch.equal(moved.images[i], batch.images[i].flip(2))
        expected = batch.parsing[i].flip(1).clone().apply_(lambda label: table.get(label, label))
        assert torch.equal(moved.parsing[i], expected)
    assert 30 < flipped < 70


def test_maps_of_an_unknown_label_set_are_not_mirrored():
    with pytest.raises(DataError, match="'vip' cannot be mirrored"):
        mirror_labels(torch.zeros(1, 2, 2, dtype=torch.uint8), "vip")


@pytest.mark.parametrize("variant", ["cal", "bot", "fastreid"])
def test_erasing_draws_rectangles_of_the_stated_shares(variant):
    rule = ERASING[variant]
    batch = Batch(torch.full((600, 3, 64, 32), 7.0), torch.zeros(600, dtype=torch.long))
    images = erase(batch, rule, p=0.5, generator=generator()).images
    holes = images[:, 0] != 7
    hit = holes.flatten(1).any(1)
    assert 240 < hit.sum() < 360
    assert torch.allclose(images.permute(0, 2, 3, 1)[holes], torch.tensor(rule.fill))
    shares, aspects = [], []
    for hole in holes[hit]:
        ys, xs = hole.nonzero(as_tuple=True)
        tall, wide = int(ys.max() - ys.min()) + 1, int(xs.max() - xs.min()) + 1
        assert tall * wide == int(hole.sum())  # one full rectangle
        shares.append(tall * wide / (64 * 32))
        aspects.append(tall / wide)
    low, high = rule.area
    assert low * 0.8 < min(shares) < low * 2 and high * 0.8 < max(shares) < high * 1.1
    assert min(aspects) < 0.6 and max(aspects) > 2.5
    # Holes reach every border, and the middle more often than the corners.
    where = holes[hit].float().mean(0)
    assert where.amax(0).min() > 0 and where.amax(1).min() > 0 and where[32, 16] > 3 * where[0, 0]


def test_erasing_leaves_parsing_and_the_given_batch_alone():
    batch = normalise(coded(), SIZE)
    before = batch.images.clone()
    erased = erase(batch, ERASING["bot"], p=1.0, generator=generator())
    assert torch.equal(erased.parsing, batch.parsing) and torch.equal(batch.images, before)


def test_coarse_dropout_hides_the_parts_in_its_hole():
    batch = normalise(coded(300), SIZE)
    dropped = coarse_dropout(batch, 0.5, generator=generator())
    holes = dropped.parsing == 0
    hit = holes.flatten(1).any(1)
    assert 115 < hit.sum() < 185
    assert torch.allclose(dropped.images.permute(0, 2, 3, 1)[holes], torch.tensor((0.485, 0.456, 0.406)))
    assert torch.equal(dropped.parsing[~holes], batch.parsing[~holes])
    assert torch.equal(dropped.images.permute(0, 2, 3, 1)[~holes], batch.images.permute(0, 2, 3, 1)[~holes])
    tall, wide = holes[hit].any(2).sum(1) / 64, holes[hit].any(1).sum(1) / 32
    for side in (tall, wide):
        assert 0.14 < side.min() < 0.2 and 0.6 < side.max() < 0.67


def test_normalise_against_the_formula():
    batch = noise(2)
    images = normalise(batch, SIZE).images
    mean, std = (torch.tensor(v)[:, None, None] for v in (SIZE.mean, SIZE.std))
    torch.testing.assert_close(images, (batch.images / 255 - mean) / std, atol=1e-5, rtol=1e-5)
    assert torch.equal(augment(batch, PLAIN, size=SIZE, generator=generator()).images, images)


EVERYTHING = AugmentSettings(
    crop="scale", erase="cal", coarse_dropout=0.5, autoaugment=0.5, brightness=0.2, contrast=0.2, saturation=0.2
)


def test_the_same_seed_gives_the_same_batch():
    batch, before = coded(), coded()
    first, again, other = (
        augment(batch, EVERYTHING, size=SIZE, generator=generator(s), scheme="lip20") for s in (1, 1, 2)
    )
    assert torch.equal(first.images, again.images) and torch.equal(first.parsing, again.parsing)
    assert not torch.equal(first.images, other.images)
    assert torch.equal(batch.images, before.images) and torch.equal(batch.parsing, before.parsing)
    assert first.images.dtype == torch.float32 and first.parsing.dtype == torch.uint8


def test_each_setting_changes_something_and_memory_stays_channels_last():
    images = noise(8).images.contiguous(memory_format=torch.channels_last)
    batch = Batch(images, torch.arange(8))
    plain = augment(batch, PLAIN, size=SIZE, generator=generator()).images
    changes = ({"crop": "pad"}, {"crop": "scale"}, {"flip": 1.0}, {"erase": "fastreid", "erase_p": 1.0})
    for change in (*changes, {"coarse_dropout": 1.0}, {"autoaugment": 1.0}, {"brightness": 0.5}, {"contrast": 0.5}):
        changed = augment(batch, PLAIN.model_copy(update=change), size=SIZE, generator=generator()).images
        assert not torch.equal(changed, plain), change
        assert changed.is_contiguous(memory_format=torch.channels_last), change


def test_jitter_blends_within_its_range():
    images = noise(64).images.float()
    factor = jitter(images, 0.3, contrast=0, saturation=0, generator=generator()) / images.clamp(min=1)
    inner = factor[:, 0, 0, 0][(images[:, 0, 0, 0] > 20) & (images[:, 0, 0, 0] < 190)]
    assert 0.69 < inner.min() < 0.8 and 1.2 < inner.max() < 1.31
    grey = images[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(
        jitter(grey, 0, contrast=0, saturation=1.0, generator=generator()), grey, atol=1e-3, rtol=0
    )
    assert not torch.allclose(jitter(grey, 0, contrast=0.5, saturation=0, generator=generator()), grey)


def test_policy_is_the_published_table():
    assert len(policy.POLICY) == 25
    assert policy.POLICY[0] == (("Posterize", 0.4, 8), ("Rotate", 0.6, 9))
    assert policy.POLICY[12] == (("Equalize", 0.0, 7), ("Equalize", 0.8, 8))
    assert policy.POLICY[18] == (("ShearX", 0.6, 5), ("Equalize", 1.0, 9))


@pytest.mark.parametrize(
    ("ours", "pillow", "allowed"),
    [
        (policy.equalize, ImageOps.equalize, 0),
        (policy.auto_contrast, ImageOps.autocontrast, 1),
        (policy.invert, ImageOps.invert, 0),
        (lambda x: policy.posterize(x, 8), lambda x: ImageOps.posterize(x, 4), 0),
        (lambda x: policy.solarize(x, 5), lambda x: ImageOps.solarize(x, 256 - 256 * 5 / 9), 0),
        (lambda x: policy.color(x, 4, -1), lambda x: ImageEnhance.Color(x).enhance(0.6), 1),
        (lambda x: policy.contrast(x, 8), lambda x: ImageEnhance.Contrast(x).enhance(1.8), 1),
        (lambda x: policy.sharpness(x, 7), lambda x: ImageEnhance.Sharpness(x).enhance(1.7), 1),
    ],
    ids=["equalize", "autocontrast", "invert", "posterize", "solarize", "color", "contrast", "sharpness"],
)
def test_colour_operations_agree_with_pillow(ours, pillow, allowed):
    smooth = (noise(1, seed=3).images[0].float() * 0.5 + 40).byte()
    array = np.ascontiguousarray(smooth.permute(1, 2, 0).numpy())
    difference = ours(smooth).permute(1, 2, 0).numpy().astype(int) - np.asarray(pillow(Image.fromarray(array)))
    assert abs(difference).max() <= allowed
    flat = torch.full((3, 8, 8), 9, dtype=torch.uint8)
    assert ours(flat).shape == flat.shape


def test_rotation_agrees_with_pillow_and_takes_the_map_along():
    image = coded(1).images[0]
    angle = math.radians(20)
    matrix = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved, labels = affine(image, coded(1).parsing[0], matrix=matrix)
    reference = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
    reference = np.asarray(reference.rotate(20, Image.Resampling.BILINEAR, fillcolor=(128,) * 3)).astype(int)
    assert np.percentile(abs(moved.permute(1, 2, 0).numpy() - reference), 90) <= 1
    known = labels > 0
    assert (moved[0] == labels)[known].float().mean() > 0.6
    quarter, _ = affine(torch.arange(12, dtype=torch.uint8).repeat(3, 1).view(3, 3, 4), None, matrix=torch.eye(2))
    assert torch.equal(quarter[0].flatten(), torch.arange(12, dtype=torch.uint8))


def test_autoaugment_touches_its_share():
    batch = noise(400)
    changed = (
        (policy.autoaugment(batch, 0.25, generator=generator()).images != batch.images).flatten(1).any(1).float().mean()
    )
    assert 0.15 < changed < 0.3
