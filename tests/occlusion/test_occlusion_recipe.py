"""The recipe of Occ-PRCC on arrays, against the reference value and naive loops; the other styles by their ratio."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.occlusion.blocks import hide_block
from unveil.occlusion.compose import Occlusion, fuse, keyed_rng, occluded_fraction, person_weight
from unveil.occlusion.parts import PartsSettings, hide_part, hide_parts_to, pool, upsample
from unveil.occlusion.pasted import Cutout, cut_person, hide_behind


def person(height=60, width=30):
    labels = np.zeros((height, width), np.uint8)
    for part in range(1, 7):
        labels[height * (part - 1) // 6 : height * part // 6, 6:24] = part
    return labels


def test_reference_value_of_the_spec():
    mask = np.zeros((10, 8), np.float32)
    mask[3, 5] = 1
    on = (pool(mask, 4) > 0).astype(np.float32)
    assert on.tolist() == [[0, 1], [0, 0]]
    expected = np.zeros((10, 8))
    expected[0:5, 4:8] = 1
    assert (upsample(on, (10, 8)) == expected).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 23), st.integers(1, 23), st.integers(1, 9), st.integers(0, 99))
def test_pooling_and_upsampling_against_loops(height, width, kernel, seed):
    mask = (np.random.default_rng(seed).random((height, width)) < 0.3).astype(np.float32)
    cells = pool(mask, kernel)
    assert cells.shape == (max(1, height // kernel), max(1, width // kernel))
    for y, x in np.ndindex(cells.shape):
        box = mask[y * kernel : y * kernel + min(kernel, height), x * kernel : x * kernel + min(kernel, width)]
        assert cells[y, x] == pytest.approx(box.mean(), abs=1e-6)
    up = upsample(cells, (height, width))
    for y, x in np.ndindex(up.shape):
        assert up[y, x] == cells[int(y * cells.shape[0] / height), int(x * cells.shape[1] / width)]


def test_fusion_is_black_where_hidden_and_the_image_elsewhere():
    image = np.full((2, 2, 3), 200, np.uint8)
    mask = np.array([[1, 0], [0.5, 0]], np.float32)
    assert fuse(image, Occlusion(mask, "x"))[..., 0].tolist() == [[0, 200], [100, 200]]
    layer = np.full((2, 2, 3), 100, np.uint8)
    assert fuse(image, Occlusion(mask, "x", layer))[..., 2].tolist() == [[100, 200], [150, 200]]


def test_default_kernel_gives_twenty_rows_and_covers_the_whole_component():
    labels = person(256, 128)
    occlusion = hide_part(labels, PartsSettings(), rng=np.random.default_rng(0))
    assert occlusion.kernel == 13
    part = labels == PartsSettings().components.index(occlusion.what) + 1
    # Cells are stretched from 19 x 13 px to 256, so a border may be cut by the rounding, but hardly more.
    assert occlusion.mask[part].mean() > 0.9
    assert set(np.unique(occlusion.mask)) == {0, 1}
    assert PartsSettings(kernel=7).side(256) == 7


def test_an_absent_component_leaves_the_image_untouched_unless_present_only():
    labels = np.zeros((40, 20), np.uint8)
    labels[10:20, 5:15] = 2
    drawn = [hide_part(labels, PartsSettings(), rng=keyed_rng(0, str(i))) for i in range(120)]
    touched = [not o.empty for o in drawn]
    assert all(t == (o.what == "torso") for t, o in zip(touched, drawn, strict=True))
    assert 5 <= sum(touched) <= 40
    assert {o.what for o in drawn} == set(PartsSettings().components)
    present = PartsSettings(present_only=True)
    assert all(hide_part(labels, present, rng=keyed_rng(0, str(i))).what == "torso" for i in range(20))
    assert hide_part(labels * 0, present, rng=keyed_rng(0, "x")).empty


def test_threshold_and_bilinear_are_switches():
    labels = np.zeros((8, 8), np.uint8)
    labels[0, 0] = 1
    head = ("head",)
    rng = np.random.default_rng(0)
    assert hide_part(labels, PartsSettings(kernel=4, components=head), rng=rng).cells == 1
    assert hide_part(labels, PartsSettings(kernel=4, threshold=0.1, components=head), rng=rng).empty
    soft = hide_part(labels, PartsSettings(kernel=4, upsample="bilinear", components=head), rng=rng).mask
    assert ((soft > 0) & (soft < 1)).any()


def test_keyed_rng_depends_on_seed_and_path_alone():
    assert keyed_rng(1, "a/b.jpg").integers(1 << 40) == keyed_rng(1, "a/b.jpg").integers(1 << 40)
    assert keyed_rng(1, "a/b.jpg").integers(1 << 40) != keyed_rng(2, "a/b.jpg").integers(1 << 40)
    assert keyed_rng(1, "a/b.jpg").integers(1 << 40) != keyed_rng(1, "a/c.jpg").integers(1 << 40)


def crossing(weight, ratio, *, rng):
    square = Cutout("square", np.full((20, 10, 3), 9, np.uint8), np.ones((20, 10), np.float32))
    return hide_behind(square, weight, ratio=ratio, height=(1.0, 1.0), rng=rng)


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("style", ["parts", "blocks", "pasted"])
def test_every_style_hides_about_the_wanted_share_of_the_person(style, ratio):
    labels = person(120, 60)
    weight = person_weight(labels.shape, labels)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        if style == "parts":
            mask = hide_parts_to(labels, ratio, settings=PartsSettings(), rng=rng).mask
        else:
            mask = (hide_block if style == "blocks" else crossing)(weight, ratio, rng=rng).mask
        assert mask.shape == labels.shape
        assert occluded_fraction(mask, weight) == pytest.approx(ratio, abs=0.04)


@pytest.mark.parametrize("style", [hide_block, crossing])
def test_ratio_zero_hides_nothing_of_the_person(style):
    weight = person_weight((60, 30), person())
    assert occluded_fraction(style(weight, 0.0, rng=np.random.default_rng(0)).mask, weight) == 0
    assert hide_parts_to(person(), 0.0, settings=PartsSettings(), rng=np.random.default_rng(0)).empty


def test_without_a_map_the_whole_crop_counts():
    weight = person_weight((10, 10), None)
    assert weight.sum() == pytest.approx(1)
    mask = hide_block(weight, 0.25, rng=np.random.default_rng(3)).mask
    assert mask.mean() == pytest.approx(0.25, abs=0.1)


def test_a_person_is_cut_out_by_the_map():
    image = np.arange(60 * 30 * 3, dtype=np.uint32).astype(np.uint8).reshape(60, 30, 3)
    cutout = cut_person(image, person(), name="a.jpg")
    assert cutout.alpha.shape == (60, 18) and cutout.alpha.all()
    assert (cutout.rgb == image[:, 6:24]).all()
    assert cut_person(image, person() * 0, name="a.jpg") is None
