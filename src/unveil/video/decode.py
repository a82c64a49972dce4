"""Frames of a video file or of a live address, with the container's own times; damaged parts are left out and counted.

Files, ``rtsp://`` and ``http://`` are read the same way, by PyAV (FFmpeg).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from unveil.data.images import MAX_PIXELS
from unveil.errors import DataError, MissingExtraError
from unveil.video.records import Frame, Image

ADDRESSES = ("rtsp", "rtsps", "http", "https", "tcp", "udp", "srt")
OPEN_SECONDS, READ_SECONDS = 15.0, 15.0
LONGEST_GAP = 3600.0  # seconds between two frames of a file; more is a damaged time stamp
DISORDER = 3.0  # seconds; frames around a damage may come that late, further back the clock began anew
MAX_FAILURES = 2000  # unreadable packets in a row after which the rest is given up


def is_address(source: str) -> bool:
    """Return whether a source is the address of a stream and not a file."""
    return source.partition("://")[0].lower() in ADDRESSES and "://" in source


def without_password(source: str) -> str:
    """Return an address without the name and password in it; anything else as it is."""
    if not is_address(source):
        return source
    scheme, _, rest = source.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


class Video:
    """An opened video; iterate over `frames` once. `lost` says afterwards, in one line, what could not be read.

    Args:
        source: path of a file, or an address (rtsp, http, tcp, udp, srt).
        max_pixels: larger frames are refused.

    Raises:
        DataError: there is no such file, nothing answers, or it holds no video that can be decoded.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(self, source: str | Path, max_pixels: int = MAX_PIXELS) -> None:
        try:
            import av
        except ImportError:
            raise MissingExtraError("reading a video", "video") from None
        self._av: Any = av
        self.source = without_password(str(source))
        self.max_pixels = max_pixels
        address = is_address(str(source))
        if not address and not Path(self.source).is_file():
            raise DataError(f"{self.source}: no such video; expected a file or an address ({', '.join(ADDRESSES)})")
        if not address and _is_list(Path(self.source)):
            raise DataError(f"{self.source}: a list of other files, no video; name one of them")
        # A file reads files only, an address never does: what they hold cannot reach further.
        protocols = "udp,rtp,rtsp,tcp,tls,http,https,httpproxy,crypto,srt" if address else "file"
        options = {"protocol_whitelist": protocols} | ({"rtsp_transport": "tcp"} if "rtsp" in self.source[:5] else {})
        timeout = (OPEN_SECONDS, READ_SECONDS) if address else None
        self._container: Any = None
        try:
            name = str(source) if address else f"file:{source}"
            self._container = av.open(name, options=options, timeout=timeout, metadata_errors="replace")
            if not self._container.streams.video:
                raise DataError(f"{self.source}: holds sound or text, but no video")
            self._stream: Any = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
        except (av.error.FFmpegError, OSError) as e:
            self.close()
            raise DataError(f"{self.source}: not a video that can be read: {_reason(e)}") from None
        except DataError:
            self.close()
            raise
        self.live = address and not self._container.duration
        self._check_size(self._stream.codec_context.width, self._stream.codec_context.height)
        self.unreadable = 0
        self.broken_off: str | None = None
        self.decoded = 0
        self._over = False  # nothing is left to read; where reading was stopped, nothing is missing

    @property
    def rate(self) -> float:
        """Frames a second as the container announces them, between 1 and 240; 25 where it does not."""
        announced = float(self._stream.average_rate or self._stream.guessed_rate or 25)
        return announced if 1 <= announced <= 240 else 25.0

    @property
    def seconds(self) -> float | None:
        """Length that the container announces; ``None`` for a live stream."""
        length = self._container.duration
        return length / self._av.time_base if length and length > 0 else None

    def frames(self, every: int = 1, fps: float | None = None, first: int = 0) -> Iterator[Frame]:
        """Yield the frames in order.

        Args:
            every: take each n-th frame.
            fps: take at most that many frames a second, whatever the video's own rate.
            first: number of the first frame to yield; those before it are decoded but not converted.

        Raises:
            DataError: not one frame can be read, or a frame is too large.
        """
        if every < 1 or (fps is not None and not 0 < fps <= 1000):
            raise DataError(f"expected every >= 1 and 0 < fps <= 1000, got every={every}, fps={fps}")
        clock, due, number = _Clock(self.rate), 0.0, -1
        for frame in self._decode():
            number += 1
            time = clock.read(frame)
            if time is None:
                self.unreadable += 1
            if frame is None or time is None:
                continue
            self.decoded += 1
            if fps is not None:
                taken = time >= due - 1e-6
                if taken:
                    due = due + 1 / fps if due + 1 / fps > time else time + 1 / fps
            else:
                taken = number % every == 0
            if taken and number >= first:
                yield Frame(number, time, self._pixels(frame))
        self._over = True
        if not self.decoded:
            why = self.broken_off or f"{self.unreadable} packets, none of them whole"
            raise DataError(f"{self.source}: not one frame can be read ({why})")

    @property
    def lost(self) -> str | None:
        """One line on what could not be read; ``None`` when everything could."""
        parts = [f"{self.unreadable} damaged frames were left out"] if self.unreadable else []
        missing = self._missing()
        if self.broken_off:
            parts.append(f"it breaks off: {self.broken_off}")
        elif missing:
            parts.append(missing)
        return f"{self.source}: {'; '.join(parts)}; {self.decoded} frames were read" if parts else None

    def close(self) -> None:
        """Let go of the file or the connection."""
        if self._container is not None:
            self._container.close()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _decode(self) -> Iterator[Any]:
        """Yield decoded frames, and ``None`` for each one that is damaged."""
        failures = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (self._av.error.FFmpegError, OSError) as e:
                self.broken_off = _reason(e)
                return
            try:
                frames = packet.decode()
                failures = 0
            except self._av.error.FFmpegError as e:
                failures += 1
                self.unreadable += 1
                if failures >= MAX_FAILURES:
                    self.broken_off = f"{failures} damaged frames in a row ({_reason(e)})"
                    return
                yield None
                continue
            for frame in frames:
                self.unreadable += bool(frame.is_corrupt)
                yield None if frame.is_corrupt else frame

    def _pixels(self, frame: Any) -> Image:
        self._check_size(frame.width, frame.height)
        image = frame.to_ndarray(format="rgb24")
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise DataError(f"{self.source}: frames of {width} x {height}; the limit is {self.max_pixels:,} pixels")

    def _missing(self) -> str | None:
        """Say when a file ends well before the end that its header announces."""
        if self.live or not self._over:
            return None
        announced = self._stream.frames
        if not announced or self.decoded + self.unreadable >= announced - 1:
            return None
        return f"{announced - self.decoded - self.unreadable} of {announced} announced frames are missing"


class _Clock:
    """Seconds since the first frame: never backwards, whatever a damaged file or a camera that restarts says."""

    def __init__(self, rate: float) -> None:
        self._step = 1 / rate
        self._zero: float | None = None
        self._last: float | None = None

    def read(self, frame: Any) -> float | None:
        """Return the time of a frame, of a missing one by estimate; ``None`` for one that comes out of order."""
        stamp = None if frame is None else frame.time
        expected = 0.0 if self._last is None else self._last + self._step
        if stamp is None:
            self._last = expected
            return expected
        if self._zero is None:
            self._zero = stamp - expected
        time = stamp - self._zero
        last = 0.0 if self._last is None else self._last
        if last - DISORDER <= time < last - 1e-9:
            return None
        if not last - 1e-9 <= time <= last + LONGEST_GAP:  # the clock of the camera began anew, or the stamp is damaged
            self._zero, time = stamp - expected, expected
        self._last = time
        return time


def _is_list(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16).lstrip().startswith((b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD"))


def _reason(error: Exception) -> str:
    # Not str(error): it holds the address with its password.
    text = str(getattr(error, "strerror", "") or type(error).__name__)
    with contextlib.suppress(IndexError):
        text = text.splitlines()[0]
    return text or type(error).__name__
