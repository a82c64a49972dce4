"""Real files, written by PyAV, whole and damaged; a live stream over TCP."""

from __future__ import annotations

import socket
import threading

import av
import numpy as np
import pytest

from films import HEIGHT, WIDTH, walk_frame, write_film
from unveil.errors import DataError
from unveil.video.decode import Video


def read(path, **options):
    with Video(path) as video:
        frames = list(video.frames(**options))
        return frames, video.lost


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.avi", "mpeg4"), ("b.avi", "libx264"), ("a.ts", "libx264")],
)
def test_every_frame_comes_with_its_number_its_time_and_its_pixels(tmp_path, name, codec):
    frames, lost = read(write_film(tmp_path / name, 25, codec=codec))
    assert lost is None
    assert [f.number for f in frames] == list(range(25))
    assert np.allclose([f.time for f in frames], np.arange(25) / 10, atol=0.02)
    for frame in frames:
        assert np.abs(frame.image.astype(int) - walk_frame(frame.number, 2)).mean() < 8
    # A frame is nearer to its own drawing than to the one five frames on.
    own, other = (np.abs(frames[10].image.astype(int) - walk_frame(n, 2)).mean() for n in (10, 15))
    assert own < other


def test_times_of_a_variable_frame_rate_are_the_containers_own(tmp_path):
    times = np.cumsum([0.0] + [0.04, 0.2, 0.1, 0.5, 0.02] * 4)
    frames, _ = read(write_film(tmp_path / "v.mp4", len(times), times=times))
    assert np.allclose([f.time for f in frames], times, atol=1e-3)


def test_sampling_by_count_and_by_rate(tmp_path):
    path = write_film(tmp_path / "a.mp4", 30)
    assert [f.number for f in read(path, every=7)[0]] == [0, 7, 14, 21, 28]
    assert [f.number for f in read(path, fps=5)[0]] == list(range(0, 30, 2))
    assert [f.number for f in read(path, fps=1000)[0]] == list(range(30))
    assert [f.number for f in read(path, every=7, first=8)[0]] == [14, 21, 28]
    # After a pause the next frame comes at once, and no frames are made up for.
    times = [0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 5.3]
    late = write_film(tmp_path / "late.mp4", 7, times=times)
    assert [f.number for f in read(late, fps=5)[0]] == [0, 2, 3, 5]


def test_damage_in_the_middle_costs_only_what_is_damaged(tmp_path):
    whole = write_film(tmp_path / "a.mp4", 60, codec="mpeg4")
    data = bytearray(whole.read_bytes())
    start = data.find(b"mdat") + 4
    middle = start + (len(data) - start) // 3
    data[middle : middle + 4000] = np.random.default_rng(3).integers(0, 256, 4000, np.uint8).tobytes()
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data)
    frames, lost = read(bad)
    assert 30 <= len(frames) <= 60
    assert lost is None or ("bad.mp4" in lost and "\n" not in lost)
    numbers = {f.number: f.time for f in frames}
    assert numbers[59] == pytest.approx(5.9, abs=0.01), "frames after the damage keep their number and their time"


def test_zeroed_packets_are_counted_and_the_rest_is_read(tmp_path):
    whole = write_film(tmp_path / "a.mp4", 60)
    with av.open(str(whole)) as c:
        spans = [(p.pos, p.size) for p in c.demux(video=0) if p.size]
    data = bytearray(whole.read_bytes())
    for at, size in spans[20:25]:
        data[at : at + size] = bytes(size)
    (tmp_path / "z.mp4").write_bytes(data)
    frames, lost = read(tmp_path / "z.mp4")
    assert lost and "frames were left out" in lost and f"{len(frames)} frames were read" in lost
    assert 50 <= len(frames) <= 55 and frames[-1].time == pytest.approx(5.9, abs=0.15)


def test_a_file_that_ends_too_early_gives_what_it_has_and_says_so(tmp_path):
    whole = write_film(tmp_path / "a.mp4", 60)
    fast = tmp_path / "fast.mp4"
    with av.open(str(whole)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    data = fast.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * 0.6)])
    frames, lost = read(cut)
    assert 15 < len(frames) < 60
    assert (lost and "of 6.0 announced seconds" in lost) or "breaks off" in lost


def test_where_reading_is_stopped_on_purpose_nothing_is_missing(tmp_path):
    whole = write_film(tmp_path / "a.mp4", 60)
    with Video(whole) as video:
        frames = video.frames()
        assert [next(frames).number for _ in range(10)] == list(range(10))
        assert video.lost is None
        assert len(list(frames)) == 50 and video.lost is None


@pytest.mark.parametrize(
    "content", [b"", b"no video at all" * 50, b"\x00" * 5000, b"ffconcat version 1.0\nfile a.mp4\n"]
)
def test_no_video_is_one_error(tmp_path, content):
    write_film(tmp_path / "a.mp4", 5)
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.mp4"):
        read(tmp_path / "x.mp4")


def test_images_that_ffmpeg_cannot_decode_are_one_error(tmp_path):
    path = write_film(tmp_path / "a.mp4", 4, 1)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(DataError, match=r"a\.mp4: FFmpeg has no decoder for its images"):
        Video(path)


def test_header_without_frames_is_one_error(tmp_path):
    whole = write_film(tmp_path / "a.mp4", 20)
    (tmp_path / "half.mp4").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"half\.mp4"):
        read(tmp_path / "half.mp4")


def test_missing_files_wrong_sampling_and_large_frames_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such video"):
        Video(tmp_path / "absent.mp4")
    path = write_film(tmp_path / "a.mp4", 3)
    with pytest.raises(DataError, match=f"{WIDTH} x {HEIGHT}"):
        Video(path, max_pixels=WIDTH * HEIGHT - 1)
    with pytest.raises(DataError, match="every"):
        read(path, every=0)
    with pytest.raises(DataError, match="fps"):
        read(path, fps=0)


def test_sound_alone_is_refused(tmp_path):
    with av.open(str(tmp_path / "s.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match="no video"):
        Video(tmp_path / "s.mp4")


def test_a_playlist_cannot_reach_the_network(tmp_path):
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(DataError, match=r"list\.m3u8: a list"):
        read(tmp_path / "list.m3u8")


def test_a_live_stream_is_read_like_a_file(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    film = write_film(tmp_path / "a.ts", 30)
    server = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(film.read_bytes())

    thread = threading.Thread(target=serve)
    thread.start()
    with Video(f"tcp://127.0.0.1:{port}", waits=()) as video:
        assert video.live
        frames = list(video.frames())
    thread.join()
    server.close()
    assert len(frames) == 30 and frames[-1].time == pytest.approx(2.9, abs=0.02)


def test_an_address_where_nothing_answers_is_one_error():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with pytest.raises(DataError, match=f"rtsp://127.0.0.1:{port}/x: not a video that can be read"):
        Video(f"rtsp://127.0.0.1:{port}/x")
