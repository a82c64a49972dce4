"""What training does to crops: framing, covering and mirroring keep labels and visible shares true."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.parsing.training.disturb import Codes, Crop, Disturber, Odds, cover, mirror, move

# Labels: 0 nobody, 1 a thing, 2 another person, 3 head, 4 left arm, 5 right arm.
PART = np.full(256, -1)
PART[3:6] = 0, 1, 2
MIRRORED = np.arange(256, dtype=np.uint8)
MIRRORED[[4, 5]] = 5, 4
CODES = Codes(PART, MIRRORED, occluded=1, other=2)
SWAP = (0, 2, 1)


def crop(seed=0):
    """A head above two arms; the left one is on the image's right."""
    labels = np.zeros((40, 20), np.uint8)
    labels[4:12, 6:14], labels[12:36, 2:8], labels[12:36, 12:18] = 3, 5, 4
    image = np.random.default_rng(seed).integers(0, 256, (40, 20, 3), dtype=np.uint8)
    return Crop(image, labels, np.array([1, 0.5, np.nan, 0.8], np.float32))


def test_moving_by_nothing_changes_nothing():
    moved = move(crop(), np.eye(2, 3), size=(40, 20), codes=CODES)
    assert (moved.image == crop().image).all() and (moved.labels == crop().labels).all()
    np.testing.assert_array_equal(moved.shares, crop().shares)


def test_what_leaves_the_frame_is_no_longer_visible():
    # The lower 16 rows go: 16 of 24 rows of each arm.
    moved = move(crop(), np.eye(2, 3), size=(20, 20), codes=CODES)
    total, left = 64 + 2 * 144, 64 + 2 * 48
    np.testing.assert_allclose(moved.shares, [1, 0.5 / 3, np.nan, 0.8 * left / total], rtol=1e-6)
    zoomed = move(crop(), np.array([[2.0, 0, 0.5], [0, 2.0, 0.5]]), size=(40, 40), codes=CODES)
    np.testing.assert_allclose(zoomed.shares, moved.shares, rtol=1e-6)
    assert zoomed.labels.shape == (40, 40) and (zoomed.labels[::2, ::2] == moved.labels).mean() > 0.95


def test_a_thing_is_a_label_only_before_the_person_and_takes_its_share():
    where = np.zeros((40, 20), bool)
    where[24:, :] = True
    covered = cover(crop(), np.zeros((40, 20, 3), np.uint8), where=where, label=None, codes=CODES)
    assert (covered.labels[24:36, 2:8] == 1).all() and (covered.labels[36:] == 0).all()
    assert (covered.image[24:] == 0).all() and (covered.image[:24] == crop().image[:24]).all()
    np.testing.assert_allclose(covered.shares, [1, 0.25, np.nan, 0.8 * (64 + 144) / 352], rtol=1e-6)
    person = cover(crop(), np.zeros((40, 20, 3), np.uint8), where=where, label=CODES.other, codes=CODES)
    assert (person.labels[24:] == 2).all()


def test_a_mirrored_crop_trades_left_and_right_in_labels_and_shares():
    mirrored = mirror(crop(), CODES, parts=SWAP)
    assert (mirrored.labels == crop().labels).all()  # the figure is symmetric, so left stays on the image's right
    np.testing.assert_array_equal(mirrored.shares, np.array([1, np.nan, 0.5, 0.8], np.float32))
    back = mirror(mirrored, CODES, parts=SWAP)
    assert (back.image == crop().image).all()
    np.testing.assert_array_equal(back.shares, crop().shares)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_any_draw_gives_the_size_known_labels_and_shares_that_never_grow(seed):
    always = Odds(**{f.name: 0.6 for f in dataclasses.fields(Odds)})
    disturb = Disturber(CODES, SWAP, (64, 32), always)
    one, two = (disturb(crop(), crop(1), np.random.default_rng(seed)) for _ in range(2))
    assert (one.image == two.image).all() and (one.labels == two.labels).all()
    assert one.image.shape == (64, 32, 3) and one.image.dtype == np.uint8
    assert one.labels.shape == (64, 32) and set(np.unique(one.labels)) <= set(range(6))
    known = one.shares[np.isfinite(one.shares)]
    assert len(known) == 3 and (known >= 0).all() and one.shares[-1] <= 0.8 + 1e-6
    assert one.shares[0] <= 1 + 1e-6 and np.nanmax(one.shares[1:3]) <= 0.5 + 1e-6
