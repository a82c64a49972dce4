"""Frames found again by number, and clips that browsers play: from real films of every kind."""

import io

import av
import numpy as np
import pytest

from films import walk_frame, write_film
from unveil.errors import DataError
from unveil.video.decode import Video
from unveil.video.image_sequence import ImageSequence
from unveil.video.playback.clip import MAX_EARLY, cut_clip
from unveil.video.playback.frame import find_frame
from unveil.video.playback.reading import frame_times, frames_between

UNEVEN = [0.0, *np.cumsum(np.where(np.arange(59) % 3, 0.04, 0.4)).tolist()]


def like(number):
    """How much a frame differs from the one that was drawn with that number."""
    drawn = walk_frame(number, 2).astype(float)
    return lambda image: float(np.abs(image - drawn).mean())


def decoded(clip):
    with av.open(io.BytesIO(clip.data)) as container:
        assert {stream.type for stream in container.streams} == {"video"}
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mp4", {}), ("a.mkv", {}), ("a.ts", {}), ("a.avi", {"codec": "mpeg4"}), ("uneven.mp4", {"times": UNEVEN})],
)
def test_a_frame_is_found_again_by_its_number(tmp_path, name, options):
    path = write_film(tmp_path / name, **options)
    with Video(path) as video:
        times = {frame.number: frame.time for frame in video.frames()}
    for number in (0, 17, 44, 59):
        with Video(path) as video:
            frame, difference = find_frame(video, number, difference=like(number), enough=4.0)
        assert difference < 4.0
        assert frame.time == pytest.approx(times[number], abs=0.002)


def test_frames_are_counted_in_order_of_presentation(tmp_path):
    path = write_film(tmp_path / "a.mp4", times=UNEVEN)
    with Video(path) as video:
        assert frame_times(video) == pytest.approx(UNEVEN, abs=0.002)


@pytest.mark.parametrize(
    "read", [frame_times, lambda video, deadline: list(frames_between(video, 2, end=3, deadline=deadline))]
)
def test_what_takes_too_long_says_how_long_it_might_have_taken(tmp_path, read):
    with Video(write_film(tmp_path / "a.mp4")) as video, pytest.raises(DataError, match="takes longer than -1 s"):
        read(video, deadline=-1)


def test_a_clip_holds_the_films_own_images_where_browsers_play_them(tmp_path):
    path = write_film(tmp_path / "a.mp4")
    with Video(path) as video:
        clip = cut_clip(video, 2.3, end=4.0)
    assert (clip.copied, clip.media_type) == (True, "video/mp4")
    assert 2.3 - MAX_EARLY <= clip.start <= 2.3 and clip.end >= 3.9
    frames = decoded(clip)
    assert frames[0][0] == pytest.approx(0, abs=0.01)
    for time, image in frames:
        assert like(round((clip.start + time) * 10))(image) < 4.0
    assert frames[-1][0] + clip.start >= 3.9


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mkv", "mjpeg"), ("far.mp4", "libx264")])
def test_what_browsers_do_not_play_is_encoded_anew(tmp_path, name, codec):
    path = tmp_path / name
    if name == "far.mp4":  # its key frames are too far apart
        _with_one_key_frame(path)
    else:
        _write(path, codec)
    with Video(path) as video:
        clip = cut_clip(video, 5.0, end=5.5)
    assert not clip.copied and clip.media_type == "video/mp4"
    frames = decoded(clip)
    assert clip.start == pytest.approx(5.0, abs=0.05) and len(frames) in (5, 6)
    for time, image in frames:
        assert like(round((clip.start + time) * 10))(image) < 8.0


def test_numbered_images_are_played_too(tmp_path):
    from PIL import Image

    folder = tmp_path / "img1"
    folder.mkdir()
    for number in range(50):
        Image.fromarray(walk_frame(number, 2)).save(folder / f"{number:06}.png")
    clip = cut_clip(ImageSequence(folder), 0.4, end=1.2)
    frames = decoded(clip)
    assert not clip.copied and clip.start == pytest.approx(0.4) and len(frames) == 21
    assert like(10)(frames[0][1]) < 8.0


def test_nothing_and_too_much_are_refused(tmp_path):
    path = write_film(tmp_path / "a.mp4", codec="libx264")
    with Video(path) as video, pytest.raises(DataError, match="up to 60 s"):
        cut_clip(video, 0, end=61)
    with Video(path) as video, pytest.raises(DataError, match="no frame can be read"):
        cut_clip(video, 100, end=101)


def _write(path, codec):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 160, 96, pixels, 4_000_000
        for number in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(walk_frame(number, 2), format="rgb24")))
        container.mux(stream.encode(None))


def _with_one_key_frame(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 96, "yuv420p", 600
        stream.options = {"sc_threshold": "0"}
        for number in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(walk_frame(number, 2), format="rgb24")))
        container.mux(stream.encode(None))
