"""Which part of a crop is blurred before it is shown or exported: no face is left."""

import numpy as np
import pytest
from scipy import ndimage

from unveil.data.images import read_image
from unveil.gallery.output import blur

SAME = 16  # grey levels that a stripe makes in a block that is as wide as two, for it is of whole pixels


def noise(height=128, width=64):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def stripes(height=128, width=64, across=12):
    """Black and white stripes: grey in blocks that are as wide as two, and seen in those that are as wide as one."""
    row = 255 * (np.arange(width) * across // width % 2)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8)


class Labels:
    """Stands for a parser whose answer is known; the real one is tried below."""

    def __init__(self, labels):
        from unveil.label_sets import LIP20

        self.labels, self.scheme = labels, LIP20

    def __call__(self, images):
        return [self.labels] * len(images)


def bottom(out, labels=None):
    """Return the row from which on the person, and nothing else, is in small blocks; all rows where nothing is."""
    seen = (abs(out.astype(int) - 127) > SAME).any(axis=2)
    person = np.zeros_like(seen)
    if labels is not None and labels.any():
        patches = ndimage.label(labels > 0, np.ones((3, 3)))[0]
        person = patches == 1 + np.bincount(patches[patches > 0] - 1).argmax()
    rows = np.flatnonzero((seen & person).any(axis=1))
    first = rows[0] if len(rows) else len(out)
    assert (seen & person)[first:].any(axis=1)[person[first:].any(axis=1)].all()
    assert not seen[:first].any() and not seen[~person].any()
    return first


def body(head=(4, 20), feet=124, torso=5):
    """Labels of one person of 128 x 64 pixels: head, torso, trousers."""
    labels = np.zeros((128, 64), np.uint8)
    labels[slice(*head), 26:38] = 13
    labels[head[1] : feet - 30, 18:46] = torso
    labels[feet - 30 : feet, 20:44] = 9
    return labels


def of_patch(labels, rows, columns, value):
    labels = labels.copy()
    labels[slice(*rows), slice(*columns)] = value
    return labels


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (body(), 65),
        (body((30, 50)), 73),
        (body((46, 70)), 79),
        (of_patch(body(), (80, 90), (50, 60), 2), 94),
        (of_patch(body(), (70, 80), (52, 62), 7), 71),
        (of_patch(body(), (100, 120), (2, 16), 13), 127),
    ],
    ids=["a close crop", "a loose crop", "a low head", "another's head", "another's torso", "a head at the feet"],
)
def test_everything_above_the_lowest_head_is_blurred_from_side_to_side(labels, expected):
    (out,) = blur.blur_faces([stripes()], Labels(labels))
    assert abs(bottom(out, labels) - expected) <= 1
    image = noise()
    (out,) = blur.blur_faces([image], Labels(labels))
    assert (image == noise()).all()
    # Of the pixels of a head only the averages of a few blocks are left.
    heads = np.isin(labels, (2, 13))
    assert out[heads].std() < 0.4 * image[heads].std()


def test_who_stands_before_the_person_is_blurred_where_the_parser_leaves_them_out():
    """Somebody on the right whose head is at the person's knees, and whom the label map does not have."""
    (out,) = blur.blur_faces([stripes()], Labels(body()))
    assert np.ptp(out[80:100, 48:62]) <= 2 * SAME
    assert np.ptp(out[100:120, 24:40]) > 100, "the person's legs are shown"
    apart = of_patch(body(), (100, 120), (52, 60), 9)  # what the parser takes for more of the person, far from it
    (out,) = blur.blur_faces([stripes()], Labels(apart))
    assert np.ptp(out[100:120, 52:60]) <= 2 * SAME


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("labels", [body(), body((2, 40), torso=5)], ids=["a whole person", "a person close by"])
def test_a_head_that_the_parser_takes_for_clothes_is_a_few_blocks(labels, scale):
    """Another's face before the trousers, as large as the person's: of its 8 x 8 squares nothing is left."""
    labels = labels.repeat(scale, 0).repeat(scale, 1)
    rows = np.flatnonzero((labels == 13).any(axis=1))
    side = len(rows)
    image = np.full((*labels.shape, 3), 127, np.uint8)
    face = np.indices((8, 8)).sum(axis=0) % 2 * 255
    top, left = 128 * scale - side - 4 * scale, 32 * scale - side // 2
    cell = max(1, side // 8)
    squares = face.repeat(cell, 0).repeat(cell, 1)
    image[top : top + len(squares), left : left + len(squares)] = squares[..., None]
    (out,) = blur.blur_faces([image], Labels(labels))
    assert image.std() > 15
    assert abs(out.astype(int) - 127).max() < 64


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((128, 64), np.uint8),
        np.full((128, 64), 2, np.uint8),
        of_patch(body(torso=0), (5, 7), (5, 7), 13),
        body(torso=9),
        of_patch(body((20, 20)), (5, 7), (5, 7), 13),
        body(feet=80),
        body((60, 70)),
        np.where(np.arange(64) % 32 < 28, 0, body()).astype(np.uint8),
    ],
    ids=["nothing", "hair all over", "a speck", "no torso", "no head", "half a crop", "the lower half", "a sliver"],
)
def test_where_the_parser_sees_no_whole_person_the_whole_crop_is_blurred(labels):
    (out,) = blur.blur_faces([stripes(across=8)], Labels(labels))
    assert bottom(out, labels) == 128


def test_without_a_parser_and_for_the_smallest_crop_all_is_blurred():
    assert bottom(blur.blur_faces([stripes(across=8)], None)[0]) == 128
    tiny = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert blur.blur_faces([tiny], None)[0].shape == (2, 2, 3)
    assert blur.blur_faces([], None) == []


def test_no_face_of_a_rendered_person_is_left(rendered):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (extra onnx)")
    from unveil.data.images import read_labels
    from unveil.data.readers.manifest import read_manifest

    samples = read_manifest(rendered / "manifest.csv").samples
    crops = [read_image(sample.path) for sample in samples]
    seen = 0
    for sample, before, after in zip(samples, crops, blur.blur_faces(crops, blur.face_parser()), strict=True):
        face = read_labels(sample.parsing) == 13
        if face.sum() >= 20:
            seen += 1
            changed = (before[face] != after[face]).any(axis=1).mean()
            assert changed > 0.9, sample.key
    assert seen >= 4
