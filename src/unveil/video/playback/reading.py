"""Decoded frames between two timestamps of a video, without decoding what lies before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from unveil.errors import DataError
from unveil.video.decode import Video

DEADLINE = 20.0  # seconds that reading may take
EARLIER = (0.0, 3.0, 12.0, 60.0)  # seconds before a timestamp, from which it is tried to seek to it
SLACK = 1e-3  # seconds by which stamps are rounded


def frames_between(
    video: Video, start: float, *, end: float, deadline: float = DEADLINE
) -> Iterator[tuple[float, Any]]:
    """Yield decoded frames of a file with their timestamp, in order.

    Args:
        video: an opened file.
        start: first timestamp, seconds since the first frame.
        end: last timestamp.
        deadline: seconds after which reading is given up, as in files without an index.

    Yields:
        Seconds since the first frame, and the frame as PyAV gives it.

    Raises:
        DataError: reading takes too long.
    """
    given_up_at = time.monotonic() + deadline
    for packet in packets_from(video, start):
        if time.monotonic() > given_up_at:
            raise DataError(f"{video.source}: going to {start:.0f} s takes longer than {deadline:.0f} s")
        for frame in _decoded(video, packet):
            timestamp = timestamp_of(video, frame)
            if timestamp is None or timestamp < start - SLACK:
                continue
            if timestamp > end + SLACK:
                return
            yield timestamp, frame


def packets_from(video: Video, start: float) -> Iterator[Any]:
    """Yield the packets of a video's images from a key frame at or before a timestamp on, seconds."""
    errors = video.opened[2]
    # Containers without an index (MPEG-TS) are gone to by guessing, and the guess may be late.
    for earlier in (*EARLIER, float("inf")):
        packets = _sought(video, start - earlier)
        try:
            first = next((packet for packet in packets if packet.size and packet.is_keyframe), None)
            if first is None or not (_timestamp(video, first) <= start + SLACK or start - earlier <= 0):
                continue
            yield first
            yield from packets
        except (errors, OSError):
            pass  # the video breaks off here
        return


def _sought(video: Video, start: float) -> Iterator[Any]:
    container, stream, errors = video.opened
    try:
        if start <= 0:
            video.rewind()
        else:
            container.seek(round((zero_of(video) + start) / stream.time_base), stream=stream, backward=True)
    except (errors, OSError):
        video.rewind()
    container, stream, _ = video.opened
    packets: Iterator[Any] = container.demux(stream)
    return packets


def _timestamp(video: Video, packet: Any) -> float:
    """Return the timestamp of a packet, seconds since the first frame; 0 where it has none."""
    stamp = packet.dts if video.decode_order or packet.pts is None else packet.pts
    return 0.0 if stamp is None else float(stamp * packet.time_base) - zero_of(video)


def frame_times(video: Video, *, deadline: float = DEADLINE) -> list[float]:
    """Return the timestamps of all frames in order of presentation, seconds since the first; nothing is decoded.

    Raises:
        DataError: it takes too long.
    """
    given_up_at = time.monotonic() + deadline
    timestamps = []
    for packet in packets_from(video, 0.0):
        if packet.size:
            timestamps.append(_timestamp(video, packet))
        if time.monotonic() > given_up_at:
            raise DataError(f"{video.source}: counting its frames takes longer than {deadline:.0f} s")
    return sorted(timestamps)


def timestamp_of(video: Video, frame: Any) -> float | None:
    """Return when a decoded frame is shown, seconds since the first frame; ``None`` where the video does not say."""
    if video.decode_order:
        return None if frame.dts is None else float(frame.dts * frame.time_base) - zero_of(video)
    return None if frame.time is None else frame.time - zero_of(video)


def zero_of(video: Video) -> float:
    """Return the stamp of the first frame, seconds."""
    stream = video.opened[1]
    return float((stream.start_time or 0) * stream.time_base)


def _decoded(video: Video, packet: Any) -> list[Any]:
    try:
        return [frame for frame in packet.decode() if not frame.is_corrupt]
    except video.opened[2]:
        return []  # damaged
