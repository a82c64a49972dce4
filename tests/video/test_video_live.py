"""A camera on the network: a small RTSP server that sends a video over the connection itself, in real packets.

And one that breaks off: a server that sends a transport stream, closes, and accepts again.
"""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from file_server import serve_files
from films import breaking, walk_frame, write_film
from unveil.errors import DataError
from unveil.video.addresses import without_password
from unveil.video.decode import Video
from unveil.video.prefetch import ReadAhead
from unveil.video.records import Frame

HEAD = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
SDP = HEAD + "m=video 0 RTP/AVP 33\r\na=control:track\r\n"
CELLS = 7 * 188  # bytes of an MPEG transport stream in one RTP packet


@contextmanager
def camera(film: Path, answer: str = "200 OK") -> Iterator[tuple[int, list[str]]]:
    """Serve a transport stream by RTSP (RFC 2326) to one client; give the port and what was asked."""
    asked: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(server, film.read_bytes(), answer, asked), daemon=True)
    thread.start()
    yield server.getsockname()[1], asked
    thread.join(10)
    server.close()


def _serve(server: socket.socket, stream: bytes, answer: str, asked: list[str]) -> None:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        while True:
            request = [line.decode().strip() for line in iter(lines.readline, b"\r\n") if line]
            if not request:
                return
            asked.extend(request)
            number = next(line for line in request if line.lower().startswith("cseq"))
            verb = request[0].split()[0]
            head, body = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""
            if verb == "DESCRIBE":
                head, body = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n", SDP
            elif verb == "SETUP":
                head = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7\r\n"
            elif verb == "PLAY":
                head = "Session: 7\r\n"
            status = answer if verb == "DESCRIBE" else "200 OK"
            connection.sendall(f"RTSP/1.0 {status}\r\n{number}\r\n{head}\r\n{body}".encode())
            if verb == "PLAY":
                for count, start in enumerate(range(0, len(stream), CELLS)):
                    packet = (
                        struct.pack("!BBHII", 0x80, 33, count & 0xFFFF, count * 900, 1) + stream[start : start + CELLS]
                    )
                    connection.sendall(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
                return


def test_an_rtsp_camera_is_read_like_a_file(tmp_path):
    film = write_film(tmp_path / "a.ts", 40)
    with camera(film) as (port, asked), Video(f"rtsp://me:secret@127.0.0.1:{port}/live", waits=()) as video:
        assert video.live and video.seconds is None
        assert video.source == f"rtsp://127.0.0.1:{port}/live"
        frames = list(video.frames(every=2))
    assert any("RTP/AVP/TCP" in line for line in asked), "over the connection itself, which loses nothing"
    assert len(frames) >= 18, "FFmpeg may keep the last frames of a connection that ends"
    assert np.allclose(np.diff([f.time for f in frames[:-2]]), 0.2, atol=0.02)
    assert np.abs(frames[8].image.astype(int) - walk_frame(frames[8].number, 2)).mean() < 8


def test_a_camera_that_refuses_is_one_error_without_the_password(tmp_path):
    film = write_film(tmp_path / "a.ts", 3)
    with camera(film, "401 Unauthorized") as (port, _), pytest.raises(DataError) as error:
        Video(f"rtsp://me:secret@127.0.0.1:{port}/live?password=secret")
    assert f"rtsp://127.0.0.1:{port}/live?password=" in str(error.value) and "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("rtsp://me:p@ss@host/a@b", "rtsp://host/a@b"),
        ("http://host:80/x", "http://host:80/x"),
        ("folder/me@x.mp4", "folder/me@x.mp4"),
        ("folder/user=me&password=x.mp4", "folder/user=me&password=x.mp4"),
        ("rtmp://me:secret@host/x", "rtmp://host/x"),  # not read, and so said in an error
        ("rtsp://me:se#cret@host/x", "rtsp://host/x"),
        ("rtsp://me:se/cret@host/x", "rtsp://host/x"),
        ("rtsp://me:s/e/cr?et#x@host:554/x", "rtsp://host:554/x"),
        ("rtsp://host:554/a@b", "rtsp://host:554/a@b"),
        ("rtsp://[fe80::1]:554/a@b", "rtsp://[fe80::1]:554/a@b"),
        ("http://host?t=10:20/a@b", "http://host?t=10:20/a@b"),
        ("rtsp://h:554/user=admin&password=secret&channel=1", "rtsp://h:554/user=&password=&channel=1"),
        (
            "rtsp://h/user=me_password=s_x_channel=1_stream=0.sdp?real",
            "rtsp://h/user=_password=_channel=1_stream=0.sdp?real",
        ),
        ("rtsp://h/1?user=a&password=secret", "rtsp://h/1?user=&password="),
        ("rtsp://me:x@h?Usr=a&PWD=secret&channel=2", "rtsp://h?Usr=&PWD=&channel=2"),
        ("http://h/v.cgi?loginuse=me&loginpas=secret", "http://h/v.cgi?loginuse=&loginpas="),
        ("http://h/v.mp4?access_token=ab/c_d=e==&t=5#auth=x", "http://h/v.mp4?access_token=&t=5#auth="),
        ("http://h/v?t=5;password=a;b", "http://h/v?t=5;password="),
        ("srt://h:9?mode=caller&passphrase=secret", "srt://h:9?mode=caller&passphrase="),
        ("http://h/users/7/user_1.mp4?author", "http://h/users/7/user_1.mp4?author"),
        ("rtsp://h/cam/realmonitor?channel=1&subtype=0", "rtsp://h/cam/realmonitor?channel=1&subtype=0"),
    ],
)
def test_names_passwords_and_tokens_are_taken_out_of_addresses(given, told):
    assert without_password(given) == without_password(told) == told


