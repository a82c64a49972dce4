"""Whether a file is an image or a video: by its suffix where that is telling, else by its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["image", "video", "other"]
HEAD = 4096

IMAGE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".ppm",
    ".pgm", ".pbm", ".pnm",
))  # fmt: skip
# Suffixes that nothing else uses. ".ts" may be a program, ".dat" or ".mod" anything: their bytes decide.
VIDEO_SUFFIXES = frozenset((
    ".mp4", ".m4v", ".mp4v", ".mov", ".qt", ".f4v", ".3gp", ".3g2", ".mkv", ".mk3d", ".webm", ".avi", ".divx",
    ".flv", ".wmv", ".asf", ".dvr-ms", ".wtv", ".m2ts", ".mts", ".m2t", ".mpg", ".mpeg", ".mpe", ".mpv", ".m1v",
    ".m2v", ".vob", ".evo", ".ogv", ".ogm", ".dav", ".264", ".h264", ".avc", ".265", ".h265", ".hevc", ".mjpg",
    ".mjpeg", ".mxf", ".gxf", ".dv", ".rm", ".rmvb", ".y4m", ".ivf", ".nut", ".nsv", ".amv",
))  # fmt: skip
# Sound in containers that may hold a video.
_SOUND_SUFFIXES = frozenset((".mp3", ".wma", ".m4a", ".m4b", ".mka", ".oga", ".opus", ".flac", ".wav", ".aac", ".ac3"))

_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")
_VIDEOS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"DHAV",
    b"IMKH",  # two makers of recorders
    b"DKIF",
    b"YUV4MPEG2 ",
    b".RMF",
    b"nut/multimedia container\x00",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF
)
_BITMAP_HEADERS = frozenset((12, 40, 52, 56, 64, 108, 124))
_OGG_VIDEO = (b"\x80theora", b"OVP80", b"BBCD", b"fishead", b"\x01video")
_MP4 = frozenset((b"ftyp", b"moov", b"mdat", b"wide", b"skip"))
_NO_VIDEO = frozenset((b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"M4A ", b"M4B ", b"M4P "))
_H264 = frozenset((1, 5, 6, 7, 8, 9))
_H265 = frozenset((32, 33, 34, 35, 39))
_PACKETS = ((0, 188), (4, 192))  # offset of the first sync byte and length of a packet of a transport stream


def media_type(path: Path) -> Kind:
    """Return what a file is; one that cannot be read counts as what its name says."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    if suffix in _SOUND_SUFFIXES:
        return "other"
    try:
        with path.open("rb") as file:
            return media_type_of(file.read(HEAD))
    except OSError:
        return "other"


def media_type_of(head: bytes) -> Kind:
    """Return what a file is by its first bytes; `HEAD` of them are enough."""
    if head.startswith(_IMAGES) or _is_bitmap(head) or _is_netpbm(head):
        return "image"
    if head[:4] == b"RIFF":
        kinds: dict[bytes, Kind] = {b"WEBP": "image", b"AVI ": "video", b"AMV ": "video", b"CDXA": "video"}
        return kinds.get(head[8:12], "other")
    if head[:4] == b"OggS":
        return "video" if any(name in head for name in _OGG_VIDEO) else "other"
    if head.startswith(_VIDEOS) or _is_mp4(head) or _is_transport_stream(head) or _is_elementary_stream(head):
        return "video"
    return "other"


def _is_bitmap(head: bytes) -> bool:
    return (
        head[:2] == b"BM"
        and len(head) >= 18
        and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)
    )


def _is_netpbm(head: bytes) -> bool:
    return (
        len(head) > 8
        and head[:1] == b"P"
        and head[1:2] in b"123456"
        and head[2:3] in b" \t\r\n"
        and (head[3:].lstrip()[:1].isdigit() or head[3:].lstrip()[:1] == b"#")
    )


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in _MP4 and head[8:12] not in _NO_VIDEO


def _is_transport_stream(head: bytes) -> bool:
    return any(
        len(head) > offset + 3 * step and all(head[offset + n * step] == 0x47 for n in range(4))
        for offset, step in _PACKETS
    )


def _is_elementary_stream(head: bytes) -> bool:
    """Whether H.264 or H.265 units begin here (Annex B): at least two in a row that such a stream begins with."""
    if not head.startswith((b"\x00\x00\x00\x01", b"\x00\x00\x01")):
        return False
    units = [part[0] for part in head.split(b"\x00\x00\x01")[1:4] if part]
    h264 = [not unit & 0x80 and unit & 0x1F in _H264 for unit in units]
    h265 = [not unit & 0x81 and unit >> 1 in _H265 for unit in units]
    return len(units) >= 2 and (all(h264) or all(h265))
