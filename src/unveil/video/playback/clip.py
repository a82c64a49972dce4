"""A few seconds of a video as a small file that every browser plays: copied where it does, encoded anew where not.

Sound is left out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from unveil.errors import DataError
from unveil.video.decode import Video
from unveil.video.image_sequence import ImageSequence
from unveil.video.orientation import matrix_of
from unveil.video.playback.reading import frames_between, packets_from, zero_of
from unveil.video.records import Image

LONGEST = 60.0  # seconds of a clip
MAX_BYTES = 48_000_000  # of a clip that is copied; larger ones are encoded anew
MAX_EARLY = 4.0  # seconds that a copied clip may begin before it should: it has to begin with a key frame
COPIED = {"h264": "mp4", "vp8": "webm", "vp9": "webm"}  # codecs that browsers play, and what to wrap them in
PLAYABLE = ("yuv420p", "yuvj420p")
TYPES = {"mp4": "video/mp4", "webm": "video/webm"}
SIDE = 1280  # longest side of what is encoded, pixels
RATE = 30.0  # frames per second of what is encoded, at most
TICK = Fraction(1, 90_000)
SECONDS = 45.0  # that encoding may take


@dataclass(frozen=True)
class Clip:
    """A piece of a video.

    Args:
        data: the file.
        media_type: "video/mp4" or "video/webm".
        start: where it begins in the video, seconds since the first frame.
        end: where it ends.
        copied: whether it holds the video's own images, not encoded anew.
    """

    data: bytes
    media_type: str
    start: float
    end: float
    copied: bool


def cut_clip(video: Video | ImageSequence, start: float, *, end: float) -> Clip:
    """Return a piece of a video.

    Args:
        video: an opened file, or a folder of numbered images.
        start: first timestamp, seconds since the first frame; the clip may begin up to `MAX_EARLY` before it.
        end: last timestamp.

    Raises:
        DataError: nothing can be decoded there, or it takes too long.
    """
    start = max(0.0, start)
    if not start < end <= start + LONGEST:
        raise DataError(f"a clip is up to {LONGEST:.0f} s long, got {start:g} to {end:g} s")
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(video, Video):
            return _copied(video, start, end=end, folder=Path(folder)) or _encoded(
                video, start, end=end, folder=Path(folder)
            )
        return _encoded(video, start, end=end, folder=Path(folder))


def _copied(video: Video, start: float, *, end: float, folder: Path) -> Clip | None:
    """Return a clip with the video's own packets; ``None`` where browsers could not play it or it is too much."""
    import av

    _, stream, errors = video.opened
    kind, pixels = COPIED.get(stream.codec_context.name), stream.codec_context.pix_fmt
    # Stamps of decoding alone are no stamps of presentation, which a player needs.
    if kind is None or pixels not in PLAYABLE or video.decode_order or _turned(video, start):
        return None
    path = folder / f"clip.{kind}"
    zero, first, last, began, size = zero_of(video), None, start, start, 0
    options = {"movflags": "+faststart"} if kind == "mp4" else {}
    try:
        with av.open(str(path), "w", options=options) as out:
            for packet in packets_from(video, start):
                if not packet.size or packet.pts is None or packet.dts is None:
                    continue
                timestamp = float(packet.pts * packet.time_base) - zero
                if first is None:
                    if not packet.is_keyframe:
                        continue
                    if timestamp < start - MAX_EARLY:
                        return None
                    # Of the packet, not of the video: going to its beginning may have opened it anew.
                    first, began, copy = packet.pts, timestamp, out.add_stream_from_template(packet.stream)
                if packet.pts < first:  # shown before the key frame, and made from what is not in the clip
                    continue
                if float(packet.dts * packet.time_base) - zero > end:
                    break
                size += packet.size
                if size > MAX_BYTES:
                    return None
                last = max(last, timestamp)
                packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, copy
                out.mux(packet)
    except (errors, OSError, ValueError):
        return None
    if first is None:
        return None
    return Clip(path.read_bytes(), TYPES[kind], began, last, copied=True)


def _turned(video: Video, start: float) -> bool:
    """Return whether frames are to be turned before they are shown, which not every player does."""
    for _, frame in frames_between(video, start, end=start + LONGEST):
        return matrix_of(frame) is not None
    return False


def _encoded(video: Video | ImageSequence, start: float, *, end: float, folder: Path) -> Clip:
    import av

    path = folder / "encoded.mp4"
    deadline = time.monotonic() + SECONDS
    began: float | None = None
    last = start
    out: Any = None
    try:
        for timestamp, image in _images(video, start, end=end):
            if time.monotonic() > deadline:
                raise DataError(f"{video.source}: encoding {end - start:.0f} s takes longer than {SECONDS:.0f} s")
            if began is not None and timestamp - last < 1 / RATE - 1e-3:
                continue
            small = _even(image)
            if out is None:
                out = av.open(str(path), "w", options={"movflags": "+faststart"})
                options = {"preset": "ultrafast", "crf": "24"}
                stream = out.add_stream("libx264", rate=int(RATE), options=options)
                stream.width, stream.height, stream.pix_fmt = small.width, small.height, "yuv420p"
                stream.codec_context.time_base = TICK
                began = timestamp
            frame = av.VideoFrame.from_image(small)
            frame.pts, frame.time_base = round((timestamp - (began or 0.0)) / TICK), TICK
            out.mux(stream.encode(frame))
            last = timestamp
        if out is None or began is None:
            raise DataError(f"{video.source}: no frame can be read from {start:.1f} to {end:.1f} s")
        out.mux(stream.encode(None))
    finally:
        if out is not None:
            out.close()
    return Clip(path.read_bytes(), TYPES["mp4"], began, last, copied=False)


def _images(video: Video | ImageSequence, start: float, *, end: float) -> Iterator[tuple[float, Image]]:
    if isinstance(video, Video):
        for timestamp, frame in frames_between(video, start, end=end):
            yield timestamp, video.pixels(frame)
    else:
        for shown in video.frames(first=max(0, round(start * video.rate))):
            if shown.time > end:
                return
            yield shown.time, shown.image


def _even(image: Image) -> Pillow.Image:
    """Return a frame no larger than `SIDE`, with even sides as the encoder needs them."""
    height, width = image.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size = max(2, round(factor * width / 2) * 2), max(2, round(factor * height / 2) * 2)
    return Pillow.fromarray(image).resize(size, Pillow.Resampling.BILINEAR)
