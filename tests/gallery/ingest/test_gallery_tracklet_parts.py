"""What crops and tracklets are worth: sharpness, framing, parts that are seen, and which crops are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from films import HEIGHT, WIDTH, walk_frame
from generated import figure
from unveil.gallery.ingest.adding import mean_embedding
from unveil.gallery.ingest.best_crops import OpenTrack, best_rows
from unveil.gallery.ingest.quality import (
    body_shares,
    find_parser,
    framing_quality,
    image_quality,
    looked_at,
    measure,
    without_occluded,
)
from unveil.records import Embedding
from unveil.video.records import Box, Frame


def test_the_mean_of_a_tracklet_goes_by_worth_and_visibility():
    vectors = np.array([[[1.0, 0], [0, 5]], [[0, 1], [9, 0]], [[0, 1], [1, 0]]], np.float32)
    visibility = np.array([[1, 1], [1, 0], [1, 0]], np.float32)
    mean = mean_embedding(Embedding(vectors, visibility, ("a", "b")), np.array([0.5, 0.25, 0.25]))
    assert np.allclose(mean.vectors[0, 0], [0.5, 0.5], atol=1e-5), "of equal quality together"
    assert np.allclose(mean.vectors[0, 1], [0, 1], atol=1e-5), "a part is taken from where it is seen"
    assert np.allclose(mean.visibility, [[1, 1]], atol=1e-5)
    half = mean_embedding(Embedding(vectors, visibility * 0.5, ("a", "b")), np.ones(3))
    assert np.allclose(half.visibility, [[0.5, 0.5]], atol=1e-5)


def test_quality_knows_small_blurred_cut_and_covered_crops():
    sharp = figure(1, 0, 0, 128, 64)
    blurred = np.asarray(Image.fromarray(sharp).resize((8, 16)).resize((64, 128)))
    small = np.asarray(Image.fromarray(sharp).resize((16, 32), Image.Resampling.BILINEAR))
    assert image_quality(sharp) > image_quality(blurred) and image_quality(sharp) > image_quality(small)
    box = (20, 10, 24, 60)
    assert framing_quality(box, [], width=WIDTH, height=HEIGHT) == 1
    assert framing_quality((0, 10, 24, 60), [], width=WIDTH, height=HEIGHT) == pytest.approx(0.7)
    before, behind = Box(20, 40, 24, 50), Box(20, 0, 24, 50)
    assert framing_quality(box, [before], width=WIDTH, height=HEIGHT) == pytest.approx(0.5)
    assert framing_quality(box, [behind], width=WIDTH, height=HEIGHT) == 1


@pytest.fixture(scope="module")
def half_hidden():
    """The package's parser, crops of people who are wholly seen, and the same with the lower half covered."""
    from unveil.world.config import preset
    from unveil.world.video import render_frames as rendered

    parser = find_parser(1)
    assert parser is not None
    crops = []
    for image, people in rendered(preset("tiny"), 1, frames=3):
        crops += [image[y : y + h, x : x + w] for _, x, y, w, h, seen in people if float(seen) > 0.95 and h > 120]
    covered = [c.copy() for c in crops]
    for crop in covered:
        crop[crop.shape[0] // 2 :] = 120
    return parser, crops, covered


def test_the_parser_sees_that_half_a_body_is_hidden(half_hidden):
    parser, crops, covered = half_hidden
    looks = looked_at(crops, parser)
    shown, less = body_shares(looks, len(crops)), body_shares(looked_at(covered, parser), len(covered))
    assert crops and all(0 <= s <= 1 for s in (*shown, *less))
    assert np.mean(shown) > np.mean(less) + 0.05 and all(a > b for a, b in zip(shown, less, strict=True))
    assert body_shares(None, len(crops)) == [None] * len(crops)
    assert measure(crops[:1], looked_at(crops[:1], parser))[0].score == pytest.approx(
        image_quality(crops[0]) * shown[0]
    )


def test_parts_that_the_parser_sees_hidden_do_not_count(half_hidden):
    parser, crops, covered = half_hidden
    n, names = len(crops), ("global", "head", "left-leg", "right-leg")
    embedding = Embedding(np.ones((n, 4, 2), np.float32), np.ones((n, 4), np.float32), names, "cosine", (1.0,) * 4)
    assert without_occluded(embedding, crops, parser=parser).visibility.mean() > 0.95
    hidden = without_occluded(embedding, covered, parser=parser).visibility
    assert hidden[:, :2].min() == 1 and hidden[:, 2:].mean() < 0.3
    assert embedding.visibility.min() == 1  # the one it was made from stays as it is
    assert without_occluded(embedding, crops, parser=None) is embedding
    other = replace(embedding, names=("a", "b", "c", "body"))
    assert without_occluded(other, covered, parser=parser) is other


def test_kept_crops_are_the_best_of_each_part_of_a_track_in_bounded_memory():
    assert best_rows([0.1, 0.9, 0.2, 0.4, 0.8, 0.1, 0.5, 0.6], 4) == [1, 3, 4, 7]
    assert best_rows([0.5], 4) == [0] and best_rows([], 4) == [] and best_rows([0.0, 0.0], 2) == [0, 1]
    assert best_rows([0.9, 0.1, 0.1, 0.5], 2) == [0, 3] and best_rows([0.9, 0.1, 0.1, 0.3], 2) == [0]
    front, back = (np.full((8, 4, 3), shade, np.float32) for shade in (0.0, 50.0))
    views = [front, front, front, back, back, front]
    # Nearly as good as the best of its time and another side: kept. Far worse: not, whatever it shows.
    assert best_rows([0.9, 0.8, 0.8, 0.7, 0.7, 0.6], 2, views=views) == [0, 3]
    assert best_rows([0.9, 0.8, 0.8, 0.5, 0.5, 0.7], 2, views=views) == [0, 5]
    track = OpenTrack(4)
    for number in range(500):
        track.see(Frame(number, number / 10, walk_frame(5, 1)), Box(22, 10, 24, 60), others=[])
        assert len(track.pool) <= 8
    times = [c.time for c in track.pool]
    assert track.boxes == 500 and times == sorted(times) and times[-1] - times[0] > 40
    # A spoilt frame does not drive out a good one.
    track = OpenTrack(1)
    for number in range(20):
        image = walk_frame(5, 1) if number == 7 else np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        track.see(Frame(number, number / 10, image), Box(22, 10, 24, 60), others=[])
    assert 7 in [c.frame for c in track.pool]
