"""Tracks that are split where their looks disagree, and joined with what is surely their continuation."""

from __future__ import annotations

import numpy as np

from unveil.gallery.ingest.best_crops import OpenTrack
from unveil.gallery.ingest.refining import JOIN_WITHIN, join, settled, split
from unveil.video.records import Box, Frame

RED, GREEN, DARK_RED = (180, 30, 30), (30, 150, 40), (174, 34, 34)


def walk(colours, begin: float = 0.0, x: float = 20.0, step: float = 5.0, y: int = 20) -> OpenTrack:
    """Return a track of a person of one colour per box, six boxes per second, who walks to the right."""
    track = OpenTrack(4)
    for n, colour in enumerate(colours):
        image = np.full((140, 400, 3), 120, np.uint8)
        left = round(x + step * n)
        image[y : y + 80, left : left + 30] = colour
        frame = Frame(round(10 * begin) + n, begin + n / 6, image)
        track.see(frame, Box(left, y, 30, 80), others=[])
    return track


def test_a_track_that_goes_over_to_another_person_is_split_there():
    parts = split(walk([RED] * 10 + [GREEN] * 10))
    assert [part.boxes for part in parts] == [10, 10]
    assert parts[0].end < parts[1].begin and parts[1].first == (10, (70, 20, 30, 80))
    assert all(part.begin <= crop.time <= part.end for part in parts for crop in part.pool)
    whole = walk([RED, DARK_RED] * 10)
    assert split(whole) == [whole]


def test_a_blurred_person_at_the_end_of_a_long_track_keeps_a_crop():
    track = OpenTrack(4)
    noise = np.random.default_rng(0).integers(-60, 60, (80, 30, 1))
    for n in range(318):
        image = np.full((140, 400, 3), 120, np.uint8)
        image[20:100, 20:50] = GREEN if n >= 300 else (np.array((120, 100, 100)) + noise).astype(np.uint8)
        track.see(Frame(n, n / 6, image), Box(20, 20, 30, 80), others=[])
    assert len(track.pool) <= 8 and max(crop.quality for crop in track.pool[:-1]) > track.pool[-1].quality
    assert [part.boxes for part in split(track)] == [300, 18] and split(track)[1].pool
    (_, first), (_, second) = settled([("1", track)], [], now=None)[0]
    assert (first.end, second.begin) == (299 / 6, 50.0)


def test_the_continuation_of_a_walk_is_joined_and_says_why():
    first, second = walk([RED] * 10), walk([DARK_RED] * 10, begin=3.0, x=110)
    (joined,) = join([second, first])
    assert joined.boxes == 20 and joined.first == first.first and joined.end == second.end
    assert len(joined.pool) <= 8 and [crop.time for crop in joined.pool] == sorted(crop.time for crop in joined.pool)
    assert len(joined.reasons) == 1 and "1.5 s" in joined.reasons[0] and "body heights" in joined.reasons[0]


def test_other_colours_a_long_time_far_away_and_a_doubt_keep_tracks_apart():
    first = walk([RED] * 10)
    assert len(join([first, walk([GREEN] * 10, begin=3.0, x=110)])) == 2
    assert len(join([first, walk([RED] * 10, begin=1.6 + JOIN_WITHIN, x=110)])) == 2
    assert len(join([first, walk([RED] * 10, begin=1.7, x=320)])) == 2
    # Two that could both be the one who was lost: neither is joined.
    assert len(join([first, walk([RED] * 10, begin=3.0, x=110), walk([RED] * 10, begin=3.0, x=112, y=30)])) == 3


def test_a_track_is_held_back_while_somebody_may_go_on_with_it():
    first, second = walk([RED] * 10), walk([DARK_RED] * 10, begin=3.0, x=110)
    done, waiting = settled([("1", first)], [], now=first.end + 1)
    assert (done, waiting) == ([], [("1", first)])
    # The second has begun and is still in sight, long after the first would have been let go.
    assert settled(waiting, [second], now=60.0) == ([], waiting)
    done, waiting = settled([*waiting, ("2", second)], [], now=60.0)
    assert waiting == [] and [track.boxes for _, track in done] == [20]
    assert settled([("1", first)], [], now=None) == ([("1", first)], [])
