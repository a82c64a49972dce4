"""Given boxes, tracking, and reading ahead."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from films import WIDTH, box_at, write_boxes
from unveil.errors import DataError
from unveil.video.detectors.precomputed import GivenBoxes
from unveil.video.prefetch import WAITING, ReadAhead
from unveil.video.records import Box, Frame
from unveil.video.tracks import KEEP_LOST, GivenTracks, Tracker

EMPTY = np.zeros((96, WIDTH, 3), np.uint8)


def frame(number: int, seconds: float | None = None) -> Frame:
    return Frame(number, number / 10 if seconds is None else seconds, EMPTY)


def walk(tracker, numbers, people=2, hidden=()) -> dict[str, set[int]]:
    """Give the drawn people's boxes; return who was in each track."""
    tracks: dict[str, set[int]] = {}
    for number in numbers:
        boxes = {Box(*map(float, box_at(p, number)), 0.9): p for p in range(people) if box_at(p, number)}
        boxes = {box: p for box, p in boxes.items() if (number, p) not in hidden}
        for track, box in tracker.update(frame(number), list(boxes)):
            tracks.setdefault(track, set()).add(boxes[box])
    return tracks


def test_two_people_walking_by_are_two_tracks():
    tracker = Tracker(0.5)
    assert tracker.idle
    tracks = walk(tracker, range(65))
    assert sorted(map(sorted, tracks.values())) == [[0], [1]]
    for number in range(65, 90):
        assert tracker.update(frame(number), []) == []
    assert tracker.idle and not tracker.alive


def test_a_person_hidden_for_a_moment_keeps_the_track_and_a_gap_in_time_ends_it():
    assert len(walk(Tracker(0.5), range(30), 1, {(n, 0) for n in range(12, 16)})) == 1
    tracker = Tracker(0.5)
    box = [Box(20, 10, 24, 60, 0.9)]
    first = [tracker.update(frame(n), box) for n in range(5)][-1][0].track
    # Five frames on, but a minute later: the container's time counts, not the number of frames.
    later = [tracker.update(frame(5 + n, 60 + n / 10), box) for n in range(3)][-1][0].track
    assert first != later and KEEP_LOST < 59


def test_a_low_score_continues_a_track_and_never_begins_one():
    tracker = Tracker(0.5)
    assert [tracker.update(frame(n), [Box(20 + n, 10, 24, 60, 0.2)]) for n in range(5)] == [[]] * 5
    tracks = [tracker.update(frame(5 + n), [Box(30 + n, 10, 24, 60, 0.9 if n < 3 else 0.2)]) for n in range(6)]
    assert [len(t) for t in tracks] == [0, 1, 1, 1, 1, 1] and len({t[0].track for t in tracks[1:]}) == 1


def test_csv_mot_and_json_say_the_same(tmp_path):
    csv_boxes = GivenBoxes(write_boxes(tmp_path / "a.csv", tracks=True))
    rows = [(n, p, *box_at(p, n)) for n in range(60) for p in range(2) if box_at(p, n)]
    (tmp_path / "a.txt").write_text(
        "\n".join(f"{n + 1},{p + 1},{x},{y},{w},{h},1,-1,-1,-1" for n, p, x, y, w, h in rows)
    )
    named = [{"frame": n, "x": x, "y": y, "width": w, "height": h, "track": f"p{p}"} for n, p, x, y, w, h in rows]
    (tmp_path / "a.json").write_text(json.dumps(named))
    mot, listed = GivenBoxes(tmp_path / "a.txt"), GivenBoxes(tmp_path / "a.json")
    for number in range(60):
        assert csv_boxes.boxes(number) == mot.boxes(number) == listed.boxes(number)
    assert csv_boxes.tracked and mot.tracked and csv_boxes.tracks(0) == ["p0"] and mot.tracks(0) == ["1"]
    assert not GivenBoxes(write_boxes(tmp_path / "b.csv")).tracked


