"""Frames of a video file or of a live address, with the container's own times; damaged parts are left out and counted.

Files, ``rtsp://`` and ``http://`` are read the same way, by PyAV (FFmpeg). A live stream that breaks is opened again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from unveil.data.images import MAX_PIXELS
from unveil.errors import DataError, MissingExtraError
from unveil.video.addresses import ADDRESSES, is_address, without_password
from unveil.video.completeness import Completeness
from unveil.video.orientation import matrix_of, upright
from unveil.video.records import Frame, Image
from unveil.video.sampling import FrameSampler
from unveil.video.timestamps import Clock

OPEN_SECONDS, READ_SECONDS = 15.0, 15.0
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each try to open a live stream again that broke
DAY_OF_WAITS = tuple(min(2.0**n, 60.0) for n in range(6)) + (60.0,) * 1440
MAX_FAILURES = 2000  # unreadable packets in a row after which the rest is given up
NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS: of images after images, as MJPEG cameras and raw H.264 send them
LISTS = ("hls", "dash", "sdp")  # formats whose size is that of a list, and not of what it names


class Video:
    """An opened video; iterate over `frames` once. `lost` says afterwards, in one line, what could not be read.

    Args:
        source: path of a file, or an address (rtsp, http, tcp, udp, srt).
        max_pixels: larger frames are refused.
        waits: seconds before each try to open a live stream again that broke; a frame gives it all tries anew. It ends
            when they are used up; with none it ends where it breaks. A file is never opened again.
        broke: called with the reason and the seconds until the next try, each time before a broken stream is tried.

    Raises:
        DataError: there is no such file, nothing answers, or it holds no video that can be decoded.
        MissingExtraError: PyAV is not installed.
    """

    _container: Any = None
    _stream: Any = None
    _ahead: Iterator[Any] | None = None  # packets, of which the first were looked at

    def __init__(
        self,
        source: str | Path,
        max_pixels: int = MAX_PIXELS,
        *,
        waits: Sequence[float] = WAITS,
        broke: Callable[[str, float], None] = lambda words, wait: None,
    ) -> None:
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
        name = str(source) if address else f"file:{source}"
        self._how: dict[str, Any] = {"file": name, "options": options, "timeout": timeout, "metadata_errors": "replace"}
        self._waits = tuple(waits)
        self._broke = broke
        self._stopped = threading.Event()
        self._open()
        length = self._container.duration
        self.seconds: float | None = length / av.time_base if length and length > 0 else None
        size = 0 if self._container.format.name in LISTS else self._container.size
        self.size: int | None = size if size > 0 else None  # bytes
        # Raw H.264 and transport streams tell no length, but the server of a recording tells how large it is.
        self.live = address and not length and self.size is None
        self._stamped = not self.live or not self._container.format.flags & NO_TIMESTAMPS
        self._completeness = Completeness(self._container, self._stream, rate=self.rate)
        self.unreadable = 0
        self.broken_off: str | None = None
        self.decoded = 0
        self.reopened = 0
        self._over = False  # nothing is left to read; where reading was stopped, nothing is missing

    def frames(self, every: int = 1, fps: float | None = None, *, first: int = 0) -> Iterator[Frame]:
        """Yield the frames in order.

        Args:
            every: take each n-th frame.
            fps: take at most that many frames per second, whatever the video's own rate.
            first: number of the first frame to yield; those before it are decoded but not converted.

        Raises:
            DataError: not one frame can be read, or a frame is too large.
        """
        sampler = FrameSampler(every, fps)
        clock = Clock(self.rate, decode_order=self.decode_order)
        number = -1
        for frame in self._decode(clock):
            number += 1
            timestamp = clock.read(frame)
            if timestamp is None:
                self.unreadable += 1
            if frame is None or timestamp is None:
                continue
            self.decoded += 1
            if sampler.takes(number, timestamp) and number >= first:
                yield Frame(number, timestamp, self.pixels(frame), self.reopened)
        self._over = True
        if not self.decoded:
            why = self.broken_off or f"{self.unreadable} packets, none of them whole"
            raise DataError(f"{self.source}: not one frame can be read ({why})")

    @property
    def lost(self) -> str | None:
        """One line on what could not be read; ``None`` when everything could."""
        parts = [f"{self.unreadable} damaged frames were left out"] if self.unreadable else []
        missing = self._completeness.missing() if self._over and not self.live else None
        if self.broken_off:
            parts.append(f"it breaks off: {self.broken_off}")
        elif missing:
            parts.append(missing)
        return f"{self.source}: {'; '.join(parts)}; {self.decoded} frames were read" if parts else None

    @property
    def opened(self) -> tuple[Any, Any, type[Exception]]:
        """The container, its stream of images and the errors of PyAV, for those who seek in a file."""
        return self._container, self._stream, self._av.error.FFmpegError

    def beginning(self) -> str:
        """Return the SHA-256 of the first packet, by which recordings differ; empty where nothing can be read."""
        packets, first = self._demuxed(), []
        with contextlib.suppress(self._av.error.FFmpegError, OSError):
            for packet in packets:
                first.append(packet)
                if packet.stream.index == self._stream.index:  # sound may begin with the same silence
                    self._ahead = itertools.chain(first, packets)
                    return hashlib.sha256(packet).hexdigest()
        return ""

    def rewind(self) -> None:
        """Begin anew with the first packet of a file, which not every container can be sent back to."""
        self.close()
        self._open()

    @property
    def decode_order(self) -> bool:
        """Whether only the order of decoding has times (AVI, and what is stamped here); see `timestamps.Clock`."""
        return not self._stamped or bool(self._container.format.name == "avi")

    def pixels(self, frame: Any) -> Image:
        """Return a decoded frame as a player shows it, ``(H, W, 3)`` uint8 RGB.

        Raises:
            DataError: it is too large.
        """
        self._check_size(frame.width, frame.height)
        return upright(frame.to_ndarray(format="rgb24"), matrix_of(frame))

    def close(self) -> None:
        """Let go of the file or the connection."""
        if self._container is not None:
            self._container.close()
        self._container = self._stream = self._ahead = None

    def stop(self) -> None:
        """Let `frames` end instead of waiting for a stream that broke; for another thread than theirs."""
        self._stopped.set()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *raised: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _open(self) -> None:
        """Open the container and its stream of images; DataError when that cannot be done."""
        try:
            self._container = self._av.open(**self._how)
            if not self._container.streams.video:
                raise DataError(f"{self.source}: holds sound or text, but no video")
            self._stream = self._container.streams.video[0]
            if self._stream.codec_context is None:
                raise DataError(f"{self.source}: FFmpeg has no decoder for its images, or the file is damaged")
            self._stream.thread_type = "AUTO"
            self._check_size(self._stream.codec_context.width, self._stream.codec_context.height)
            announced = float(self._stream.average_rate or self._stream.guessed_rate or 25)
            # Frames per second as the container announces them, between 1 and 240; 25 where it does not.
            self.rate = announced if 1 <= announced <= 240 else 25.0
        except (self._av.error.FFmpegError, OSError) as e:
            self.close()
            raise DataError(f"{self.source}: not a video that can be read: {_reason(e)}") from None
        except DataError:
            self.close()
            raise

    def _decode(self, clock: Clock) -> Iterator[Any]:
        """Yield decoded frames, ``None`` for each one that is damaged; open a live stream again where it breaks."""
        tries, seen = 0, time.monotonic()
        while True:
            for frame in self._part():
                if frame is not None:
                    if tries:
                        self.reopened += 1
                        self.broken_off = None
                        clock.restart(time.monotonic() - seen)
                    tries, seen = 0, time.monotonic()
                yield frame
            tries = self._again(tries) if self.live else 0
            if not tries:
                return

    def _again(self, tries: int) -> int:
        """Open a stream again; return how often that was tried since its last frame, 0 when it is over for good."""
        self.close()
        for number, wait in enumerate(self._waits[tries:], tries + 1):
            self._broke(self.broken_off or "it ended", wait)
            if self._stopped.wait(wait):
                return 0
            with contextlib.suppress(DataError):
                self._open()
                return number
        if self._waits:
            tried = len(self._waits)
            self.broken_off = f"{self.broken_off or 'it ended'}; tries to open it again, all in vain: {tried}"
        return 0

    def _part(self) -> Iterator[Any]:
        """Yield what `_decode` does, up to the end or the break."""
        failures = 0
        packets, self._ahead = self._ahead or self._demuxed(), None
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (self._av.error.FFmpegError, OSError) as e:
                self.broken_off = _reason(e)
                return
            self._completeness.see(packet)
            if packet.stream.index != self._stream.index:
                continue
            if not self._stamped and packet.size:  # FFmpeg makes times up: 25 frames per second, however many come
                packet.pts = packet.dts = int(time.monotonic() / packet.time_base)
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

    def _demuxed(self) -> Iterator[Any]:
        streams = [self._stream]
        if not self.live and self._completeness.all_streams:
            streams = [s for s in self._container.streams if s.type == "audio" or s.index == self._stream.index]
        return iter(self._container.demux(*streams))

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise DataError(f"{self.source}: frames of {width} x {height}; the limit is {self.max_pixels:,} pixels")


def _is_list(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16).lstrip().startswith((b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD"))


def _reason(error: Exception) -> str:
    # Not str(error): it holds the address with its password.
    text = str(getattr(error, "strerror", "") or type(error).__name__)
    with contextlib.suppress(IndexError):
        text = text.splitlines()[0]
    return text or type(error).__name__
