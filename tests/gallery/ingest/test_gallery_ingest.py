"""Images and videos into a real store, by a real model; killed in the middle and done again."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from films import HEIGHT, WIDTH, box_at, breaking, walk_frame, write_boxes, write_film
from generated import figure, write_crops
from untrained import make_model
from unveil.data.readers.manifest import read_manifest
from unveil.errors import DataError
from unveil.gallery.ingest.adding import Added, mean_embedding
from unveil.gallery.ingest.best_crops import OpenTrack, best_rows
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.gallery.ingest.quality import (
    body_shares,
    find_parser,
    framing_quality,
    image_quality,
    looked_at,
    measure,
    without_occluded,
)
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Filter
from unveil.inference.engine import Engine
from unveil.inference.load import load_engine
from unveil.records import Embedding, Sample
from unveil.video.decode import Video
from unveil.video.detectors.detect import load_detector
from unveil.video.detectors.precomputed import GivenBoxes
from unveil.video.records import Box, Frame


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), height=64, width=32)


@pytest.fixture(scope="module")
def engine(model) -> Engine:
    return load_engine(model, "torch")


def add_live(store, engine, *, address: str, boxes: Path, waits: tuple[float, ...]) -> Added:
    """Add the live stream of a camera at the gate."""
    settings = VideoSettings("gate", waits=waits)
    return add_video(store, "shop", engine=engine, source=address, detector=GivenBoxes(boxes), settings=settings)


def write_images(folder: Path, count: int) -> list[Sample]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(figure(number, 0, 0)).save(folder / f"{number:04d}.png")
    return [Sample(p.name, p) for p in sorted(folder.iterdir())]


def rows(store, name):
    """Everything in a gallery but the numbers that the store gives, by key."""
    items = store.find(name, Filter(), limit=100_000)
    ids, embedding = store.embeddings(name, [item.id for item in items])
    assert len(ids) == len(items)
    found = {item.key: (replace(item, id=None), embedding.select(slice(i, i + 1))) for i, item in enumerate(items)}
    assert len(found) == len(items)
    return found


def same(a, b) -> None:
    assert a.keys() == b.keys()
    for key, (item, embedding) in a.items():
        other, vectors = b[key]
        close = {f: pytest.approx(getattr(other, f), abs=1e-5) for f in ("quality", "visible", "time", "end")}
        assert item == replace(other, **{f: getattr(item, f) for f in close})
        assert all(getattr(item, f) == value for f, value in close.items())
        assert np.allclose(embedding.vectors, vectors.vectors, atol=2e-3, rtol=2e-3)
        assert np.allclose(embedding.visibility, vectors.visibility, atol=2e-3)


def test_every_image_is_there_once_with_its_own_vector(store, engine, tmp_path):
    samples = write_images(tmp_path / "a", 70)
    (tmp_path / "a" / "copy.png").write_bytes(samples[3].path.read_bytes())
    samples = [Sample(p.name, p) for p in sorted((tmp_path / "a").iterdir())]
    settings = ImageSettings("gate", 1.7e9, ("night",))
    added = add_images(store, "shop", engine=engine, samples=samples, source="a", settings=settings)
    assert (added.crops, added.known, added.tracklets, added.bad) == (70, 1, 0, ())
    found = rows(store, "shop")
    for sample in samples[:3]:
        item, embedding = found[hashlib.sha256(sample.path.read_bytes()).hexdigest()]
        assert (item.kind, item.camera, item.time, item.tags) == ("crop", "gate", 1.7e9, ("night",))
        assert item.source == str(sample.path)
        own = engine.embed([np.asarray(Image.open(sample.path))])
        assert np.allclose(embedding.vectors, own.vectors, atol=2e-3, rtol=2e-3)
        with Image.open(io.BytesIO(item.thumbnail)) as thumbnail:
            assert thumbnail.size == (32, 64)
    again = add_images(store, "shop", engine=engine, samples=samples, source="a", settings=settings)
    assert (again.crops, again.known) == (0, 71)
    more = write_images(tmp_path / "a", 75)
    assert add_images(store, "shop", engine=engine, samples=more, source="a", settings=settings).crops == 5


def test_what_a_manifest_knows_is_kept_and_tracklets_get_a_row(store, engine, tmp_path):
    manifest = write_crops(tmp_path, 4, 2)
    lines = manifest.read_text().splitlines()
    new = [lines[0] + ",tracklet,time,tags"]
    for number, line in enumerate(lines[1:]):
        camera = line.split(",")[2]
        new.append(f"{line},{'t' + line.split(',')[1] + camera if number >= 6 else ''},{number},wet; late")
    manifest.write_text("\n".join(new) + "\n")
    samples = read_manifest(manifest).samples
    added = add_images(store, "shop", engine=engine, samples=samples, settings=ImageSettings(start_time=1.7e9))
    assert added.crops == 24 and added.tracklets == 6
    crops = store.find("shop", Filter(rows="crop"), limit=100)
    whole = [i for i in store.find("shop", Filter(rows="tracklet"), limit=100) if i.kind == "tracklet"]
    assert len(crops) == 24 and len(whole) == 6 and sum(c.tracklet is None for c in crops) == 6
    for item in whole:
        members = [c for c in crops if c.tracklet == item.key]
        assert item.crops == len(members) == 3
        assert {m.camera for m in members} == {item.camera} and {m.person for m in members} == {item.person}
        assert (item.time, item.end) == (min(m.time for m in members), max(m.time for m in members))
        assert item.time >= 1.7e9 and item.tags == ("wet", "late")
        assert item.thumbnail == max(members, key=lambda m: m.quality).thumbnail
        _, own = store.embeddings("shop", [item.id])
        _, parts = store.embeddings("shop", [m.id for m in members])
        mean = mean_embedding(parts, np.array([m.quality for m in members]))
        assert np.allclose(own.vectors, mean.vectors, atol=3e-3)
    again = add_images(store, "shop", engine=engine, samples=samples, settings=ImageSettings(start_time=1.7e9))
    assert (again.crops, again.tracklets, again.known) == (0, 0, 24)


def test_bad_files_are_named_and_the_rest_is_added(store, engine, tmp_path):
    samples = write_images(tmp_path, 5)
    whole = samples[0].path.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    Image.new("1", (20_000, 10_000)).save(tmp_path / "huge.png")  # 200 megapixels in 25 kB
    samples = [*(Sample(p.name, p) for p in sorted(tmp_path.iterdir())), Sample("gone", tmp_path / "gone.jpg")]
    added = add_images(store, "shop", engine=engine, samples=samples)
    assert added.crops == 5 and len(added.bad) == 5
    for name, reason in (
        ("cut", "truncated"),
        ("empty", "empty"),
        ("text", "not an image"),
        ("huge", "too large"),
        ("gone", "read"),
    ):
        assert any(name in line and reason in line for line in added.bad), name


def test_another_model_is_refused_before_anything_is_added(store, engine, tmp_path):
    samples = write_images(tmp_path / "p", 2)
    add_images(store, "shop", engine=engine, samples=samples[:1])
    other = load_engine(make_model(tmp_path, seed=1, height=64, width=32), "torch")
    with pytest.raises(DataError, match=f"{engine.fingerprint}.*{other.fingerprint}"):
        add_images(store, "shop", engine=other, samples=samples)
    assert store.info("shop").crops == 1


def render_frames(folder: Path, people: int = 3, apart: int = 60, **options) -> tuple[Path, Path]:
    frames = apart * people + 10
    return (
        write_film(folder / "film.mp4", frames, people, apart),
        write_boxes(folder / "boxes.csv", frames, people, apart, **options),
    )


def test_each_person_of_a_video_is_one_tracklet_with_its_best_crops(store, engine, tmp_path):
    path, boxes = render_frames(tmp_path)
    settings = VideoSettings("gate", 1.7e9, ("day",), crops=3)
    added = add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=settings)
    assert (added.tracklets, added.crops, added.bad) == (3, 9, ())
    assert added.frames == 190 and added.footage == pytest.approx(18.9, abs=0.01)
    found = store.find("shop", Filter(), limit=100)
    whole = [i for i in found if i.kind == "tracklet"]
    with Video(path) as video:
        frames = {f.number: f for f in video.frames()}
    for person, item in enumerate(sorted(whole, key=lambda i: i.time)):
        seen = [n for n in frames if box_at(person, n, 60)]
        # The tracker names a track from its second box on.
        assert item.time == pytest.approx(1.7e9 + seen[1] / 10, abs=0.02)
        assert item.end == pytest.approx(1.7e9 + seen[-1] / 10, abs=0.02)
        members = [c for c in found if c.tracklet == item.key]
        assert len(members) == item.crops == 3
        assert max(m.time for m in members) - min(m.time for m in members) > 1, "from all over its time"
        for crop in members:
            assert crop.box == box_at(person, crop.frame, 60) and crop.camera == "gate" and crop.tags == ("day",)
            assert crop.time == pytest.approx(1.7e9 + crop.frame / 10, abs=0.02) and crop.source == str(path)
            x, y, w, h = crop.box
            own = engine.embed([frames[crop.frame].image[y : y + h, x : x + w]])
            _, kept = store.embeddings("shop", [crop.id])
            assert np.allclose(kept.vectors, own.vectors, atol=2e-3, rtol=2e-3)
    again = add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=settings)
    assert (again.crops, again.tracklets, again.known, again.frames) == (0, 0, 3, 0)
    assert store.info("shop").crops == 9


def test_tracks_and_names_of_a_file_are_taken(store, engine, tmp_path):
    path, boxes = render_frames(tmp_path, tracks=True)
    boxes.write_text(boxes.read_text().replace("track", "person"))
    add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes))
    whole = [i for i in store.find("shop", Filter(rows="tracklet"), limit=100) if i.kind == "tracklet"]
    assert sorted(i.person for i in whole) == ["p0", "p1", "p2"]
    assert min(i.time for i in whole) == 0, "a track of the file begins with its first box"


def test_other_settings_are_refused_until_the_video_is_added_again(store, engine, tmp_path):
    path, boxes = render_frames(tmp_path, 1)
    add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes))
    other = VideoSettings(every=2)
    with pytest.raises(DataError, match=r"every=1.*every=2.*--again"):
        add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=other)
    before = set(rows(store, "shop"))
    add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=other, again=True)
    after = [i for i, _ in rows(store, "shop").values()]
    assert before != {i.key for i in after} and all(i.frame % 2 == 0 for i in after)
    assert store.info("shop").tracklets == 1


def test_stopping_after_some_seconds_and_going_on_later_gives_the_whole(store, engine, tmp_path):
    path, boxes = render_frames(tmp_path)
    # At 5.5 s the first person has left and the second has not come.
    first = add_video(
        store, "parts", engine=engine, source=path, detector=GivenBoxes(boxes), settings=VideoSettings(seconds=5.5)
    )
    assert first.tracklets == 1 and first.footage == pytest.approx(5.4, abs=0.01)
    assert first.bad == (), "what was not asked for is not missing"
    rest = add_video(store, "parts", engine=engine, source=path, detector=GivenBoxes(boxes))
    assert rest.tracklets == 2 and rest.frames == 190 - 55
    add_video(store, "whole", engine=engine, source=path, detector=GivenBoxes(boxes))
    same(rows(store, "parts"), rows(store, "whole"))


def test_a_video_without_people_and_a_damaged_one(store, engine, tmp_path):
    empty = write_film(tmp_path / "empty.mp4", 30, people=0)
    added = add_video(store, "shop", engine=engine, source=empty, detector=load_detector(None))
    assert (added.frames, added.boxes, added.tracklets, added.bad) == (30, 0, 0, ())
    assert store.info("shop").crops == 0
    path, boxes = render_frames(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    (tmp_path / "bad.mp4").write_bytes(data)
    added = add_video(store, "shop", engine=engine, source=tmp_path / "bad.mp4", detector=GivenBoxes(boxes))
    assert added.tracklets >= 2 and len(added.bad) == 1 and "bad.mp4" in added.bad[0]
    (tmp_path / "none.mp4").write_bytes(b"none")
    with pytest.raises(DataError, match=r"none\.mp4"):
        add_video(store, "shop", engine=engine, source=tmp_path / "none.mp4", detector=GivenBoxes(boxes))


def test_a_live_stream_begins_now_and_keeps_no_state(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)  # this camera sends faster than any
    _, boxes = render_frames(tmp_path, 1)
    stream = write_film(tmp_path / "live.ts", 70, 1, 60)
    for turn in range(2):
        server = socket.create_server(("127.0.0.1", 0))

        def serve(server=server) -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(stream.read_bytes())

        thread = threading.Thread(target=serve)
        thread.start()
        before = time.time()
        address = f"tcp://me:secret@127.0.0.1:{server.getsockname()[1]}"
        added = add_live(store, engine, address=address, boxes=boxes, waits=())
        thread.join()
        server.close()
        assert (added.tracklets, added.dropped) == (1, 0) and "secret" not in str(added)
        assert store.info("shop").tracklets == turn + 1, "another day is another video"
    newest = max(store.find("shop", Filter(rows="tracklet"), limit=10), key=lambda i: i.time)
    assert before - 20 < newest.time < time.time() + 10 and "secret" not in newest.source


def test_nobody_is_followed_across_a_break_of_a_live_stream(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)
    stream = write_film(tmp_path / "live.ts", 20, 1)
    boxes = tmp_path / "boxes.csv"
    # The same track by name, and the same place: only the break parts them.
    lines = [f"{number},{','.join(map(str, box_at(0, number % 20)))},p0" for number in range(40)]
    boxes.write_text("\n".join(["frame,x,y,width,height,track", *lines]))
    with breaking(stream, 2) as address:
        added = add_live(store, engine, address=address, boxes=boxes, waits=(0.05, 0.05))
    assert (added.frames, added.tracklets, added.reopened, added.dropped) == (40, 2, 1, 0)
    assert added.footage == pytest.approx(3.8, abs=0.05), "without the break"
    assert len(added.bad) == 1 and "in vain: 2" in added.bad[0]
    assert "opened again: 1" in str(added)
    first, second = sorted(
        (i for i in store.find("shop", Filter(rows="tracklet"), limit=10) if i.kind == "tracklet"), key=lambda i: i.time
    )
    assert first.end - first.time == pytest.approx(1.9, abs=0.05) == second.end - second.time
    assert second.time > first.end


def test_a_long_stay_is_cut_and_every_part_kept(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.gallery.ingest.video_pass.CUT", 2.0)
    path, boxes = render_frames(tmp_path, 1)
    added = add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes))
    assert added.tracklets == 2
    whole = sorted((i for i, _ in rows(store, "shop").values() if i.kind == "tracklet"), key=lambda i: i.time)
    assert whole[0].end <= 2.01 < whole[1].time < 2.3


WORK = """
import sys
from pathlib import Path
from unveil.inference.load import load_engine
from unveil.gallery.ingest.adding import Added
from unveil.gallery.ingest.images import add_images
from unveil.gallery.ingest.video import add_video
from unveil.gallery.store.opening import open_store
from unveil.records import Sample
from unveil.video.detectors.precomputed import GivenBoxes
what, address, model, name, source, boxes = sys.argv[1:]
store, engine = open_store(address), load_engine(model, "torch")
if what == "images":
    print(add_images(store, name, engine=engine, samples=[Sample(p.name, p) for p in sorted(Path(source).iterdir())]))
else:
    print(add_video(store, name, engine=engine, source=source, detector=GivenBoxes(Path(boxes))))
"""


@pytest.mark.parametrize("what", ["images", "video"])
def test_killed_and_done_again_is_as_if_nothing_had_happened(store, address, engine, model, tmp_path, what):
    if what == "images":
        samples = write_images(tmp_path / "source", 400)
        source, boxes, whole = tmp_path / "source", tmp_path, 400
    else:
        source, boxes = render_frames(tmp_path, 14)
        whole = 56
    words = [what, address, str(model), "killed", str(source), str(boxes)]
    process = subprocess.Popen([sys.executable, "-c", WORK, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None:
        if any(g.name == "killed" and g.crops for g in store.galleries()):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert store.info("killed").crops < whole, "it was done before it was killed"
    for name in ("killed", "whole"):
        if what == "images":
            add_images(store, name, engine=engine, samples=samples)
        else:
            add_video(store, name, engine=engine, source=source, detector=GivenBoxes(boxes))
    same(rows(store, "killed"), rows(store, "whole"))
    info = store.info("killed")
    assert (info.crops, info.tracklets) == (whole, 0 if what == "images" else 14)
    assert store.verify("killed") == []


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
