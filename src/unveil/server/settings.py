"""What an operator sets when the server starts: galleries, roles, and the limits on everything from outside."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unveil.data.images import MAX_PIXELS
from unveil.errors import RecipeError, UnveilError
from unveil.video.addresses import is_address, without_password

MEGABYTE = 2**20
STREAM = re.compile(r"[A-Za-z0-9_-]{1,63}")


@dataclass(frozen=True)
class Limits:
    """Limits on what clients may send.

    Args:
        upload: bytes of one image.
        body: bytes of any other request.
        pixels: pixels of one image; refused before it is decoded.
        decoding: pixels of all images that are decoded at one time; each takes up to nine bytes.
        decode_seconds: how long a request may wait for its turn to decode.
        pieces: images and rows in one query, positives and negatives each.
        top: results of one search.
        held: bytes of all images that are held for searches.
        held_seconds: how long an image or a result is held after its last use.
        upload_seconds: how long a body may take to arrive.
        arriving: bytes of the bodies of all requests that are not answered yet.
        header_seconds: how long a connection may be open without a request.
        answer_seconds: how long a client may take to read a part of an answer.
        connections: open at one time.
        connections_per_address: open at one time from one address; 0 sets no limit, for a proxy in front.
        reserve: connections beyond these, on which only checks of health are answered.
        rate: requests a minute for each token (or address); 0 sets no limit.
        burst: requests that may come at once.
        refused: failed sign-ins a minute for each address.
        clips: bytes of all clips of videos that are held to be played.
        clip_seconds: how long a clip is held after its last use.
        video: bytes of one video that is sent to be added.
    """

    upload: int = 20 * MEGABYTE
    body: int = 256 * 1024
    pixels: int = MAX_PIXELS
    decoding: int = MAX_PIXELS
    decode_seconds: float = 10.0
    pieces: int = 40
    top: int = 200
    held: int = 256 * MEGABYTE
    held_seconds: float = 1800.0
    upload_seconds: float = 60.0
    arriving: int = 128 * MEGABYTE
    header_seconds: float = 10.0
    answer_seconds: float = 60.0
    connections: int = 256
    connections_per_address: int = 64
    reserve: int = 16
    rate: float = 120.0
    burst: int = 60
    refused: float = 20.0
    clips: int = 128 * MEGABYTE
    video: int = 4096 * MEGABYTE
    clip_seconds: float = 300.0


@dataclass(frozen=True)
class Settings:
    """How one server runs.

    Args:
        galleries: names of the galleries that it serves; all of the store when empty.
        tokens: file of tokens; without one the server answers on loopback only, and everybody there is admin.
        require_why: refuse searches without a reason.
        limits: see `Limits`.
        sources: folders in which the images and videos of rows may be read, to show whole frames and to play; none
            shows none.
        distances: metres between pairs of cameras, as far as they are known.
        ingest: folders below which videos and images may be named to be added.
        streams: addresses of live streams that may be added, by the names that users see.
        uploads: folder to which videos and images are sent to be added, each to one gallery; ``None`` takes none.
    """

    galleries: tuple[str, ...] = ()
    tokens: Path | None = None
    require_why: bool = False
    limits: Limits = field(default_factory=Limits)
    sources: tuple[Path, ...] = ()
    distances: Mapping[frozenset[str], float] = field(default_factory=dict)
    ingest: tuple[Path, ...] = ()
    uploads: Path | None = None
    streams: Mapping[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> tuple[Path, ...]:
        """The folder of videos that were sent, where there is one: rows that came of them have their sources there."""
        return () if self.uploads is None else (self.uploads,)


def named_streams(texts: Sequence[str]) -> dict[str, str]:
    """Return addresses of streams by name, from texts such as ``gate=rtsp://camera/1``.

    Raises:
        RecipeError: one has no name that can be shown, no address of a stream, or the name of another.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, address = text.partition("=")
        if not STREAM.fullmatch(name) or not is_address(address):
            said = f"{name}={without_password(address)}" if address else "no '='"
            raise RecipeError(
                f"--stream: expected NAME=ADDRESS, such as gate=rtsp://camera/1, the name of letters, digits, - and _; "
                f"got {said}"
            )
        if name in found:
            raise RecipeError(f"--stream: two streams are called {name}")
        found[name] = address
    return found


def is_loopback(host: str) -> bool:
    """Return whether an address or a host name means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(host: str, tokens: Path | None) -> None:
    """Refuse to be reachable from elsewhere without tokens.

    Raises:
        UnveilError: the host is not loopback and there are no tokens.
    """
    if tokens is None and not is_loopback(host):
        raise UnveilError(
            f"without tokens the server listens on loopback only, not on {host}: make a token with "
            "`unveil serve --new-token NAME --role reader --tokens tokens.json` and start with --tokens tokens.json"
        )
