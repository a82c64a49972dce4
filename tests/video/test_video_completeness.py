"""Files that end before their header says, and files that only seem to: edit lists, sound that is longer."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from films import HEIGHT, WIDTH, walk_frame, write_film
from unveil.video.decode import Video


def lost(path: Path, **options: int) -> tuple[int, str | None]:
    with Video(path) as video:
        return len(list(video.frames(**options))), video.lost


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("kind", ["mkv", "webm", "flv", "avi", "mov"])
def test_a_file_cut_at_any_place_is_not_taken_as_complete(tmp_path, kind, codec):
    codec = {"webm": "libvpx", "flv": "libx264" if codec == "libx264" else "flv1"}.get(kind, codec)
    whole = write_film(tmp_path / f"whole.{kind}", 60, codec=codec)
    if kind == "mov":
        whole = with_index_first(whole)
    assert lost(whole) == (60, None)
    data = whole.read_bytes()
    for share in (0.5, 0.7, 0.9):
        cut = tmp_path / f"cut.{kind}"
        cut.write_bytes(data[: int(len(data) * share)])
        frames, said = lost(cut)
        assert frames < 60
        assert said and ("announced" in said or "breaks off" in said), f"{share:.0%} of a .{kind}: {said}"


def with_index_first(film: Path) -> Path:
    fast = film.with_name(f"fast{film.suffix}")
    with av.open(str(film)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    return fast


def test_where_not_every_frame_is_sampled_a_cut_is_still_said(tmp_path):
    whole = write_film(tmp_path / "whole.mkv", 60)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert lost(whole, every=7) == (9, None)
    assert "announced" in str(lost(cut, every=7)[1])


def test_an_edit_list_is_no_loss(tmp_path):
    film = write_film(tmp_path / "film.mp4", 60)
    data = bytearray(film.read_bytes())
    at = data.find(b"elst")
    assert at > 0, "the writer makes an edit list for frames that are not coded in order"
    duration, media_time = struct.unpack_from(">ii", data, at + 12)
    # From the first second on, two of six; the movie counts in thousandths, the media in ticks.
    with av.open(str(film)) as container:
        base = container.streams.video[0].time_base
    ticks = media_time + int(1 / base)
    struct.pack_into(">ii", data, at + 12, duration // 3, ticks)
    trimmed = tmp_path / "trimmed.mp4"
    trimmed.write_bytes(data)
    frames, said = lost(trimmed)
    assert 15 <= frames <= 25, "the edit list leaves out two thirds of the frames"
    assert said is None


def film_with_sound(path: Path, seconds: float, sound: float) -> Path:
    """Write a film whose sound lasts ``sound`` seconds."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=8000)
        packets = []
        for number in range(round(10 * seconds)):
            packets += video.encode(av.VideoFrame.from_ndarray(walk_frame(number, 1), format="rgb24"))
        packets += video.encode(None)
        for number in range(round(sound * 8000 / 1024)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 1024 * number, Fraction(1, 8000)
            packets += audio.encode(frame)
        packets += audio.encode(None)
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            container.mux(packet)
    return path


@pytest.mark.parametrize("kind", ["mkv", "flv", "mp4"])
def test_sound_that_is_longer_than_the_images_is_no_loss(tmp_path, kind):
    film = film_with_sound(tmp_path / f"film.{kind}", 3, 6)
    assert lost(film) == (30, None)
    data = film.read_bytes()
    if kind == "flv":
        film.write_bytes(data[: len(data) // 2])
        assert "announced" in str(lost(film)[1])


def test_long_waits_between_frames_are_no_loss(tmp_path):
    times = [0.0, 0.1, 4.0, 4.1, 9.0, 9.1]
    assert lost(write_film(tmp_path / "lapse.mkv", len(times), times=times)) == (6, None)
    assert lost(write_film(tmp_path / "lapse.mp4", len(times), times=times)) == (6, None)
