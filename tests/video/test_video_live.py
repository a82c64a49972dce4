"""A camera on the network: a small RTSP server that sends a video over the connection itself, in real packets.

And one that breaks off: a server that sends a transport stream, closes, and accepts again.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from films import breaking, walk_frame, write_film
from unveil.errors import DataError
from unveil.video.decode import Video, without_password

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