def test_a_stream_that_breaks_is_opened_again_and_its_times_go_on(tmp_path):
    film = write_film(tmp_path / "a.ts", 20)
    with breaking(film, 3) as address, Video(address, waits=(0.3, 0.01)) as video:
        frames = list(video.frames())
    assert video.reopened == 2
    assert [f.number for f in frames] == list(range(60))
    assert [f.part for f in frames] == [0] * 20 + [1] * 20 + [2] * 20
    steps = np.diff([f.time for f in frames])
    assert np.allclose(np.delete(steps, (19, 39)), 0.1, atol=0.02)
    assert all(0.3 <= steps[place] < 5 for place in (19, 39)), "the break took its time"
    assert np.abs(frames[45].image.astype(int) - walk_frame(5, 2)).mean() < 8
    assert video.lost is not None
    assert video.lost.endswith("it ended; tries to open it again, all in vain: 2; 60 frames were read")


def test_a_stream_that_comes_back_empty_is_given_up(tmp_path):
    film = write_film(tmp_path / "a.ts", 20)
    with breaking(film, 1, empty=5) as address, Video(address, waits=(0.01,) * 3) as video:
        assert len(list(video.frames())) == 20
    assert video.reopened == 0 and video.lost is not None and "in vain: 3" in video.lost


def test_waiting_for_a_stream_can_be_stopped(tmp_path):
    film = write_film(tmp_path / "a.ts", 20)
    with breaking(film, 1) as address, Video(address, waits=(600.0,)) as video:
        frames = video.frames()
        assert [next(frames).number for _ in range(20)] == list(range(20))
        threading.Timer(0.1, video.stop).start()
        began = time.monotonic()
        assert list(frames) == [] and video.lost is None
        assert time.monotonic() - began < 60


def test_a_file_is_never_opened_again(tmp_path):
    path = write_film(tmp_path / "a.ts", 20)
    with Video(path, waits=(600.0,)) as video:
        assert len(list(video.frames())) == 20 and not video.live
    assert video.reopened == 0 and video.lost is None


def mjpeg(frames: int) -> bytes:
    """Return what a camera sends as `multipart/x-mixed-replace`, which has no times."""
    parts = []
    for number in range(frames):
        Image.fromarray(walk_frame(number, 1)).save(out := io.BytesIO(), "JPEG")
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(out.getvalue())}\r\n\r\n"
        parts.append(head.encode() + out.getvalue() + b"\r\n")
    return b"".join(parts)


@contextmanager
def without_times(kind: str, tmp_path: Path) -> Iterator[str]:
    """Give the address of a live stream of 30 frames of a format that has no times."""
    if kind == "h264":
        with breaking(write_film(tmp_path / "a.h264", 30), 1) as address:
            yield address
    else:
        with serve_files() as server:
            server.lengths, server.headers = False, {"Content-Type": "multipart/x-mixed-replace; boundary=frame"}
            server.files["/video.cgi"] = mjpeg(30)
            yield f"{server.address}/video.cgi"


@pytest.mark.parametrize("kind", ["h264", "mjpeg"])
def test_a_stream_without_times_of_its_own_goes_by_when_its_frames_came(tmp_path, monkeypatch, kind):
    clock = iter(np.arange(1000, 9000, 0.5))  # seconds; FFmpeg would say 25 frames per second
    monkeypatch.setattr("unveil.video.decode.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    with without_times(kind, tmp_path) as address, Video(address, waits=()) as video:
        frames = list(video.frames())
    assert video.live and [f.number for f in frames] == list(range(30)) and video.unreadable == 0
    steps = np.diff([f.time for f in frames])[:-3]  # what the decoder still had at the end came with nothing
    assert steps.min() >= 0.499 and steps.max() <= 1.001
    assert np.abs(frames[20].image.astype(int) - walk_frame(20, 1 if kind == "mjpeg" else 2)).mean() < 8


@pytest.mark.parametrize("name", ["a.ts", "a.h264"])
def test_a_recording_whose_server_tells_its_size_alone_is_no_live_stream(tmp_path, name):
    film = write_film(tmp_path / name, 20)
    with serve_files() as server:
        server.files[f"/{name}"] = film.read_bytes()
        with Video(f"{server.address}/{name}", waits=(600.0,)) as video:
            assert not video.live and video.seconds is None and video.size == film.stat().st_size
            assert len(list(video.frames())) == 20
        assert video.reopened == 0 and video.lost is None
        server.lengths = False
        with Video(f"{server.address}/{name}") as video:
            assert video.live and video.size is None


def test_the_size_of_a_list_of_parts_is_not_that_of_a_recording(tmp_path):
    with serve_files() as server:
        server.files["/a.ts"] = write_film(tmp_path / "a.ts", 100).read_bytes()
        server.files["/live.m3u8"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\na.ts\n"
        with Video(f"{server.address}/live.m3u8") as video:
            assert video.live and video.size is None


def test_the_beginning_of_a_recording_is_known_and_read_all_the_same(tmp_path):
    known = set()
    for people in (1, 2, 2):
        film = write_film(tmp_path / f"{people}.mp4", 20, people, 0)
        with Video(film) as video:
            known.add(video.beginning())
            assert [f.number for f in video.frames()] == list(range(20))
    assert len(known) == 2


def test_who_waits_for_a_frame_is_asked_and_may_end_the_wait():
    over, asked = threading.Event(), []

    def frames() -> Iterator[Frame]:
        over.wait(60)
        yield from ()

    def waits() -> None:
        asked.append(1)
        over.set()
        if len(asked) == 2:
            raise KeyError

    assert list(ReadAhead(frames(), waits=waits)) == [] and asked == [1]
    over.clear()
    ahead = ReadAhead(frames(), waits=waits)
    with pytest.raises(KeyError):
        list(ahead)
    ahead.close()
