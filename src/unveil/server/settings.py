"""What an operator sets when the server starts: galleries, roles, and the limits on everything from outside."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from unveil.data.images import MAX_PIXELS
from unveil.errors import UnveilError

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits on what clients may send.

    Args:
        upload: bytes of one picture.
        body: bytes of any other request.
        pixels: pixels of one image; refused before it is decoded.
        decoding: pixels of all images that are decoded at one time; each takes up to nine bytes.
        decode_seconds: how long a request may wait for its turn to decode.
        pieces: pictures and rows in one query, positives and negatives each.
        top: results of one search.
        held: bytes of all pictures that are held for searches.
        held_seconds: how long a picture or a result is held after its last use.
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
        clips: bytes of all clips of films that are held to be played.
        clip_seconds: how long a clip is held after its last use.
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
    clip_seconds: float = 300.0


@dataclass(frozen=True)
class Settings:
    """How one server runs.

    Args:
        galleries: names of the galleries that it serves; all of the store when empty.
        tokens: file of tokens; without one the server answers on loopback only, and everybody there is admin.
        require_why: refuse searches without a reason.
        limits: see `Limits`.
        sources: folders in which the images and films of rows may be read, to show whole frames and to play; none
            shows none.
        distances: metres between pairs of cameras, as far as they are known.
    """

    galleries: tuple[str, ...] = ()
    tokens: Path | None = None
    require_why: bool = False
    limits: Limits = field(default_factory=Limits)
    sources: tuple[Path, ...] = ()
    distances: Mapping[frozenset[str], float] = field(default_factory=dict)


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