def test_of_the_ground_truth_of_mot_only_people_who_count_are_taken(tmp_path):
    rows = {
        "1": "10,10,20,50,1,1,1", "2": "99,10,80,50,1,3,1", "3": "60,10,20,50,0,1,0.2", "4": "60,10,20,50,1,8,0.2",
        "5": "30,10,20,50,1,1,0.1",
    }  # fmt: skip
    (tmp_path / "gt.txt").write_text("\n".join(f"1,{track},{rest}" for track, rest in rows.items()))
    given = GivenBoxes(tmp_path / "gt.txt")
    assert given.tracks(0) == ["1", "5"] and [box.x for box in given.boxes(0)] == [10, 30]
    # Ten columns end with a place in the world; -1 is a score that nobody gave.
    (tmp_path / "det.txt").write_text(
        "1,-1,10,10,20,50,-1,-1,-1,-1\n1,-1,30,10,20,50,0.3,4.5,2.5,0\n1,-1,9,9,9,9,-0.2\n"
    )
    given = GivenBoxes(tmp_path / "det.txt")
    assert [box.score for box in given.boxes(0)] == [1.0, 0.3, 0.0] and not given.tracked


@pytest.mark.parametrize("key", ["track", "person"])
@pytest.mark.parametrize("names", [(0, 1), (0, 0)])
def test_a_track_of_a_json_file_may_be_the_number_0(tmp_path, key, names):
    rows = [{"frame": 0, "x": 9 * n, "y": 1, "width": 5, "height": 9, key: name} for n, name in enumerate(names)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    given = GivenBoxes(tmp_path / "a.json")
    assert given.tracks(0) == [str(name) for name in names]
    assert (given.tracked, given.people) == (True, key == "person")


def test_tracks_of_a_file_end_some_time_after_their_last_box(tmp_path):
    given = GivenBoxes(write_boxes(tmp_path / "a.csv", people=1, tracks=True))
    tracker = GivenTracks(given)
    alive = []
    for number in range(60):
        tracked = tracker.update(frame(number), given.boxes(number))
        assert [t.track for t in tracked] == given.tracks(number)
        alive.append(tracker.alive)
    assert alive[0] == alive[40] == {"p0"} and alive[-1] == set() and tracker.idle


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "frame,x,y,width\n1,2,3,4\n", "'height' is missing"),
        ("a.csv", "frame,x,y,width,height\n1,2,3,4,-5\n", "line 2"),
        ("a.csv", "frame,x,y,width,height\n1,2,3,4,5\n1,2,nan,4,5\n", "line 3"),
        ("a.csv", "frame,x,y,width,height\n1,2,three,4,5\n", "line 2"),
        ("a.csv", "frame,x,y,width,height\n", "not one box"),
        ("a.csv", "frame,x,y,width,height,track\n1,2,3,4,5,a\n1,2,3,4,5,\n", "all, or none"),
        ("a.txt", "0,1,2,3,4,5,1\n", "frame >= 0"),
        ("a.txt", "1,1,2,3,4,5,1,1\n1,1,2,3,4,5,1,car\n", "line 2"),
        ("a.json", '{"frame": 1}', "list of objects"),
        ("a.json", "[", "cannot be read"),
    ],
)
def test_wrong_boxes_are_one_error_that_names_the_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        GivenBoxes(tmp_path / name)


def test_a_box_is_cut_at_the_frame():
    assert Box(-5, 3, 10, 10).whole(100, 10) == (0, 3, 5, 7)
    assert Box(200, 3, 10, 10).whole(100, 10) is None


def test_reading_ahead_keeps_order_and_hands_on_errors():
    assert [f.number for f in ReadAhead(frame(n) for n in range(50))] == list(range(50))

    def broken():
        yield frame(0)
        raise DataError("the end")

    taken = []
    with pytest.raises(DataError, match="the end"):
        for f in ReadAhead(broken()):
            taken.append(f.number)
    assert taken == [0]


def test_a_live_stream_drops_what_is_late_and_leaving_early_ends_the_thread():
    ahead = ReadAhead((frame(n) for n in range(100)), drop=True)
    frames = iter(ahead)
    first = next(frames)
    deadline = time.monotonic() + 10
    while ahead.dropped < 100 - WAITING - 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    rest = [f.number for f in frames]
    assert rest == sorted(rest) and rest[-1] == 99 and first.number < rest[0]
    assert len(rest) + 1 + ahead.dropped == 100
    early = ReadAhead(frame(n) for n in range(1000))
    for f in early:
        if f.number == 3:
            break
    early.close()
    assert not early._thread.is_alive()
